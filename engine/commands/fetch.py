"""`fetch`: download or copy a named collection or encoder, and verify it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.console import names, out

if TYPE_CHECKING:
    from engine.collections.published import Published


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    fetch = commands.add_parser("fetch", help="download or copy a named collection or encoder, and verify it")
    fetch.add_argument(
        "name",
        help="xquad-r, mlqa-r, miracl, crossmodal-3600, xtd10, multi30k, multi30k-train, or an encoder's catalog name",
    )
    fetch.add_argument("--from", dest="source", type=Path, metavar="DIR", help="copy from a folder, no network needed")
    fetch.add_argument("--languages", type=names, metavar="L[,L]", help="of miracl: which languages, such as sw,bn")
    fetch.add_argument("--split", default="dev", metavar="S", help="of miracl: dev or train; default: dev")
    fetch.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> None:
    from engine.collections.catalog import COLLECTIONS, fetch_collection
    from engine.collections.miracl_source import is_miracl
    from engine.collections.picture_sets import PICTURE_SETS
    from engine.encoders.catalog import ENCODERS
    from engine.encoders.resolve import open_encoder
    from engine.errors import InputError
    from engine.storage.store import Store

    if options.name in ENCODERS:
        out.print(f"{options.name}: {open_encoder(options.name, Store()).folder}", soft_wrap=True)
        return
    if is_miracl(options.name):
        _fetch_miracl(options)
        return
    if options.languages:
        raise InputError(f"{options.name} is fetched whole; --languages is for miracl only")
    if options.name in PICTURE_SETS:
        _fetch_picture_set(options)
        return
    if options.name not in COLLECTIONS:
        known = ", ".join([*COLLECTIONS, "miracl", *PICTURE_SETS, *ENCODERS])
        raise InputError(f"{options.name!r} is in no catalog; allowed are {known}")
    with options.progress() as progress:
        folder, new = fetch_collection(options.name, Store(), options.source, progress)
    if new:
        _print_terms(COLLECTIONS[options.name])
    out.print(f"{'fetched and verified' if new else 'already there'}: {folder}", soft_wrap=True)


def _fetch_miracl(options: argparse.Namespace) -> None:
    from engine.collections.catalog import MIRACL
    from engine.collections.miracl_source import fetch_miracl, languages_of
    from engine.storage.store import Store

    languages = options.languages or (languages_of(options.name) if ":" in options.name else [])
    with options.progress() as progress:
        name, new = fetch_miracl(languages, options.split, Store(), options.source, progress)
    if new:
        _print_terms(MIRACL)
    state = "fetched" if new else "already there"
    out.print(f"{state}: {name}, split {options.split}; use it as `--collection {name}`", soft_wrap=True)


def _fetch_picture_set(options: argparse.Namespace) -> None:
    from engine.collections.picture_sets import PICTURE_SETS, fetch_picture_set
    from engine.storage.store import Store

    one = PICTURE_SETS[options.name]
    here, new = fetch_picture_set(options.name, Store(), options.source)
    if new:
        _print_terms(one)
        out.print(f"Pictures: {one.picture_licence}", soft_wrap=True)
    missing = one.pictures - here
    out.print(
        f"{'fetched' if new else 'already there'}: {here:,} of {one.pictures:,} pictures are in {options.source}"
        + (f"; {missing:,} are missing and are left out" if missing else ""),
        soft_wrap=True,
    )


def _print_terms(source: Published) -> None:
    out.print(f"{source.title}: {source.about}. Licence: {source.licence}, {source.licence_url}", soft_wrap=True)
    out.print(f"Cite: {source.citation}", soft_wrap=True)
