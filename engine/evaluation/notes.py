"""What a reader of scores should know of how their collection was read, a sentence each; for commands and pages."""

from __future__ import annotations

from engine.evaluation.manifest import CollectionPart, EvaluationManifest


def reading_notes(collection: CollectionPart) -> list[str]:
    """Sentences on the rows and candidates that do not count as usual.

    Args:
        collection: A manifest's part on the collection.
    """
    notes = [f"left out: {count} times {reason}" for reason, count in collection.skipped.items()]
    if collection.identical_ids:
        notes.append(
            f"{collection.identical_ids:,} of {collection.queries:,} queries stand in the corpus under their own id "
            "and are left out of their own ranking (--keep-identical-ids keeps them in)"
        )
    return notes


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
