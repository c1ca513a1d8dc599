"""Language tags: one code for each language, however the data sets of the field write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

from engine.collections.catalog import COLLECTIONS
from engine.collections.languages import from_tag, is_tag, language, to_tag
from engine.errors import InputError

_STORED = """
acm af am apc ar ar-Latn ars ary arz as az bg bm bn bn-Latn bo ca ceb ckb cs da de el en es et eu fa fi fil fr fuv gn
gu ha he hi hi-Latn hr ht hu hy id ig ilo is it ja jv ka kac kea kk km kn ko ky lg ln lo lt luo lv mg mi mk ml mn mr
ms mt my nb ne ne-Latn nl no nso ny om or pa pl ps pt quz ro ru rw sd shn si si-Latn sk sl sn so sq sr ss st su sv sw
ta te tg th ti tl tn tr ts uk ur ur-Latn uz vi war wo xh yo zh zh-Hant zu
"""
STORED = _STORED.split()
"""Codes that evaluations, tables and addresses have had from the start."""

_ALIASES = """
afr:af als:sq amh:am ara:ar arb:ar asm:as azj:az bam:bm ben:bn bod:bo bul:bg cat:ca ces:cs dan:da deu:de ell:el eng:en
est:et eus:eu fas:fa fin:fi fra:fr gaz:om grn:gn guj:gu hat:ht hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id
isl:is ita:it jav:jv jp:ja jpn:ja kan:kn kat:ka kaz:kk khk:mn khm:km kin:rw kir:ky kor:ko lao:lo lin:ln lit:lt lug:lg
lvs:lv mal:ml mar:mr mkd:mk mlt:mt mri:mi mya:my nld:nl nob:nb nor:no npi:ne nya:ny ory:or pan:pa pbt:ps pes:fa plt:mg
pol:pl por:pt ron:ro rus:ru sin:si slk:sk slv:sl sna:sn snd:sd som:so sot:st spa:es srp:sr ssw:ss sun:su swa:sw swe:sv
swh:sw tam:ta tel:te tgk:tg tgl:tl tha:th tir:ti tsn:tn tso:ts tur:tr ukr:uk urd:ur uzn:uz vie:vi wol:wo xho:xh yor:yo
zho:zh zsm:ms zul:zu
"""
ALIASES = _ALIASES.split()
"""Tags that were read from the start, and their codes."""

_MTEB = """
aal-Latn abk-Cyrl abn-Latn abr-Latn abs-Latn ace-Arab ace-Latn acm-Arab acq-Arab aeb-Arab aec-Arab afo-Latn afr-Latn
ahl-Latn ahs-Latn ajp-Arab aka-Latn ala-Latn alo-Latn als-Latn amh-Ethi amu-Latn anc-Latn ang-Latn ank-Latn anp-Deva
anw-Latn aom-Latn apc-Arab apd-Arab ara-Arab arb-Arab arb-Latn arq-Arab ars-Arab ary-Arab arz-Arab asm-Beng ast-Latn
awa-Deva awo-Latn ayl-Arab ayp-Arab ayr-Latn azb-Arab aze-Latn azj-Latn bak-Cyrl bam-Latn ban-Latn bas-Latn bbc-Latn
bbu-Latn bcs-Latn bcy-Latn bda-Latn bde-Latn bdm-Latn bel-Cyrl bem-Latn ben-Beng ber-Tfng bew-Latn bgc-Deva bhb-Deva
bhd-Deva bho-Deva bhp-Latn bjj-Deva bjn-Arab bjn-Latn bns-Deva bod-Tibt bos-Latn bra-Deva bre-Latn brx-Deva bug-Latn
bul-Cyrl cat-Latn cbk-Latn ccp-Latn cdo-Hans ceb-Latn ces-Latn cha-Latn chv-Cyrl cjk-Latn ckb-Arab clk-Latn cmn-Hans
cmo-Hans cmo-Hant cnh-Latn cor-Latn crh-Latn csb-Latn cym-Latn dan-Latn dav-Latn dcc-Arab deu-Latn dik-Latn div-Thaa
doi-Deva dsb-Latn dtp-Latn dty-Deva dyu-Latn dza-Arab dzo-Tibt ell-Grek ell-Latn eng-Latn epo-Latn est-Latn eus-Latn
ewe-Latn fao-Latn fas-Arab fij-Latn fil-Latn fin-Latn fon-Latn fra-Latn fro-Latn fry-Latn ful-Latn fur-Latn fuv-Latn
gaz-Latn gbm-Deva gjk-Arab gla-Latn gle-Latn glg-Latn glv-Latn gom-Deva grn-Latn grt-Latn gsw-Latn guj-Gujr hat-Latn
hau-Latn heb-Hebr heb-Latn hin-Deva hin-Latn hlb-Deva hne-Deva hrv-Latn hsb-Latn hun-Latn hye-Armn ibo-Latn ido-Latn
ile-Latn ilo-Latn ina-Latn ind-Latn isl-Latn ita-Latn jav-Latn jpn-Hira jpn-Jpan kab-Latn kac-Latn kam-Latn kan-Knda
kas-Arab kas-Deva kat-Geor kaz-Cyrl kbp-Latn kea-Latn kfg-Deva kfy-Deva khk-Cyrl khm-Khmr kik-Latn kin-Latn kir-Cyrl
kln-Latn kmb-Latn kmr-Latn knc-Arab knc-Latn knn-Deva kok-Deva kon-Latn kor-Hang kor-Kore krc-Cyrl kur-Arab kur-Latn
kxp-Arab kzj-Latn lao-Laoo lat-Latn lav-Latn lfn-Latn lij-Latn lim-Latn lin-Latn lit-Latn lmo-Latn ltg-Latn ltz-Latn
lua-Latn lug-Latn luo-Latn lus-Latn lvs-Latn mad-Latn mag-Deva mai-Deva mak-Latn mal-Mlym mar-Deva max-Deva mdf-Cyrl
mfe-Latn mhr-Cyrl min-Arab min-Latn mjw-Latn mkd-Cyrl mlt-Latn mni-Beng mni-Mtei mon-Cyrl mos-Latn mri-Latn mrj-Cyrl
mrr-Deva msa-Latn mtr-Deva mui-Latn mup-Deva mwr-Deva mya-Mymr myv-Cyrl nag-Latn nan-Latn nbl-Latn nds-Latn nep-Deva
nij-Latn nld-Latn nno-Latn nnp-Latn nob-Latn noe-Deva nor-Latn nov-Latn npi-Deva nqo-Nkoo nre-Latn nsm-Latn nso-Latn
nus-Latn nya-Latn oci-Latn odk-Arab ori-Orya orm-Ethi orm-Latn orv-Cyrl ory-Orya oss-Cyrl pag-Latn pam-Latn pan-Guru
pap-Latn pbt-Arab pcm-Latn pes-Arab phr-Arab plt-Latn pms-Latn pnb-Arab pol-Latn por-Latn prs-Arab pus-Arab quy-Latn
quz-Latn raj-Deva rej-Latn roh-Latn rom-Latn ron-Latn run-Latn rus-Cyrl sag-Latn sah-Cyrl san-Deva sat-Olck sck-Deva
scn-Latn sco-Latn sgj-Deva shn-Mymr sin-Sinh skr-Arab slk-Latn slv-Latn smo-Latn sna-Latn snd-Arab som-Latn sot-Latn
spa-Latn sqi-Latn srd-Latn srn-Latn srp-Cyrl ssw-Latn sun-Latn swa-Latn swe-Latn swg-Latn swh-Latn szl-Latn tam-Taml
taq-Latn taq-Tfng tat-Cyrl tcy-Knda tcy-Mlym tel-Telu tgk-Cyrl tgl-Latn tha-Thai the-Deva thq-Deva tig-Ethi tir-Ethi
tkt-Deva tok-Latn tpi-Latn trp-Latn tsn-Latn tso-Latn tuk-Latn tum-Latn tur-Latn twi-Latn tyv-Cyrl tzl-Latn tzm-Tfng
uig-Arab uig-Hans uki-Orya ukr-Cyrl umb-Latn urd-Arab urd-Latn uzb-Latn uzn-Latn vec-Latn ven-Latn vie-Latn vmw-Latn
war-Latn wln-Latn wol-Latn wuu-Hans xho-Latn ydd-Hebr yid-Hebr yor-Latn yue-Hant zgh-Tfng zho-Hans zho-Hant zsm-Latn
zul-Latn zxx-Zxxx zza-Latn
"""
MTEB = _MTEB.split()
"""Language tags of the tasks of mteb 2.26 (embeddings-benchmark/mteb, `eval_langs`)."""

_MIRACL = "ar bn de en es fa fi fr hi id ja ko ru sw te th yo zh"
MIRACL = _MIRACL.split()
_XM3600 = (
    "ar bn cs da de el en es fa fi fil fr he hi hr hu id it ja ko mi nl no pl pt quz ro ru sv sw te th tr uk vi zh"
)
XM3600 = _XM3600.split()
_FIELD = {
    "de": "de DE deu ger deu-Latn de-DE de_DE de-CH de-1996",
    "zh": "zh zh-Hans zh-CN zh-SG cmn cmn-Hans zho_Hans chi ZH-hans-cn",
    "zh-Hant": "zh-Hant zh-TW zh-HK zho_Hant cmn-Hant zh_Hant_TW zh-hant",
    "pt": "pt pt-BR pt-PT por_Latn pt-br",
    "nb": "nb nb-NO nob nob-Latn",
    "no": "no nor nor-Latn",
    "nn": "nn nno",
    "uk": "uk uk-UA ukr_Cyrl",
    "he": "he iw heb iw-IL",
    "id": "id in ind",
    "ms": "ms msa zsm may msa-Latn",
    "ja": "ja jp jpn jpn-Jpan jpn-Hira",
    "ko": "ko kor kor-Hang kor-Kore",
    "lv": "lv lav-Latn lvs",
    "sr-Latn": "sr-Latn sh hbs srp-Latn",
    "sr": "sr srp-Cyrl sr-RS",
    "pa-Arab": "pa-Arab pa-PK",
    "ro": "ro mo ron rum",
    "yi": "yi ji ydd",
    "ak": "ak aka",
    "tw": "tw twi",
    "fa": "fa fas pes per",
    "prs": "prs prs-Arab",
    "ga": "ga gle",
    "be": "be bel-Cyrl",
    "zxx": "zxx zxx-Zxxx",
}


@pytest.mark.parametrize("code", STORED)
def test_a_stored_code_stays_as_it_is(code: str) -> None:
    assert language(code).code == code
    assert from_tag(to_tag(code)) == code
    assert re.fullmatch(r"[a-z]{3}-[A-Z][a-z]{3}", to_tag(code))


@pytest.mark.parametrize("alias", ALIASES)
def test_a_tag_that_was_read_before_has_the_code_it_had(alias: str) -> None:
    tag, code = alias.split(":")
    assert from_tag(tag) == code


@pytest.mark.parametrize(("code", "tags"), _FIELD.items())
def test_tags_as_people_write_them_come_to_one_code(code: str, tags: str) -> None:
    assert {from_tag(tag) for tag in tags.split()} == {code}


@pytest.mark.parametrize("tags", [FAIRSEQ_LANGUAGE_CODES, MTEB, MIRACL, XM3600], ids=["flores", "mteb", "miracl", "xm"])
def test_every_language_of_the_large_collections_has_a_name_and_a_tag(tags: Sequence[str]) -> None:
    for tag in tags:
        assert not language(tag).name.startswith("Unknown")
        assert from_tag(to_tag(tag)) == from_tag(from_tag(tag)) == from_tag(tag)


@pytest.mark.parametrize("tags", [FAIRSEQ_LANGUAGE_CODES, MIRACL, XM3600], ids=["flores", "miracl", "xm"])
def test_no_two_languages_of_a_collection_come_to_one(tags: Sequence[str]) -> None:
    assert len({from_tag(tag) for tag in tags}) == len({language(tag).name for tag in tags}) == len(tags)


def test_a_script_that_a_tag_names_is_kept() -> None:
    for tag in (*FAIRSEQ_LANGUAGE_CODES, *MTEB):
        if tag[:3] not in ("jpn", "kor"):  # kana alone and Hangul alone are parts of the usual script
            assert language(tag).script == tag[4:]


def test_names_are_plain_english() -> None:
    names = {tag: language(tag).name for tag in ("de", "zh", "zh-Hant", "hi-Latn", "bn", "nb", "tl", "tok")}
    assert names == {
        "de": "German",
        "zh": "Chinese",
        "zh-Hant": "Chinese (Traditional)",
        "hi-Latn": "Hindi (Latin)",
        "bn": "Bengali",
        "nb": "Norwegian Bokmål",
        "tl": "Tagalog",
        "tok": "Toki Pona",
    }


def test_direction_is_that_of_the_script() -> None:
    arabic = {"acm", "apc", "ar", "ars", "ary", "arz", "ckb", "fa", "ps", "sd", "ur"}
    assert {code for code in STORED if language(code).direction == "rtl"} == arabic | {"he"}
    assert {language(tag).direction for tag in ("ace-Arab", "dv", "yi", "nqo", "ku-Arab", "prs", "acq")} == {"rtl"}
    assert {language(tag).direction for tag in ("ace", "ku", "ar-Latn", "he-Latn", "ks-Deva")} == {"ltr"}


@given(st.sampled_from(STORED + MTEB), st.sampled_from([str.upper, str.lower, str.title]), st.sampled_from("-_"))
def test_case_and_the_line_between_parts_do_not_matter(tag: str, case: Callable[[str], str], line: str) -> None:
    assert from_tag(case(tag).replace("-", line)) == from_tag(tag)


@given(st.text(max_size=12))
def test_any_text_is_a_tag_or_refused_in_one_line(text: str) -> None:
    if is_tag(text):
        assert from_tag(from_tag(text)) == from_tag(text)
        return
    with pytest.raises(InputError) as caught:
        language(text)
    assert "\n" not in str(caught.value)


def test_the_files_of_all_named_collections_are_codes() -> None:
    files = {file.removesuffix(".json") for source in COLLECTIONS.values() for file in source.files}
    assert files == {"ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"}
    assert files == {from_tag(file) for file in files}


@pytest.mark.parametrize("tag", ["xx", "", "english", "de ", "x-klingon", "und", "mul", "qqq", "de-", "sql-Code"])
def test_an_unknown_tag_is_refused_in_one_line_that_names_it(tag: str) -> None:
    with pytest.raises(InputError) as caught:
        language(tag)
    assert str(caught.value) == (
        f"language {tag!r} is unknown; expected a tag of BCP 47 such as de, deu, pt-BR or zh-Hant"
    )
