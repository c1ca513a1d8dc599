"""What a visitor may do: all on one's own machine; on a shared app only look, and no path leaves the owner's folders.

`streamlit run dashboard/app.py -- --share`, or HYBRID_BATCH_SHARE=1, shares the app: pages that train, write or take
files are not there. HYBRID_BATCH_FOLDERS names the folders that paths typed on pages may lead into.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import streamlit as st

from engine import InputError, Store
from engine.collections.pair_filter import PairFilter

FOLDERS = "HYBRID_BATCH_FOLDERS"


def is_shared() -> bool:
    """Whether the app is shared: visitors may look at results and change nothing."""
    return "--share" in sys.argv[1:] or os.environ.get("HYBRID_BATCH_SHARE", "") not in ("", "0")


def folders() -> list[Path]:
    """Folders that typed paths may lead into: HYBRID_BATCH_FOLDERS, else home, the working folder and the cache."""
    named = [Path(name) for name in os.environ.get(FOLDERS, "").split(os.pathsep) if name]
    return [folder.expanduser().resolve() for folder in named or [Path.home(), Path.cwd(), Store().root]]


def permitted(text: str) -> Path:
    """The place that a typed path leads to, links resolved; a folder's own links must stay inside too.

    Raises:
        InputError: If the app is shared, the text is no path, or the place is outside the owner's folders.
    """
    if is_shared():
        raise InputError("paths cannot be used here: this app is shared for reading")
    try:
        place = Path(text).expanduser().resolve()
        outside = next((path for path in (place, *_links_in(place)) if not _is_inside(path.resolve())), None)
    except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, links in a circle
        raise InputError(f"{text[:80]!r} is not a path that can be opened; give another path") from error
    if outside is not None:
        listed = ", ".join(map(str, folders()))
        what = "paths" if outside == place else f"its link {outside.relative_to(place)} and all paths"
        raise InputError(f"{text}: {what} must be under {listed}; set {FOLDERS} to allow other folders")
    return place


def _is_inside(place: Path) -> bool:
    return any(place.is_relative_to(folder) for folder in folders())


def _links_in(place: Path) -> Iterator[Path]:
    """Symbolic links within a folder that is inside; whoever reads the folder would follow them."""
    if _is_inside(place):
        for folder, folders_in, files in os.walk(place):
            yield from (path for name in (*folders_in, *files) if (path := Path(folder, name)).is_symlink())


def check_name(name: str) -> str:
    """Return a typed name of a collection or an encoder; one that is a path must be `permitted`.

    Raises:
        InputError: If it is a path outside the owner's folders, or its filter of pairs is none.
    """
    place, _ = PairFilter.parse(name)
    if place.startswith(("/", ".", "~")) or (os.sep in place and _exists(place)):
        permitted(place)
    return name


def _exists(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def link(page: str, label: str, icon: str) -> None:
    """A link to a page of work, where that page is there."""
    if not is_shared():
        st.page_link(page, label=label, icon=icon)
