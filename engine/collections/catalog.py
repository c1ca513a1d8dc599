"""Collections by name: where they come from, their digests and licences, and how to fetch them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from engine.collections.download import download
from engine.collections.miracl_source import NAME, is_miracl
from engine.collections.picture_sets import PICTURE_SETS
from engine.collections.published import Published
from engine.errors import FetchError, InputError
from engine.progress import Progress, silent
from engine.storage.digest import digest, file_digest
from engine.storage.store import Store

_LAREQA = "https://raw.githubusercontent.com/google-research-datasets/lareqa"
_DATA = "data"  # folder of the collection's own files in its entry, apart from the manifest


@dataclass(frozen=True, slots=True)
class CollectionSource(Published):
    """A collection that is fetched as a whole.

    Attributes:
        queries: How many queries it has.
        candidates: How many candidates it has.
        files: Size in bytes and SHA-256 by file name.
    """

    queries: int
    candidates: int
    files: dict[str, tuple[int, str]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())

    @property
    def key(self) -> str:
        """The store's key: the files' digests."""
        return digest("collection", self.name, sorted((name, sha) for name, (_, sha) in self.files.items()))


COLLECTIONS = {
    source.name: source
    for source in (
        CollectionSource(
            name="xquad-r",
            title="XQuAD-R",
            about="11 languages, 1,190 questions in each, fully parallel",
            url=f"{_LAREQA}/9bc8c7fb6dd8d01d72a05a93c2cb96882b0d299c/xquad-r",
            licence="CC BY-SA 4.0",
            licence_url="https://creativecommons.org/licenses/by-sa/4.0/",
            citation="Roy et al. 2020, LAReQA, arXiv 2004.05484",
            queries=13090,
            candidates=13014,
            files={
                "ar.json": (2234875, "c52922d3b8ac1ae03ed5ac38647ad59870dca3dda2beefe18ecdc30729acb69d"),
                "de.json": (732156, "16fb0f4bf4916154b585a20c24c66074591c9718a1affe764ff4697572328949"),
                "el.json": (2810127, "163fd43ee785a30eb534ae2061e9eaa766a7ee4e8ffce5e4b422480c150f64b6"),
                "en.json": (628651, "7b0954f39297c27a31fef610f0883337dd2907fa8699151dc922afdd0fa12ffe"),
                "es.json": (746335, "f8e836b2d91009c4363e04315f7ede363eedbbb49c67dda60de6c4aa782f58de"),
                "hi.json": (2408404, "ea45ba8ae4513d1533b222bebdc02a90bc319c055d3aeea68584a053d2e92872"),
                "ru.json": (2764904, "7f4dff853538b9a5fcc28c070b8bb983a5c5d190ac747b8e005a1ada9cab18f1"),
                "th.json": (2618544, "c3a041864c3a9fb0b4dd91cfdf99cf36b411b3e704c58a303c97bc6dc786cfe4"),
                "tr.json": (827827, "f3e8c13002bbce154a4578f535f7533cb70f3da08840e6b62735935baec7bd94"),
                "vi.json": (1132303, "e35926bf5cc6fc6ecbdfca49467aabeb454f08d152d7818143a906bd31dde995"),
                "zh.json": (959291, "80c2cde7b9c2fb134c303cbb52f2ba396ead9eb0014aec43993543d2ba9e93ed"),
            },
        ),
        CollectionSource(
            name="mlqa-r",
            title="MLQA-R",
            about="7 languages, 1,148 questions, each in 2 to 4 of them",
            url=f"{_LAREQA}/354d67d1cd066854cdfbf5ad0e6105528976141d/mlqa-r",
            licence="CC BY-NC 4.0",
            licence_url="https://creativecommons.org/licenses/by-nc/4.0/",
            citation="Roy et al. 2020, LAReQA, arXiv 2004.05484",
            queries=4199,
            candidates=20534,
            files={
                "ar.json": (3329081, "2132fbc03208535c0fe01f2e2c5121d06f9c2aa799af93b0a719dbc105bdf137"),
                "de.json": (887185, "ce9454dc5aa6f2d85c23cd6e49cb367fbb7c4c6e62d7f71e355c6b5dae4d0886"),
                "en.json": (2251129, "fedd9a5cc0848dda80caf84aa36f482adaae230526a3f6e9e86926a93ef3b1e4"),
                "es.json": (819818, "70ecba276b8c96a692b120693a595d076ce94ad21d4b28311538a9fcbfe0f9d7"),
                "hi.json": (3179023, "4dd0fb3c06f737a5481d705bc1dcac7876712a5815c9265908fbb3a0696cb654"),
                "vi.json": (1807239, "9d3baff6ba03e6793b25594217265ea59a136b9733833dca8a9582a84a78ff85"),
                "zh.json": (1360698, "57f01d2fff50cf3392805635b01445339f225ad5bf28ba8443b12f8dbd1e69dc"),
            },
        ),
    )
}

MIRACL = Published(
    name=NAME,
    title="MIRACL",
    about="questions and all Wikipedia passages in 18 languages, not parallel",
    url="https://huggingface.co/datasets/miracl",
    licence="Apache 2.0; passages from Wikipedia CC BY-SA",
    licence_url="https://www.apache.org/licenses/LICENSE-2.0",
    citation="Zhang et al. 2023, MIRACL, TACL, arXiv 2210.09984",
)
"""Fetched by language; see `miracl_source`."""

SHIPPED = {
    "demo": "24 passages on planets, mountains, insects, organs, inventions and law; 11 languages, fully parallel",
    "demo-train": "24 passages on rivers, metals, instruments, crops, sports and everyday things; in parallel too",
}
"""Collections that come with the project, in `engine/demo/`: written for it, CC0, to try everything out on."""

DEMO_SETTINGS = {"batch_size": 48, "steps": 300}
"""Settings for training on `demo-train`, which is too small for batches of 100."""


def fetch_collection(
    name: str, store: Store, source_folder: Path | None = None, progress: Progress = silent
) -> tuple[Path, bool]:
    """Bring a named collection into the store: download or copy, verify every digest, put in place at once.

    Args:
        name: A name in `COLLECTIONS`.
        store: Where it goes.
        source_folder: A folder to copy the files from; None downloads them.
        progress: Told the bytes fetched.

    Returns:
        The collection's folder, and whether anything had to be fetched.

    Raises:
        InputError: If the name is unknown.
        FetchError: If a file cannot be downloaded, or is not the expected one. Nothing is left in place then.
    """
    source = collection_source(name)
    if store.get("collections", source.key) is not None:
        return _data_folder(store, source), False
    about = {"name": name, "licence": source.licence, "source": source.url, "citation": source.citation}
    with store.writing("collections", source.key, about) as entry:
        folder, done = entry / _DATA, 0
        folder.mkdir()
        for file, (size, sha) in source.files.items():
            if source_folder is not None:
                _copy(Path(source_folder) / file, folder / file)
            else:
                download(f"{source.url}/{file}", folder / file, progress, (done, source.size))
            done += size
            if (found := file_digest(folder / file)) != sha:
                origin = source_folder or source.url
                raise FetchError(f"{origin}/{file}: SHA-256 is {found[:12]}..., expected {sha[:12]}...; fetch again")
            progress(f"fetch {name}", done, source.size)
    return _data_folder(store, source), True


def published_as(name: str) -> Published | None:
    """What is known of a collection that others published, by the name that it is opened by; None for another."""
    return MIRACL if is_miracl(name) else COLLECTIONS.get(name) or PICTURE_SETS.get(name)


def collection_source(name: str) -> CollectionSource:
    """Look a collection up by its catalog name.

    Raises:
        InputError: If the name is unknown.
    """
    if name not in COLLECTIONS:
        raise InputError(f"collection {name!r} is unknown; allowed are {', '.join(COLLECTIONS)}, or a folder")
    return COLLECTIONS[name]


def shipped_folder(name: str) -> Path:
    """The folder of a collection that comes with the project."""
    return Path(__file__).resolve().parents[1] / "demo" / name


def fetched_folder(name: str, store: Store) -> Path | None:
    """The folder of a named collection, or None until it is fetched."""
    source = collection_source(name)
    return _data_folder(store, source) if store.get("collections", source.key) else None


def _data_folder(store: Store, source: CollectionSource) -> Path:
    return store.path("collections", source.key) / _DATA


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise FetchError(f"{source}: no such file; give the folder that holds the collection's <language>.json files")
    shutil.copyfile(source, target)
