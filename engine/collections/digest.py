"""Digest of what a collection holds, by which stored results know it again."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from engine.collections.structures import Collection
from engine.storage.digest import digest

_known: WeakKeyDictionary[Collection, str] = WeakKeyDictionary()


def collection_digest(collection: Collection) -> str:
    """Digest of what a collection holds, computed once for each; its name and its split's name do not count."""
    if collection not in _known:
        _known[collection] = _digest(collection)
    return _known[collection]


def _digest(collection: Collection) -> str:
    parts = collection.queries, collection.corpus
    columns = [(part.languages, part.texts) for part in parts]
    content = [columns, collection.queries.questions, collection.qrels.queries, collection.qrels.documents]
    content += [] if collection.identical_ids == 0 else [("own", collection.own)]
    content += [] if collection.absent is None else [("absent", collection.absent)]
    given = collection.given
    content += [] if given is None else [("given", given.fingerprint, given.queries, given.documents)]
    return digest(*content)
