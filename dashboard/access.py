"""What a visitor may do: all on one's own machine; on a shared app only look, and no path leaves the owner's folders.

`streamlit run dashboard/app.py -- --share`, or HYBRID_BATCH_SHARE=1, shares the app: pages that train, write or take
files are not there. HYBRID_BATCH_FOLDERS names the folders that paths typed on pages may lead into.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import streamlit as st

from engine import InputError, Store

FOLDERS = "HYBRID_BATCH_FOLDERS"


def is_shared() -> bool:
    """Whether the app is shared: visitors may look at results and change nothing."""
    return "--share" in sys.argv[1:] or os.environ.get("HYBRID_BATCH_SHARE", "") not in ("", "0")


def folders() -> list[Path]:
    """Folders that typed paths may lead into: HYBRID_BATCH_FOLDERS, else home, the working folder and the cache."""
    named = [Path(name) for name in os.environ.get(FOLDERS, "").split(os.pathsep) if name]
    return [folder.expanduser().resolve() for folder in named or [Path.home(), Path.cwd(), Store().root]]


def permitted(text: str) -> Path:
    """The place that a typed path leads to, links resolved.

    Raises:
        InputError: If the app is shared, or the place is outside the owner's folders.
    """
    if is_shared():
        raise InputError("paths cannot be used here: this app is shared for reading")
    place = Path(text).expanduser().resolve()
    allowed = folders()
    if not any(place.is_relative_to(folder) for folder in allowed):
        listed = ", ".join(map(str, allowed))
        raise InputError(f"{text}: paths must be under {listed}; set {FOLDERS} to allow other folders")
    return place


def check_name(name: str) -> str:
    """Return a typed name of a collection or an encoder; one that is a path must be `permitted`.

    Raises:
        InputError: If it is a path outside the owner's folders.
    """
    if name.startswith(("/", ".", "~")) or (os.sep in name and Path(name).expanduser().exists()):
        permitted(name)
    return name


def link(page: str, label: str, icon: str) -> None:
    """A link to a page of work, where that page is there."""
    if not is_shared():
        st.page_link(page, label=label, icon=icon)
