"""What a reader of scores should know of how their collection was read, a sentence each; for commands and pages."""

from __future__ import annotations

from engine.evaluation.manifest import CollectionPart


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
