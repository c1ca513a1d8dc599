"""Evaluations that come from outside: what is known of their collection, how far they can be trusted, their entry.

A run of depth k does not tell where the other passages stand. Such a passage counts as standing last, so that every
score is a lower bound; which metrics are exact in spite of it is found from the lists and kept with the evaluation, and
a rank distance is not given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from engine.collections.digest import collection_digest
from engine.collections.pair_filter import name_or_path
from engine.collections.structures import SETTINGS
from engine.evaluation.evaluate import write_evaluation
from engine.evaluation.manifest import CollectionPart, EncoderPart, EvaluationManifest, ImportOrigin, OpenedAs
from engine.exchange.ids import NOT_IN_CORPUS, Names, open_named
from engine.ranks.metrics import METRICS, label
from engine.ranks.schema import RANKS, TOP, check_frame
from engine.storage.digest import digest, file_digest
from engine.storage.store import SCHEMA_VERSION, Store

NAMES = ("query_names", "document_names")
"""Frames of an entry that hold its collection's ids."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of the collection that a run is of.

    Attributes:
        about: As an evaluation's manifest has it under `collection`.
        names: The ids; None where only positions are known.
        qrels: Its own judgements: `query_id`, `doc_id`, `place`; None where there are none.
        opened_as: How to open it again; None where its texts are not at hand.
    """

    about: dict[str, Any]
    names: Names | None = None
    qrels: pl.DataFrame | None = None
    opened_as: dict[str, Any] | None = None


@dataclass(slots=True)
class Arrival:
    """A run on its way into the store.

    Attributes:
        name: What to call what was evaluated.
        kind: What it was, such as "TREC run".
        files: The files that it comes from, the run first.
        ranks: Frame of `RANKS`; the score is NaN, and the rank the last one, where a passage was not retrieved.
        top: Frame of `TOP`: the lists.
        notes: What a reader should know.
    """

    name: str
    kind: str
    files: tuple[Path, ...]
    ranks: pl.DataFrame
    top: pl.DataFrame
    notes: list[str] = field(default_factory=list)


def known_collection(
    name: str, store: Store, *, skip_invalid: bool = False, keep_identical_ids: bool = False
) -> tuple[Known, Names]:
    """What is known of a collection that can be read, and its ids.

    Args:
        name: Catalog name or folder.
        store: Where fetched collections are.
        skip_invalid: Leave unusable rows out.
        keep_identical_ids: Leave queries in their own ranking where they are passages too.

    Raises:
        InputError: If it cannot be read.
    """
    collection, names = open_named(name, store, skip_invalid=skip_invalid)
    collection = collection.with_identical_ids() if keep_identical_ids else collection
    rows = collection.qrels.queries.tolist(), collection.qrels.documents.tolist()
    queries, documents = names.queries["query_id"].to_list(), names.documents["doc_id"].to_list()
    qrels = pl.DataFrame({"query_id": [queries[row] for row in rows[0]], "doc_id": [documents[row] for row in rows[1]]})
    if collection.absent is not None:
        missed = [query for query, count in zip(queries, collection.absent, strict=True) for _ in range(count)]
        others = [f"{NOT_IN_CORPUS}-{number}" for number in range(1, len(missed) + 1)]
        qrels = pl.concat([qrels, pl.DataFrame({"query_id": missed, "doc_id": others})])
    qrels = qrels.with_columns(place=pl.lit(collection.name))
    about = names.about(collection.name) | {
        "digest": collection_digest(collection),
        "languages": list(collection.languages),
        "query_languages": list(collection.query_languages),
        "document_languages": list(collection.document_languages),
        "skipped": dict(collection.skipped),
        "identical_ids": collection.identical_ids,
        "absent": 0 if collection.absent is None else int(collection.absent.sum()),
        "restatements": collection.restatements,
    }
    read_as = {"skip_invalid": skip_invalid, "keep_identical_ids": keep_identical_ids}
    return Known(about, names, qrels, {"collection": name_or_path(name), **read_as}), names


def store_arrival(arrival: Arrival, known: Known, store: Store) -> tuple[str, bool]:
    """Make an evaluation of a run.

    Returns:
        Its key, and whether it is new.
    """
    source = arrival.files[0].name
    ranks, top = check_frame(arrival.ranks, RANKS, source), check_frame(arrival.top, TOP, source)
    of = known.about["name"], known.about["digest"], [*map(file_digest, arrival.files)]
    own = ["identical ids are left out"] if known.about.get("identical_ids") else []
    key = digest("imported", SCHEMA_VERSION, arrival.name, of, *own)
    if store.get("ranks", key) is not None:
        return key, False
    manifest = EvaluationManifest(
        collection=CollectionPart(**known.about),
        encoder=EncoderPart(name=arrival.name, fingerprint=key, prompts={"query": "", "document": ""}),
        top_k=max(top["rank"].to_list(), default=0),
        index="imported",
        imported=ImportOrigin(source=source, kind=arrival.kind, **_trust(ranks, top), notes=tuple(arrival.notes)),
        opened_as=OpenedAs(**known.opened_as) if known.opened_as else None,
    )
    kept = {} if known.names is None else dict(zip(NAMES, (known.names.queries, known.names.documents), strict=True))
    write_evaluation(key, manifest, ranks, top, store, kept)
    return key, True


def limits(manifest: EvaluationManifest) -> list[str]:
    """What to say beside an imported evaluation's numbers, a sentence each; nothing for one that was made here.

    Args:
        manifest: An evaluation's manifest.
    """
    origin = manifest.imported
    if origin is None:
        return []
    sentences = [f"Imported from {origin.source} ({origin.kind}); nothing of it was measured here."]
    if origin.missing:
        exact = "; ".join(
            f"{setting}: {_in_words(origin.exact[setting])}" for setting in SETTINGS if setting in origin.exact
        )
        sentences += [
            f"Its lists hold at most {manifest.top_k:,} passages and lack {origin.missing:,} of {origin.relevant:,} "
            "relevant passages, which count as ranked last: scores are lower bounds, the rank distance is not known.",
            f"These scores are exact all the same: {exact}.",
        ]
    return [*sentences, *origin.notes]


def _in_words(metrics: Sequence[str]) -> str:
    return "all" if len(metrics) == len(METRICS) else ", ".join(map(label, metrics)) or "none"


def _trust(ranks: pl.DataFrame, top: pl.DataFrame) -> dict[str, Any]:
    """How many relevant passages there are and are missing, and which metrics are exact in which setting."""
    query, same = ["question", "query_lang"], pl.col("query_lang") == pl.col("doc_lang")
    listed = ranks.with_columns(listed=pl.col("score").is_not_nan())
    listed = listed.filter(pl.col("doc") >= 0)  # what is not in the corpus is missed whatever the lists hold
    settings = {
        "mono": (listed.filter(same), [*query, "doc_lang"]),
        "cross": (listed.filter(~same), [*query, "doc_lang"]),
        "multi": (listed, query),
    }
    return {
        "relevant": listed.height,
        "missing": int((~listed["listed"]).sum()),
        "exact": {
            setting: _exact(frame.group_by(of).agg(pl.col("listed")), top.group_by(of).agg(depth=pl.len()), of)
            for setting, (frame, of) in settings.items()
            if not frame.is_empty()
        },
    }


def _exact(lists: pl.DataFrame, depths: pl.DataFrame, of: list[str]) -> list[str]:
    """Which metrics no missing passage can change.

    Args:
        lists: For every list, which of its relevant passages it has.
        depths: How long the lists are; one that is not there is empty.
        of: What a list is of.
    """
    found = lists.join(depths, on=of, how="left").with_columns(pl.col("depth").fill_null(0))
    whole, first = (
        found.filter(~has).select(pl.min("depth")).item()
        for has in (pl.col("listed").list.all(), pl.col("listed").list.any())
    )
    return [metric for metric in METRICS if _settled(metric, first if re.match("hit|mrr", metric) else whole)]


def _settled(metric: str, depth: int | None) -> bool:
    """Whether lists of a depth settle a metric; None is the whole depth."""
    cut = metric.partition("@")[2]
    return depth is None or (bool(cut) and int(cut) <= depth)


def stored_names(folder: Path) -> Names | None:
    """The ids that were stored with an imported evaluation."""
    files = [folder / f"{name}.parquet" for name in NAMES]
    return Names(*map(pl.read_parquet, files)) if all(file.is_file() for file in files) else None
