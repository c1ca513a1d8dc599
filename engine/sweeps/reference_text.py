"""The reference's results in Markdown, for README: tables and sentences from the numbers that the pages show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.errors import InputError
from engine.sweeps import all_weights, kept, prose
from engine.sweeps.contrasts import contrast, ends
from engine.sweeps.contrasts import points as in_points
from engine.sweeps.reference import ENDS
from engine.sweeps.results import Family, beside_ratios, points, values
from engine.training.adjusted import adjusted_by, is_head_on_adjusted, without_head

_FIGURES = [(metric, setting) for metric in kept.MEASURES for setting in ("mono", "cross", "multi")]
_COLUMNS = [*(f"{setting}_{metric}" for metric, setting in _FIGURES), "rank_distance"]
_HEADER = ["mono mAP", "cross mAP", "multi mAP", "mono R@1", "cross R@1", "multi R@1", "rank distance"]


def result_section(families: Sequence[Family]) -> str:
    """The results of the reference sweeps.

    Args:
        families: The sweeps that come with the project, the main one last.

    Raises:
        InputError: If a sweep comes without its answers.
    """
    whole = [family for family in families if family.opened_as.every == 1]
    parts = [_sweep(family, brief=place > 0) for place, family in enumerate(reversed(whole))]
    parts += [_all_weights([family for family in families if family.opened_as.every != 1])]
    return "\n\n".join(part for part in parts if part)


def _sweep(family: Family, *, brief: bool) -> str:
    """A sweep's sentences and tables; in brief, only some of their rows."""
    answers = _answers(family)
    about = family.evaluations[0][1].manifest.collection
    seeds = len({recipe.seed for recipe, _ in family.evaluations if recipe.strategy == "hybrid"})
    title = (
        f"### {family.recipe.collection_name} → {family.collection}\n\n{family.label}, evaluated zero-shot on "
        f"{family.collection}: {about.queries:,} queries in {len(about.languages)} languages, a pool of "
        f"{about.candidates:,} candidates; means of {seeds} seeds."
    )
    parts = [title, answers.answer, _table(["alpha", *_HEADER], _ratio_rows(family, answers, ENDS if brief else None))]
    parts.append(
        "± is half of the 95 % interval of the value, over questions and seeds. Differences between ratios are far "
        f"more certain, since all answer the same questions. {ends(answers)} {_detectable(answers)}"
    )
    parts.append(_table(["beside the ratios", *_HEADER], _beside_rows(family, brief=brief)))
    return "\n\n".join([*parts, *([] if brief else _on_adjusted(answers))])


def _ratio_rows(family: Family, answers: kept.Kept, only: Sequence[float] | None) -> Iterator[list[str]]:
    """The untrained encoder, then every ratio, or only some, with its interval."""
    if family.base is not None:
        scores = values(family.base)
        yield ["untrained", *(_number(scores[column], column) for column in _COLUMNS)]
    frames = [answers.selection(*figure) for figure in [*_FIGURES, ("rank_distance", "multi")]]
    known = [frame for frame in frames if frame is not None]
    for place, alpha in enumerate(known[0]["system"]):
        if only is not None and alpha not in only:
            continue
        rows = [frame.row(place, named=True) for frame in known]
        yield [f"{alpha:g}", *(_with_interval(row, column) for row, column in zip(rows, _COLUMNS, strict=True))]


def _beside_rows(family: Family, *, brief: bool) -> Iterator[list[str]]:
    """Baselines, merged checkpoints and heads on adjusted vectors."""
    for row in beside_ratios(points(family), _COLUMNS).iter_rows(named=True):
        adjusted = adjusted_by(row["strategy"])
        if brief and adjusted and (adjusted.transductive or adjusted.directions > 1):
            continue
        name = row["strategy"] if row["alpha"] is None else f"{row['strategy']}, alpha {row['alpha']:g}"
        yield [name, *(_number(row[column], column) for column in _COLUMNS)]


def _on_adjusted(answers: kept.Kept) -> Iterator[str]:
    """What the ratio does beyond the mean, and what training adds to it."""
    labels = answers.contrasts["one"].unique().sort()
    for strategy in filter(is_head_on_adjusted, sorted({label.partition(",")[0] for label in labels})):
        plain = without_head(strategy)
        adds = contrast(answers, f"{strategy}, alpha = 0.5", plain, "map", "multi")
        yield (
            f"**{strategy}** (a head trained after each language's mean was subtracted): {ends(answers, strategy)} "
            f"Against {plain} without a head, training at alpha = 0.5 changes multi mAP by {in_points(adds)}."
        )


def _detectable(answers: kept.Kept) -> str:
    frames = {setting: answers.selection("map", setting) for setting in ("mono", "cross", "multi")}
    return prose.smallest_detectable(
        {f"{setting} mAP": (frame, False) for setting, frame in frames.items() if frame is not None}
    )


def _all_weights(families: Sequence[Family]) -> str:
    """Full fine-tuning beside heads, on the same paragraphs."""
    both = all_weights.find(families)
    if both is None:
        return ""
    rows = [
        [row["what"], *(_number(row[column], column) for column in _COLUMNS)]
        for row in all_weights.table(both, _COLUMNS).iter_rows(named=True)
    ]
    settings, part = both.full.recipe.settings, both.full.opened_as.every
    return (
        f"### All weights\n\nThe same on every {part}rd paragraph of {both.full.opened_as.collection}: heads, and all "
        f"weights after {settings.steps} steps of {settings.batch_size} pairs (one seed each).\n\n"
        + _table(["method", *_HEADER], rows)
        + f"\n\n{all_weights.sentence(_answers(both.full), _answers(both.heads))}"
    )


def _with_interval(row: dict[str, float], column: str) -> str:
    half = (row["high"] - row["low"]) / 2
    shown = f"{half:.0f}" if column == "rank_distance" else f"{half:.3f}".removeprefix("0")
    return f"{_number(row['value'], column)} ±{shown}"


def _number(value: float | None, column: str) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if column == "rank_distance" else f"{value:.3f}".removeprefix("0")


def _answers(family: Family) -> kept.Kept:
    answers = kept.read(family)
    if answers is None:
        raise InputError(f"reference: {family.label} comes without its answers; build it again")
    return answers


def _table(header: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
