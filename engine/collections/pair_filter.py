"""Which caption-picture pairs from the web are taken: by language, by similarity, and by safety scores.

The filter is part of a collection's name, so that whatever opens it again reads the same:
`shards:lang=de`, `laion:languages=de+en:similarity=0.28:punsafe=0.1`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

from engine.collections.faults import LONE_SURROGATE, Faults, has_surrogate
from engine.collections.languages import from_tag
from engine.collections.pictures import code_of_text
from engine.errors import InputError

LANGUAGE = "LANGUAGE"
"""Field of img2dataset's and clip-retrieval's metadata with the caption's language, as LAION-5B has it."""

OUTSIDE = "a pair is outside the languages or scores that were asked for"
"""Reason in `Collection.skipped` for pairs that the filter leaves out; they are no fault."""

UNKNOWN_LANGUAGE = "a caption's language is not known"
KNOWN_LANGUAGE = f"where the metadata have no {LANGUAGE}, give it with --lang"
"""What to do about it."""


@dataclass(frozen=True, slots=True)
class PairFilter:
    """Which pairs are taken; a pair without a score that is asked for is not.

    Attributes:
        lang: Language of captions whose metadata name none.
        languages: Languages that are taken; none for all.
        similarity: Least similarity of caption and picture.
        punsafe: Highest probability of unsafe content.
        pwatermark: Highest probability of a watermark.

    Raises:
        InputError: If a language is none, or a score is no number.
    """

    lang: str | None = None
    languages: tuple[str, ...] = ()
    similarity: float | None = None
    punsafe: float | None = None
    pwatermark: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        for tag in [*self.languages, *([] if self.lang is None else [self.lang])]:
            if code_of_text(tag) is None:
                raise InputError(f"language {tag!r} is unknown; expected a tag of BCP 47 such as de or zh-Hant")
        for name in SCORES:
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{name} must be a finite number, got {value}")

    @classmethod
    def parse(cls, name: str) -> tuple[str, PairFilter]:
        """A collection's name without its filter, and the filter.

        Args:
            name: Such as "laion:languages=de+en:similarity=0.28"; a name without one is given back as it is.

        Raises:
            InputError: If the filter has an unknown part or value.
        """
        parts = name.split(":")
        count = len(parts)
        while count > 1 and "=" in parts[count - 1]:
            count -= 1
        if count == len(parts) or Path(name).exists():
            return name, EVERY_PAIR
        values: dict[str, object] = {}
        for part in parts[count:]:
            key, _, value = part.partition("=")
            values[key] = _value(key, value)
        return ":".join(parts[:count]), cls(**values)  # type: ignore[arg-type]

    def name(self, place: str) -> str:
        """A collection's name with the filter."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        given = {key: value for key, value in values.items() if value not in (None, ())}
        return ":".join([place, *(f"{key}={_written(value)}" for key, value in given.items())])

    def language(self, row: Mapping[str, object]) -> str | None:
        """The code of a caption's language; None if neither its metadata nor `lang` name one."""
        return code_of_text(row.get(LANGUAGE)) or (from_tag(self.lang) if self.lang else None)

    def takes(self, row: Mapping[str, object]) -> bool:
        """Whether a pair is taken, by its metadata."""
        if self.languages and self.language(row) not in _codes(self.languages):
            return False
        limits = (self.similarity, 1), (self.punsafe, -1), (self.pwatermark, -1)
        return all(
            limit is None or (_is_number(row.get(name)) and sign * (float(row[name]) - limit) >= 0)  # type: ignore[arg-type]
            for name, (limit, sign) in zip(SCORES, limits, strict=True)
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of the metadata that must be there for the filter to be applied."""
        scores = tuple(name for name in SCORES if getattr(self, name) is not None)
        return scores if self.lang or not self.languages else (LANGUAGE, *scores)

    def refuse(self, folder: Path) -> None:
        """Refuse a filter where there is nothing to filter by.

        Raises:
            InputError: If there is one.
        """
        if self != EVERY_PAIR:
            raise InputError(
                f"{folder}: has no metadata of pairs to choose by; a language or scores are for folders of webdataset "
                "shards (.tar) and of embeddings"
            )


SCORES = ("similarity", "punsafe", "pwatermark")
"""Fields with scores: the cosine of caption and picture, and the probabilities of unsafe content and of a watermark."""

EVERY_PAIR = PairFilter()


def name_or_path(name: str, lang: str | None = None) -> str:
    """The whole path of a folder or file with its filter, which holds wherever it is read; any other name as it is.

    Args:
        name: Of a collection or an encoder.
        lang: Language of captions whose metadata name none, to be put into the filter; None leaves it as it is.

    Raises:
        InputError: If the filter is none, or the language.
    """
    place, pairs = PairFilter.parse(name)
    pairs = pairs if lang is None else replace(pairs, lang=lang)
    return pairs.name(str(Path(place).resolve()) if Path(place).exists() else place)


def usable_caption(caption: object, place: str, faults: Faults) -> str | None:
    """A caption from metadata without white space around it; None, and a fault, if it is none.

    Raises:
        InputError: If it is none and such pairs are not left out.
    """
    if not isinstance(caption, str) or not caption.strip():
        faults.meet(place, "a pair has no caption", "give it a text")
    elif has_surrogate(caption):
        faults.meet(place, LONE_SURROGATE, "write the whole character")
    else:
        return caption.strip()
    return None


def _value(key: str, value: str) -> object:
    if key == "lang":
        return value
    if key == "languages":
        return tuple(value.split("+"))
    if key not in SCORES:
        raise InputError(f"filter {key!r} is unknown; allowed are lang, languages, {', '.join(SCORES)}")
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{key} must be a number, got {value!r}") from error


def _written(value: object) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return "+".join(value) if isinstance(value, tuple) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache
def _codes(tags: tuple[str, ...]) -> frozenset[str]:
    """The codes of languages, which every pair is held against."""
    return frozenset(map(from_tag, tags))
