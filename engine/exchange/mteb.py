"""MTEB's result files: read leniently in its old and its new layout, and written with the fields of its TaskResult.

A result is a file for a task, with scores by split and subset. A subset of two languages is named after the documents'
first: the corpus of "zho-ara" is Chinese, its queries Arabic. Before mteb 1.11 the splits stood at the top, and a split
held its scores by subset or, of a task with one, by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from engine.collections.languages import from_tag, to_tag
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.exchange.files import read_json, write_json
from engine.ranks.metrics import by_pair
from engine.ranks.schema import PUBLISHED_PAIRS, check_frame

META = "model_meta.json"
UNKNOWN = "unknown"

_MEASURES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "map@100": "map_at_100"}
_KINDS = {
    "ndcg": "ndcg_at_{}",
    "map": "map_at_{}",
    "mrr": "mrr_at_{}",
    "recall": "recall_at_{}",
    "hit": "hit_rate_at_{}",
}
_CUTS = (1, 3, 5, 10, 20, 100, 1000)
_NOT_SPLITS = {"dataset_revision", "mteb_dataset_name", "mteb_version", "evaluation_time", "task_name", "model_name"}


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a result file tells.

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
            `<organisation>__<model>/<revision>/` that it stands in.
        model: The model's name, in place of that.

    Raises:
        InputError: If it is no result file, tells no retrieval scores of known languages, or no model can be told.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"{file}: a {type(content).__name__} came; expected is the JSON object of an MTEB result")
    task = content.get("task_name") or content.get("mteb_dataset_name")
    if not isinstance(task, str):
        raise InputError(f"{file}: names no task; expected is `task_name`, or `mteb_dataset_name` as before mteb 1.11")
    splits = _splits(content, file)
    split = "test" if "test" in splits else next(iter(splits))
    others = [name for name in splits if name != split]
    notes = [f"only the split {split} is taken; {', '.join(others)} left out"] if others else []
    name, revision = _model(file, model)
    rows, skipped = [], []
    for subset, languages, scores in splits[split]:
        place = f"{file}: scores.{split}.{subset}"
        try:
            pair = _pair(subset, languages, task)
        except InputError as error:
            skipped.append(f"{subset} ({error})")
            continue
        rows.append((task, name, revision, str(content.get("mteb_version") or UNKNOWN), *pair, *_scores(scores, place)))
    if not rows:
        raise InputError(f"{file}: scores.{split}: no subset is of one or two known languages: {skipped[0]}")
    if skipped:
        notes.append(f"left out: {len(skipped)} of {len(rows) + len(skipped)} subsets, such as {skipped[0]}")
    frame = pl.DataFrame(rows, schema=PUBLISHED_PAIRS, orient="row")
    pairs = ["query_lang", "doc_lang"]
    twice = frame.filter(pl.struct(pairs).is_duplicated())
    if not twice.is_empty():
        query, document = twice.select(pairs).row(0)
        raise InputError(f"{file}: scores.{split}: queries in {query} on documents in {document} come twice")
    return Result(check_frame(frame.sort(pairs), PUBLISHED_PAIRS, str(file)), split, tuple(notes))


def write_result(evaluation: Evaluation, folder: Path) -> None:
    """Write an evaluation's language pairs as a result file, in the folders of MTEB's results.

    A cut-off metric is that of mteb and trec_eval; ranks are full depth. The pool of all languages has no place there
    and is left out. `mteb_version` is null: mteb did not measure it.

    Args:
        evaluation: Whose.
        folder: An existing folder, which will hold `<model>/<revision>/`.
    """
    about = evaluation.about
    names = {f"{kind}@{cut}": theirs.format(cut) for kind, theirs in _KINDS.items() for cut in _CUTS}
    scores = []
    for row in by_pair(evaluation.ranks(), list(names)).iter_rows(named=True):
        tags = [to_tag(row[side]) for side in ("doc_lang", "query_lang")]
        values = {theirs: row[ours] for ours, theirs in names.items()}
        scores.append(
            {
                "hf_subset": "-".join(tag.replace("-", "_") for tag in tags),
                "languages": tags,
                "main_score": row["ndcg@10"],
                **values,
            }
        )
    name, revision = about["encoder"]["name"], about["encoder"]["fingerprint"]
    task = re.sub(r"[^\w.-]+", "-", about["collection"]["name"])
    place = folder / re.sub(r"[^\w.-]+", "-", name.replace("/", "__")) / revision
    place.mkdir(parents=True)
    result = {
        "dataset_revision": about["collection"]["digest"],
        "task_name": task,
        "mteb_version": None,
        "evaluation_time": about.get("seconds"),
        "kg_co2_emissions": None,
        "scores": {"test": scores},
    }
    write_json(place / f"{task}.json", result)
    write_json(place / META, {"name": name, "revision": revision})


_Subset = tuple[str, list[str] | None, dict[str, Any]]


def _splits(content: dict[str, Any], file: Path) -> dict[str, list[_Subset]]:
    """Scores by split: rows of subset, its languages where they are told, and the scores."""
    if "scores" in content:
        splits = content["scores"]
        if not isinstance(splits, dict):
            raise InputError(f"{file}: scores: a {type(splits).__name__} came; expected are lists of subsets by split")
        found = {split: list(_new_subsets(rows, f"{file}: scores.{split}")) for split, rows in splits.items()}
    else:
        splits = {name: rows for name, rows in content.items() if name not in _NOT_SPLITS and isinstance(rows, dict)}
        found = {split: list(_old_subsets(rows)) for split, rows in splits.items()}
    found = {split: rows for split, rows in found.items() if rows}
    if not found:
        raise InputError(f"{file}: has no scores; expected are `scores` by split, or splits at the top as before 1.11")
    return found


def _new_subsets(rows: object, place: str) -> Iterator[_Subset]:
    for i, row in enumerate(rows if isinstance(rows, list) else [rows]):
        languages = row.get("languages") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(languages, list | None):
            raise InputError(f"{place}[{i}]: expected is an object with hf_subset, languages and scores")
        yield str(row.get("hf_subset", "default")), [str(tag) for tag in languages] if languages else None, row


def _old_subsets(rows: dict[str, Any]) -> Iterator[_Subset]:
    nested = {subset: scores for subset, scores in rows.items() if isinstance(scores, dict)}
    if nested:
        yield from ((subset, None, scores) for subset, scores in nested.items())
    elif rows:
        yield "default", None, rows


def _pair(subset: str, languages: list[str] | None, task: str) -> tuple[str, str]:
    """Query and document language."""
    tags = languages or subset.split("-")
    if len(tags) not in (1, 2):
        raise InputError(f"{len(tags)} languages, expected is one or two")
    document, query = from_tag(tags[0]), from_tag(tags[-1])
    if "I2T" in task:
        raise InputError("queries are images, expected are texts")
    return query, "image" if "T2I" in task else document


def _scores(scores: dict[str, Any], place: str) -> list[float]:
    found = []
    for name in _MEASURES.values():
        value = scores.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            came = "nothing" if value is None else repr(value)
            raise InputError(f"{place}.{name}: {came} came; expected is a retrieval score from 0 to 1")
        found.append(float(value))
    return found


def _model(file: Path, given: str | None) -> tuple[str, str]:
    """The model's name and revision."""
    meta = file.with_name(META)
    told = read_json(meta) if meta.is_file() else {}
    told = told if isinstance(told, dict) else {}
    revision, folder = file.absolute().parent.name, file.absolute().parent.parent.name
    in_folders = "__" in folder
    name = given or told.get("name") or (folder.replace("__", "/", 1) if in_folders else None)
    if not isinstance(name, str):
        raise InputError(
            f"{file}: tells no model; give it with --name, put {META} beside it, or keep it in <model>/<revision>/"
        )
    return name, str(told.get("revision") or (revision if in_folders else UNKNOWN))
