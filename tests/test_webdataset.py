"""Reading webdataset shards: what is read, what is left out, and what is told of broken ones."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collections.opening import open_collection
from engine.collections.pair_filter import EVERY_PAIR, PairFilter
from engine.collections.pictures import PICTURE, Picture
from engine.collections.reading import read_collection
from engine.errors import InputError
from tests import web_builders as web
from tests.builders import contents


@pytest.fixture
def folder(tmp_path):
    """Two shards, with what img2dataset writes beside them: pairs in German and English, and one more in French."""
    pl.DataFrame({"url": ["http://a.invalid"], "caption": ["not read"]}).write_parquet(tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text("{}")
    web.write_shard(tmp_path / "00000.tar", [web.pair(0, "ein Bild", "de"), web.pair(1, "a picture", "en", "PNG")])
    web.write_shard(tmp_path / "00001.tar", [web.pair(2, " une image\n", "fr", "WEBP")], first=10_000)
    return tmp_path


def test_captions_and_pictures_are_read_from_their_places(folder, store):
    collection = open_collection(str(folder), store)
    assert collection.languages == ("de", "en", "fr", PICTURE)
    assert collection.corpus.texts[:3] == ("ein Bild", "a picture", "une image")
    assert [picture.read() for picture in collection.corpus.texts[3:]] == [
        web.drawn(0),
        web.drawn(1, "PNG"),
        web.drawn(2, "WEBP"),
    ]
    assert all(
        isinstance(picture, Picture) and picture.path.suffix == ".tar" for picture in collection.corpus.texts[3:]
    )
    assert collection.corpus.passages == ("00000/000000000", "00000/000000001", "00001/000010000") * 2
    assert list(zip(*map(list, (collection.qrels.queries, collection.qrels.documents)), strict=True)) == [
        *((i, i + 3) for i in range(3)),
        *((i + 3, i) for i in range(3)),
    ]


def test_no_picture_is_decoded_before_it_is_needed(folder, monkeypatch):
    monkeypatch.setattr("engine.collections.pictures.decode", None)
    assert len(read_collection(folder).corpus) == 6


def test_the_same_pairs_are_the_same_collection_wherever_they_stand(folder, tmp_path):
    samples = [web.pair(0, "ein Bild", "de"), web.pair(1, "a picture", "en", "PNG")]
    other = web.write_shard(tmp_path / "other" / "00000.tar", [dict(reversed(files.items())) for files in samples])
    (folder / "00001.tar").unlink()
    assert contents(read_collection(other.parent, "a")) == contents(read_collection(folder, "a"))


def whole(ending=None, **changes):
    """A pair with a file left out or changed."""
    files = {**web.pair(9, "the last", "en"), **changes}
    return {kind: content for kind, content in files.items() if kind != ending}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (whole("jpg"), "has no picture"),
        (whole(png=web.drawn(1, "PNG")), "several pictures"),
        (whole("txt", json=b'{"LANGUAGE": "en"}'), "has no caption"),
        (whole(txt=b"  \n"), "has no caption"),
        (whole("txt", json=json.dumps({"caption": "half \ud83d", "LANGUAGE": "en"}).encode()), "surrogate"),
        (whole(txt=b"\xff\xfe"), "not UTF-8"),
        (whole(txt=b"a" * (1 << 20) + b"a"), "too large"),
        (whole(json=b"[1]"), "no JSON object"),
        (whole(json=b"{" + b'"a":{' * 100_000), "no JSON object"),
        (whole(json=b'{"caption": "x"}'), "language is not known"),
        (whole(json=b'{"LANGUAGE": "nolang"}'), "language is not known"),
        (whole(json=b'{"LANGUAGE": 7}'), "language is not known"),
        (whole(json=b'{"LANGUAGE": "zxx"}'), "language is not known"),
    ],
)
def test_unusable_pairs_are_told_with_their_place_or_counted(folder, files, reason):
    web.write_shard(folder / "00002.tar", [files], first=20_000)
    with pytest.raises(InputError, match=rf"00002\.tar: 000020000: .*{reason}.*--skip-invalid") as told:
        read_collection(folder)
    assert "\n" not in str(told.value)
    collection = read_collection(folder, skip_invalid=True)
    assert len(collection.corpus) == 6
    [(counted, count)] = collection.skipped
    assert reason in counted
    assert count == 1


def test_a_key_twice_is_a_fault(folder):
    web.write_shard(folder / "00002.tar", [web.pair(5, "first"), web.pair(6, "second")])
    with tarfile.open(folder / "00002.tar") as archive:
        members = [(member, archive.extractfile(member).read()) for member in archive]
    with tarfile.open(folder / "00002.tar", "w") as archive:
        for member, content in members:
            member.name = member.name.replace("000000001", "000000000")
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match="twice"):
        read_collection(folder)


@pytest.mark.parametrize("content", [b"", b"no picture", web.drawn(1)[:200], web.drawn(1, "PNG")[:60]])
def test_a_broken_picture_is_told_when_it_is_opened_and_left_out_if_asked(folder, content):
    web.write_shard(folder / "00002.tar", [whole(jpg=content)])
    place = r"00002\.tar at byte 512: .*--skip-invalid"
    with pytest.raises(InputError, match=place):
        read_collection(folder).corpus.texts[-1].open()
    assert read_collection(folder, skip_invalid=True).skipped == (("a picture cannot be read", 1),)


@pytest.mark.parametrize(
    "damage", ["cut in a picture", "cut in a header", "no end", "header", "packed", "empty", "text"]
)
def test_a_broken_shard_is_told_and_what_stands_before_is_kept(folder, damage):
    file = web.write_shard(folder / "00002.tar", web.pairs(3))
    content = file.read_bytes()
    with tarfile.open(file) as archive:
        last = archive.getmembers()[6]
        end = archive.offset
    content = {
        "cut in a picture": content[: last.offset_data + 100],
        "cut in a header": content[: last.offset + 100],
        "no end": content[:end],
        "header": content[: last.offset] + b"?" * 512 + content[last.offset + 512 :],
        "packed": gzip.compress(content),
        "empty": b"",
        "text": b"not an archive " * 100,
    }[damage]
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"00002\.tar: a shard is cut short, damaged, or no tar archive.*skip-invalid"):
        read_collection(folder)
    collection = read_collection(folder, skip_invalid=True)
    kept = {"cut in a picture": 2, "cut in a header": 2, "header": 2, "no end": 3}.get(damage, 0)
    assert len(collection.corpus) == 6 + 2 * kept
    assert dict(collection.skipped)["a shard is cut short, damaged, or no tar archive"] == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 12_000), value=st.integers(0, 255))
def test_any_damaged_byte_gives_a_collection_or_one_line(tmp_path, place, value):
    content = bytearray(web.write_shard(tmp_path / "00000.tar", web.pairs(3)).read_bytes())
    content[place % len(content)] = value
    (tmp_path / "00000.tar").write_bytes(content)
    for skip in (False, True):
        try:
            assert len(read_collection(tmp_path, skip_invalid=skip).corpus) <= 6
        except InputError as error:
            assert "\n" not in str(error)


def test_members_that_are_no_files_are_passed_over(folder):
    with tarfile.open(folder / "00002.tar", "w") as archive:
        for name, kind in (("a.jpg", tarfile.SYMTYPE), ("b", tarfile.DIRTYPE), ("c.txt", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert len(read_collection(folder).corpus) == 6


def test_a_language_is_given_for_captions_that_name_none(folder, store):
    web.write_shard(folder / "00002.tar", [web.pair(5, "quinto", None), web.pair(6, "sechstes", "de")])
    collection = open_collection(f"{folder}:lang=it", store)
    assert collection.name == f"{folder.name}:lang=it"
    spoken = dict(zip(collection.corpus.texts, collection.corpus.languages, strict=True))
    assert (spoken["quinto"], spoken["sechstes"]) == ("it", "de")


def test_pairs_are_chosen_by_language_and_scores(tmp_path, store):
    scores = [(0.2, 0.1), (0.3, 0.9), (0.4, None), (0.35, 0.05)]
    samples = [
        web.pair(i, f"caption {i}", "de" if i else "zh-CN", similarity=s, **({} if p is None else {"punsafe": p}))
        for i, (s, p) in enumerate(scores)
    ]
    web.write_shard(tmp_path / "0.tar", samples)

    def taken(parts):
        collection = open_collection(f"{tmp_path}:{parts}", store)
        assert dict(collection.skipped).get("a pair is outside the languages or scores that were asked for", 0) == (
            4 - len(collection.corpus) // 2
        )
        return [int(text[-1]) for text in collection.corpus.texts[: len(collection.corpus) // 2]]

    assert taken("languages=zh") == [0]
    assert taken("languages=de+zh-TW:similarity=0.3") == [1, 2, 3]
    assert taken("similarity=0.3:punsafe=0.1") == [3]
    with pytest.raises(InputError, match="no picture has a caption"):
        taken("similarity=0.9")


@pytest.mark.parametrize(
    ("filtered", "reason"),
    [
        ("lang=xx-what", "language 'xx-what' is unknown"),
        ("languages=de+zxx", "language 'zxx' is unknown"),
        ("similarity=high", "must be a number, got 'high'"),
        ("similarity=nan", "must be a finite number"),
        ("colour=red", "filter 'colour' is unknown; allowed are lang, languages, similarity"),
    ],
)
def test_what_is_no_filter_is_refused(folder, store, filtered, reason):
    with pytest.raises(InputError, match=reason):
        open_collection(f"{folder}:{filtered}", store)


def test_a_filter_is_refused_where_there_are_no_pairs(tiny_folder, store):
    with pytest.raises(InputError, match="has no metadata of pairs"):
        open_collection(f"{tiny_folder}:languages=de", store)


@given(
    st.builds(
        PairFilter,
        lang=st.sampled_from([None, "de", "zh-Hant"]),
        languages=st.lists(st.sampled_from(["de", "en", "fr"])).map(tuple),
        similarity=st.none() | st.floats(0, 1),
        punsafe=st.none() | st.floats(0, 1),
        pwatermark=st.none() | st.floats(0, 1),
    ),
    st.sampled_from(["laion", "/data/la:ion", "a=b:c"]),
)
def test_a_filter_is_read_back_from_a_name(pairs, place):
    assert PairFilter.parse(pairs.name(place)) == (place, pairs)


def test_a_folder_with_a_filter_s_name_is_a_folder(tmp_path):
    folder = tmp_path / "x:lang=de"
    folder.mkdir()
    assert PairFilter.parse(str(folder)) == (str(folder), EVERY_PAIR)
