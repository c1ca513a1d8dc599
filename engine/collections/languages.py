"""What is known of a language by its code: English name, endonym, script, direction, family.

Codes are ISO 639-1 where there is one, else ISO 639-3; where a language is not in its usual script, the script's ISO
15924 code follows a hyphen. A macrolanguage's code stands for its standard variety. Names after Unicode CLDR; families
after Glottolog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import InputError


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        code: ISO 639-1 code, or ISO 639-3 where there is none; "-" and the script where it is not the usual one.
        name: English name.
        endonym: Name in the language itself.
        script: ISO 15924 code of the usual script.
        direction: "ltr" or "rtl".
        family: Top-level family.
    """

    code: str
    name: str
    endonym: str
    script: str
    direction: Literal["ltr", "rtl"]
    family: str


_ROWS = """
acm|Mesopotamian Arabic|العراقية|Arab|Afro-Asiatic
af|Afrikaans|Afrikaans|Latn|Indo-European
am|Amharic|አማርኛ|Ethi|Afro-Asiatic
apc|Levantine Arabic|شامي|Arab|Afro-Asiatic
ar|Arabic|العربية|Arab|Afro-Asiatic
ar-Latn|Arabic (Latin)|al-ʿarabiyya|Latn|Afro-Asiatic
ars|Najdi Arabic|النجدية|Arab|Afro-Asiatic
ary|Moroccan Arabic|الدارجة|Arab|Afro-Asiatic
arz|Egyptian Arabic|مصرى|Arab|Afro-Asiatic
as|Assamese|অসমীয়া|Beng|Indo-European
az|Azerbaijani|azərbaycan|Latn|Turkic
bg|Bulgarian|български|Cyrl|Indo-European
bm|Bambara|bamanakan|Latn|Mande
bn|Bengali|বাংলা|Beng|Indo-European
bn-Latn|Bengali (Latin)|Bangla|Latn|Indo-European
bo|Tibetan|བོད་སྐད་|Tibt|Sino-Tibetan
ca|Catalan|català|Latn|Indo-European
ceb|Cebuano|Cebuano|Latn|Austronesian
ckb|Central Kurdish|کوردیی ناوەندی|Arab|Indo-European
cs|Czech|čeština|Latn|Indo-European
da|Danish|dansk|Latn|Indo-European
de|German|Deutsch|Latn|Indo-European
el|Greek|Ελληνικά|Grek|Indo-European
en|English|English|Latn|Indo-European
es|Spanish|español|Latn|Indo-European
et|Estonian|eesti|Latn|Uralic
eu|Basque|euskara|Latn|Basque
fa|Persian|فارسی|Arab|Indo-European
fi|Finnish|suomi|Latn|Uralic
fil|Filipino|Filipino|Latn|Austronesian
fr|French|français|Latn|Indo-European
fuv|Nigerian Fulfulde|Fulfulde|Latn|Atlantic-Congo
gn|Guarani|avañe’ẽ|Latn|Tupian
gu|Gujarati|ગુજરાતી|Gujr|Indo-European
ha|Hausa|Hausa|Latn|Afro-Asiatic
he|Hebrew|עברית|Hebr|Afro-Asiatic
hi|Hindi|हिन्दी|Deva|Indo-European
hi-Latn|Hindi (Latin)|Hindī|Latn|Indo-European
hr|Croatian|hrvatski|Latn|Indo-European
ht|Haitian Creole|kreyòl ayisyen|Latn|Indo-European
hu|Hungarian|magyar|Latn|Uralic
hy|Armenian|հայերեն|Armn|Indo-European
id|Indonesian|Indonesia|Latn|Austronesian
ig|Igbo|Igbo|Latn|Atlantic-Congo
ilo|Iloko|Iloko|Latn|Austronesian
is|Icelandic|íslenska|Latn|Indo-European
it|Italian|italiano|Latn|Indo-European
ja|Japanese|日本語|Jpan|Japonic
jv|Javanese|Jawa|Latn|Austronesian
ka|Georgian|ქართული|Geor|Kartvelian
kac|Kachin|Jinghpaw|Latn|Sino-Tibetan
kea|Kabuverdianu|kabuverdianu|Latn|Indo-European
kk|Kazakh|қазақ тілі|Cyrl|Turkic
km|Khmer|ខ្មែរ|Khmr|Austroasiatic
kn|Kannada|ಕನ್ನಡ|Knda|Dravidian
ko|Korean|한국어|Kore|Koreanic
ky|Kyrgyz|кыргызча|Cyrl|Turkic
lg|Ganda|Luganda|Latn|Atlantic-Congo
ln|Lingala|lingála|Latn|Atlantic-Congo
lo|Lao|ລາວ|Laoo|Tai-Kadai
lt|Lithuanian|lietuvių|Latn|Indo-European
luo|Luo|Dholuo|Latn|Nilotic
lv|Latvian|latviešu|Latn|Indo-European
mg|Malagasy|Malagasy|Latn|Austronesian
mi|Māori|Māori|Latn|Austronesian
mk|Macedonian|македонски|Cyrl|Indo-European
ml|Malayalam|മലയാളം|Mlym|Dravidian
mn|Mongolian|монгол|Cyrl|Mongolic-Khitan
mr|Marathi|मराठी|Deva|Indo-European
ms|Malay|Melayu|Latn|Austronesian
mt|Maltese|Malti|Latn|Afro-Asiatic
my|Burmese|မြန်မာ|Mymr|Sino-Tibetan
nb|Norwegian Bokmål|norsk bokmål|Latn|Indo-European
ne|Nepali|नेपाली|Deva|Indo-European
ne-Latn|Nepali (Latin)|Nepālī|Latn|Indo-European
nl|Dutch|Nederlands|Latn|Indo-European
no|Norwegian|norsk|Latn|Indo-European
nso|Northern Sotho|Sesotho sa Leboa|Latn|Atlantic-Congo
ny|Nyanja|Nyanja|Latn|Atlantic-Congo
om|Oromo|Oromoo|Latn|Afro-Asiatic
or|Odia|ଓଡ଼ିଆ|Orya|Indo-European
pa|Punjabi|ਪੰਜਾਬੀ|Guru|Indo-European
pl|Polish|polski|Latn|Indo-European
ps|Pashto|پښتو|Arab|Indo-European
pt|Portuguese|português|Latn|Indo-European
quz|Cusco Quechua|Qusqu qhichwa|Latn|Quechuan
ro|Romanian|română|Latn|Indo-European
ru|Russian|русский|Cyrl|Indo-European
rw|Kinyarwanda|Kinyarwanda|Latn|Atlantic-Congo
sd|Sindhi|سنڌي|Arab|Indo-European
shn|Shan|လိၵ်ႈတႆး|Mymr|Tai-Kadai
si|Sinhala|සිංහල|Sinh|Indo-European
si-Latn|Sinhala (Latin)|Siṁhala|Latn|Indo-European
sk|Slovak|slovenčina|Latn|Indo-European
sl|Slovenian|slovenščina|Latn|Indo-European
sn|Shona|chiShona|Latn|Atlantic-Congo
so|Somali|Soomaali|Latn|Afro-Asiatic
sq|Albanian|shqip|Latn|Indo-European
sr|Serbian|српски|Cyrl|Indo-European
ss|Swati|siSwati|Latn|Atlantic-Congo
st|Southern Sotho|Sesotho|Latn|Atlantic-Congo
su|Sundanese|Basa Sunda|Latn|Austronesian
sv|Swedish|svenska|Latn|Indo-European
sw|Swahili|Kiswahili|Latn|Atlantic-Congo
ta|Tamil|தமிழ்|Taml|Dravidian
te|Telugu|తెలుగు|Telu|Dravidian
tg|Tajik|тоҷикӣ|Cyrl|Indo-European
th|Thai|ไทย|Thai|Tai-Kadai
ti|Tigrinya|ትግርኛ|Ethi|Afro-Asiatic
tl|Tagalog|Tagalog|Latn|Austronesian
tn|Tswana|Setswana|Latn|Atlantic-Congo
tr|Turkish|Türkçe|Latn|Turkic
ts|Tsonga|Xitsonga|Latn|Atlantic-Congo
uk|Ukrainian|українська|Cyrl|Indo-European
ur|Urdu|اردو|Arab|Indo-European
ur-Latn|Urdu (Latin)|Urdū|Latn|Indo-European
uz|Uzbek|o‘zbek|Latn|Turkic
vi|Vietnamese|Tiếng Việt|Latn|Austroasiatic
war|Waray|Winaray|Latn|Austronesian
wo|Wolof|Wolof|Latn|Atlantic-Congo
xh|Xhosa|isiXhosa|Latn|Atlantic-Congo
yo|Yoruba|Èdè Yorùbá|Latn|Atlantic-Congo
zh|Chinese|中文|Hans|Sino-Tibetan
zh-Hant|Traditional Chinese|繁體中文|Hant|Sino-Tibetan
zu|Zulu|isiZulu|Latn|Atlantic-Congo
"""

_RIGHT_TO_LEFT = {"Arab", "Hebr"}

_SAME_SCRIPT = {"Hang": "Kore"}  # Hangul alone is how Korean is written today
_SHORTER = """
afr:af als:sq amh:am ara:ar arb:ar asm:as azj:az bam:bm ben:bn bod:bo bul:bg cat:ca ces:cs dan:da deu:de ell:el eng:en
est:et eus:eu fas:fa fin:fi fra:fr gaz:om grn:gn guj:gu hat:ht hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id
isl:is ita:it jav:jv jp:ja jpn:ja kan:kn kat:ka kaz:kk khk:mn khm:km kin:rw kir:ky kor:ko lao:lo lin:ln lit:lt lug:lg
lvs:lv mal:ml mar:mr mkd:mk mlt:mt mri:mi mya:my nld:nl nob:nb nor:no npi:ne nya:ny ory:or pan:pa pbt:ps pes:fa plt:mg
pol:pl por:pt ron:ro rus:ru sin:si slk:sk slv:sl sna:sn snd:sd som:so sot:st spa:es srp:sr ssw:ss sun:su swa:sw swe:sv
swh:sw tam:ta tel:te tgk:tg tgl:tl tha:th tir:ti tsn:tn tso:ts tur:tr ukr:uk urd:ur uzn:uz vie:vi wol:wo xho:xh yor:yo
zho:zh zsm:ms zul:zu
"""


def _parse(row: str) -> Language:
    code, name, endonym, script, family = row.split("|")
    return Language(code, name, endonym, script, "rtl" if script in _RIGHT_TO_LEFT else "ltr", family)


_SHORT = dict(pair.split(":") for pair in _SHORTER.split())
_LONG = {short: long for long, short in reversed(_SHORT.items()) if len(long) == 3}  # the first of several
_USUAL = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
LANGUAGES: dict[str, Language] = {row.partition("|")[0]: _parse(row) for row in _ROWS.strip().splitlines()}


def known_codes() -> str:
    """The known codes as text: the most usual ones, and how many more there are."""
    return f"{', '.join(_USUAL)}, and {len(LANGUAGES) - len(_USUAL)} more (ISO 639-1, else 639-3)"


def language(code: str) -> Language:
    """Look a language up.

    Args:
        code: Its code, as in `LANGUAGES`.

    Raises:
        InputError: If the code is unknown.
    """
    if code not in LANGUAGES:
        raise InputError(f"language code {code!r} is unknown; allowed are {known_codes()}")
    return LANGUAGES[code]


def from_tag(tag: str) -> str:
    """Our code for a language as other data sets write it.

    Args:
        tag: A code of ISO 639-1 or 639-3, with or without a script: "de", "deu", "zho_Hans", "hin-Latn"; also "jp".

    Raises:
        InputError: If no language of `LANGUAGES` is meant.
    """
    code, _, script = tag.replace("_", "-").partition("-")
    code = _SHORT.get(code, code)
    script = _SAME_SCRIPT.get(script, script)
    if script and (code not in LANGUAGES or script != LANGUAGES[code].script):
        code = f"{code}-{script}"
    if code not in LANGUAGES:
        raise InputError(f"language {tag!r} is unknown; expected is a code such as de, deu or zho-Hans of a known one")
    return code


def to_tag(code: str) -> str:
    """A language as MTEB writes it: its code of ISO 639-3 and its script, such as "deu-Latn".

    Args:
        code: Our code, as in `LANGUAGES`.

    Raises:
        InputError: If the code is unknown.
    """
    base = code.partition("-")[0]
    return f"{_LONG.get(base, base)}-{language(code).script}"
