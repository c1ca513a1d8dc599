"""All weights beside heads: which sweeps are set side by side, and what is said of them."""

from __future__ import annotations

import polars as pl
import pytest

from engine.evaluation.evaluate import evaluations
from engine.storage.store import SHIPPED, Store
from engine.sweeps import all_weights, kept
from engine.sweeps.results import Family, families, values


@pytest.fixture(scope="module")
def shipped() -> list[Family]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HYBRID_BATCH_REFERENCE")
        return families(list(evaluations(Store(SHIPPED))))


def test_both_sweeps_are_of_the_same_paragraphs(shipped: list[Family]) -> None:
    both = all_weights.find(shipped)
    assert both is not None
    assert (both.full.recipe.method, both.heads.recipe.method) == ("full", "head")
    digests = {one.manifest.collection.digest for family in both for _, one in family.evaluations}
    assert len(digests) == 1
    assert all_weights.find([family for family in shipped if family.recipe.method == "head"]) is None


def test_the_table_has_the_ratios_of_both_and_the_untrained_encoder(shipped: list[Family]) -> None:
    both = all_weights.find(shipped)
    table = all_weights.table(both, ["multi_map", "rank_distance"])
    ends = [f"{method}, alpha {alpha:g}" for method in ("head", "full") for alpha in (0, 0.5, 1)]
    assert table["what"].to_list() == ["untrained", *ends]
    for recipe, evaluation in both.full.evaluations:
        row = table.filter(pl.col("what") == f"full, alpha {recipe.alpha:g}").row(0, named=True)
        assert row["multi_map"] == pytest.approx(values(evaluation)["multi_map"])


def answers(differences: dict[str, float | None]) -> kept.Kept:
    """Answers with differences of alpha 1 from alpha 0; None is one that is not significant."""
    rows = [
        {
            "one": "alpha = 1",
            "other": "alpha = 0",
            "measure": measure,
            "setting": setting,
            "difference": 0.01 if value is None else value,
            "low": -1.0 if value is None else value - abs(value) / 2,
            "high": 1.0 if value is None else value + abs(value) / 2,
            "p": 0.4 if value is None else 0.001,
        }
        for (measure, setting), value in zip(all_weights.FIGURES.values(), differences.values(), strict=True)
    ]
    return kept.Kept("", pl.DataFrame(), pl.DataFrame(), pl.DataFrame(rows))


@pytest.mark.parametrize(
    ("full", "said"),
    [
        ([None, -0.01, -0.05, 30.0], "holds for all weights too."),
        (
            [0.02, None, -0.01, 20.0],
            "holds for all weights in multi mAP and rank distance; it does not in mono mAP",
        ),
        ([0.02, 0.01, 0.05, None], "does not hold for all weights."),
    ],
)
def test_the_sentence_says_where_both_agree(full: list[float | None], said: str) -> None:
    heads = [None, -0.006, -0.044, 38.0]
    one, other = (answers(dict(zip(all_weights.FIGURES, column, strict=True))) for column in (full, heads))
    text = all_weights.sentence(one, other)
    assert f"What heads show of alpha 1 against alpha 0 {said}" in text
    assert "Heads there: alpha 1 against alpha 0: mono mAP +1.0 points (−100.0 to +100.0; not significant)" in text
