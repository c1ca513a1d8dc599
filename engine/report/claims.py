"""Sentences of a report, from numbers and their uncertainty; what `engine.sweeps.prose` says of the pool, of the rest.

A sentence claims a difference only where its test and its interval support it. Where a ratio has too few seeds to know
how much training varies, it tells the numbers of these checkpoints and claims nothing of the ratio. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from engine.significance.bootstrap import LEAST_SEEDS
from engine.sweeps.prose import LEVEL, Difference, in_words, p_value


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure that sentences are about.

    Attributes:
        name: What to call it, such as "cross mAP".
        unit: Of its differences, "points" (hundredths) or "ranks".
        lower_is_better: Which way is better.
    """

    name: str
    unit: str = "points"
    lower_is_better: bool = False

    @property
    def head(self) -> str:
        """How a sentence begins."""
        return f"**{self.name}**{' (lower is better)' if self.lower_is_better else ''}:"

    def write(self, value: float) -> str:
        """A value as text."""
        return f"{value:,.0f}" if self.unit == "ranks" else f"{value:.3f}"

    def size(self, value: float) -> str:
        """A difference as text, without its unit."""
        return signed(value) if self.unit == "ranks" else signed(100 * value, 1)


def best_of(quantity: Quantity, choice: pl.DataFrame, seeds: int) -> str:
    """Which of the trained ratios is best in one figure, as far as that can be told.

    Args:
        quantity: The figure.
        choice: Frame of `significance.select` over the ratios.
        seeds: The fewest seeds that stand behind a ratio.
    """
    best = choice.filter(pl.col("difference").is_null()).row(0, named=True)
    value = f"{quantity.write(best['value'])}{_interval(quantity, best['low'], best['high'])}"
    if choice.height == 1:
        return f"{quantity.head} {value} at alpha = {best['system']:g}, the only trained ratio."
    if seeds < LEAST_SEEDS:
        which = "highest" if not quantity.lower_is_better else "lowest"
        return (
            f"{quantity.head} of these checkpoints that of alpha = {best['system']:g} has the {which}, {value}. "
            f"{_few(seeds)} whether the ratio makes it so is unknown."
        )
    near = choice.filter(pl.col("candidate"))["system"].sort().to_list()
    if len(near) == choice.height:
        values = choice["value"].to_list()
        low, high = min(values), max(values)
        return (
            f"{quantity.head} the {len(near)} ratios cannot be told apart, from {quantity.write(low)} to "
            f"{quantity.write(high)}."
        )
    if len(near) == 1:
        return (
            f"{quantity.head} alpha = {best['system']:g} is best, {value}; every other ratio is worse by more "
            "than chance allows."
        )
    others = choice.filter(~pl.col("candidate"))["system"].sort().to_list()
    return (
        f"{quantity.head} alpha {in_words(near)} cannot be told apart ({quantity.write(best['value'])} at "
        f"{best['system']:g}); {in_words(others)} {'is' if len(others) == 1 else 'are'} worse by more than "
        "chance allows."
    )


def compared(one: str, other: str, quantity: Quantity, difference: Difference, seeds: int | None) -> str:
    """What one system does against another in one figure.

    Args:
        one: What to call it.
        other: What to call what it is compared with.
        quantity: The figure.
        difference: One minus the other.
        seeds: The fewest seeds behind either; None where neither is trained.
    """
    if difference.p is None or difference.low is None or difference.high is None:
        return (
            f"{quantity.head} {one} and {other} cannot be compared, the collection has too few questions to say "
            "how sure the difference is."
        )
    numbers = (
        f"{quantity.size(difference.value)} {quantity.unit} (95 % interval "
        f"{quantity.size(difference.low)} to {quantity.size(difference.high)}, "
        f"{p_value(difference.p)})"
    )
    if seeds is not None and seeds < LEAST_SEEDS:
        return (
            f"{quantity.head} {one} minus {other} is {numbers} for these checkpoints. {_few(seeds)} what others "
            "would give is unknown."
        )
    if not difference.told:
        return f"{quantity.head} {one} and {other} cannot be told apart, {numbers}."
    verb = "better" if (difference.value < 0) == quantity.lower_is_better else "worse"
    return f"{quantity.head} {one} is {verb} than {other}, {numbers}."


def over_pairs(one: str, other: str, metric: str, tests: pl.DataFrame, seeds: int | None) -> str:
    """On how many language pairs one system differs from another.

    Args:
        one: What to call it.
        other: What to call what it is compared with.
        metric: What to call the metric.
        tests: Rows of `significance.compare`, one per pair.
        seeds: The fewest seeds behind either; None where neither is trained.
    """
    known = tests.drop_nulls("p_holm")
    survive = known.filter(pl.col("p_holm") < LEVEL)
    differences = survive["difference"].to_numpy()
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    pairs = f"the {known.height} cross-lingual pairs"
    test = f"paired test, Holm's correction over the pairs at {100 * LEVEL:.0f} %"
    if known.is_empty():
        return f"No language pair has enough questions to compare {one} with {other}."
    if seeds is not None and seeds < LEAST_SEEDS:
        return (
            f"Of {pairs}, {up + down} differ between the checkpoints of {one} and {other} in {metric} ({up} up, {down} "
            f"down; {test}). {_few(seeds)} what others would give is unknown."
        )
    if not up + down:
        return f"On none of {pairs} can {one} and {other} be told apart in {metric} ({test})."
    parts = [f"better than {other} on {up}"] if up else []
    parts += [f"worse than {other} on {down}"] if down else []
    rest = known.height - up - down
    parts += [f"not told from it on {rest}"] if rest else []
    return f"Of {pairs}, {one} is {in_list(parts)} in {metric} ({test})."


def against_chance(label: str, written: tuple[str, ...], interval: tuple[float, float, float], random: float) -> str:
    """A bias measure beside what a language-blind random ranking gives.

    Args:
        label: What to call the measure.
        written: Value, both ends of its interval, and the random ranking's value, as text.
        interval: Value, lower and upper end of its 95 % interval.
        random: What a random ranking gives.
    """
    value, low, high = interval
    text = f"**{label}** {written[0]} (95 % interval {written[1]} to {written[2]})"
    if low <= random <= high:
        return f"{text}, within chance of a language-blind ranking's {written[3]}."
    return f"{text}, {'more' if value > random else 'less'} than a language-blind ranking's {written[3]}."


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign, a true minus; 0 has none."""
    rounded = round(value, digits)
    return f"{0:.{digits}f}" if rounded == 0 else f"{rounded:+,.{digits}f}".replace("-", "−")


def in_list(parts: list[str]) -> str:
    """Words as a list."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _few(seeds: int) -> str:
    return "With one seed" if seeds == 1 else f"With {seeds} seeds"


def _interval(quantity: Quantity, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return f" (95 % interval {quantity.write(low)} to {quantity.write(high)})"
