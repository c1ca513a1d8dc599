"""Reader of webdataset shards as img2dataset writes them: `.tar` files with a picture, `.txt` and `.json` a pair.

A shard is read as a stream. Pictures stay in it: each is known by its place in the shard, and decoded when it is
encoded or shown.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from engine.collections.captioned import BROKEN_PICTURE
from engine.collections.captions import Item, picture_collection
from engine.collections.faults import Faults, parse_json
from engine.collections.pair_filter import KNOWN_LANGUAGE, OUTSIDE, UNKNOWN_LANGUAGE, PairFilter, usable_caption
from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection
from engine.storage.files import check_regular

PICTURES = ("jpg", "jpeg", "png", "webp")
"""Endings of pictures in a shard."""

_MOST_TEXT = 1 << 20  # bytes of a caption or of metadata
_HOSTILE = (tarfile.TarError, ValueError, OverflowError, EOFError, IndexError)  # of broken headers in tarfile


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in a shard."""

    key: str
    ending: str
    start: int
    size: int


def shards(folder: Path) -> list[Path]:
    """The shards in a folder, by name."""
    return sorted(folder.glob("*.tar"))


def read_webdataset(folder: Path, name: str, faults: Faults, pairs: PairFilter) -> Collection:
    """Read captions and pictures from shards.

    Args:
        folder: It holds the shards.
        name: What to call the collection.
        faults: What to do about shards and pairs that cannot be used.
        pairs: Which pairs are taken, and the language of captions that name none.

    Raises:
        InputError: If a shard or a pair cannot be used and such are not left out, or nothing is left.
    """
    items = (item for shard in shards(folder) for item in _items(shard, faults, pairs))
    return picture_collection(name, items, faults)


def _items(shard: Path, faults: Faults, pairs: PairFilter) -> Iterator[Item]:
    """The picture and the caption of every pair that is taken."""
    seen: set[str] = set()
    with check_regular(shard).open("rb") as content:
        for key, group in groupby(_members(shard, faults), lambda member: member.key):
            members = list(group)
            pair = _Pair(shard, key, {member.ending: member for member in members}, content, faults)
            if key in seen or len(pair.files) < len(members):
                pair.fault("a pair occurs twice in a shard", "expected each key once")
                continue
            seen.add(key)
            metadata = pair.metadata()
            if metadata is None:
                continue
            if not pairs.takes(metadata):
                faults.counts[OUTSIDE] += 1
                continue
            language, caption = pairs.language(metadata), pair.caption(metadata)
            if language is None:
                pair.fault(UNKNOWN_LANGUAGE, KNOWN_LANGUAGE)
            elif caption is not None and (picture := pair.picture()) is not None:
                yield Item(f"{shard.stem}/{key}", PICTURE, picture)
                yield Item(f"{shard.stem}/{key}", language, caption)


def _members(shard: Path, faults: Faults) -> Iterator[_Member]:
    """The files of a shard in order, as far as it is whole."""
    end = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.offset_data + member.size > end:
                    break
                folder, slash, file = member.name.rpartition("/")
                base, _, ending = file.partition(".")
                if member.isreg() and not member.issparse() and base and ending:
                    yield _Member(f"{folder}{slash}{base}", ending.lower(), member.offset_data, member.size)
            whole = _ends_at(shard, archive.offset)
    except _HOSTILE:
        whole = False
    if not whole:
        expected = "fetch it again; a packed one (.tar.gz) must be unpacked to .tar"
        faults.meet(str(shard), "a shard is cut short, damaged, or no tar archive", expected)


def _ends_at(shard: Path, offset: int) -> bool:
    """Whether an archive's end, a block of zeros, is at an offset: tarfile ends silently at a damaged header too."""
    with shard.open("rb") as content:
        content.seek(offset)
        return content.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A caption and its picture in a shard, as files by ending; what cannot be used is a fault and None."""

    shard: Path
    key: str
    files: dict[str, _Member]
    content: IO[bytes]
    faults: Faults

    def fault(self, reason: str, expected: str) -> None:
        self.faults.meet(f"{self.shard}: {self.key}", reason, expected)

    def metadata(self) -> dict[str, Any] | None:
        """What the .json holds; nothing where there is none."""
        try:
            metadata = parse_json(self._text("json") or b"{}")
        except ValueError:
            metadata = None
        if not isinstance(metadata, dict):
            self.fault("a .json is no JSON object, or too large", f"expected metadata of at most {_MOST_TEXT:,} bytes")
            return None
        return metadata

    def caption(self, metadata: dict[str, Any]) -> str | None:
        """The text of the .txt, else of the metadata's `caption`."""
        try:
            text = self._text("txt")
            caption = metadata.get("caption") if text is None else text.decode("utf-8-sig")
        except ValueError:
            self.fault("a .txt is not UTF-8, or too large", f"expected a caption of at most {_MOST_TEXT:,} bytes")
            return None
        return usable_caption(caption, f"{self.shard}: {self.key}", self.faults)

    def picture(self) -> Picture | None:
        """The picture, named by its content; decoded now only where those that cannot be are to be left out."""
        found = [self.files[ending] for ending in PICTURES if ending in self.files]
        if len(found) != 1:
            what = "several pictures" if found else "no picture"
            self.fault(f"a pair has {what}", f"expected one of .{', .'.join(PICTURES)} beside its caption")
            return None
        picture = Picture(self.shard, (found[0].start, found[0].size))
        fault = picture.fault() if self.faults.skip else None
        if fault is not None:
            self.fault(BROKEN_PICTURE, f"{fault}; replace it")
        return None if fault is not None else picture

    def _text(self, ending: str) -> bytes | None:
        """The bytes of a small file; None if there is none.

        Raises:
            ValueError: If it is too large.
        """
        member = self.files.get(ending)
        if member is None:
            return None
        if member.size > _MOST_TEXT:
            raise ValueError(ending)
        self.content.seek(member.start)
        return self.content.read(member.size)
