"""Captions and pictures -> a collection in which they are queries and candidates of each other.

What belongs to one picture is relevant to each other: its captions in all languages, and the picture itself. A caption
thus finds its picture and the captions of it in other languages, and a picture finds its captions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.collections.faults import Faults
from engine.collections.given import Given
from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.errors import InputError


@dataclass(frozen=True, slots=True)
class Item:
    """A caption or a picture.

    Attributes:
        subject: Id of what it shows: a picture and its captions share it.
        language: Language code; `PICTURE` for a picture.
        content: The caption, or the `Picture`.
        row: Of its vector, among those that the collection brings along.
    """

    subject: str
    language: str
    content: str
    row: int = -1


def picture_collection(
    name: str,
    items: Iterable[Item],
    faults: Faults | None = None,
    split: str | None = None,
    given: Callable[[np.ndarray], Given] | None = None,
) -> Collection:
    """Make a collection of captions and pictures.

    The first caption of a picture in a language has the picture's id as its question; further ones have "<id>/2",
    "<id>/3" and so on, so that all are asked with.

    Args:
        name: What to call it.
        items: Captions and pictures in any order; captions of one language keep it.
        faults: What was left out while the items were read.
        split: Which split it is.
        given: Makes what it brings along of the rows of its items' vectors; None if it brings none.

    Raises:
        InputError: If there is no picture, or no picture has a caption.
    """
    items = _of_judged(items)
    languages = [*sorted({item.language for item in items} - {PICTURE}), PICTURE]
    if not any(item.language == PICTURE for item in items):
        raise InputError(f"collection {name}: no picture has a caption; check that ids or file names agree")
    items.sort(key=lambda item: languages.index(item.language))  # stable
    subjects, codes = tuple(item.subject for item in items), tuple(item.language for item in items)
    contents = tuple(item.content for item in items)
    return Collection(
        name=name,
        languages=tuple(languages),
        queries=Queries(tuple(_questions(items)), codes, contents),
        corpus=Corpus(subjects, codes, contents),
        qrels=_judgements(subjects, np.array([isinstance(content, Picture) for content in contents])),
        skipped=faults.skipped if faults else (),
        split=split,
        own=np.arange(len(items)),
        given=given(np.array([item.row for item in items], np.int64)) if given else None,
    )


def _of_judged(items: Iterable[Item]) -> list[Item]:
    """Items whose subject has a picture and a caption."""
    items = list(items)
    pictured = {item.subject for item in items if item.language == PICTURE}
    captioned = {item.subject for item in items if item.language != PICTURE}
    judged = pictured & captioned
    return [item for item in items if item.subject in judged]


def _questions(items: Iterable[Item]) -> Iterator[str]:
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        counts[item.subject, item.language] += 1
        number = counts[item.subject, item.language]
        yield item.subject if number == 1 else f"{item.subject}/{number}"


def _judgements(subjects: tuple[str, ...], is_picture: np.ndarray) -> Qrels:
    """All ordered pairs of items of one subject, but no item with itself and no picture with a picture."""
    _, subject = np.unique(np.array(subjects), return_inverse=True)
    order = np.argsort(subject, kind="stable")  # items of one subject together, each group ascending
    sizes = np.bincount(subject)
    starts = np.cumsum(sizes) - sizes
    counts = sizes[subject]
    queries = np.repeat(np.arange(len(subject)), counts)
    within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    documents = order[starts[subject[queries]] + within]
    kept = (queries != documents) & ~(is_picture[queries] & is_picture[documents])
    return Qrels(queries[kept].astype(np.int64), documents[kept].astype(np.int64))
