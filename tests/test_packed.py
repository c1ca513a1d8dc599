"""Evaluations that come with the project: packed and read again, through the store and by every reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.commands.diagnosis import check
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation, evaluations, find_evaluation
from engine.evaluation.packed import (
    Ranks,
    judgements_of,
    pack_ranks,
    pack_top,
    ranks_frame,
    top_docs,
    top_frame,
    unpack_ranks,
    unpack_top,
)
from engine.evaluation.summary import summarise
from engine.ranks.schema import RANKS, TOP
from engine.significance import compare
from engine.storage import store as storage
from engine.storage.store import Store
from engine.sweeps import kept
from engine.sweeps.packing import PLACES, pack
from engine.sweeps.reference import ships
from engine.sweeps.results import families, points
from engine.sweeps.uncertainty import UNTRAINED, System, answer, choose, resample_family
from engine.training.recipe import Recipe

ranks_lists = st.lists(st.tuples(st.integers(1, 65535), st.integers(1, 65535)), min_size=1, max_size=60)


def frame_of(numbers: list[tuple[int, int]]) -> pl.DataFrame:
    """A frame of schema `RANKS` with these ranks in language and in pool."""
    rows = [("q", "en", "de", doc, language, pool, 0.5) for doc, (language, pool) in enumerate(numbers)]
    return pl.DataFrame(rows, schema=RANKS, orient="row")


@settings(deadline=None, max_examples=50)
@given(own=ranks_lists, other=ranks_lists, with_model=st.booleans())
def test_packed_ranks_are_read_again_exactly(own, other, with_model: bool) -> None:
    frame = frame_of(own)
    numbers = np.resize(np.array(other), (len(own), 2)).astype(np.int64)
    model = Ranks(numbers[:, 0], numbers[:, 1]) if with_model else None
    again = ranks_frame(unpack_ranks(pack_ranks(frame, model), model), judgements_of(frame))
    assert again.drop("score").equals(frame.drop("score"))
    assert again.schema == RANKS
    assert again["score"].is_nan().all()


@settings(deadline=None, max_examples=30)
@given(
    docs=st.lists(st.permutations(range(30)), min_size=1, max_size=8),
    other=st.permutations(range(30)),
    with_model=st.booleans(),
)
def test_packed_places_are_read_again_exactly(docs, other, with_model: bool) -> None:
    rows = [(f"q{row}", "en", rank + 1, docs[row][rank], "de", 0.5) for row in range(len(docs)) for rank in range(5)]
    top = pl.DataFrame(rows, schema=TOP, orient="row")
    model = np.tile(np.array(other[:5], np.int64), (len(docs), 1)) if with_model else None
    again = unpack_top(pack_top(top, 5, model), len(docs), 5, model)
    np.testing.assert_array_equal(again, top_docs(top, 5))
    judgements = pl.DataFrame({"query_lang": ["en"] * len(docs), "question": [f"q{row}" for row in range(len(docs))]})
    assert top_frame(again, judgements, lambda _: "de").drop("score").equals(top.drop("score"))


def test_ranks_past_two_bytes_are_refused() -> None:
    with pytest.raises(InputError, match="ranks up to 65535 can be packed"):
        pack_ranks(frame_of([(1, 65536)]), None)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw[:20] + b"\0" + raw[21:]])
def test_damaged_ranks_are_one_line(damage) -> None:
    raw = pack_ranks(frame_of([(1, 2)] * 50), None)
    with pytest.raises(InputError, match=r"packed ranks .* install the project again"):
        unpack_ranks(damage(raw), None)


def test_another_model_is_noticed_by_its_length() -> None:
    raw = pack_ranks(frame_of([(1, 2)] * 5), None)
    with pytest.raises(InputError, match="wrong length"):
        unpack_ranks(raw, Ranks(*(np.ones(4, np.int64),) * 2))


@pytest.fixture(scope="module")
def members(demo_store: Store) -> list[tuple[Recipe | None, Evaluation]]:
    """The demo sweep's evaluations, each with its recipe."""
    (family,) = families(list(evaluations(demo_store)))
    return [(None, family.base), *family.evaluations]


@pytest.fixture(scope="module")
def shipped(members, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo sweep as it would ship."""
    folder = tmp_path_factory.mktemp("shipped")
    pack(members, folder)
    (family,) = families(list(evaluations(Store(folder))))
    kept.write(kept.compute(family, resample_family(family, kept.MEASURES), 3), family, folder / "answers")
    return folder


@pytest.fixture
def fresh(shipped: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty cache on a machine where the project came with results."""
    monkeypatch.delenv("HYBRID_BATCH_REFERENCE")
    monkeypatch.setattr(storage, "SHIPPED", shipped)
    return Store(store.root)


def test_what_is_shipped_equals_what_was_measured(members, fresh: Store) -> None:
    assert len(list(evaluations(fresh))) == len(members)
    for recipe, measured in members:
        again = find_evaluation(fresh, measured.key)
        keys = ["query_lang", "question", "doc_lang", "doc"]
        assert again.ranks().sort(keys).drop("score").equals(measured.ranks().sort(keys).drop("score"))
        expected = measured.figures()["settings"]
        for setting, scores in again.figures()["settings"].items():
            assert scores == pytest.approx(expected[setting], rel=1e-4)
        assert summarise(again).mean_rank_distance() == pytest.approx(summarise(measured).mean_rank_distance())
        assert again.has_top == (recipe is None or recipe.seed == 0)
        keys = ["query_lang", "question", "rank"]
        first = measured.top().filter(pl.col("rank") <= PLACES).sort(keys).drop("score")
        assert again.top().sort(keys).drop("score").equals(first if again.has_top else first.clear())


def test_nothing_is_written_where_the_project_is_and_no_path_of_a_machine_ships(shipped: Path, fresh: Store) -> None:
    before = {file: file.read_bytes() for file in shipped.rglob("*") if file.is_file()}
    for one in evaluations(fresh):
        assert fresh.is_shipped("ranks", one.key)
        assert fresh.get("ranks", one.key) is not None
        assert one.manifest.encoder.folder is None
        fresh.delete("ranks", one.key)
    assert {file: file.read_bytes() for file in shipped.rglob("*") if file.is_file()} == before
    assert not any(str(Path.home()).encode() in content for content in before.values())


def test_the_caches_own_entry_comes_first(shipped: Path, members, fresh: Store, demo_store: Store, monkeypatch) -> None:
    key = members[0][1].key
    monkeypatch.setattr(storage, "SHIPPED", shipped)
    assert Store(demo_store.root).path("ranks", key) == demo_store.root / "ranks" / key
    assert sum(1 for one, _ in Store(demo_store.root).entries("ranks") if one == key) == 1


def test_without_the_reference_the_cache_is_empty(shipped: Path, fresh: Store, monkeypatch) -> None:
    monkeypatch.setenv("HYBRID_BATCH_REFERENCE", "none")
    assert not list(evaluations(Store(fresh.root)))


def test_a_damaged_entry_is_left_and_passed_over(members, shipped: Path, tmp_path, store, monkeypatch, caplog) -> None:
    key, copy = members[0][1].key, tmp_path / "copy"
    pack(members[:1], copy)
    (copy / "ranks" / key / "ranks.xz").write_bytes(b"x")
    monkeypatch.delenv("HYBRID_BATCH_REFERENCE")
    monkeypatch.setattr(storage, "SHIPPED", copy)
    assert Store(store.root).get("ranks", key) is None
    assert "comes with the project, is broken" in caplog.text
    told = {finding.what: finding for finding in check(Store(store.root))}
    assert told[f"ranks/{key[:8]}"].advice == "it came with the project: install it again"
    assert told["cache/ranks"].state == "0 entries, 0 MB"  # what ships is not in the cache
    assert (copy / "ranks" / key / "ranks.xz").read_bytes() == b"x"


def test_kept_answers_are_those_that_would_be_computed(fresh: Store) -> None:
    (family,) = families(list(evaluations(fresh)))
    answers, drawn = kept.read(family), resample_family(family, kept.MEASURES)
    assert answers.answer == answer(family.collection, drawn, 3)
    for figure in (("map", "multi"), ("hit@1", "cross"), ("rank_distance", "multi")):
        assert answers.selection(*figure).equals(choose(drawn, *figure))
    assert answers.selection("utility", None).height == 3
    expected = compare(drawn["hybrid", 0.5], drawn[UNTRAINED])
    assert_frame_equal(answers.comparison(System("hybrid", 0.5), UNTRAINED, "map"), expected, rel_tol=1e-6)
    assert answers.comparison(System("hybrid", 0.5), System("hybrid", 0.0), "map") is None
    assert answers.comparison(System("hybrid", 0.5), UNTRAINED, "mrr") is None


def test_kept_answers_of_other_evaluations_are_not_given(shipped: Path, fresh: Store) -> None:
    (family,) = families(list(evaluations(fresh))[:-1])
    assert kept.read(family) is None


def test_damaged_answers_are_one_line(shipped: Path, fresh: Store, tmp_path: Path, monkeypatch) -> None:
    (family,) = families(list(evaluations(fresh)))
    place = tmp_path / "answers" / family.key
    place.mkdir(parents=True)
    (place / "answer.json").write_text(json.dumps({"of": kept.state(family), "answer": ""}), encoding="utf-8")
    monkeypatch.setattr(storage, "SHIPPED", tmp_path)
    with pytest.raises(InputError, match=r"cannot be read .* install the project again"):
        kept.read(family)


@pytest.mark.parametrize(
    ("strategy", "alpha", "seed", "expected"),
    [
        ("hybrid", 0.3, 4, True),
        ("x-x", None, 0, True),
        ("x-x", None, 1, False),
        ("centred", None, 0, True),
        ("merge", 0.5, 2, True),
        ("merge", 0.5, 3, False),
        ("centred-transductive+hybrid", 0.5, 2, True),
        ("centred-transductive+hybrid", 0.5, 3, False),
        ("centred+hybrid", 0.5, 0, True),
        ("centred+hybrid", 0.5, 1, False),
    ],
)
def test_what_ships_is_a_selection(strategy: str, alpha: float | None, seed: int, expected: bool) -> None:
    assert ships(Recipe("e", {}, "c", "head", strategy, alpha, seed)) == expected
    assert ships(None)


def test_points_of_shipped_evaluations_are_those_measured(members, fresh: Store, demo_store: Store) -> None:
    (measured,), (again,) = (families(list(evaluations(one))) for one in (demo_store, fresh))
    assert points(again)["multi_map"].to_list() == pytest.approx(points(measured)["multi_map"].to_list(), rel=1e-4)
