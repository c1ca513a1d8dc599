"""Language tags (BCP 47) -> one code per language, its English name, script and text direction.

Tags, names and usual scripts come from langcodes and language_data (Unicode CLDR, the IANA registry). A code is the
shortest one of the macrolanguage (ISO 639-1, else 639-3), with the script where it is not the usual one. The region
only tells the script: zh-CN is zh, zh-TW is zh-Hant, pt-BR is pt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

from engine.errors import InputError

_TAG = re.compile(r"[a-z]{2,3}([-_][a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
_KEPT = {"prs": "prs", "quz": "quz", "tl": "tl", "tgl": "tl", "tw": "tw", "twi": "tw", "jp": "ja", "pbt": "ps"}
"""Where we part from CLDR: collections have both of what it merges, or stored evaluations have the code."""
_NO_LANGUAGE = {"mis", "mul", "und"}
_ARABIC = ("abv", "acm", "acq", "acw", "acx", "ajp", "apd", "ars", "ary", "arz", "ayh", "ayl", "ayn", "ayp", "prs")
_USUAL_SCRIPTS = dict.fromkeys(_ARABIC, "Arab") | {"zxx": "Zxxx"}
"""Of languages for which CLDR has none; of others that is Latin."""
_NAMES = {"bn": "Bengali", "luo": "Luo", "tok": "Toki Pona", "zxx": "picture"}
"""Names that are usual in the field, or newer than the library; what has no linguistic content is a picture here."""
_PARTS_OF_USUAL = {"ja": {"Hira", "Hrkt", "Kana"}, "ko": {"Hang"}}  # how texts in the usual script are tagged too
_RIGHT_TO_LEFT = {"Adlm", "Arab", "Aran", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}
_LONG = {"az": "azj", "lv": "lvs", "mg": "plt", "mn": "khk", "ms": "zsm", "ne": "npi", "om": "gaz", "or": "ory"}
_LONG |= {"ps": "pbt", "sq": "als", "uz": "uzn"}
"""Codes of ISO 639-3 that MTEB uses for the standard variety of a macrolanguage."""


@dataclass(frozen=True, slots=True)
class Language:
    """A language in a script.

    Attributes:
        code: ISO 639-1 code, or ISO 639-3 where there is none; "-" and the script where it is not the usual one.
        name: English name, after CLDR.
        script: ISO 15924 code of the script.
        direction: "ltr" or "rtl".
    """

    code: str
    name: str
    script: str
    direction: Literal["ltr", "rtl"]


@lru_cache(maxsize=4096)
def language(tag: str) -> Language:
    """Look a language up.

    Args:
        tag: A BCP 47 tag in any case, with "-" or "_": "de", "deu", "DE-de", "zho_Hans", "hin-Latn"; also "jp".

    Raises:
        InputError: If it names no language.
    """
    try:
        base, script = _parts(tag)
    except ValueError as error:  # langcodes' own errors are such too
        expected = "expected a tag of BCP 47 such as de, deu, pt-BR or zh-Hant"
        raise InputError(f"language {tag!r} is unknown; {expected}") from error
    usual = script == _script(base)
    named = langcodes.Language.make(language=base, script=None if usual else script)
    direction: Literal["ltr", "rtl"] = "rtl" if script in _RIGHT_TO_LEFT else "ltr"
    name = _NAMES.get(base) if usual else None
    return Language(base if usual else f"{base}-{script}", name or named.display_name("en"), script, direction)


def from_tag(tag: str) -> str:
    """Our one code for a language, however a data set writes it.

    Args:
        tag: As for `language`.

    Raises:
        InputError: If it names no language.
    """
    return language(tag).code


def is_tag(text: str) -> bool:
    """Whether a text is the tag of a language."""
    try:
        language(text)
    except InputError:
        return False
    return True


def to_tag(code: str) -> str:
    """A language as MTEB writes it: its code of ISO 639-3 and its script, such as "deu-Latn".

    Args:
        code: As for `language`.

    Raises:
        InputError: If it names no language.
    """
    meant = language(code)
    base = meant.code.partition("-")[0]
    return f"{_LONG.get(base) or langcodes.Language.make(language=base).to_alpha3()}-{meant.script}"


def _parts(tag: str) -> tuple[str, str]:
    """The code of a tag's language and that of its script.

    Raises:
        ValueError: If it names no language.
    """
    if not _TAG.fullmatch(tag):
        raise ValueError(tag)
    parsed = langcodes.Language.get(tag, normalize=False)
    code = parsed.language or ""
    if code in _KEPT:
        base, implied = _KEPT[code], None
    else:
        standard = langcodes.Language.get(langcodes.standardize_tag(code, macro=True), normalize=False)
        base, implied = standard.language or "", standard.script  # sh, for one, is sr-Latn
    whole = langcodes.Language.make(language=base, script=parsed.script, territory=parsed.territory)
    is_named = base in _NAMES or not whole.language_name("en").startswith("Unknown language")
    if base in _NO_LANGUAGE or not is_named or not (base in _NAMES or whole.is_valid()):
        raise ValueError(tag)
    script = parsed.script or implied or _script(base, parsed.territory)
    return base, _script(base) if script in _PARTS_OF_USUAL.get(base, ()) else script


def _script(base: str, territory: str | None = None) -> str:
    """The script that a language is usually written in, in a territory where one is given."""
    for key in (f"{base}-{territory}", base):
        if key in LIKELY_SUBTAGS:
            return str(langcodes.Language.get(LIKELY_SUBTAGS[key], normalize=False).script)
    return _USUAL_SCRIPTS.get(base, "Latn")
