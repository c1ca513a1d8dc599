"""What the published figures were measured on. A task is what may stand in one column: its figures are comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from engine.errors import InputError

Shape = Literal["pairs", "pivot", "languages", "settings"]
"""All pairs of a few languages; pairs with English of many; one score a language; mono, cross and multi a language."""

_ONE_RELEVANT = ("hit@1", "map@100", "ndcg@10", "hit@10")
_MANY_RELEVANT = ("ndcg@10", "map@100", "recall@1", "recall@10")
_MTEB = "MTEB"
_PAPERS = "Elmahdy et al. 2024; Roy et al. 2020"


@dataclass(frozen=True, slots=True)
class Task:
    """A task that results were published for.

    Attributes:
        key: What it is called in the shipped tables: MTEB's name, or a collection's.
        name: What to call it on pages.
        what: What is searched with and for.
        source: Who published the results.
        shape: Which cells it has.
        measures: What is known of each cell, the first shown first. Recall at k is named hit@k where all queries but
            a handful have one relevant passage.
        collection: The collection of ours that is the same task, or None.
        apart: Where there is none, why.
    """

    key: str
    name: str
    what: str
    source: str
    shape: Shape
    measures: tuple[str, ...]
    collection: str | None = None
    apart: str = ""


_SENTENCES_APART = "{} of this task are whole passages, those of {} sentences: another task, with other scores"
_ROWS = (
    Task(
        "MLQARetrieval",
        "MLQA passages (MTEB)",
        "A question finds its Wikipedia passage among the passages of another, or its own, language; a pair holds what "
        "was translated into both languages, so pairs differ in questions, and the diagonal has most candidates",
        _MTEB,
        "pairs",
        _ONE_RELEVANT,
        apart=_SENTENCES_APART.format("The candidates", "MLQA-R"),
    ),
    Task(
        "BelebeleRetrieval",
        "Belebele passages (MTEB)",
        "A question finds its FLORES passage: within a language, from it to English, and from English to it",
        _MTEB,
        "pivot",
        _ONE_RELEVANT,
        apart="No collection here has Belebele's questions",
    ),
    Task(
        "XQuADRetrieval",
        "XQuAD passages (MTEB)",
        "A question finds its passage among the passages of its own language",
        _MTEB,
        "languages",
        _ONE_RELEVANT,
        apart=_SENTENCES_APART.format("The candidates", "XQuAD-R"),
    ),
    Task(
        "MIRACLRetrieval",
        "MIRACL (MTEB)",
        "A question finds passages among all of a language's Wikipedia",
        _MTEB,
        "languages",
        _MANY_RELEVANT,
        apart="What you evaluate on miracl stands beside the hybrid-batch paper, under MIRACL dev",
    ),
    Task(
        "MIRACLRetrievalHardNegatives",
        "MIRACL, hard negatives only (MTEB)",
        "A question finds passages among those that retrievers had ranked high for some question",
        _MTEB,
        "languages",
        _MANY_RELEVANT,
        apart="What you evaluate on miracl stands beside the hybrid-batch paper, under MIRACL dev",
    ),
    Task(
        "XM3600T2IRetrieval",
        "Crossmodal-3600, text to image (MTEB)",
        "A caption finds its image",
        _MTEB,
        "languages",
        _ONE_RELEVANT,
        apart="No checkpoint here knows images",
    ),
    Task(
        "XFlickr30kCoT2IRetrieval",
        "Flickr30k-CO, text to image (MTEB)",
        "A caption finds its image",
        _MTEB,
        "languages",
        _ONE_RELEVANT,
        apart="No checkpoint here knows images",
    ),
    Task(
        "xquad-r",
        "XQuAD-R sentences (papers, and yours)",
        "A question finds the sentence that answers it",
        _PAPERS,
        "settings",
        ("map", "hit@1", "recall@10", "rank_distance"),
        collection="xquad-r",
    ),
    Task(
        "mlqa-r",
        "MLQA-R sentences (papers, and yours)",
        "A question finds the sentence that answers it",
        _PAPERS,
        "settings",
        ("map", "hit@1", "recall@10", "rank_distance"),
        collection="mlqa-r",
    ),
    Task(
        "miracl-dev",
        "MIRACL dev (hybrid-batch paper, and yours)",
        "A question finds passages of its own language; how the paper cut the corpus is not told, so MTEB's MIRACL "
        "stands apart",
        _PAPERS,
        "settings",
        ("ndcg@10", "recall@100"),
        collection="miracl",
    ),
)

TASKS = {task.key: task for task in _ROWS}


def find_task(key: str) -> Task:
    """A shipped task by its key.

    Raises:
        InputError: If it is unknown.
    """
    if key not in TASKS:
        raise InputError(f"published task {key!r} is unknown; allowed are {', '.join(TASKS)}")
    return TASKS[key]


def task_of(key: str, results: pl.DataFrame) -> Task:
    """The task that results of any name are of: a shipped one, or one made up for what was imported.

    Args:
        key: Its key.
        results: Frame of schema `PUBLISHED_PAIRS`.
    """
    if key in TASKS:
        return TASKS[key]
    found = results.filter(pl.col("task") == key)
    shape: Shape = "languages" if (found["query_lang"] == found["doc_lang"]).all() else "pairs"
    return Task(key, f"{key} (imported)", "What you imported of this task", "you", shape, _MANY_RELEVANT)
