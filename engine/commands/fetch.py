"""`fetch`: download or copy a named collection or encoder, and verify it."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.console import out


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    fetch = commands.add_parser("fetch", help="download or copy a named collection or encoder, and verify it")
    fetch.add_argument("name", help="xquad-r, mlqa-r, or an encoder's catalog name")
    fetch.add_argument("--from", dest="source", type=Path, metavar="DIR", help="copy from a folder, no network needed")
    fetch.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from engine.collections.catalog import COLLECTIONS, fetch_collection
    from engine.encoders.catalog import ENCODERS
    from engine.encoders.resolve import open_encoder
    from engine.errors import InputError
    from engine.storage.store import Store

    if options.name in ENCODERS:
        out.print(f"{options.name}: {open_encoder(options.name, Store()).folder}", soft_wrap=True)
        return
    if options.name not in COLLECTIONS:
        known = ", ".join([*COLLECTIONS, *ENCODERS])
        raise InputError(f"{options.name!r} is in no catalog; allowed are {known}")
    with options.progress() as progress:
        folder, new = fetch_collection(options.name, Store(), options.source, progress)
    source = COLLECTIONS[options.name]
    if new:
        out.print(f"{source.title}: {source.about}. Licence: {source.licence}, {source.licence_url}", soft_wrap=True)
        out.print(f"Cite: {source.citation}", soft_wrap=True)
    out.print(f"{'fetched and verified' if new else 'already there'}: {folder}", soft_wrap=True)
