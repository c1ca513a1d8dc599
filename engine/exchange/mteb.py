"""MTEB's result files: read leniently in its old and its new layout, and written with the fields of its TaskResult.

A result is a file for a task, with scores by split and subset. Before mteb 1.11 the splits were at the top, and a split
held its scores by subset or, of a task with one subset, directly. Which of a subset's two languages is the query's
depends on the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from engine.collections.languages import from_tag, to_tag
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.exchange.files import read_json, write_json
from engine.ranks.metrics import by_pair
from engine.ranks.schema import PUBLISHED_PAIRS, check_frame

META = "model_meta.json"
_SOURCE = "https://github.com/embeddings-benchmark/mteb/blob/2.1.4/mteb/tasks/retrieval/multilingual"
DIRECTIONS: dict[str, tuple[Literal["documents", "queries"], str]] = {
    "BelebeleRetrieval": ("documents", f"{_SOURCE}/belebele_retrieval.py"),  # lang_corpus, lang_question = languages
    "MLQARetrieval": ("documents", f"{_SOURCE}/mlqa_retrieval.py"),  # MLQA's mlqa.<context>.<question>
    "XPQARetrieval": ("documents", f"{_SOURCE}/xpqa_retrieval.py"),  # the loader before 2.0 names both sides
    "CUREv1": ("queries", f"{_SOURCE}/cur_ev1_retrieval.py"),  # one English corpus, queries in three languages
    "CrossLingualSemanticDiscriminationWMT19": (
        "queries",  # Source -> Target and its distractors
        f"{_SOURCE}/cross_lingual_semantic_discrimination_wmt19.py",
    ),
    "CrossLingualSemanticDiscriminationWMT21": (
        "queries",
        f"{_SOURCE}/cross_lingual_semantic_discrimination_wmt21.py",
    ),
}
"""Which side comes first in the language pairs of an MTEB task, and where its loader says so."""

UNKNOWN = "unknown"

_MEASURES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "map@100": "map_at_100"}
_MEASURES_OF_MTEB = {*_MEASURES.values()}
_TAGS_APART = re.compile(r"-(?=[a-z]{2,3}(?:[-_]|$))")  # "deu-Latn-eng-Latn", but not "zh-CN"
_SHOWN = 60  # characters of a value in an error
_KINDS = {
    "ndcg": "ndcg_at_{}",
    "map": "map_at_{}",
    "mrr": "mrr_at_{}",
    "recall": "recall_at_{}",
    "hit": "hit_rate_at_{}",
}
_CUTS = (1, 3, 5, 10, 20, 100, 1000)
_NOT_SPLITS = {"dataset_revision", "mteb_dataset_name", "mteb_version", "evaluation_time", "task_name", "model_name"}


class NoRetrievalError(InputError):
    """A result file is of a task that is no retrieval task."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The content of a result file.

    Attributes:
        pairs: Frame of schema `PUBLISHED_PAIRS`: one task, one model.
        split: Which of the file's splits it is.
        notes: What was left out.
    """

    pairs: pl.DataFrame
    split: str
    notes: tuple[str, ...]


def read_result(file: Path, model: str | None = None) -> Result:
    """Read a result file.

    Args:
        file: The file; its model's name and revision come from `model_meta.json` beside it, else from the folders
            `<organisation>__<model>/<revision>/` that it is in.
        model: The model's name, in place of that.

    Raises:
        NoRetrievalError: If its task is no retrieval task.
        InputError: If it is no result file, has no retrieval scores of known languages, or no model is named.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: must be the JSON object of an MTEB result, got a {type(content).__name__}")
    task = content.get("task_name") or content.get("mteb_dataset_name")
    if not isinstance(task, str):
        raise InputError(f"{file}: names no task; expected `task_name`, or `mteb_dataset_name` as before mteb 1.11")
    splits = _splits(content, file)
    if "Reranking" in task or not any(_MEASURES_OF_MTEB & {*row[2]} for rows in splits.values() for row in rows):
        raise NoRetrievalError(f"{file}: task {task} has no retrieval scores; give results of retrieval tasks")
    split = "test" if "test" in splits else next(iter(splits))
    others = [name for name in splits if name != split]
    notes = [f"only the split {split} is taken; {', '.join(others)} left out"] if others else []
    system = (task, *_model(file, model), str(content.get("mteb_version") or UNKNOWN))
    frame, skipped = _rows(splits[split], system, f"{file}: scores.{split}")
    if skipped:
        notes.append(f"left out: {len(skipped)} of {frame.height + len(skipped)} subsets, such as {skipped[0]}")
    return Result(check_frame(frame, PUBLISHED_PAIRS, str(file)), split, tuple(notes))


def write_result(evaluation: Evaluation, folder: Path) -> None:
    """Write an evaluation's language pairs as a result file, in the folders of MTEB's results.

    A cut-off metric is that of mteb and trec_eval; ranks are full depth. The pool of all languages has no place there
    and is left out. `mteb_version` is null: mteb did not measure it.

    Args:
        evaluation: Whose.
        folder: An existing folder, which will hold `<model>/<revision>/`.
    """
    manifest = evaluation.manifest
    names = {f"{kind}@{cut}": theirs.format(cut) for kind, theirs in _KINDS.items() for cut in _CUTS}
    scores = []
    for row in by_pair(evaluation.ranks(), list(names)).iter_rows(named=True):
        tags = [to_tag(row[side]) for side in ("doc_lang", "query_lang")]
        values = {theirs: row[ours] for ours, theirs in names.items()}
        scores.append(
            {
                "hf_subset": "-".join(tag.replace("-", "_") for tag in tags),
                "languages": tags,
                "query_lang": tags[1],
                "doc_lang": tags[0],
                "main_score": row["ndcg@10"],
                **values,
            }
        )
    name, revision = manifest.encoder.name, manifest.encoder.fingerprint
    task = re.sub(r"[^\w.-]+", "-", manifest.collection.name)
    place = folder / re.sub(r"[^\w.-]+", "-", name.replace("/", "__")) / revision
    place.mkdir(parents=True)
    result = {
        "dataset_revision": manifest.collection.digest,
        "task_name": task,
        "mteb_version": None,
        "evaluation_time": manifest.seconds,
        "kg_co2_emissions": None,
        "scores": {"test": scores},
    }
    write_json(place / f"{task}.json", result)
    write_json(place / META, {"name": name, "revision": revision})


_Subset = tuple[str, list[str] | None, dict[str, Any]]


def _rows(subsets: list[_Subset], system: tuple[str, str, str, str], place: str) -> tuple[pl.DataFrame, list[str]]:
    """Rows of `PUBLISHED_PAIRS` by pair, and the subsets whose languages are not known, each with the reason."""
    rows, skipped = [], []
    for subset, languages, scores in subsets:
        try:
            pair = _pair(subset, languages, scores, system[0])
        except InputError as error:
            skipped.append(f"{subset} ({error})")
            continue
        rows.append((*system, *pair, *_scores(scores, f"{place}.{subset}")))
    if not rows:
        raise InputError(f"{place}: the languages of no subset are known: {skipped[0]}")
    pairs = ["query_lang", "doc_lang"]
    frame = pl.DataFrame(rows, schema=PUBLISHED_PAIRS, orient="row").sort(pairs)
    twice = frame.filter(pl.struct(pairs).is_duplicated())
    if not twice.is_empty():
        query, document = twice.select(pairs).row(0)
        raise InputError(f"{place}: queries in {query} on documents in {document} occur twice")
    return frame, skipped


def _splits(content: dict[str, Any], file: Path) -> dict[str, list[_Subset]]:
    """Scores by split: rows of subset, its languages where they are given, and the scores."""
    if "scores" in content:
        splits = content["scores"]
        if not isinstance(splits, dict):
            raise InputError(f"{file}: scores: must be lists of subsets by split, got a {type(splits).__name__}")
        found = {split: list(_new_subsets(rows, f"{file}: scores.{split}")) for split, rows in splits.items()}
    else:
        splits = {name: rows for name, rows in content.items() if name not in _NOT_SPLITS and isinstance(rows, dict)}
        found = {split: list(_old_subsets(rows)) for split, rows in splits.items()}
    found = {split: rows for split, rows in found.items() if rows}
    if not found:
        raise InputError(f"{file}: has no scores; expected `scores` by split, or splits at the top as before 1.11")
    return found


def _new_subsets(rows: object, place: str) -> Iterator[_Subset]:
    for i, row in enumerate(rows if isinstance(rows, list) else [rows]):
        languages = row.get("languages") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(languages, list | None):
            raise InputError(f"{place}[{i}]: expected an object with hf_subset, languages and scores")
        yield str(row.get("hf_subset", "default")), [str(tag) for tag in languages] if languages else None, row


def _old_subsets(rows: dict[str, Any]) -> Iterator[_Subset]:
    nested = {subset: scores for subset, scores in rows.items() if isinstance(scores, dict)}
    if nested:
        yield from ((subset, None, scores) for subset, scores in nested.items())
    elif rows:
        yield "default", None, rows


def _pair(subset: str, languages: list[str] | None, scores: dict[str, Any], task: str) -> tuple[str, str]:
    """Query and document language.

    Raises:
        InputError: If they are not known.
    """
    if "I2T" in task:
        raise InputError("its queries are images; expected texts")
    sides = scores.get("query_lang"), scores.get("doc_lang")
    if all(isinstance(side, str) for side in sides):  # as `write_result` has them
        return from_tag(str(sides[0])), from_tag(str(sides[1]))
    tags = languages or _TAGS_APART.split(subset)
    codes = [from_tag(tag) for tag in (tags if len(tags) <= 2 else [subset])]
    first, last = codes[0], codes[-1]
    if "T2I" in task:
        return last, "image"
    if first == last:
        return first, first
    if task not in DIRECTIONS:
        raise InputError(f"which of {first} and {last} is the query's language is not known for the task {task}")
    return (last, first) if DIRECTIONS[task][0] == "documents" else (first, last)


def _scores(scores: dict[str, Any], place: str) -> list[float]:
    found = []
    for name in _MEASURES.values():
        value = scores.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            given = "nothing" if value is None else repr(value)[:_SHOWN]
            raise InputError(f"{place}.{name}: must be a score from 0 to 1, got {given}")
        found.append(float(value))
    return found


def _model(file: Path, given: str | None) -> tuple[str, str]:
    """The model's name and revision."""
    meta = file.with_name(META)
    content = read_json(meta) if meta.is_file() else {}
    described = content if isinstance(content, dict) else {}
    revision, folder = file.absolute().parent.name, file.absolute().parent.parent.name
    in_folders = "__" in folder
    name = given or described.get("name") or (folder.replace("__", "/", 1) if in_folders else None)
    if not isinstance(name, str):
        raise InputError(
            f"{file}: names no model; give its name, put {META} beside it, or keep it in <model>/<revision>/"
        )
    return name, str(described.get("revision") or (revision if in_folders else UNKNOWN))
