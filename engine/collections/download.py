"""Downloading a file over HTTP, with further tries where the server or the network fails for a moment."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from engine.errors import FetchError
from engine.progress import Progress

_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30.0
_WAITS_SECONDS = (1.0, 2.0, 4.0)
"""How long to wait before each further try."""

_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)


def download(url: str, target: Path, progress: Progress, so_far: tuple[int, int]) -> None:
    """Download a file; server errors (5xx), time-outs and broken connections are tried again.

    Args:
        url: Where it is.
        target: Where it goes; what is there is written over.
        progress: Told the bytes fetched.
        so_far: Bytes fetched before this file, and bytes of all files.

    Raises:
        FetchError: If the last try fails, or the server refuses (4xx).
    """
    for wait in (*_WAITS_SECONDS, None):
        try:
            _fetch(url, target, progress, so_far)
        except _NETWORK_ERRORS as error:
            if wait is None or not _passes(error):
                raise FetchError(
                    f"{url}: cannot be downloaded ({error}); check the network, or copy the files with --from DIR"
                ) from error
            time.sleep(wait)
        else:
            return


def _passes(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    return not isinstance(error, urllib.error.HTTPError) or error.code >= 500


def _fetch(url: str, target: Path, progress: Progress, so_far: tuple[int, int]) -> None:
    before, total = so_far
    stage = f"fetch {url.rpartition('/')[2]}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer, target.open("wb") as file:  # noqa: S310
        while chunk := answer.read(_CHUNK_BYTES):
            file.write(chunk)
            progress(stage, before + file.tell(), total)
