"""MIRACL in the catalogue: its languages, where it is downloaded from, and fetching it by language and split.

A name is `miracl:` and the languages, such as `miracl:bn+sw`. Each language's corpus, and each split's topics and
judgements, is an entry of its own in the store, so that nothing is fetched or kept twice.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engine.collections.miracl import LanguageFiles, corpus_name, qrels_name, shards, topics_name
from engine.errors import FetchError, InputError
from engine.progress import Progress, silent
from engine.storage.digest import digest
from engine.storage.store import Store

NAME = "miracl"
SHARDS = {
    **{"ar": 5, "bn": 1, "de": 32, "en": 66, "es": 21, "fa": 5, "fi": 4, "fr": 30, "hi": 2},
    **{"id": 3, "ja": 14, "ko": 3, "ru": 20, "sw": 1, "te": 2, "th": 2, "yo": 1, "zh": 10},
}
"""Shards of each language's corpus, of at most 500,000 passages."""

SPLITS = ("dev", "train")
"""Splits whose judgements are published; de and yo have dev only."""

_DATA = "data"
_TRIES = "check the network, or copy the files with --from DIR"


class _Hub(NamedTuple):
    """A data set of the Hub at a revision."""

    repository: str
    revision: str


_TOPICS = _Hub("miracl/miracl", "5be20db9509754dadad47689368639fcec739c00")
_CORPUS = _Hub("miracl/miracl-corpus", "d921ec7e349ce0d28daf30b2da9da5ee698bef0d")


@dataclass(frozen=True, slots=True)
class _Part:
    """What is fetched together: a language's corpus, or a split's topics and judgements.

    Attributes:
        title: What to call it.
        hub: Where it is on the Hub.
        files: Its files' paths, as in the data set.
    """

    title: str
    hub: _Hub
    files: tuple[str, ...]

    @property
    def key(self) -> str:
        """The store's key: the revision and the files."""
        return digest("collection", NAME, *self.hub, self.files)


def is_miracl(name: str) -> bool:
    """Whether a collection's name is one of MIRACL's."""
    return name.partition(":")[0] == NAME


def miracl_name(languages: Iterable[str]) -> str:
    """The name of MIRACL in some languages.

    Raises:
        InputError: If there is none, or MIRACL does not have one of them.
    """
    codes = sorted({code.strip() for code in languages})
    if unknown := [code for code in codes if code not in SHARDS]:
        raise InputError(f"{NAME} has no language {', '.join(map(repr, unknown))}; allowed are {', '.join(SHARDS)}")
    if not codes:
        raise InputError(f"{NAME}: choose languages with --languages, such as sw,bn; allowed are {', '.join(SHARDS)}")
    return f"{NAME}:{'+'.join(codes)}"


def languages_of(name: str) -> list[str]:
    """The languages in a name of MIRACL, checked and sorted.

    Raises:
        InputError: As for `miracl_name`.
    """
    chosen = name.partition(":")[2]
    return miracl_name(chosen.split("+") if chosen else []).partition(":")[2].split("+")


def fetch_miracl(
    languages: Sequence[str], split: str, store: Store, source_folder: Path | None = None, progress: Progress = silent
) -> tuple[str, bool]:
    """Bring languages of MIRACL into the store.

    A download that was interrupted continues where it was.

    Args:
        languages: MIRACL's codes.
        split: "dev" or "train".
        store: Where they go.
        source_folder: A folder in the official layout to copy from; None downloads them.
        progress: Told the files fetched.

    Returns:
        The collection's name, and whether anything had to be fetched.

    Raises:
        InputError: If a language or the split is unknown.
        FetchError: If a file cannot be downloaded or copied, or is cut short. What was fetched before is kept.
    """
    name = miracl_name(languages)
    if split not in SPLITS:
        raise InputError(f"{NAME} has no published judgements of split {split!r}; allowed are {', '.join(SPLITS)}")
    parts = [part for code in languages_of(name) for part in (_corpus(code), _topics(code, split))]
    missing = [part for part in parts if store.get("collections", part.key) is None]
    total, done = sum(len(part.files) for part in missing), 0
    for part in missing:
        _fetch_part(part, store, source_folder, partial(_note, progress, total, done))
        done += len(part.files)
    return name, bool(missing)


def find_miracl(name: str, split: str, store: Store) -> list[LanguageFiles]:
    """The files of each language of a name.

    Raises:
        InputError: If a language or the split is not fetched.
    """
    codes = languages_of(name)
    missing = [
        code
        for code in codes
        if any(store.get("collections", part.key) is None for part in (_corpus(code), _topics(code, split)))
    ]
    if missing:
        raise InputError(
            f"{NAME}, split {split}: {', '.join(missing)} is not fetched yet; "
            f"run `python -m engine fetch {NAME} --languages {','.join(missing)} --split {split}`"
        )
    return [
        LanguageFiles(
            code,
            shards(_place(_corpus(code), store) / corpus_name(code)),
            _place(_topics(code, split), store) / topics_name(code, split),
            _place(_topics(code, split), store) / qrels_name(code, split),
        )
        for code in codes
    ]


def _corpus(code: str) -> _Part:
    files = tuple(f"{corpus_name(code)}/docs-{number}.jsonl.gz" for number in range(SHARDS[code]))
    return _Part(f"{code} corpus", _CORPUS, files)


def _topics(code: str, split: str) -> _Part:
    return _Part(f"{code} {split}", _TOPICS, (topics_name(code, split), qrels_name(code, split)))


def _place(part: _Part, store: Store) -> Path:
    return store.path("collections", part.key) / _DATA


def _note(progress: Progress, total: int, before: int, files: float) -> None:
    progress(f"fetch {NAME}", before + files, total)


def _part_note(note: Callable[[float], None], files: int, share: float) -> None:
    note(files + share)


def _fetch_part(part: _Part, store: Store, source_folder: Path | None, note: Callable[[float], None]) -> None:
    origin = str(source_folder) if source_folder else f"https://huggingface.co/datasets/{part.hub.repository}"
    about = {"name": f"{NAME}, {part.title}", "source": origin, "revision": part.hub.revision}
    with store.partial("collections", part.key) as unfinished:
        for number, file in enumerate(part.files):
            note(number)
            if source_folder is not None:
                _copy(_find(source_folder, file), unfinished / file)
            else:
                _download(part.hub, file, unfinished, partial(_part_note, note, number))
        note(len(part.files))
        with store.writing("collections", part.key, about) as entry:
            for file in part.files:
                (entry / _DATA / file).parent.mkdir(parents=True, exist_ok=True)
                (unfinished / file).rename(entry / _DATA / file)
    store.discard_partial("collections", part.key)


def _download(hub: _Hub, file: str, folder: Path, note: Callable[[float], None]) -> None:
    """Download a file and note the share done; an earlier try is continued, and the size is checked."""
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(
            hub.repository, file, repo_type="dataset", revision=hub.revision, local_dir=folder, tqdm_class=_bar(note)
        )
    except Exception as error:  # its client's errors are of many kinds
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:200]
        raise FetchError(
            f"{hub.repository}/{file}: could not be downloaded from the Hub ({reason}); {_TRIES}"
        ) from error


def _bar(note: Callable[[float], None]) -> type:
    """A progress bar for the Hub's library that draws nothing and notes the share done."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *, total: float | None = None, initial: float = 0, **_: object) -> None:
            super().__init__(disable=True)
            self.total, self.done = total, initial

        def update(self, n: float | None = 1) -> None:
            self.done += n or 0
            if self.total:
                note(min(1.0, self.done / self.total))

    return Bar


def _find(folder: Path, file: str) -> Path:
    """A file in a folder that has MIRACL's two data sets side by side or together."""
    places = [folder / file, folder / "miracl" / file, folder / "miracl-corpus" / file]
    for place in places:
        if place.is_file():
            return place
    raise FetchError(f"{folder}/{file}: no such file; give the folder that holds MIRACL in its official layout")


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and target.stat().st_size == source.stat().st_size:
        return
    if source.suffix == ".gz":
        _check_whole(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}")
    shutil.copyfile(source, unfinished)
    unfinished.rename(target)


def _check_whole(file: Path) -> None:
    try:
        with gzip.open(file) as packed:
            while packed.read(1 << 20):
                pass
    except (EOFError, OSError) as error:
        raise FetchError(f"{file}: the shard is cut short or damaged ({error}); copy it again") from error
