"""Reader of captions beside a folder of pictures: `captions.jsonl`, `captions.csv` or `captions.parquet`.

A row has `image` (a file in the folder or its subfolder `images`), `lang` (a tag of BCP 47) and `caption`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.collections.captions import Item, picture_collection
from engine.collections.faults import LONE_SURROGATE, Faults, has_surrogate
from engine.collections.languages import from_tag
from engine.collections.pictures import PICTURE, Picture, code_of_text
from engine.collections.rows import table_rows
from engine.collections.structures import Collection
from engine.errors import InputError

CAPTIONS = ("captions.jsonl", "captions.csv", "captions.parquet")
"""Files by which the folder is known; the first that exists is read."""

MISSING_PICTURE = "a picture is not in the folder"
BROKEN_PICTURE = "a picture cannot be read"
_FIELDS = ("image", "lang", "caption")


@dataclass
class PictureFolder:
    """Pictures that captions name, each looked up, digested and checked once.

    Attributes:
        root: The folder; a name is looked for in it and in its subfolder `images`.
        faults: What to do about pictures that cannot be used.
        lenient: Whether missing pictures are counted without being a fault.
        places: Where each file is; None to look for it in the folder.
    """

    root: Path
    faults: Faults
    lenient: bool = False
    places: Mapping[str, Path] | None = None
    _known: dict[str, Picture | None] = field(default_factory=dict)

    def get(self, name: str, place: str) -> Picture | None:
        """The picture of a name; None if it is left out.

        Args:
            name: Path within the folder.
            place: Where it is named, for errors.

        Raises:
            InputError: If it cannot be used and such rows are not left out.
        """
        if name not in self._known:
            self._known[name] = self._open(name, place)
        return self._known[name]

    def _open(self, name: str, place: str) -> Picture | None:
        file = self._find(name) if self.places is None else self.places.get(name)
        if file is None and self.lenient:
            self.faults.counts[MISSING_PICTURE] += 1
            return None
        if file is None:
            self.faults.meet(place, MISSING_PICTURE, f"{name!r} is looked for in {self.root} and its folder images")
            return None
        picture = Picture(file)
        fault = picture.fault()
        if fault is not None:
            self.faults.meet(str(file), BROKEN_PICTURE, f"{fault}; replace it")
        return picture if fault is None else None

    def _find(self, name: str) -> Path | None:
        within = not Path(name).is_absolute() and ".." not in Path(name).parts
        files = [self.root / name, self.root / "images" / name] if within else []
        return next((file for file in files if file.is_file()), None)


def captions_file(folder: Path) -> Path | None:
    """The file of captions in a folder, or None if it has none."""
    return next((folder / name for name in CAPTIONS if (folder / name).is_file()), None)


def read_captioned(folder: Path, name: str, faults: Faults) -> Collection:
    """Read captions and the pictures beside them.

    Args:
        folder: It holds one of `CAPTIONS` and the pictures.
        name: What to call the collection.
        faults: What to do about rows and pictures that cannot be used.

    Raises:
        InputError: If the file has a fault.
    """
    file = captions_file(folder)
    if file is None:
        raise InputError(f"{folder}: holds none of {', '.join(CAPTIONS)}")
    items = captioned_items(table_rows(file, faults), PictureFolder(folder, faults), faults)
    return picture_collection(name, items, faults)


def captioned_items(
    rows: Iterable[tuple[str, dict[str, Any]]], pictures: PictureFolder, faults: Faults
) -> Iterator[Item]:
    """Captions and pictures from rows.

    Args:
        rows: The place of each row and its fields.
        pictures: Where pictures are.
        faults: What to do about rows that cannot be used.

    Yields:
        Each picture once, before its first caption, and every caption.

    Raises:
        InputError: If a row cannot be used and such rows are not left out.
    """
    shown: set[str] = set()
    for place, row in rows:
        fault = _fault(row)
        if fault is not None:
            faults.meet(place, *fault)
            continue
        picture = pictures.get(row["image"], place)
        if picture is None:
            continue
        if row["image"] not in shown:
            shown.add(row["image"])
            yield Item(row["image"], PICTURE, picture)
        yield Item(row["image"], from_tag(row["lang"]), row["caption"].strip())


def _fault(row: dict[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a row, and what is expected."""
    if any(not isinstance(row.get(name), str) for name in _FIELDS):
        return "a row lacks `image`, `lang` or `caption`", "expected strings in all three"
    if not row["caption"].strip() or not row["image"].strip():
        return "a caption or a picture's name is empty", "give both"
    if has_surrogate(*(row[name] for name in _FIELDS)):
        return LONE_SURROGATE, "write the whole character"
    if code_of_text(row["lang"]) is None:
        return f"language {row['lang']!r} is unknown", "`lang` must be a tag of BCP 47 such as de or pt-BR"
    return None
