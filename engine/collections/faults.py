"""What readers share: faults that are raised or counted, JSON that is parsed safely, and qrels from lists of rows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.collections.structures import Qrels
from engine.errors import InputError
from engine.storage.files import check_regular

LONE_SURROGATE = "a text has a lone surrogate"
"""Half of a UTF-16 pair: JSON can write it (`\\ud83d`), but it is no character and cannot be encoded."""

UNANSWERED = "a query has no relevant document"
"""Reason in `Collection.skipped`; such queries are of other splits, or unjudged, and are no fault."""

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass
class Faults:
    """Raises at a fault, or counts it where the user asked to skip.

    Attributes:
        skip: Whether rows with a fault are left out.
        counts: Rows that were left out, by reason.
    """

    skip: bool
    counts: Counter[str] = field(default_factory=Counter)

    def meet(self, place: str, reason: str, expected: str) -> None:
        """Raise, or count the row as left out.

        Args:
            place: File and line, or file and path within it.
            reason: What is wrong with the row.
            expected: What to do about it.

        Raises:
            InputError: If rows with a fault are not left out.
        """
        if not self.skip:
            raise InputError(f"{place}: {reason}; {expected}, or leave such rows out with --skip-invalid")
        self.counts[reason] += 1

    @property
    def skipped(self) -> tuple[tuple[str, int], ...]:
        """Reasons and how many rows were left out for each."""
        return tuple(sorted(self.counts.items()))


def parse_json(content: bytes) -> object:
    """Parse JSON.

    Raises:
        ValueError: If it is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def json_rows(file: Path, faults: Faults) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file with one JSON object a line, each with its place, file and line; empty lines do not count.

    Args:
        file: The file.
        faults: Met by lines that are no object.

    Raises:
        InputError: If the file is no regular file, or a line is no object and such lines are not left out.
    """
    with check_regular(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError:
                row = None
            if isinstance(row, dict):
                yield f"{file}:{number}", row
            else:
                faults.meet(f"{file}:{number}", "a line is not a JSON object", "expected one object a line")


def has_surrogate(*texts: object) -> bool:
    """Whether one of the texts has a lone surrogate; values of other types have none."""
    return any(isinstance(text, str) and _SURROGATES.search(text) for text in texts)


def qrels_of(relevant: Sequence[Sequence[int]]) -> Qrels:
    """Judgements from the relevant candidates of each query."""
    queries = np.repeat(np.arange(len(relevant)), [len(documents) for documents in relevant])
    return Qrels(queries, np.array([row for documents in relevant for row in sorted(documents)], np.int64))
