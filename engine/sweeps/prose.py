"""Sentences about results, made from the numbers and their uncertainty.

They never claim a difference that the test does not support; a difference that is not significant is said to be so.
Pure functions of the frames of `significance`; the text is Markdown, and the same on the pages and in reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.significance.bootstrap import LEAST_SEEDS

LEVEL = 0.05  # of the tests


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of two systems in one figure.

    Attributes:
        value: One minus the other.
        low, high: Its 95 % interval.
        p: Of the paired test.
        reference: The other's figure, which the difference is a share of.
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    reference: float

    @property
    def told(self) -> bool:
        """Whether the test and the interval both support a difference."""
        return told_apart(self.p, self.low, self.high)


def told_apart(p: float | None, low: float | None, high: float | None) -> bool:
    """Whether a difference is significant: its test and its interval must be known and agree."""
    if p is None or low is None or high is None:
        return False
    return p < LEVEL and not low <= 0 <= high


BEST_IN_POOL = "{ratio} scores highest in the pool of all languages: multi mAP"
"""What holds of the best ratio, up to the score."""


def best_ratio(collection: str, choice: pl.DataFrame, seeds: int, claim: str = BEST_IN_POOL) -> str:
    """Which ratio is the best in a figure, and which could as well be the best.

    Args:
        collection: What to call the collection, in Markdown.
        choice: Frame of `significance.select` over the ratios, of a score in which more is better.
        seeds: How many seeds stand behind a ratio.
        claim: What holds of the best ratio, with "{ratio}" for it, up to the score.
    """
    best = choice.filter(pl.col("difference").is_null()).row(0, named=True)
    told = claim.format(ratio=f"**alpha = {best['system']:g}**")
    text = f"On **{collection}**, {told} **{best['value']:.3f}**{_interval(best['low'], best['high'], '.3f')}."
    others = choice.filter(pl.col("difference").is_not_null())
    if others.is_empty():
        return text + " It is the only trained ratio."
    near = others.filter(pl.col("candidate"))["system"].to_list()
    if not near:
        text += f" Every other trained ratio is worse ({100 * best['probability']:.0f} % of the draws agree)."
    elif len(near) == others.height:
        text += " No other trained ratio differs significantly from it."
    else:
        verb = "does" if len(near) == 1 else "do"
        text += f" Alpha {in_words(near)} {verb} not differ significantly from it; the other ratios are worse."
    if seeds < LEAST_SEEDS:
        text += (
            " With so few seeds, the variation between training runs is unknown: this holds for these checkpoints only."
        )
    return text


def cost_of_end(
    alpha: float, best: float, score: Difference, distance: Difference | None, metric: str = "multi mAP"
) -> str:
    """What an end of the scale costs against the best ratio: points of a score, and rank distance.

    Args:
        alpha: The end, 0 or 1.
        best: The best ratio.
        score: The score at the end minus at the best.
        distance: Rank distance likewise; None where there is none.
        metric: Name of the score.
    """
    parts = []
    if score.told:
        verb = "costs" if score.value < 0 else "gains"
        ends = sorted(100 * abs(end) for end in (score.low, score.high) if end is not None)
        parts.append(f"{verb} **{abs(100 * score.value):.1f} points**{_interval(*ends, '.1f')}")
    if distance is not None and distance.told:
        more = 100 * distance.value / distance.reference
        parts.append(f"has **{abs(more):.0f} % {'more' if more > 0 else 'less'} rank distance**")
    if not parts:
        measures = f" in {metric}" if distance is None else f", neither in {metric} nor in rank distance"
        return f"Alpha = {alpha:g} does not differ significantly from {best:g}{measures}."
    text = f"Alpha = {alpha:g} {' and '.join(parts)} against {best:g}."
    if not score.told:
        text += f" The difference in {metric} is not significant."
    elif distance is not None and not distance.told:
        text += " The difference in rank distance is not significant."
    return text


def gain_of_training(base: float, difference: Difference) -> str:
    """What training brought against the untrained encoder, in multi mAP.

    Args:
        base: The untrained encoder's multi mAP.
        difference: The best ratio minus the untrained encoder.
    """
    untrained = f"(untrained: {base:.3f})"
    if not difference.told:
        return f"Training did not change multi mAP significantly {untrained}."
    ends = sorted(100 * abs(end) for end in (difference.low, difference.high) if end is not None)
    verb = "raised" if difference.value > 0 else "lowered"
    return (
        f"Training {verb} multi mAP by {abs(100 * difference.value):.1f} points{_interval(*ends, '.1f')} {untrained}."
    )


def against_adjusted(strategy: str, multi: Difference, cross: Difference) -> str:
    """What a baseline that takes the language out of the vectors scores, beside the best ratio.

    Args:
        strategy: The baseline's name, such as "centred-transductive" or "lir-1".
        multi: Its multi mAP minus the best ratio's.
        cross: Its cross mAP minus the best ratio's.
    """
    what = "projecting out" if strategy.startswith("lir") else "subtracting"
    part = "each language's first directions" if strategy.startswith("lir") else "each language's mean vector"
    return (
        f"Without any training, {what} {part} ({strategy}) scores {_beside(multi)} in multi mAP, {_beside(cross)} in "
        "cross mAP."
    )


def beside_best(name: str, scores: Mapping[str, Difference]) -> str:
    """What a baseline scores beside the best ratio.

    Args:
        name: What to call the baseline.
        scores: Its scores minus the best ratio's, by their names.
    """
    parts = [f"{metric} {_beside(lead)}" for metric, lead in scores.items()]
    return f"{name[:1].upper()}{name[1:]}: {', '.join(parts)}."


def _beside(lead: Difference) -> str:
    """A baseline's score, and how it differs from the best ratio's."""
    score = f"**{lead.reference + lead.value:.3f}**"
    if not lead.told:
        return f"{score} (not significantly different from the best ratio)"
    low, high = sorted((100 * abs(lead.low or 0), 100 * abs(lead.high or 0)))
    side = "higher" if lead.value > 0 else "lower"
    return f"{score} ({100 * abs(lead.value):.1f} points {side} than the best ratio, 95 %: {low:.1f} to {high:.1f})"


def smallest_detectable(choices: Mapping[str, tuple[pl.DataFrame, bool]]) -> str:
    """How large a difference from the best ratio must be to be found, in a sentence; empty where nothing is known.

    Args:
        choices: By the scores' names, frames of `significance.select` over the ratios, and whether the score is in
            ranks; else its differences are told in points (hundredths).
    """
    parts = []
    for name, (choice, in_ranks) in choices.items():
        known = choice["detectable"].drop_nulls()
        if len(known):
            middle = float(np.median(known.to_numpy()))
            parts.append(f"{name} {middle:.0f}" if in_ranks else f"{name} {100 * middle:.1f} points")
    if not parts:
        return ""
    return f"The smallest difference from the best ratio that would be found 4 times in 5: {', '.join(parts)}."


def recommendation(choice: pl.DataFrame) -> str:
    """Which ratio the weights lead to, and how clear that is.

    Args:
        choice: Frame of `significance.select` over the ratios, of a utility in points.
    """
    best = choice.filter(pl.col("difference").is_null()).row(0, named=True)
    text = f"**alpha = {best['system']:g}** comes out best"
    others = choice.filter(pl.col("difference").is_not_null())
    if others.is_empty():
        return text + ". It is the only trained ratio, so there is nothing to compare it with."
    probability = f"in {100 * best['probability']:.0f} % of the draws"
    near = others.filter(pl.col("candidate"))["system"].to_list()
    if not near:
        return f"{text}, {probability}: **clear**, no other ratio is likely to be as good."
    least = max(row["detectable"] for row in others.filter(pl.col("candidate")).iter_rows(named=True))
    return (
        f"{text}, {probability}: **not clear**. Alpha {in_words(near)} could be as good; the test can detect a "
        f"difference of {least:.2f} points."
    )


def p_value(p: float) -> str:
    """A p value as text, such as "p = 0.013" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def in_words(alphas: Sequence[float]) -> str:
    """Ratios as a list in words, such as "0, 0.25 and 0.5"."""
    names = [f"{alpha:g}" for alpha in alphas]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _interval(low: float | None, high: float | None, pattern: str) -> str:
    return "" if low is None or high is None else f" (95 % interval {low:{pattern}} to {high:{pattern}})"
