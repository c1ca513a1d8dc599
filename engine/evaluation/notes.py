"""What a reader of scores should know of how their collection was read, a sentence each; for commands and pages."""

from __future__ import annotations

from collections.abc import Sequence

from engine.collections.languages import language
from engine.collections.near_texts import in_words
from engine.evaluation.manifest import CollectionPart, EvaluationManifest


def reading_notes(collection: CollectionPart) -> list[str]:
    """Sentences on the rows and candidates that do not count as usual.

    Args:
        collection: A manifest's part on the collection.
    """
    notes = [f"left out: {count} times {reason}" for reason, count in collection.skipped.items()]
    if collection.absent:
        one_language = len(collection.document_languages or collection.languages) == 1
        where = "" if one_language else " (in the pool: their language is not known)"
        notes.append(
            f"{collection.absent:,} relevant {'document is' if collection.absent == 1 else 'documents are'} not in the "
            f"corpus and count as missed, as in trec_eval{where}"
        )
    if collection.restatements:
        notes.append(
            f"{collection.restatements:,} of {collection.queries:,} queries ask a question again in the same language; "
            "each counts as a question of its own"
        )
    if collection.identical_ids:
        notes.append(
            f"{collection.identical_ids:,} of {collection.queries:,} queries stand in the corpus under their own id "
            "and are left out of their own ranking (--keep-identical-ids keeps them in)"
        )
    return notes


def missing_cells(collection: CollectionPart) -> str:
    """Which cells exist where queries and documents are not in the same languages; nothing where they are.

    Args:
        collection: A manifest's part on the collection.
    """
    asked, answering = (
        codes or collection.languages for codes in (collection.query_languages, collection.document_languages)
    )
    if collection.pictures or {*asked} == {*answering}:
        return ""
    mono = len({*asked} & {*answering})
    counts = mono, len(asked) * len(answering) - mono, len(asked)
    kinds = ("mono pair", "cross pair", "query language in multi")
    exist = [f"{count} {kind if count == 1 else _plural(kind)}" for count, kind in zip(counts, kinds, strict=True)]
    return (
        f"Queries are in {_names(asked)}, documents in {_names(answering)}: there can be {exist[0]}, {exist[1]} and "
        f"{exist[2]}; means are over these, other cells cannot exist."
    )


def _plural(kind: str) -> str:
    first, space, rest = kind.partition(" in ")
    return f"{first}s{space}{rest}"


def _names(codes: Sequence[str]) -> str:
    names = [language(code).name for code in codes]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def seen_in_words(manifest: EvaluationManifest) -> str:
    """How many of the collection's texts the checkpoint was trained on; nothing if none, or if that is not known."""
    seen = manifest.seen_in_training
    if seen is None or not seen.texts:
        return ""
    queries = f"{seen.queries:,} {'query' if seen.queries == 1 else 'queries'}"
    passages = f"{seen.passages:,} answering {'passage' if seen.passages == 1 else 'passages'}"
    return (
        f"not zero-shot: {queries} and {passages} of this collection were seen in training; scores say how well they "
        "were learnt"
    )


def near_in_words(manifest: EvaluationManifest) -> str:
    """How much of what the checkpoint was trained on nearly repeats the collection; nothing if none is known."""
    seen = manifest.seen_in_training
    if seen is None or seen.threshold is None:
        return ""
    return in_words("this collection", seen.near_queries, seen.near_passages, seen.threshold)
