"""Readers of captions beside a folder of pictures."""

from __future__ import annotations

import csv
import json

import polars as pl
import pytest
from PIL import Image

from engine.collections.opening import open_collection
from engine.collections.pictures import PICTURE, Picture
from engine.collections.reading import read_collection
from engine.errors import InputError

ROWS = [
    {"image": "cat.png", "lang": "en", "caption": "a cat"},
    {"image": "cat.png", "lang": "de", "caption": "eine Katze"},
    {"image": "dog.png", "lang": "en", "caption": "a dog, running"},
    {"image": "dog.png", "lang": "en", "caption": "a brown dog"},
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "cat.png")
    Image.new("RGB", (4, 4), "brown").save(tmp_path / "images" / "dog.png")
    return tmp_path


def write(folder, rows):
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def write_csv(folder):
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_each_format_gives_the_same_collection(folder, store, kind):
    {"jsonl": lambda: write(folder, ROWS), "csv": lambda: write_csv(folder)}.get(
        kind, lambda: pl.DataFrame(ROWS).write_parquet(folder / "captions.parquet")
    )()
    collection = open_collection(str(folder), store)
    assert collection.languages == ("de", "en", PICTURE)
    assert collection.corpus.texts[:4] == ("eine Katze", "a cat", "a dog, running", "a brown dog")
    assert collection.corpus.texts[4:] == (Picture(folder / "cat.png"), Picture(folder / "images" / "dog.png"))
    assert collection.queries.questions[1:4] == ("cat.png", "dog.png", "dog.png/2")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"image": "none.png", "lang": "en", "caption": "x"}, "not in the folder"),
        ({"image": "../cat.png", "lang": "en", "caption": "x"}, "not in the folder"),
        ({"image": "cat.png", "lang": "klingon!", "caption": "x"}, "unknown"),
        ({"image": "cat.png", "lang": "zxx", "caption": "x"}, "unknown"),
        ({"image": "cat.png", "lang": "en", "caption": "  "}, "empty"),
        ({"image": "cat.png", "caption": "x"}, "lacks"),
        ({"image": "broken.png", "lang": "en", "caption": "x"}, "cannot be read"),
    ],
)
def test_unusable_rows_are_told_or_counted(folder, row, reason):
    (folder / "broken.png").write_bytes((folder / "cat.png").read_bytes()[:40])
    write(folder, [*ROWS, row])
    with pytest.raises(InputError, match=rf"{reason}.*--skip-invalid"):
        read_collection(folder)
    collection = read_collection(folder, skip_invalid=True)
    assert len(collection.corpus) == 6
    [(told, count)] = collection.skipped
    assert reason in told
    assert count == 1


def test_a_folder_whose_pictures_have_no_captions_is_told(folder):
    write(folder, [])
    with pytest.raises(InputError, match="no picture has a caption"):
        read_collection(folder)
