"""engine.significance on simulated data whose truth is known: coverage, false alarms, power, the choice of the best.

All numbers are seeded. A bound is a quantile of the binomial distribution for a chance near the one that is promised,
so a test would fail for about one seed in a thousand; and where a simpler method breaks the promise, a test shows it.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from engine.significance import (
    QuestionSums,
    Resampled,
    compare,
    difference,
    intervals,
    randomisation_test,
    resample,
    select,
    smallest_detectable,
)
from engine.significance.per_question import CELLS
from tests.significance_builders import plausible, sums_of

HELD = np.array([1.0, 0.8, 0.5, 0.3])
"""How many of the questions each cell has: unequal, as on MLQA-R."""


def present_in(rng: np.random.Generator, questions: int) -> np.ndarray:
    return rng.random((questions, len(HELD))) < HELD


def versions(rng: np.random.Generator, questions: int, spread: float = 1.0) -> np.ndarray:
    """Scores (questions, cells) of mean 0: versions of a question share most of what they have."""
    shared = rng.standard_normal((questions, 1))
    return spread * (shared + 0.5 * rng.standard_normal((questions, len(HELD))))


def macro(systems: dict, resamples: int) -> dict[object, Resampled]:
    return {name: one.only("map", "multi") for name, one in resample(systems, resamples=resamples).items()}


def covering(found: dict[object, Resampled], method: str) -> int:
    """In how many of the intervals the true mean, 0, lies."""
    ends = [intervals(one, method=method).select("low", "high").row(0) for one in found.values()]
    return sum(low <= 0 <= high for low, high in ends)


def test_intervals_of_a_macro_mean_of_correlated_versions_hold_the_truth_in_95_of_100():
    rng, trials = np.random.default_rng(1), 500
    present = present_in(rng, 120)
    scores = [versions(rng, 120) for _ in range(trials)]
    found = macro({at: [sums_of(one, present)] for at, one in enumerate(scores)}, 2000)
    for method in ("bca", "percentile"):
        assert plausible(covering(found, method), trials, 0.94, 0.955), method
    counts = present.sum(axis=0)
    errors = [np.sqrt(sum(one[present[:, c], c].var() / counts[c] for c in range(4))) / 4 for one in scores]
    naive = sum(abs(each.estimate[0]) <= 1.96 * error for each, error in zip(found.values(), errors, strict=True))
    assert not plausible(naive, trials, 0.94, 1), "queries taken for independent would pass too"


def test_intervals_of_a_paired_difference_hold_the_truth_in_95_of_100():
    rng, trials = np.random.default_rng(2), 400
    present = present_in(rng, 120)
    systems = {}
    for at in range(trials):
        one, shift = versions(rng, 120), 0.2 * rng.exponential(size=(120, 1)) - 0.2
        systems |= {(at, "one"): [sums_of(one, present)]}
        systems |= {(at, "other"): [sums_of(one + shift + versions(rng, 120, 0.2), present)]}
    found = macro(systems, 2000)
    apart = {at: difference(found[at, "one"], found[at, "other"]) for at in range(trials)}
    assert plausible(covering(apart, "bca"), trials, 0.94, 0.955)


@pytest.mark.parametrize(
    ("common", "own", "least", "most"),
    [(0.5, 0.0, 0.945, 0.96), (0.1, 0.3, 0.95, 1.0), (0.0, 0.5, 0.95, 1.0)],
    ids=["seeds move all questions", "both", "seeds move each question"],
)
def test_three_seeds_hold_the_truth_of_all_seeds(common, own, least, most):
    rng, trials, questions = np.random.default_rng(3), 300, 60
    systems = {}
    for at in range(trials):
        shared = versions(rng, questions, 0.3)
        systems[at] = [
            sums_of(shared + common * rng.standard_normal() + own * rng.standard_normal((questions, 1)))
            for _ in range(3)
        ]
    found = macro(systems, 2000)
    for method in ("bca", "percentile"):
        assert plausible(covering(found, method), trials, least, most), method
    if common:
        means = {at: [sums_of(sum(one.sums for one in sums) / 3)] for at, sums in systems.items()}
        assert not plausible(covering(macro(means, 500), "percentile"), trials, 0.9, 1), "seeds need not be drawn"


def test_the_paired_test_gives_5_false_alarms_in_100_on_macro_means_of_unequal_cells():
    rng, trials, questions = np.random.default_rng(4), 1000, 60
    present = present_in(rng, questions)
    systems = {}
    for at in range(trials):
        shared = versions(rng, questions)
        noise = rng.exponential(size=(2, questions, 1)) * [1, 2, 4, 1] * rng.random((questions, 1))
        systems |= {(at, name): [sums_of(shared + part, present)] for name, part in zip("ab", noise, strict=True)}
    found = resample(systems, resamples=1)
    apart = [difference(found[at, "a"], found[at, "b"]).shares for at in range(trials)]
    p = randomisation_test(np.column_stack([shares[:, -1] for shares in apart]), flips=4000)
    for level in (0.01, 0.05, 0.2):
        assert plausible(int((p <= level).sum()), trials, level, level), level
    apiece = randomisation_test(np.column_stack([shares[:, :-1].ravel() for shares in apart]), flips=2000)
    assert not plausible(int((apiece <= 0.05).sum()), trials, 0, 0.06), "flips of single queries would pass too"


def test_groups_of_three_seeds_give_no_more_than_5_false_alarms_in_100():
    rng, trials, questions = np.random.default_rng(5), 300, 60
    systems = {}
    for at in range(trials):
        shared = versions(rng, questions)
        for name in "ab":
            systems[at, name] = [
                sums_of(shared + 0.2 * rng.standard_normal() + versions(rng, questions, 0.1)) for _ in range(3)
            ]
    found = resample(systems, resamples=2)
    pairs = [(found[at, "a"], found[at, "b"]) for at in range(trials)]
    p = np.array([compare(*pair, flips=500, method="percentile")["p"][-1] for pair in pairs])
    assert plausible(int((p <= 0.05).sum()), trials, 0.02, 0.05)
    fixed = randomisation_test(np.column_stack([difference(*pair).shares[:, -1] for pair in pairs]), flips=500)
    assert not plausible(int((fixed <= 0.05).sum()), trials, 0, 0.1), "the checkpoints as given would pass too"


def pairs_of_cross(scores: np.ndarray) -> QuestionSums:
    """Sums of the 110 ordered pairs of XQuAD-R's languages."""
    names = [("map", "cross", f"l{a}", f"l{b}") for a in range(11) for b in range(11) if a != b]
    cells = pl.DataFrame(names, schema=CELLS, orient="row")
    return QuestionSums(tuple(f"q{i:03d}" for i in range(len(scores))), cells, scores, np.ones(scores.shape))


@pytest.mark.parametrize("effects", [0, 30], ids=["no true difference", "30 true differences"])
def test_over_110_pairs_holm_controls_any_false_alarm_and_benjamini_hochberg_their_share(effects):
    rng, trials, questions = np.random.default_rng(6), 150, 60
    systems = {}
    for at in range(trials):
        noise = rng.standard_normal((questions, 1)) + rng.standard_normal((questions, 110))
        noise[:, :effects] += 0.9
        systems |= {(at, "one"): [pairs_of_cross(noise)], (at, "other"): [pairs_of_cross(np.zeros(noise.shape))]}
    found = resample(systems, resamples=2)
    raw, any_raw, any_holm, shares, found_holm, found_bh = 0, 0, 0, [], 0, 0
    for at in range(trials):
        table = compare(found[at, "one"], found[at, "other"], flips=3000, seed=at, method="percentile").head(110)
        p, by_holm, by_bh = (table[name].to_numpy() <= 0.05 for name in ("p", "p_holm", "p_bh"))
        raw, any_raw = raw + p[effects:].mean() / trials, any_raw + p[effects:].any()
        any_holm += by_holm[effects:].any()
        shares.append(by_bh[effects:].sum() / max(by_bh.sum(), 1))
        found_holm, found_bh = found_holm + by_holm[:effects].sum(), found_bh + by_bh[:effects].sum()
    assert raw == pytest.approx(0.05, abs=0.02)
    assert not plausible(any_raw, trials, 0, 0.2), "without correction the family would be safe too"
    assert plausible(any_holm, trials, 0, 0.05)
    assert np.mean(shares) <= 0.05 + 3 * np.std(shares) / np.sqrt(trials)
    if effects:
        assert found_bh > 1.2 * found_holm > 0


def test_a_difference_as_large_as_is_detectable_is_found_in_80_of_100():
    rng, trials, questions = np.random.default_rng(7), 800, 60
    present = present_in(rng, questions)
    systems = {}
    for at in range(trials):
        shared = versions(rng, questions)
        systems |= {(at, name): [sums_of(shared + versions(rng, questions, 0.3), present)] for name in "ab"}
    found = macro(systems, 1)
    apart = [difference(found[at, "a"], found[at, "b"]) for at in range(trials)]
    shares = np.column_stack([one.shares[:, 0] for one in apart])
    unit = (present / present.sum(axis=0)).mean(axis=1)[:, None]  # what a difference of 1 in all queries adds
    for power in (0.5, 0.8):
        detectable = np.mean([smallest_detectable(one, power=power)[0] for one in apart])
        p = randomisation_test(shares + detectable * unit, flips=2000)
        assert plausible(int((p <= 0.05).sum()), trials, power - 0.02, power + 0.02), power


@pytest.mark.parametrize(("seeds", "ratios", "trials"), [(1, 9, 250), (3, 4, 200)])
def test_the_set_of_candidates_holds_the_truly_best_in_95_of_100(seeds, ratios, trials):
    rng, questions = np.random.default_rng(8), 80
    systems = {}
    for at in range(trials):
        shared = versions(rng, questions)
        for ratio in range(ratios):  # all as good as each other: the hardest case for the set
            systems[at, ratio] = [
                sums_of(shared + versions(rng, questions, 0.4) + (seeds > 1) * 0.05 * rng.standard_normal())
                for _ in range(seeds)
            ]
    found = macro(systems, 600)
    held = best_alone = 0
    for at in range(trials):
        table = select({ratio: found[at, ratio] for ratio in range(ratios)}, method="percentile")
        assert table["probability"].sum() == pytest.approx(1)
        held += table["candidate"][0]
        best_alone += (table["difference_high"][0] or 0.0) >= 0
    assert plausible(held, trials, 0.935, 0.96 if seeds == 1 else 1.0)
    if seeds == 1:
        assert not plausible(best_alone, trials, 0.94, 1), "intervals one by one would hold it too"


def test_the_probability_of_being_best_means_what_it_says():
    rng, trials, questions = np.random.default_rng(9), 400, 80
    systems, truth = {}, rng.normal(0, 0.2, (trials, 3))
    for at in range(trials):
        shared = versions(rng, questions)
        for ratio in range(3):
            systems[at, ratio] = [sums_of(shared + truth[at, ratio] + versions(rng, questions, 0.4))]
    found = macro(systems, 500)
    tables = [select({ratio: found[at, ratio] for ratio in range(3)}) for at in range(trials)]
    told = np.array([table["probability"].to_list() for table in tables])
    highest, right = told.max(axis=1), told.argmax(axis=1) == truth.argmax(axis=1)
    for least, most in ((0, 0.95), (0.95, 1.1)):
        some = (highest >= least) & (highest < most)
        expected, chance = highest[some].sum(), np.sqrt((highest * (1 - highest))[some].sum())
        assert some.sum() > 80
        assert right[some].sum() == pytest.approx(expected, abs=3.3 * chance)
