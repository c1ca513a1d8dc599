"""Examples, recipes, licences, citations and commands of a report."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import polars as pl
import pytest

from engine.collections import citations
from engine.collections.catalog import COLLECTIONS
from engine.collections.languages import language
from engine.collections.opening import open_collection
from engine.evaluation.evaluate import evaluations
from engine.evaluation.manifest import SeenInTraining
from engine.ranks import metrics
from engine.report import Findings, Request, gather, sections, sources
from engine.report.examples import examples, introduction, open_texts
from engine.storage.store import Store
from engine.sweeps.results import Family, families
from engine.sweeps.uncertainty import UNTRAINED
from engine.training.checkpoint import read_training
from tests.pages import options_of


@pytest.fixture(scope="module")
def family(demo_store: Store) -> Family:
    [found] = families(list(evaluations(demo_store)))
    return found


@pytest.fixture(scope="module")
def found(family: Family) -> Findings:
    return gather(family, Request(alphas=(0.0, 1.0)))


def as_if(found: Findings, **opened: object) -> Findings:
    """The same report as if the sweep had been opened otherwise."""
    recipe, one = found.family.evaluations[0]
    changed = one.manifest.model_copy(update={"opened_as": one.manifest.opened_as.model_copy(update=opened)})
    first = (recipe, replace(one, manifest=changed))
    return replace(found, family=replace(found.family, evaluations=(first, *found.family.evaluations[1:])))


def test_examples_are_the_extremes_and_the_middle_of_all_changes(found: Findings, demo_store: Store) -> None:
    collection = open_collection("demo", demo_store)
    shown = examples(found, collection)
    before, after = found.systems[UNTRAINED][0], found.systems[found.featured][0]
    scores = [metrics.per_query(one.ranks(), "multi", ["map"])["map"].to_numpy() for one in (before, after)]
    changes = sorted(scores[1] - scores[0])
    told = [
        one.precision[f"alpha = {found.featured.alpha:g}"] - one.precision["the untrained encoder"] for one in shown
    ]
    kinds = [one.kind for one in shown]
    assert kinds[0] == "gains most"
    assert told[0] == pytest.approx(changes[-1])
    assert kinds[-1] == "in the middle"
    assert changes[len(changes) // 3] <= told[-1] <= changes[2 * len(changes) // 3]
    assert len({one.text for one in shown}) == len({one.query_lang for one in shown}) == len(shown)
    assert f"from the untrained encoder to alpha = {found.featured.alpha:g}" in introduction(found)


def test_passages_of_examples_are_those_that_were_retrieved(found: Findings, demo_store: Store) -> None:
    collection = open_collection("demo", demo_store)
    queries = collection.queries
    for one in examples(found, collection):
        row = next(
            i for i, text in enumerate(queries.texts) if text == one.text and queries.languages[i] == one.query_lang
        )
        relevant = set(collection.qrels.documents[collection.qrels.queries == row].tolist())
        evaluation = found.systems[found.featured][0]
        mine = (pl.col("question") == queries.questions[row]) & (pl.col("query_lang") == one.query_lang)
        top = evaluation.top().filter(mine).sort("rank").head(5)
        passages = one.sides[f"alpha = {found.featured.alpha:g}"]
        assert [passage.text for passage in passages] == [collection.corpus.texts[doc] for doc in top["doc"]]
        for passage, doc in zip(passages, top["doc"], strict=True):
            right = "answer" if passage.language == one.query_lang else "translation"
            assert passage.mark == (right if doc in relevant else "")


def test_right_to_left_questions_keep_their_direction_in_figures(found: Findings, demo_store: Store) -> None:
    shown = examples(found, open_collection("demo", demo_store))
    for one in shown:
        title = one.picture.figure.layout.title.text
        assert title.startswith("\u200f") == (language(one.query_lang).direction == "rtl")
        assert "".join(re.sub(r"<br>|\u200f|\s", "", title)) == "".join(one.text.split())


def test_texts_that_have_changed_are_not_shown_and_the_report_says_so(found: Findings, demo_store: Store) -> None:
    for opened in ({"collection": "demo-train"}, {"collection": "gone"}, {"every": 2}):
        changed = as_if(found, **opened)
        assert open_texts(changed.family.evaluations[0][1], demo_store) is None
    changed = as_if(found, collection="gone")
    request = Request(alphas=(0.0, 1.0), parts=("bias", "examples", "tables"))
    composed = sections.compose(replace(changed, request=request), demo_store)
    [note] = composed.notes
    assert "examples" in note
    assert "evaluate the sweep anew" in note
    assert "bias" not in [table.name for table in composed.tables]
    assert "rank-distance" in [table.name for table in composed.tables]


def test_recipes_tell_the_batches_that_were_drawn(found: Findings, demo_store: Store) -> None:
    table = sources.checkpoints_table(found, demo_store)
    assert table.frame["alpha"].to_list() == sorted([0.0, 0.5, 1.0] * 3)
    for row in table.frame.iter_rows(named=True):
        batches = read_training(demo_store, row["checkpoint"])["composition"]["batches"]
        assert (row["mono_batches"], row["cross_batches"]) == (batches["mono"], batches["cross"])
        assert row["mono_batches"] + row["cross_batches"] == row["steps"] == 20
    assert "20 steps of 48 pairs" in table.caption


def test_licences_are_those_of_the_catalog(found: Findings) -> None:
    evaluated, trained, encoder = sources.sources(found)
    assert (evaluated.licence, trained.role, encoder.licence) == ("CC0 1.0", "trained on", "MIT")
    evaluated, trained, _ = sources.sources(as_if(found, collection="xquad-r", training="mlqa-r"))
    assert (evaluated.licence, evaluated.url) == ("CC BY-SA 4.0", COLLECTIONS["xquad-r"].licence_url)
    assert "non-commercial" in trained.note
    [own, *_] = sources.sources(as_if(found, collection="/data/mine"))
    assert own.licence.startswith("not known here")


def test_what_was_used_is_cited(found: Findings) -> None:
    entries = re.findall(r"@\w+\{(\w+),", sources.bibtex(as_if(found, collection="xquad-r", training="mlqa-r")))
    assert entries == [
        "elmahdy2024synergistic",
        "roy2020lareqa",
        "artetxe2020crosslingual",
        "lewis2020mlqa",
        "wang2024multilingual",
    ]
    assert "roy2020" not in sources.bibtex(found)
    for entry in citations.entries().values():
        assert entry.count("{") == entry.count("}")


def test_the_commands_repeat_the_sweep(found: Findings) -> None:
    lines = sources.commands(as_if(found, training="mlqa-r", every=3), ["report", "--out", "my report"])
    split = [shlex.split(line)[3:] for line in lines]
    assert all(line.startswith("python -m engine ") for line in lines)
    assert split[0] == ["fetch", "mlqa-r"]
    sweep = options_of(split[1])
    assert (sweep.train, sweep.eval, sweep.every) == ("mlqa-r", ["demo"], 3)
    assert (sweep.alphas, sweep.seeds, sweep.steps, sweep.batch_size) == ([0.0, 0.5, 1.0], [0, 1, 2], 20, 48)
    assert split[-1] == ["report", "--out", "my report"]


def test_the_commands_keep_all_collections_apart_that_the_sweep_did(found: Findings) -> None:
    """With fewer, other questions would be left out of training, and another sweep would be the result."""
    lines = sources.commands(as_if(found, evaluations=["demo", "xquad-r"]), ["report", "--out", "x"])
    split = [shlex.split(line)[3:] for line in lines]
    assert split[0] == ["fetch", "xquad-r"]
    assert options_of(split[1]).eval == ["demo", "xquad-r"]


def test_ratios_with_other_seeds_are_commands_of_their_own(found: Findings) -> None:
    members = tuple(one for one in found.family.evaluations if one[0].alpha != 0.5 or one[0].seed == 0)
    fewer = replace(found, family=replace(found.family, evaluations=members))
    sweeps = [options_of(shlex.split(line)[3:]) for line in sources.commands(fewer, ["report", "--out", "x"])[:-1]]
    assert sorted((one.alphas, one.seeds) for one in sweeps) == [([0.0, 1.0], [0, 1, 2]), ([0.5], [0])]


def test_versions_change_with_the_engine(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    found = sources.versions()
    assert {"python", "polars", "numpy", "plotly", "engine", "cache"} <= set(found)
    (tmp_path / "report").mkdir()
    (tmp_path / "other.py").write_text("x = 1", encoding="utf-8")
    monkeypatch.setattr(sources, "__file__", str(tmp_path / "report" / "sources.py"))
    one = sources.versions()["engine"]
    (tmp_path / "other.py").write_text("x = 2", encoding="utf-8")
    assert sources.versions()["engine"] != one != found["engine"]


def test_what_was_seen_in_training_is_said_under_every_table_of_results(found: Findings, demo_store: Store) -> None:
    def captions(changed: Findings) -> dict[str, str]:
        _, tables = sections.preview(changed, demo_store)
        return {table.name: table.caption for table in tables}

    recipe, one = found.family.evaluations[-1]
    part = {"queries": 16, "passages": 8, "near_queries": 2, "threshold": 0.6}
    manifest = one.manifest.model_copy(update={"seen_in_training": SeenInTraining(**part)})
    last = (recipe, replace(one, manifest=manifest))
    seen = replace(found, family=replace(found.family, evaluations=(*found.family.evaluations[:-1], last)))
    note = "Not zero-shot: 16 queries and 8 answering passages of demo were seen in training."
    usual = captions(found)
    assert captions(seen) == {name: f"{caption} {note}" for name, caption in usual.items()}
    assert {"settings", "rank-distance"} <= {*usual}
    assert sources.seen(found) == [
        "Zero-shot: no text that was evaluated on was seen in training, as far as exact overlaps tell."
    ]
    assert sources.seen(seen) == [
        note.replace("Not zero-shot", "**Not zero-shot**"),
        "Near copies: 2 queries in training nearly repeat texts of this collection "
        "(Jaccard similarity of character 5-grams at least 0.6).",
    ]
    content = sections.compose(seen, demo_store)
    unsaid = [table.name for table in content.tables if not table.caption.endswith(note)]
    assert unsaid == ["checkpoints"]
