"""The conductor: only what is missing is computed, whatever happened before; failures are told and stop nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, replace
from math import nan
from pathlib import Path
from types import SimpleNamespace

import joblib
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collections.near_texts import THRESHOLD
from engine.encoders.encoder import Options, SentenceEncoder
from engine.errors import InputError, TrainingError, WriteError
from engine.evaluation import evaluate
from engine.evaluation.evaluate import evaluations, find_evaluation
from engine.evaluation.manifest import SeenInTraining
from engine.progress import silent
from engine.storage.store import Store
from engine.sweeps import run as module
from engine.sweeps.results import families, points
from engine.sweeps.run import results, run_sweep
from engine.sweeps.sweep import Sweep
from engine.sweeps.workers import Processes
from engine.training import head
from engine.training import merge as merging
from engine.training import train as training
from engine.training.recipe import DEFAULTS, Recipe, Settings
from tests.builders import write_xquad_r
from tests.checkpoints import tiny_bert
from tests.pages import options_of
from tests.training_builders import SHORT, made_up_collection

FAST = replace(SHORT, learning_rate=0.05, steps=16)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder and collections, one to train on and two that share no text with it."""
    root = tmp_path_factory.mktemp("sweep")
    tiny_bert(root / "bert", "ar", "de", "en", as_sentence_transformer=True)
    for name, first in (("trained", 0), ("one", 100), ("two", 200)):
        write_xquad_r(root / name, made_up_collection(4, ("de", "en"), first=first))
    return root


def sweep_of(root: Path, **changes: object) -> Sweep:
    names = {"encoder": str(root / "bert"), "training": str(root / "trained"), "evaluations": (str(root / "one"),)}
    return Sweep(**{**names, "alphas": (0.0, 1.0), "settings": FAST, **changes})


class Counter:
    """Counts what is computed, by kind."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.counts = dict.fromkeys(("trained", "merged", "ranked", "encoded"), 0)
        self._watch(patch, head, "train_head", "trained")
        self._watch(patch, merging, "average_folders", "merged")
        self._watch(patch, evaluate, "rank_collection", "ranked")
        self._watch(patch, SentenceEncoder, "encode", "encoded")

    def _watch(self, patch: pytest.MonkeyPatch, owner: object, name: str, kind: str) -> None:
        original: Callable = getattr(owner, name)

        def watched(*arguments: object, **named: object) -> object:
            self.counts[kind] += 1
            return original(*arguments, **named)

        patch.setattr(owner, name, watched)

    def since(self) -> dict[str, int]:
        """What was computed since the last time it was asked."""
        found = {kind: count for kind, count in self.counts.items() if count}
        self.counts = dict.fromkeys(self.counts, 0)
        return found


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(monkeypatch)


@pytest.fixture(scope="module")
def big(root: Path) -> Sweep:
    """Ratios, seeds and baselines that are given twice, a merge, two collections."""
    return sweep_of(
        root,
        evaluations=(str(root / "two"), str(root / "one")),
        alphas=(0.5, 0.0, 1.0, 0.0, -0.0),
        seeds=(1, 0, 1),
        baselines=("x-x", "en-en", "x-x"),
        merges=True,
    )


@pytest.fixture(scope="module")
def swept(big: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict, list]]:
    """The big sweep's store, what was computed for it, and its steps."""
    store, steps = Store(tmp_path_factory.mktemp("swept")), []
    with pytest.MonkeyPatch.context() as patch:
        counter = Counter(patch)
        assert run_sweep(big, store, progress=lambda *step: steps.append(step)) == []
        counts = counter.since()
    return store, counts, steps


def test_everything_is_computed_once_however_often_it_is_named(swept) -> None:
    store, counts, steps = swept
    assert counts == {"trained": 2 * 3 + 2 * 2, "merged": 2, "ranked": 2 * (1 + 10 + 2), "encoded": 6}
    assert len(list(store.entries("checkpoints"))) == 12
    assert [step for step in steps if step[0] == "sweep"] == [("sweep", done, 13) for done in range(14)]


def test_a_second_run_computes_nothing(swept, big: Sweep, counter: Counter) -> None:
    before = results(big, swept[0])
    assert run_sweep(big, swept[0]) == []
    assert counter.since() == {}
    assert results(big, swept[0]).equals(before)


def test_more_ratios_and_seeds_compute_only_what_is_new(swept, big: Sweep, counter: Counter) -> None:
    more = replace(big, alphas=(0.0, 0.25, 0.5, 1.0), seeds=(0,), baselines=())
    run_sweep(more, swept[0])
    assert counter.since() == {"trained": 1, "merged": 1, "ranked": 4}


def test_the_results_are_those_of_the_evaluations_untrained_first(swept, big: Sweep) -> None:
    store = swept[0]
    found = results(big, store)
    expected = [("untrained", None, None), *(("en-en", None, float(seed)) for seed in (0, 1))]
    expected += [("hybrid", alpha, float(seed)) for alpha in (0.0, 0.5, 1.0) for seed in (0, 1)]
    expected += [("merge", 0.5, 0.0), ("merge", 0.5, 1.0), ("x-x", None, 0.0), ("x-x", None, 1.0)]
    assert found["collection"].to_list() == ["one"] * 13 + ["two"] * 13
    assert found.select("strategy", "alpha", "seed").rows() == expected * 2
    stored = {}
    for one in evaluations(store):
        recipe = one.manifest.recipe and Recipe.from_dict(one.manifest.recipe)
        name = (recipe.strategy, recipe.alpha, float(recipe.seed)) if recipe else ("untrained", None, None)
        figures = one.figures()["settings"]
        maps = [figures[setting]["map"] for setting in ("mono", "cross", "multi")]
        stored[one.manifest.collection.name, *name] = (*maps, figures["multi"]["rank_distance"])
    assert found["english_share"].to_list() == [None] * 26
    for row in found.drop("english_share").rows():
        assert row[4:] == stored[row[:4]]
    assert found.filter(pl.col("collection") == "one")["multi_map"].n_unique() > 6


def test_what_is_missing_is_left_out_of_the_results(root: Path, store: Store) -> None:
    sweep = sweep_of(root)
    assert results(sweep, store).is_empty()
    run_sweep(replace(sweep, alphas=(1.0,)), store)
    assert results(sweep, store)["strategy"].to_list() == ["untrained", "hybrid"]
    [key] = [one.key for one in evaluations(store) if one.manifest.recipe]
    (store.path("ranks", key) / "figures.json").write_text("{}")
    assert results(sweep, store)["strategy"].to_list() == ["untrained"]


def test_a_sweep_is_one_family_on_each_collection(swept) -> None:
    found = {family.collection: family for family in families(list(evaluations(swept[0])))}
    assert set(found) == {"one", "two"}
    for name, family in found.items():
        assert family.base.manifest.recipe is None
        assert family.base.manifest.collection.name == name
        assert set(points(family)["strategy"]) == {"hybrid", "merge", "x-x", "en-en"}


def test_evaluations_tell_how_to_open_everything_again(swept, root: Path, big: Sweep) -> None:
    for one in evaluations(swept[0]):
        opened = one.manifest.opened_as
        assert opened.base == big.encoder
        assert opened.training == big.training
        assert opened.collection == str(root / one.manifest.collection.name)
        assert (opened.encoder == big.encoder) == (one.manifest.recipe is None)


def test_processes_side_by_side_give_the_same_results(swept, big: Sweep, store: Store) -> None:
    steps = []
    smaller = replace(big, seeds=(0,), baselines=("x-x",), evaluations=big.evaluations[1:])
    assert run_sweep(smaller, store, workers=Processes(2), progress=lambda *step: steps.append(step)) == []
    assert results(smaller, store).equals(results(smaller, swept[0]))
    assert results(smaller, store).height == 1 + 3 + 1 + 1
    assert [step for step in steps if step[0] == "sweep"] == [("sweep", done, 6) for done in range(7)]


def test_a_process_that_is_killed_is_told(root: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __init__(self, **_: object) -> None: ...

        def __call__(self, _tasks: object) -> Iterator[None]:
            yield None
            raise BrokenProcessPool

    monkeypatch.setattr(joblib, "Parallel", Broken)
    with pytest.raises(TrainingError, match=r"one of its 2 processes was killed, .* run it again with fewer jobs"):
        run_sweep(sweep_of(root), store, workers=Processes(2))


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException, *alphas: float) -> None:
    """Let the training at these ratios fail."""
    original = head.train_head

    def train_head(examples: object, held_out: object, recipe: Recipe, *rest: object) -> object:
        if recipe.alpha in alphas:
            raise error
        return original(examples, held_out, recipe, *rest)

    monkeypatch.setattr(head, "train_head", train_head)


ERRORS = [TrainingError("the loss became nan"), RuntimeError("a\nlibrary"), KeyError("lost"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_recipe_that_fails_is_told_and_the_others_finish(root, store: Store, counter, error: Exception) -> None:
    sweep = sweep_of(root, alphas=(0.0, 0.5, 1.0), merges=True)
    with pytest.MonkeyPatch.context() as patch:
        failing(patch, error, 0.5)
        [failure] = run_sweep(sweep, store)
    assert failure.label == "bert, head on trained, alpha 0.5, seed 0"
    assert " ".join(str(error).split()) in failure.reason
    assert "\n" not in failure.reason
    if not isinstance(error, TrainingError):
        assert failure.reason.startswith(type(error).__name__)
    assert results(sweep, store).select("strategy", "alpha").rows()[1:] == [
        ("hybrid", 0),
        ("hybrid", 1),
        ("merge", 0.5),
    ]
    counter.since()
    assert run_sweep(sweep, store) == []
    assert counter.since() == {"trained": 1, "ranked": 1}


def test_a_full_disk_stops_the_sweep_at_the_first_recipe(root: Path, store: Store, counter: Counter) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    sweep = sweep_of(root, alphas=(0.0, 0.5, 1.0))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(WriteError, match="the disk is full; free space"):
        patch.setattr("engine.training.train.write_checkpoint", full)
        run_sweep(sweep, store)
    assert counter.since()["trained"] == 1
    assert run_sweep(sweep, store) == []
    assert counter.since()["trained"] == 3
    assert isinstance(pickle.loads(pickle.dumps(WriteError("x"))), WriteError), "it comes back from other processes"  # noqa: S301


def test_a_merge_whose_end_failed_fails_too(root: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, TrainingError("no"), 1.0)
    end, merge = run_sweep(sweep_of(root, alphas=(0.0, 0.5, 1.0), merges=True), store)
    assert end.label.endswith("alpha 1, seed 0")
    assert merge.label.endswith("merge, alpha 0.5, seed 0")
    assert "alpha 1, seed 0 is not trained yet" in merge.reason


def test_a_sweep_of_which_everything_fails_says_why(root: Path, store: Store) -> None:
    sweep = sweep_of(root, settings=replace(FAST, learning_rate=1e29))
    with pytest.raises(TrainingError, match=r"sweep: all 2 recipes failed; the first: .* the loss became"):
        run_sweep(sweep, store)
    assert results(sweep, store)["strategy"].to_list() == ["untrained"]


@pytest.mark.parametrize(
    ("module", "where"), [(head, "train_head"), (training, "write_checkpoint")], ids=["training", "writing"]
)
def test_a_sweep_that_was_stopped_goes_on_where_it_was(root, store: Store, counter, module, where: str) -> None:
    sweep, calls, original = sweep_of(root, alphas=(0.0, 0.25, 0.5, 1.0)), [], getattr(module, where)

    def stop_in_the_third(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, where, stop_in_the_third)
        run_sweep(sweep, store)
    assert results(sweep, store)["alpha"].to_list() == [None, 0.0, 0.25]
    assert not list(store.root.glob("*/.*"))
    counter.since()
    assert run_sweep(sweep, store) == []
    assert counter.since() == {"trained": 2, "ranked": 2}
    assert results(sweep, store)["alpha"].to_list() == [None, 0.0, 0.25, 0.5, 1.0]


def test_a_checkpoint_that_is_there_is_evaluated_on_another_collection(root, store: Store, counter: Counter) -> None:
    run_sweep(sweep_of(root), store)
    counter.since()
    both = sweep_of(root, evaluations=(str(root / "one"), str(root / "two")))
    assert run_sweep(both, store) == []
    assert counter.since() == {"ranked": 3, "encoded": 2}
    assert results(both, store)["collection"].to_list() == ["one"] * 3 + ["two"] * 3


def test_the_training_collection_may_be_evaluated_on_and_the_evaluation_tells(root: Path, store: Store) -> None:
    sweep = sweep_of(root, evaluations=(str(root / "trained"),), alphas=(0.0,), allow_leaks=True)
    run_sweep(sweep, store)
    seen = [one.manifest.seen_in_training for one in evaluations(store)]
    assert seen == [None, SeenInTraining(queries=16, passages=16, threshold=THRESHOLD)]


def test_what_leaks_into_any_evaluation_is_not_trained_on(root: Path, store: Store, tmp_path: Path) -> None:
    part = made_up_collection(5, ("de", "en"), first=3)  # its first paragraph is the last that is trained on
    names = (str(root / "one"), str(write_xquad_r(tmp_path / "overlapping", part)))
    sweep = sweep_of(root, evaluations=names, alphas=(1.0,))
    run_sweep(sweep, store)
    [_, trained] = [one for one in evaluations(store) if one.manifest.collection.name == "overlapping"]
    assert trained.manifest.seen_in_training == SeenInTraining(queries=0, passages=0, threshold=THRESHOLD)
    with pytest.raises(TrainingError, match="all of trained is in copy too"):
        copy = str(write_xquad_r(tmp_path / "copy", made_up_collection(9, ("de", "en"))))
        run_sweep(replace(sweep, evaluations=(copy,)), store)


@given(
    alphas=st.lists(st.floats(0, 1), unique=True),
    seeds=st.lists(st.integers(0, 2**31), min_size=1, unique=True),
    steps=st.integers(1, 10**6),
    rate=st.floats(1e-9, 1.0),
    every=st.integers(1, 9),
)
def test_the_command_line_of_a_sweep_asks_for_the_same_sweep(
    alphas: list[float], seeds: list[int], steps: int, rate: float, every: int
) -> None:
    sweep = Sweep(
        "an encoder",
        "trained",
        ("one", "two"),
        tuple(alphas),
        seeds=tuple(seeds),
        method="full",
        baselines=("x-x",),
        merges={0.0, 1.0} <= set(alphas),
        settings=replace(DEFAULTS["full"], steps=steps, learning_rate=rate),
        every=every,
        skip_invalid=every > 4,
        split="dev" if every > 5 else None,
        train_split="first" if every > 6 else None,
        options=Options(truncate_dim=every, dtype="float32"),
    )
    asked = options_of(sweep.to_arguments())
    named = {field.name: getattr(asked, field.name) for field in fields(Settings)}
    given_settings = {name: value for name, value in named.items() if value is not None}
    again = Sweep(
        asked.encoder,
        asked.train,
        tuple(asked.eval),
        tuple(asked.alphas),
        seeds=tuple(asked.seeds),
        method=asked.method,
        baselines=tuple(asked.baselines),
        merges=asked.merge,
        settings=replace(DEFAULTS["full"], **given_settings),
        every=asked.every,
        skip_invalid=asked.skip_invalid,
        split=asked.split,
        train_split=asked.train_split,
        options=Options(truncate_dim=asked.truncate_dim, dtype=asked.dtype),
    )
    assert again == sweep


def test_a_process_of_several_opens_encoder_and_collections_once_a_run(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Sweep] = []
    parts = SimpleNamespace(compared=lambda: "parts")
    monkeypatch.setattr(module._Opened, "open", lambda sweep, store: opened.append(sweep) or parts)
    monkeypatch.setattr(module, "_run", lambda *_: None)
    sweep = sweep_of(root)
    recipes = [Recipe("", {}, "", "head", seed=seed) for seed in (1, 2)]
    for run in ("first", "second"):
        for recipe in recipes:
            module._run_elsewhere(run, sweep, store.root, recipe, silent)
    assert opened == [sweep, sweep]


def test_only_every_n_th_paragraph_is_evaluated_on(root: Path, store: Store) -> None:
    sweep = sweep_of(root, every=2, alphas=(0.0,))
    run_sweep(sweep, store)
    assert results(sweep, store)["collection"].to_list() == ["one/2"] * 2
    assert {one.manifest.opened_as.every for one in evaluations(store)} == {2}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"alphas": (0.0, 1.5)}, ["from 0 to 1, got 1.5"]),
        ({"alphas": (nan,)}, ["got nan"]),
        ({"alphas": ()}, ["at least one ratio or baseline"]),
        ({"seeds": ()}, ["one seed"]),
        ({"evaluations": ()}, ["one collection to evaluate on"]),
        ({"alphas": (0.0, 0.5), "merges": True}, ["merging needs the ratios 0 and 1"]),
        ({"baselines": ("x-x-x",)}, ["strategy 'x-x-x' is unknown"]),
        ({"method": "half"}, ["method 'half' is unknown"]),
        ({"seeds": (-1,)}, ["got -1"]),
        ({"every": 0}, ["every must be an integer >= 1, got 0"]),
        ({"encoder": "nothing"}, ["encoder 'nothing'"]),
        ({"training": "nothing"}, ["collection 'nothing'"]),
        ({"evaluations": ("nothing",)}, ["collection 'nothing'"]),
    ],
    ids=str,
)
def test_a_sweep_that_cannot_be_says_why_before_anything_is_done(root, store, monkeypatch, changes, parts) -> None:
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: pytest.fail("evaluated before the mistake was told"))
    with pytest.raises(InputError) as caught:
        run_sweep(sweep_of(root, **changes), store)
    for part in parts:
        assert part in str(caught.value)


def test_baselines_alone_are_a_sweep(root: Path, store: Store) -> None:
    sweep = sweep_of(root, alphas=(), baselines=("en-en",))
    run_sweep(sweep, store)
    assert results(sweep, store).select("strategy", "alpha", "seed").rows() == [
        ("untrained", None, None),
        ("en-en", None, 0.0),
    ]
    [one] = [one for one in evaluations(store) if one.manifest.recipe]
    assert find_evaluation(store, one.key).manifest.recipe["strategy"] == "en-en"
