"""What is known of a language by its code: English name, endonym, script, direction, family.

Codes are ISO 639-1 where there is one, else ISO 639-3. Names after Unicode CLDR; families after Glottolog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import InputError


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        code: ISO 639-1 code, or ISO 639-3 where there is none.
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
ar|Arabic|العربية|Arab|Afro-Asiatic
bn|Bengali|বাংলা|Beng|Indo-European
ca|Catalan|català|Latn|Indo-European
cs|Czech|čeština|Latn|Indo-European
da|Danish|dansk|Latn|Indo-European
de|German|Deutsch|Latn|Indo-European
el|Greek|Ελληνικά|Grek|Indo-European
en|English|English|Latn|Indo-European
es|Spanish|español|Latn|Indo-European
et|Estonian|eesti|Latn|Uralic
fa|Persian|فارسی|Arab|Indo-European
fi|Finnish|suomi|Latn|Uralic
fil|Filipino|Filipino|Latn|Austronesian
fr|French|français|Latn|Indo-European
he|Hebrew|עברית|Hebr|Afro-Asiatic
hi|Hindi|हिन्दी|Deva|Indo-European
hr|Croatian|hrvatski|Latn|Indo-European
hu|Hungarian|magyar|Latn|Uralic
id|Indonesian|Indonesia|Latn|Austronesian
it|Italian|italiano|Latn|Indo-European
ja|Japanese|日本語|Jpan|Japonic
ko|Korean|한국어|Kore|Koreanic
mi|Māori|Māori|Latn|Austronesian
nl|Dutch|Nederlands|Latn|Indo-European
no|Norwegian|norsk|Latn|Indo-European
pl|Polish|polski|Latn|Indo-European
pt|Portuguese|português|Latn|Indo-European
quz|Cusco Quechua|Qusqu qhichwa|Latn|Quechuan
ro|Romanian|română|Latn|Indo-European
ru|Russian|русский|Cyrl|Indo-European
sv|Swedish|svenska|Latn|Indo-European
sw|Swahili|Kiswahili|Latn|Atlantic-Congo
te|Telugu|తెలుగు|Telu|Dravidian
th|Thai|ไทย|Thai|Tai-Kadai
tr|Turkish|Türkçe|Latn|Turkic
uk|Ukrainian|українська|Cyrl|Indo-European
ur|Urdu|اردو|Arab|Indo-European
vi|Vietnamese|Tiếng Việt|Latn|Austroasiatic
yo|Yoruba|Èdè Yorùbá|Latn|Atlantic-Congo
zh|Chinese|中文|Hans|Sino-Tibetan
"""

_RIGHT_TO_LEFT = {"Arab", "Hebr"}


def _parse(row: str) -> Language:
    code, name, endonym, script, family = row.split("|")
    return Language(code, name, endonym, script, "rtl" if script in _RIGHT_TO_LEFT else "ltr", family)


LANGUAGES: dict[str, Language] = {row.partition("|")[0]: _parse(row) for row in _ROWS.strip().splitlines()}


def language(code: str) -> Language:
    """Look a language up.

    Args:
        code: Its code, as in `LANGUAGES`.

    Raises:
        InputError: If the code is unknown.
    """
    if code not in LANGUAGES:
        raise InputError(f"language code {code!r} is unknown; allowed are {', '.join(LANGUAGES)}")
    return LANGUAGES[code]
