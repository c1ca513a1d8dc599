"""Texts that a training collection shares with others: found, reported, and kept out of training.

Zero-shot is the rule: what is evaluated on must not have been trained on. Texts are compared in Unicode's form NFKC,
with case and white space folded: an overlap is exact up to these.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.collections.structures import Collection
from engine.errors import TrainingError

MARKS = "trained_on.npy"
"""File of a checkpoint's folder that holds what `text_marks` gave."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What a training collection shares with one evaluation collection.

    Attributes:
        collection: Name of the evaluation collection.
        questions: Ids of the training questions with a query text, or an answering passage, that is there too.
        withheld: Texts of training candidates, in `plain` form, that must not be seen in training, not even as hard
            negatives: those that are there too, and those that answer one of the questions.
        query_texts: Different query texts in both.
        passage_texts: Different answering passages in both.
    """

    collection: str
    questions: frozenset[str]
    withheld: frozenset[str]
    query_texts: int
    passage_texts: int

    def counts(self) -> dict[str, str | int]:
        """What it comes to, ready for JSON."""
        return {
            "collection": self.collection,
            "questions_removed": len(self.questions),
            "query_texts": self.query_texts,
            "passage_texts": self.passage_texts,
        }


def find_leak(training: Collection, evaluation: Collection) -> Leak:
    """Find what a training collection shares with an evaluation collection."""
    own_queries = [plain(text) for text in training.queries.texts]
    own_passages = [plain(text) for text in training.corpus.texts]
    queries, passages = _evaluated_texts(evaluation, own_passages)
    shared_queries = {text for text in own_queries if text in queries}
    shared_passages = {own_passages[doc] for doc in training.qrels.documents if own_passages[doc] in passages}
    ids = training.queries.questions
    questions = {ids[i] for i, text in enumerate(own_queries) if text in shared_queries}
    judgements = list(zip(training.qrels.queries, training.qrels.documents, strict=True))
    questions |= {ids[query] for query, doc in judgements if own_passages[doc] in shared_passages}
    withheld = {own_passages[doc] for query, doc in judgements if ids[query] in questions}
    withheld |= passages.intersection(own_passages)
    return Leak(evaluation.name, frozenset(questions), frozenset(withheld), len(shared_queries), len(shared_passages))


def _evaluated_texts(evaluation: Collection, own_passages: Sequence[str]) -> tuple[set[str], set[str]]:
    """Query texts and passages that must not be trained on, in `plain` form.

    Where the whole corpus is shared, as by two splits of one collection, a passage counts only if it answers a query
    that is evaluated.
    """
    queries, passages = set(map(plain, evaluation.queries.texts)), set(map(plain, evaluation.corpus.texts))
    if passages <= set(own_passages):
        passages = {plain(evaluation.corpus.texts[doc]) for doc in evaluation.qrels.documents}
    return queries, passages


def texts_compared(
    training: Collection, evaluation: Collection
) -> tuple[tuple[set[str], set[str]], tuple[set[str], set[str]]]:
    """The texts that a training collection must not share with an evaluation collection, in `plain` form.

    Returns:
        Query texts and answering passages that are trained on; query texts and passages that are evaluated on.
    """
    own_passages = [plain(text) for text in training.corpus.texts]
    answers = {own_passages[doc] for doc in training.qrels.documents}
    return (set(map(plain, training.queries.texts)), answers), _evaluated_texts(evaluation, own_passages)


def remove_leaks(training: Collection, evaluations: Iterable[Collection]) -> tuple[Collection, list[Leak]]:
    """Leave out of a training collection what it shares with others.

    Returns:
        The training collection without the shared questions, and what was found, one `Leak` per evaluation collection.

    Raises:
        TrainingError: If nothing would be left to train on.
    """
    leaks = [find_leak(training, evaluation) for evaluation in evaluations]
    shared = frozenset().union(*(leak.questions for leak in leaks))
    if not shared:
        return training, leaks
    if len(shared) == len(set(training.queries.questions)):
        names = ", ".join(leak.collection for leak in leaks if leak.questions)
        raise TrainingError(
            f"all of {training.name} is in {names} too; train on another collection or split, or give "
            "--allow-leaks, and the scores will not be zero-shot"
        )
    return training.without_questions(shared), leaks


def text_marks(collection: Collection, negatives: Iterable[str] = ()) -> np.ndarray:
    """Digests of the texts that a model sees in training, uint64, ascending.

    Args:
        collection: The training collection: its queries and answering passages are seen.
        negatives: Further passages that are seen, as hard negatives.
    """
    answers = {collection.corpus.texts[doc] for doc in collection.qrels.documents}
    return np.unique(_marks([*collection.queries.texts, *answers, *negatives]))


def count_seen(marks: np.ndarray, collection: Collection) -> tuple[int, int]:
    """How many queries and answering passages of a collection were seen in training.

    Args:
        marks: What `text_marks` gave for the training collection.
        collection: The collection that is evaluated on.

    Returns:
        Queries seen, and passages seen.
    """
    answers = [collection.corpus.texts[doc] for doc in np.unique(collection.qrels.documents)]
    queries, passages = _are_seen(marks, collection.queries.texts), _are_seen(marks, answers)
    return int(queries.sum()), int(passages.sum())


def plain(text: str) -> str:
    """A text's form in which it is compared: NFKC, case folded, runs of white space as one space, none at the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()  # folding may undo the form, as of U+0345
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def _are_seen(marks: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Which texts were seen, bool (texts,). Marks of earlier versions are of texts with white space folded alone."""
    spaced = [" ".join(text.split()) for text in texts]
    return np.isin(_marks(texts), marks) | np.isin(_digests(spaced), marks)


def _marks(texts: Sequence[str]) -> np.ndarray:
    return _digests([plain(text) for text in texts])


def _digests(texts: Sequence[str]) -> np.ndarray:
    digests = (hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "<u8")
