"""Stored evaluations of made-up collections, with ties among the scores, and what tests of import and export share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import polars as pl
from ir_measures import AP, RR, R, Success, nDCG

from engine.collections.digest import collection_digest
from engine.collections.structures import Collection
from engine.evaluation.evaluate import Evaluation, find_evaluation, write_evaluation
from engine.evaluation.manifest import EvaluationManifest
from engine.ranks.ranking import rank_collection
from engine.storage.digest import digest
from engine.storage.store import Store

MEASURES = {
    "map": AP,
    "mrr": RR,
    "ndcg@10": nDCG @ 10,
    "hit@1": Success @ 1,
    "hit@5": Success @ 5,
    "recall@1": R @ 1,
    "recall@10": R @ 10,
}
"""What ir_measures calls our metrics."""

QUERY = ["question", "query_lang"]
WHOLE = 10**6  # a top k that keeps the whole pool


def evaluated(
    collection: Collection,
    store: Store,
    *,
    seed: int = 0,
    top_k: int = WHOLE,
    opened_as: str | None = None,
    name: str = "by chance",
    **more: object,
) -> Evaluation:
    """Evaluate vectors of a few coarse numbers, so that scores are exact, of both signs, and often equal.

    Args:
        collection: On what.
        store: Where it goes.
        seed: Of the vectors.
        top_k: How many of the pool to keep.
        opened_as: Name or folder under which the collection can be opened again.
        name: What to call the encoder.
        **more: Further parts of the manifest.
    """
    rng = np.random.default_rng(seed)
    parts = (collection.queries, collection.corpus)
    queries, documents = (rng.integers(-2, 3, (len(part), 3)).astype(np.float32) / 4 for part in parts)
    ranks, top = rank_collection(queries, documents, collection, top_k=top_k)
    key = digest(collection.name, name, seed, top_k)
    about: dict[str, Any] = {
        "collection": {
            "name": collection.name,
            "digest": collection_digest(collection),
            "languages": list(collection.languages),
            "queries": len(collection.queries),
            "candidates": len(collection.corpus),
            "skipped": {},
        },
        "encoder": {
            "name": name,
            "fingerprint": digest(seed),
            "prompts": {"query": "", "document": ""},
            "max_length": None,
            "dtype": "float32",
            "folder": None,
        },
        "recipe": None,
        "seen_in_training": None,
        "top_k": top_k,
        "index": "Flat",
        "seconds": 1.5,
        **more,
    }
    if opened_as:
        about["opened_as"] = {"collection": opened_as, "every": 1, "skip_invalid": False, "encoder": name}
    write_evaluation(key, EvaluationManifest.model_validate(about), ranks, top, store)
    return find_evaluation(store, key)


def judged_by_ir_measures(run: Path, qrels: Path) -> dict[str, dict[str, float]]:
    """Every measure of `MEASURES` by topic, as ir_measures reads it from the files."""
    names = {str(measure): name for name, measure in MEASURES.items()}
    found: dict[str, dict[str, float]] = {}
    files = ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(run))
    for value in ir_measures.iter_calc(list(MEASURES.values()), *files):
        found.setdefault(value.query_id, {})[names[str(value.measure)]] = value.value
    return found


def same_ranks(one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations have equal ranks and lists, whatever the order of their rows; scores do not count."""
    return all(
        first.drop("score").sort(keys).equals(second.drop("score").sort(keys))
        for first, second, keys in (
            (one.ranks(), other.ranks(), [*QUERY, "doc"]),
            (one.top(), other.top(), [*QUERY, "rank"]),
        )
    )


def figures_agree(one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations come to the same figures under the same names, fingerprints aside."""
    return one.figures() | {"fingerprint": ""} == other.figures() | {"fingerprint": ""}


def per_topic(scores: pl.DataFrame) -> dict[tuple[str, ...], dict[str, float]]:
    """A frame of `metrics.per_query` by question, query language and, outside multi, document language."""
    keys = [name for name in (*QUERY, "doc_lang") if name in scores.columns]
    return {tuple(row[name] for name in keys): {m: row[m] for m in MEASURES} for row in scores.iter_rows(named=True)}


SCORES = {"recall_at_1": 0.5, "recall_at_10": 0.75, "ndcg_at_10": 0.625, "map_at_100": 0.6}


def scores(shift: float = 0.0, **more: object) -> dict[str, Any]:
    """Scores as an MTEB result has them for a subset."""
    return {name: value + shift for name, value in SCORES.items()} | {"main_score": 0.625, "nauc_x": -3.0} | more


def subset(name: str, *languages: str, shift: float = 0.0) -> dict[str, Any]:
    """A subset of an MTEB result in the new layout."""
    return {"hf_subset": name, "languages": list(languages), **scores(shift)}


def new_layout(**splits: object) -> dict[str, Any]:
    """An MTEB result as since 1.11."""
    about = {"dataset_revision": "d1", "task_name": "MLQARetrieval", "mteb_version": "1.18.0", "evaluation_time": 3.5}
    return {**about, "kg_co2_emissions": None, "scores": splits}


def old_layout(**splits: object) -> dict[str, Any]:
    """An MTEB result as before 1.11."""
    return {"dataset_revision": None, "mteb_dataset_name": "MIRACLRetrieval", "mteb_version": "1.2.0", **splits}


def write_result(folder: Path, content: object, *, name: str = "task.json", meta: object = ("org/m", "r1")) -> Path:
    """Write a result, with a name and a revision of its model beside it unless `meta` is None."""
    folder.mkdir(exist_ok=True, parents=True)
    if meta:
        told = dict(zip(("name", "revision"), meta, strict=True)) if isinstance(meta, tuple) else meta
        (folder / "model_meta.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder / name
