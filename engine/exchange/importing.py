"""Files from outside -> entries of the store that the pages show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import polars as pl

from engine.collections.catalog import SHIPPED, published_as
from engine.errors import InputError
from engine.exchange import tables, trec
from engine.exchange.ids import MAP, Names, read_map
from engine.exchange.imported import Arrival, Known, known_collection, store_arrival
from engine.exchange.kinds import DESCRIPTIONS, EXPECTED, Kind, kind_of
from engine.exchange.mteb import read_result
from engine.exchange.run_notes import absent_note, list_notes, own_note
from engine.exchange.sidecar import read_sidecar
from engine.ranks.schema import in_corpus
from engine.storage.digest import digest
from engine.storage.store import SCHEMA_VERSION, Store

_BY_SUFFIX: dict[str, Kind] = {".json": "result", ".parquet": "ranks", ".csv": "ranks"}
"""What a file is taken for whose content is of no known kind; any other is read as a run, which says what is wrong."""

_JUDGED = ["question", "query_lang", "doc_lang", "doc"]


class Options(TypedDict, total=False):
    """How files are imported.

    Attributes:
        collection: Catalog name or folder of the collection that was searched; with a language map, only what to call
            it. None, the default, if the files say it.
        name: What to call what was evaluated; None, the default, for what the files say.
        skip_invalid: Leave unusable rows of the collection out.
        keep_identical_ids: Leave queries in their own ranking where they are passages too, under the same id.
    """

    collection: str | None
    name: str | None
    skip_invalid: bool
    keep_identical_ids: bool


@dataclass(frozen=True, slots=True)
class Imported:
    """A file that is in the store now.

    Attributes:
        file: The file.
        kind: "evaluation", or "result" for published scores by language pair.
        key: Its key: of an evaluation, or of an entry of the kind `imports`.
        title: What it is, in a line.
        notes: What a reader should know.
        new: Whether it was not there before.
    """

    file: str
    kind: Literal["evaluation", "result"]
    key: str
    title: str
    notes: tuple[str, ...]
    new: bool


def import_file(
    file: Path,
    store: Store,
    *,
    qrels: Path | None = None,
    languages: Path | None = None,
    **options: Unpack[Options],
) -> Imported:
    """Bring a file into the store.

    Args:
        file: An MTEB result, a frame of ranks, or a TREC run over the pool of all languages.
        store: Where it goes.
        qrels: Judgements of a run; by default the file of its name with `.qrels`, else the collection's own.
        languages: Language map of a run; by default `languages.tsv` beside it, unless a collection is given.
        options: See `Options`.

    Raises:
        InputError: If a file cannot be used; the message names the file, the place, and what was expected.
        StoreError: If the cache cannot be written.
    """
    kind, name, collection = (
        kind_of(file) or _BY_SUFFIX.get(file.suffix),
        options.get("name"),
        options.get("collection"),
    )
    keep = options.get("keep_identical_ids", False)
    if kind == "result":
        return _import_result(file, store, name)
    if kind not in ("run", "ranks", None):
        raise InputError(f"{file}: is {DESCRIPTIONS[kind]}, which is not imported alone; give {EXPECTED}")
    searched = _Searched(collection, store, options.get("skip_invalid", False), keep) if collection else None
    if kind == "ranks":
        arrival, known = _ranks(file, searched, name)
    else:
        arrival, known = _run(_Beside(file, qrels, languages), searched, name, keep_identical_ids=keep)
    key, new = store_arrival(arrival, known, store)
    title = f"{arrival.name} on {known.about['name']}, {arrival.ranks.height:,} relevant passages"
    return Imported(str(file), "evaluation", key, title, tuple(arrival.notes), new)


def _import_result(file: Path, store: Store, name: str | None) -> Imported:
    result = read_result(file, name)
    task, model, revision, version = result.pairs.select("task", "model", "revision", "version").row(0)
    about = {"task": task, "model": model, "revision": revision, "version": version}
    key = digest("import", SCHEMA_VERSION, about, [column.to_list() for column in result.pairs.iter_columns()])
    new = store.get("imports", key) is None
    if new:
        manifest = {**about, "split": result.split, "source": file.name, "notes": list(result.notes)}
        with store.writing("imports", key, manifest) as folder:
            result.pairs.write_parquet(folder / "pairs.parquet")
    pairs = f"{result.pairs.height} language pair{'s' if result.pairs.height > 1 else ''}"
    title = f"{model} on {task} ({result.split}), {pairs}"
    return Imported(str(file), "result", key, title, result.notes, new)


@dataclass(frozen=True, slots=True)
class _Searched:
    """The collection that was searched, as it is opened."""

    name: str
    store: Store
    skip_invalid: bool
    keep_identical_ids: bool

    def known(self) -> tuple[Known, Names]:
        """What is known of it, and its ids."""
        skip, keep = self.skip_invalid, self.keep_identical_ids
        return known_collection(self.name, self.store, skip_invalid=skip, keep_identical_ids=keep)


@dataclass(frozen=True, slots=True)
class _Beside:
    """A run, and the judgements and the language map that were given with it."""

    run: Path
    qrels: Path | None
    languages: Path | None

    def map(self, collection: object) -> Path | None:
        """The language map that was given; without one and without a collection, the one beside the run."""
        beside = self.run.with_name(MAP)
        return beside if self.languages is None and collection is None and beside.is_file() else self.languages

    def judgements(self) -> Path | None:
        """The judgements that were given, or those of the run's name."""
        named = self.run.with_name(f"{self.run.name.removesuffix('.gz').removesuffix('.run')}.qrels")
        return named if self.qrels is None and named.is_file() and named != self.run else self.qrels


def _run(
    beside: _Beside, collection: _Searched | None, name: str | None, *, keep_identical_ids: bool
) -> tuple[Arrival, Known]:
    file, sidecar = beside.run, read_sidecar(beside.run)
    languages, qrels = beside.map(collection), beside.judgements()
    if languages is not None:
        known, names = _mapped(languages, collection.name if collection else None, sidecar)
    elif collection is not None:
        known, names = collection.known()
    else:
        raise InputError(
            f"{file}: a run alone names no languages; give the collection that was searched, or a language map "
            "(kind, id, lang and question by tabs) and judgements"
        )
    judged = known.qrels if qrels is None else trec.read_qrels(qrels)
    if judged is None:
        raise InputError(f"{file}: judgements are missing; give them as well, or the collection that has them")
    run, tag = trec.read_run(file)
    run, judged = (trec.with_known_ids(frame, names) for frame in (run, judged))
    judged, absent = trec.part_absent(judged, names)
    own = trec.own_passages(pl.concat([judged, absent]), names)
    kept = sidecar.get("collection", {}).get("identical_ids") == 0  # of an export of ours
    own = own.clear() if keep_identical_ids or kept else own
    ranks, top = trec.place_run(run, judged, absent, own, names)
    known.about.update(absent=absent.height, identical_ids=own.height)
    called = name or sidecar.get("encoder", {}).get("name") or tag
    files = tuple(path for path in (file, qrels, languages) if path)
    notes = [*absent_note(absent, judged), *own_note(own, names), *list_notes(run, ranks, top)]
    return Arrival(called, "TREC run", files, ranks, top, notes), known


def _mapped(languages: Path, called: str | None, sidecar: Mapping[str, Any]) -> tuple[Known, Names]:
    names = read_map(languages)
    about = names.about(called or languages.absolute().parent.name)
    of_export = sidecar.get("collection", {})
    if called is None and all(of_export.get(size) == about[size] for size in ("queries", "candidates", "languages")):
        return Known(of_export, names, None, _openable(sidecar)), names
    return Known(about, names), names


def _ranks(file: Path, collection: _Searched | None, name: str | None) -> tuple[Arrival, Known]:
    ranks, top = tables.read_ranks(file)
    sidecar, notes = read_sidecar(file), []
    if collection is not None:
        known, names = collection.known()
        known.about["identical_ids"] = sidecar.get("collection", {}).get("identical_ids", 0)  # ranks are as they are
        _check_judged(ranks, known, names, file)
    elif "collection" in sidecar:
        known = Known(sidecar["collection"], None, None, _openable(sidecar))
    else:
        known = Known(_seen_in(ranks, top, file))
        notes.append("The collection is not known: its size was taken from the positions and ranks that occur.")
    candidates = known.about["candidates"]
    if _size_of_pool(ranks, top) > candidates:
        raise InputError(f"{file}: a rank or a position is above {candidates:,}, the candidates of the collection")
    if top.is_empty():
        notes.append("There is no frame `top` beside it: what else was retrieved is not known.")
    called = name or sidecar.get("encoder", {}).get("name") or file.stem
    files = (file,) if top.is_empty() else (file, tables.beside(file))
    return Arrival(called, "frame of ranks", files, ranks, top, notes), known


def _check_judged(ranks: pl.DataFrame, known: Known, names: Names, file: Path) -> None:
    """Check that the rows are the collection's judgements."""
    qrels = pl.DataFrame(schema={"query_id": pl.String, "doc_id": pl.String}) if known.qrels is None else known.qrels
    judged = qrels.join(names.queries, on="query_id").join(names.documents, on="doc_id")
    ranks = in_corpus(ranks)
    for what, rows, others in (("is missing", judged, ranks), ("is no judgement of it", ranks, judged)):
        odd = rows.join(others, on=_JUDGED, how="anti", maintain_order="left")
        if not odd.is_empty():
            question, query_lang, doc_lang, doc = odd.select(_JUDGED).row(0)
            raise InputError(
                f"{file}: {odd.height:,} rows do not fit {known.about['name']}: question {question!r} in {query_lang} "
                f"with passage {doc} in {doc_lang} {what}; expected a row for every judgement"
            )


def _size_of_pool(ranks: pl.DataFrame, top: pl.DataFrame) -> int:
    """The least size of a pool with these positions and ranks."""
    ranks = in_corpus(ranks)
    sizes = [*(frame.select(pl.col("doc").max() + 1) for frame in (ranks, top)), ranks.select(pl.max("rank_in_pool"))]
    return max(size.item() or 0 for size in sizes)


def _seen_in(ranks: pl.DataFrame, top: pl.DataFrame, file: Path) -> dict[str, Any]:
    """What is known of a frame's collection from the frame alone."""
    rows, absent = ranks.select(_JUDGED).sort(_JUDGED), ranks.height - in_corpus(ranks).height
    ranks = in_corpus(ranks)
    return {
        "name": file.absolute().parent.name,
        "digest": digest("judged", 1, [column.to_list() for column in rows.iter_columns()]),
        "languages": sorted({*ranks["query_lang"], *ranks["doc_lang"]}),
        "query_languages": sorted({*ranks["query_lang"]}),
        "document_languages": sorted({*ranks["doc_lang"], *top["doc_lang"]}),
        "queries": ranks.select("question", "query_lang").unique().height,
        "candidates": _size_of_pool(ranks, top),
        "skipped": {},
        "absent": absent,
    }


def _openable(sidecar: Mapping[str, Any]) -> dict[str, Any] | None:
    """How to open a collection again, if it can be here."""
    opened = sidecar.get("opened_as") or {}
    name = opened.get("collection")
    here = isinstance(name, str) and (published_as(name) is not None or name in SHIPPED or Path(name).is_dir())
    parts = ("collection", "every", "skip_invalid", "keep_identical_ids", "split")
    return {part: opened[part] for part in parts if part in opened} if here else None
