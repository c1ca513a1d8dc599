"""Pairs of captions and pictures as they come from the web: webdataset shards, and folders of embeddings."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from engine.collections.reading import read_collection
from engine.collections.structures import Collection
from engine.encoders.embedding import embed
from engine.encoders.resolve import open_encoder
from engine.storage.store import Store

Files = Mapping[str, bytes]
"""The files of one pair in a shard, by ending."""


def drawn(number: int, kind: str = "JPEG") -> bytes:
    """A small picture of two colours, different for each number."""
    picture = Image.new("RGB", (24, 24), (number * 37 % 256, number * 91 % 256, 200))
    picture.paste((number * 53 % 256, 255 - number * 17 % 256, 20), (0, 0, 12, 24))
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def pair(number: int, caption: str, language: str | None = "en", kind: str = "JPEG", **more: Any) -> Files:
    """A picture, its caption and its metadata, as img2dataset writes them."""
    ending = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[kind]
    metadata = {"caption": caption, "url": f"http://a.invalid/{number}.jpg", "key": f"{number:09d}", **more}
    metadata |= {} if language is None else {"LANGUAGE": language}
    return {ending: drawn(number, kind), "txt": caption.encode(), "json": json.dumps(metadata, indent=4).encode()}


def pairs(count: int, languages: Sequence[str] = ("de", "en")) -> list[Files]:
    """Pairs whose languages take turns."""
    spoken = [languages[number % len(languages)] for number in range(count)]
    return [pair(number, f"picture {number} in {code}", code) for number, code in enumerate(spoken)]


def write_shard(file: Path, samples: Sequence[Files], first: int = 0) -> Path:
    """Write a shard; its keys are numbers from `first` on, in nine digits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as archive:
        for number, files in enumerate(samples, first):
            for ending, content in files.items():
                member = tarfile.TarInfo(f"{number:09d}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return file


def write_embeddings(
    folder: Path,
    captions: np.ndarray,
    pictures: np.ndarray,
    metadata: Mapping[str, Sequence[Any]],
    cuts: Sequence[int] = (),
) -> Path:
    """Write an embedding folder as clip-retrieval does: float16, and one more part at every cut."""
    for number, rows in enumerate(np.split(np.arange(len(captions)), cuts)):
        for name, vectors in (("text_emb", captions), ("img_emb", pictures)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.save(folder / name / f"{name}_{number}.npy", vectors[rows].astype(np.float16))
        (folder / "metadata").mkdir(exist_ok=True)
        columns = {name: [values[row] for row in rows] for name, values in metadata.items()}
        pl.DataFrame(columns, strict=False).write_parquet(folder / "metadata" / f"metadata_{number}.parquet")
    return folder


def embedded(name: str, folder: Path, store: Store, count: int = 12) -> tuple[Path, Collection]:
    """A folder of embeddings that an encoder made of pairs, and the same pairs as shards, both in one order."""
    write_shard(folder / "shards" / "0.tar", pairs(count))
    seen = read_collection(folder / "shards")
    vectors = embed(open_encoder(name, store), "query", seen.queries.texts, store)
    order = np.argsort(seen.corpus.passages[:count])
    captions, spoken = ([part[row] for row in order] for part in (seen.queries.texts, seen.queries.languages))
    metadata = {"caption": captions, "LANGUAGE": spoken}
    widths = [int(np.flatnonzero(part.any(axis=0)).max()) + 1 for part in (vectors[:count], vectors[count:])]
    parts = vectors[:count][order, : widths[0]], vectors[count:, : widths[1]]
    return write_embeddings(folder / "embeddings", *parts, metadata, [7]), seen
