"""Crossmodal-3600, XTD10 and Multi30k in their published layouts: fetched from a folder, opened, and what is told."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import asdict, replace

import pytest

from engine.collections.catalog import published_as
from engine.collections.citations import entries
from engine.collections.languages import from_tag
from engine.collections.opening import open_collection
from engine.collections.picture_sets import PICTURE_SETS, fetch_picture_set
from engine.collections.pictures import PICTURE
from engine.errors import EngineError, FetchError, InputError
from engine.training.model_card import card_of
from engine.training.recipe import Recipe
from tests import web_builders as web
from tests.command_line import runner, the_error
from tests.picture_models import clip_folder


def draw(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(web.drawn(number))


def crossmodal(folder):
    rows = [
        {
            "image/key": key,
            "image/locale": "fi",
            "de": {"caption": [f"{key} auf Deutsch"], "caption/tokenized": ["x"]},
            "quz": {"caption": [f"{key} eins", f"{key} zwei"]},
            **({"fil": {"caption": [f"{key} sa Filipino"]}} if key != "c3" else {}),
        }
        for key in ("a1", "b2", "c3")
    ]
    folder.mkdir()
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    draw(folder / "images", "a1.jpg", "b2.jpg", "c3.jpg")


def xtd(folder):
    names = ["COCO_train2014_1.jpg", "COCO_val2014_2.jpg", "COCO_val2014_3.jpg"]
    for place, language in (("XTD10", "es"), ("MIC", "de"), ("STAIR", "jp")):
        (folder / place).mkdir(parents=True)
        captions = "\r\n".join(f"{name} in {language}\u2028 " for name in names)
        (folder / place / f"test_1kcaptions_{language}.txt").write_bytes(captions.encode() + b"\r\n")
    (folder / "XTD10" / "test_image_names.txt").write_text("\n".join(names) + "\n")
    draw(folder / "coco" / "train2014", names[0])
    draw(folder / "coco" / "val2014", *names[1:])


def multi30k(folder):
    names = ["1.jpg", "22.jpg", "333.jpg"]
    (folder / "data" / "task1" / "image_splits").mkdir(parents=True)
    (folder / "data" / "task1" / "raw").mkdir()
    (folder / "data" / "task1" / "image_splits" / "test_2016_flickr.txt").write_text("\n".join(names))
    for language in ("cs", "de", "en", "fr"):
        captions = "".join(f"{name} in {language}\n" for name in names)
        (folder / "data" / "task1" / "raw" / f"test_2016_flickr.{language}.gz").write_bytes(
            gzip.compress(captions.encode())
        )
    draw(folder / "flickr30k-images", *names, "4444.jpg")


LAYOUTS = {"crossmodal-3600": crossmodal, "xtd10": xtd, "multi30k": multi30k}
LANGUAGES = {"crossmodal-3600": ("de", "fil", "quz"), "xtd10": ("de", "es", "ja"), "multi30k": ("cs", "de", "en", "fr")}


@pytest.fixture(params=LAYOUTS)
def small(request, tmp_path, monkeypatch):
    """The name and the folder of a small collection in a published layout: 3 pictures."""
    LAYOUTS[request.param](tmp_path / "given")
    one = replace(PICTURE_SETS[request.param], pictures=3, languages=LANGUAGES[request.param])
    monkeypatch.setitem(PICTURE_SETS, request.param, one)
    return request.param, tmp_path / "given"


def test_it_opens_by_its_name(small, store):
    name, folder = small
    assert fetch_picture_set(name, store, folder) == (3, True)
    assert fetch_picture_set(name, store, folder) == (3, False)
    collection = open_collection(name, store)
    assert (collection.name, collection.skipped) == (name, ())
    assert collection.languages == (*sorted(from_tag(tag) for tag in LANGUAGES[name]), PICTURE)
    assert len(set(collection.corpus.passages)) == collection.corpus.languages.count(PICTURE) == 3
    first = sorted(set(collection.corpus.passages))[0]
    spoken = {
        collection.corpus.texts[row]
        for row, (subject, code) in enumerate(zip(collection.corpus.passages, collection.corpus.languages, strict=True))
        if subject == first and code != PICTURE
    }
    stem = first if name != "crossmodal-3600" else first.removesuffix(".jpg")
    assert all(caption.startswith(stem) for caption in spoken)
    assert len(spoken) == (4 if name in ("crossmodal-3600", "multi30k") else 3)
    shown = [text for text in collection.corpus.texts if hasattr(text, "path")]
    assert all(
        picture.path.name == subject for picture, subject in zip(shown, collection.corpus.passages[-3:], strict=True)
    )


def test_missing_pictures_are_counted_and_told_and_found_when_they_come(small, store):
    name, folder = small
    [lost, *_] = sorted(folder.rglob("*3.jpg"))
    content = lost.read_bytes()
    lost.unlink()
    assert fetch_picture_set(name, store, folder) == (2, True)
    collection = open_collection(name, store)
    assert dict(collection.skipped) == {"a picture is not in the folder": 1}
    assert collection.corpus.languages.count(PICTURE) == 2
    (folder / "late").mkdir()
    (folder / "late" / lost.name).write_bytes(content)
    assert open_collection(name, store).skipped == ()
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"none of its pictures is in .* any more; run .* fetch"):
        open_collection(name, store)


def test_it_is_the_same_collection_wherever_its_pictures_stand(small, store, tmp_path):
    name, folder = small
    fetch_picture_set(name, store, folder)
    before = open_collection(name, store)
    shutil.move(folder, tmp_path / "moved")
    assert fetch_picture_set(name, store, tmp_path / "moved") == (3, True)
    after = open_collection(name, store)
    assert (after.queries, after.corpus) == (before.queries, before.corpus)


def test_what_is_not_the_whole_collection_is_refused_and_leaves_nothing(small, store, monkeypatch):
    name, folder = small

    def refused(reason, change):
        with monkeypatch.context() as patch:
            patch.setitem(PICTURE_SETS, name, replace(PICTURE_SETS[name], **change))
            with pytest.raises(FetchError, match=reason):
                fetch_picture_set(name, store, folder)
        assert list(store.entries("collections")) == []

    refused(r"captions are of 3 pictures, .* has 4", {"pictures": 4})
    refused("lacks sw", {"languages": (*LANGUAGES[name], "sw")})
    refused("has .* too", {"languages": LANGUAGES[name][1:]})
    for picture in folder.rglob("*.jpg"):
        picture.unlink()
    refused("none of .* pictures is there", {})


def test_no_folder_no_file_and_other_lines_are_one_line(small, store, tmp_path):
    name, folder = small
    with pytest.raises(FetchError, match=r"it is not downloaded; get captions and pictures by http.*--from DIR"):
        fetch_picture_set(name, store, None)
    with pytest.raises(FetchError, match="is no folder"):
        fetch_picture_set(name, store, tmp_path / "none")
    with pytest.raises(InputError, match=rf"collection {name}: not fetched yet; run"):
        open_collection(name, store)
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".jsonl", ".txt", ".gz")]
    for file in files:
        content = file.read_bytes()
        for broken in (None, content[: len(content) // 2], b"\xff\xfe\x00" + content, b"", b"{}\n" + content):
            file.write_bytes(broken) if broken is not None else file.unlink()
            with pytest.raises(EngineError) as told:
                fetch_picture_set(name, store, folder)
            assert "\n" not in str(told.value)
            file.write_bytes(content)
    assert fetch_picture_set(name, store, folder) == (3, True)


def test_an_unusable_caption_is_told_with_its_place_or_counted(store, tmp_path, monkeypatch):
    multi30k(tmp_path / "given")
    file = tmp_path / "given" / "data" / "task1" / "raw" / "test_2016_flickr.de.gz"
    file.write_bytes(gzip.compress(b"eins\n\ndrei\n"))
    monkeypatch.setitem(PICTURE_SETS, "multi30k", replace(PICTURE_SETS["multi30k"], pictures=3))
    fetch_picture_set("multi30k", store, tmp_path / "given")
    with pytest.raises(InputError, match=r"captions\.jsonl:5: a caption or a picture's name is empty"):
        open_collection("multi30k", store)
    assert len(open_collection("multi30k", store, skip_invalid=True).queries) == 11 + 3


def test_the_catalogue_knows_licences_counts_and_whom_to_cite():
    for name, one in PICTURE_SETS.items():
        assert published_as(name) is one
        assert one.licence
        assert one.licence_url.startswith("https://")
        assert name.removesuffix("-train") in entries()
        assert len({from_tag(tag) for tag in one.languages}) == len(one.languages)
    assert len(PICTURE_SETS["crossmodal-3600"].languages) == 36
    assert len(PICTURE_SETS["xtd10"].languages) == 11


def test_a_checkpoint_trained_on_one_says_its_licence(tmp_path):
    recipe = Recipe("e" * 32, {}, "c" * 32, "head", alpha=0.5, encoder_name="labse", collection_name="multi30k-train")
    (tmp_path / "recipe.json").write_text(json.dumps(asdict(recipe)))
    text = card_of(tmp_path)
    assert "license: cc-by-nc-sa-4.0" in text
    assert "It may not be used commercially." in text


def test_it_is_fetched_and_evaluated_on_the_command_line(small, store, tmp_path, capsys, monkeypatch):
    name, folder = small
    monkeypatch.setenv("COLUMNS", "200")
    run = runner(capsys)
    assert "--from DIR" in the_error(run("fetch", name))
    sorted(folder.rglob("*3.jpg"))[0].unlink()
    status, out, _ = run("fetch", name, "--from", str(folder))
    assert status == 0
    assert PICTURE_SETS[name].licence in out
    assert "fetched: 2 of 3 pictures are in" in out
    assert "1 are missing and are left out" in out
    clip = clip_folder(tmp_path / "clip")
    status, _, told = run("evaluate", "--encoder", str(clip), "--collection", name)
    assert status == 0
    assert "left out: 1 times a picture is not in the folder" in told
