"""Published collections of pictures with captions in many languages, fetched from a folder in their own layout.

The captions are copied into the store; the pictures, which are large and of other sources, stay in the folder. Those
that are not there are counted and left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.collections.captioned import PictureFolder, captioned_items
from engine.collections.captions import picture_collection
from engine.collections.faults import Faults, json_rows
from engine.collections.languages import from_tag
from engine.collections.published import Published
from engine.collections.structures import Collection
from engine.errors import FetchError, InputError
from engine.storage.digest import digest
from engine.storage.files import open_bytes
from engine.storage.store import Store

Row = dict[str, str]
"""`image`, `lang` and `caption`, as `captions.jsonl` has them."""

_CAPTIONS = "captions.jsonl"
_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_TASK = "data/task1"


@dataclass(frozen=True, slots=True)
class PictureSet(Published):
    """A published collection of pictures with captions.

    Attributes:
        pictures: How many pictures it has.
        languages: Languages of its captions.
        captions: How many captions it has.
        picture_licence: Whose the pictures are, and under what licence.
        rows: Reads its captions from a folder in its layout.
    """

    pictures: int
    languages: tuple[str, ...]
    captions: int
    picture_licence: str
    rows: Callable[[Path], Iterator[Row]]

    @property
    def key(self) -> str:
        """The store's key."""
        return digest("picture set", 1, self.name)


def crossmodal_rows(folder: Path) -> Iterator[Row]:
    """Captions of Crossmodal-3600: `captions.jsonl` with `image/key` and, by language, `caption`."""
    for place, row in json_rows(_file(folder, _CAPTIONS), Faults(skip=False)):
        key = row.get("image/key")
        if not isinstance(key, str):
            raise InputError(f"{place}: has no `image/key`; give the captions.jsonl of Crossmodal-3600")
        for language, about in row.items():
            for caption in about.get("caption", []) if isinstance(about, dict) else []:
                yield {"image": f"{key}.jpg", "lang": language, "caption": caption}


def xtd_rows(folder: Path) -> Iterator[Row]:
    """Captions of XTD10: `test_image_names.txt`, and `test_1kcaptions_<language>.txt` with a caption a line."""
    names = _lines(_file(folder, "test_image_names.txt"))
    files = {file.name: file for file in sorted(folder.rglob("test_1kcaptions_*.txt"), reverse=True)}
    for _, file in sorted(files.items()):
        yield from _parallel(names, file, file.stem.rpartition("_")[2])


def multi30k_rows(split: str) -> Callable[[Path], Iterator[Row]]:
    """A reader of a split of Multi30k, task 1: names of pictures, and `<split>.<language>.gz` with a caption a line."""

    def rows(folder: Path) -> Iterator[Row]:
        names = [name.partition("#")[0] for name in _lines(_file(folder, f"{_TASK}/image_splits/{split}.txt"))]
        for language in _MULTI30K:
            yield from _parallel(names, _file(folder, f"{_TASK}/raw/{split}.{language}.gz"), language)

    return rows


def _multi30k(name: str, title: str, split: str, pictures: int) -> PictureSet:
    return PictureSet(
        name=name,
        title=title,
        about=f"{pictures:,} pictures of Flickr with an English caption and its translations into 3 languages",
        url="https://github.com/multi30k/dataset",
        licence="CC BY-NC-SA 4.0",
        licence_url="https://www.statmt.org/wmt16/multimodal-task.html",
        citation="Elliott et al. 2016, Multi30K, arXiv 1605.00459",
        pictures=pictures,
        languages=_MULTI30K,
        captions=pictures * len(_MULTI30K),
        picture_licence="Flickr30k, for non-commercial research",
        rows=multi30k_rows(split),
    )


_MULTI30K = ("cs", "de", "en", "fr")
_CROSSMODAL = (
    *("ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu", "id", "it"),
    *("ja", "ko", "mi", "nl", "no", "pl", "pt", "quz", "ro", "ru", "sv", "sw", "te", "th", "tr", "uk", "vi", "zh"),
)

PICTURE_SETS = {
    one.name: one
    for one in (
        PictureSet(
            name="crossmodal-3600",
            title="Crossmodal-3600",
            about="3,600 pictures from all over the world, 261,375 captions written in 36 languages",
            url="https://google.github.io/crossmodal-3600/",
            licence="CC BY 4.0",
            licence_url="https://creativecommons.org/licenses/by/4.0/",
            citation="Thapliyal et al. 2022, Crossmodal-3600, arXiv 2205.12522",
            pictures=3600,
            languages=_CROSSMODAL,
            captions=261_375,
            picture_licence="Open Images, CC BY 2.0",
            rows=crossmodal_rows,
        ),
        PictureSet(
            name="xtd10",
            title="XTD10",
            about="1,000 pictures of COCO with a caption in each of 11 languages; 800 are in COCO's training set",
            url="https://github.com/adobe-research/Cross-lingual-Test-Dataset-XTD10",
            licence="Adobe Research License (NC)",
            licence_url="https://github.com/adobe-research/Cross-lingual-Test-Dataset-XTD10/blob/main/LICENSE.md",
            citation="Aggarwal and Kale 2020, arXiv 2012.05107; MIC and STAIR for de, en, fr and ja",
            pictures=1000,
            languages=("de", "en", "es", "fr", "it", "ja", "ko", "pl", "ru", "tr", "zh"),
            captions=11_000,
            picture_licence="COCO, each its owner's on Flickr",
            rows=xtd_rows,
        ),
        _multi30k("multi30k", "Multi30k, test 2016", "test_2016_flickr", 1000),
        _multi30k("multi30k-train", "Multi30k, train", "train", 29_000),
    )
}
"""By name; each is fetched with `--from DIR`."""


def fetch_picture_set(name: str, store: Store, source_folder: Path | None) -> tuple[int, bool]:
    """Copy the captions of a published collection into the store, and note where its pictures are.

    Args:
        name: A name in `PICTURE_SETS`.
        store: Where they go.
        source_folder: Holds the captions in their published layout, and the pictures at any depth.

    Returns:
        How many of its pictures are in the folder, and whether anything is new.

    Raises:
        FetchError: If there is no folder, none of the pictures is there, or the captions are not the collection's.
        InputError: If a file cannot be read.
    """
    one = PICTURE_SETS[name]
    if source_folder is None or not source_folder.is_dir():
        what = "it is not downloaded" if source_folder is None else f"{source_folder} is no folder"
        raise FetchError(
            f"{name}: {what}; get captions and pictures by {one.url} and give their folder with --from DIR"
        )
    folder = source_folder.resolve()
    rows = list(one.rows(folder))
    _check(one, rows, folder)
    here = len({row["image"] for row in rows} & set(picture_files(folder)))
    if not here:
        raise FetchError(f"{folder}: none of {one.title}'s pictures is there, such as {rows[0]['image']}; add them")
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")
    about = {"name": name, "licence": one.licence, "source": one.url, "citation": one.citation, "pictures": str(folder)}
    stored = store.get("collections", one.key)
    place = store.path("collections", one.key) / _CAPTIONS
    if stored and stored.get("pictures") == str(folder) and place.read_bytes() == content:
        return here, False
    store.delete("collections", one.key)
    with store.writing("collections", one.key, about) as entry:
        (entry / _CAPTIONS).write_bytes(content)
    return here, True


def read_picture_set(name: str, store: Store, faults: Faults) -> Collection:
    """Read a published collection that has been fetched; pictures that are not in its folder are counted.

    Raises:
        InputError: If it has not been fetched, or none of its pictures is there any more.
    """
    one, stored = PICTURE_SETS[name], store.get("collections", PICTURE_SETS[name].key)
    again = f"run `python -m engine fetch {name} --from DIR` with the folder that holds its captions and pictures"
    if stored is None:
        raise InputError(f"collection {name}: not fetched yet; {again}")
    folder = Path(stored["pictures"])
    files = picture_files(folder)
    pictures = PictureFolder(folder, faults, lenient=True, places=files)
    rows = list(json_rows(store.path("collections", one.key) / _CAPTIONS, faults))
    if not any(row.get("image") in files for _, row in rows):
        raise InputError(f"collection {name}: none of its pictures is in {folder} any more; {again}")
    return picture_collection(name, captioned_items(rows, pictures, faults), faults)


def picture_files(folder: Path) -> dict[str, Path]:
    """Pictures in a folder at any depth, by file name; of several with one name, the first."""
    files = (file for file in sorted(folder.rglob("*"), reverse=True) if file.suffix.lower() in _ENDINGS)
    return {file.name: file for file in files if file.is_file()}


def _check(one: PictureSet, rows: list[Row], folder: Path) -> None:
    """Whether captions are those of a collection, by its pictures and languages.

    Raises:
        FetchError: If not.
    """
    pictures = len({row["image"] for row in rows})
    languages, expected = ({from_tag(tag) for tag in tags} for tags in ({row["lang"] for row in rows}, one.languages))
    if pictures != one.pictures:
        raise FetchError(
            f"{folder}: captions are of {pictures:,} pictures, {one.title} has {one.pictures:,}; get it whole"
        )
    if languages != expected:
        missing, more = (", ".join(sorted(part)) for part in (expected - languages, languages - expected))
        found = [f"lacks {missing}"] * bool(missing) + [f"has {more} too"] * bool(more)
        raise FetchError(f"{folder}: of {one.title}'s languages it {' and '.join(found)}; get it whole")


def _parallel(names: list[str], file: Path, language: str) -> Iterator[Row]:
    captions = _lines(file)
    if len(captions) != len(names):
        raise FetchError(f"{file}: has {len(captions):,} captions for {len(names):,} pictures; get it again")
    for name, caption in zip(names, captions, strict=True):
        yield {"image": name, "lang": language, "caption": caption}


def _lines(file: Path) -> list[str]:
    """The lines of a text, which gzip may have packed, without white space around them and empty ones at the end."""
    try:
        with open_bytes(file) as content:
            text = content.read().decode("utf-8-sig")
    except (EOFError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{file}: is cut short, damaged, or not UTF-8 ({error}); get it again") from error
    return [line.strip() for line in text.rstrip().split("\n")]


def _file(folder: Path, name: str) -> Path:
    """A file by the end of its path, anywhere in the folder.

    Raises:
        FetchError: If it is not there.
    """
    found = folder / name
    if not found.is_file():
        found = next(iter(sorted(folder.rglob(name))), found)
    if not found.is_file():
        raise FetchError(f"{folder}: holds no {name}; give the folder in which it is in its published layout")
    return found
