"""What a report is asked to hold: which sweep, which ratios, which parts, and how figures are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from engine.errors import InputError
from engine.figures.publication import Layout
from engine.ranks.metrics import METRICS
from engine.sweeps.results import Family

PARTS = ("curves", "heatmaps", "difference", "bias", "examples", "tables")
IMAGES = ("pdf", "svg", "png")
FORMATS = ("html", *IMAGES, "tex", "md", "csv", "parquet")
UNTRAINED = "untrained"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        metric: Which of `metrics.METRICS` figures and tables show.
        alphas: Ratios that heatmaps, differences, bias plots and examples are of; None for both ends and the best.
        reference: What they are compared with: "untrained" or a ratio; None for the untrained encoder if it is
            evaluated, else the smallest ratio.
        parts: Of `PARTS`.
        formats: Of `FORMATS`.
        layout: Width and font of printed figures.
    """

    metric: str = "map"
    alphas: tuple[float, ...] | None = None
    reference: str | float | None = None
    parts: tuple[str, ...] = PARTS
    formats: tuple[str, ...] = FORMATS
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        """Check every name."""
        check_names("metric", [self.metric], METRICS)
        check_names("part", self.parts, PARTS)
        check_names("format", self.formats, FORMATS)

    @property
    def images(self) -> tuple[str, ...]:
        """The formats that a browser draws."""
        return tuple(name for name in IMAGES if name in self.formats)


def check_names(what: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    """Refuse a name that is unknown, or a list that is empty.

    Raises:
        InputError: If so.
    """
    wrong = [name for name in given if name not in allowed]
    if wrong or not given:
        came = f"{wrong[0]!r} is unknown" if wrong else "none was given"
        raise InputError(f"{what}: {came}; allowed are {', '.join(allowed)}")


def find_family(found: Sequence[Family], key: str | None = None, collection: str | None = None) -> Family:
    """The sweep that a report is of.

    Args:
        found: All sweeps, the latest last.
        key: The sweep's key or its beginning; None for the latest.
        collection: Only sweeps evaluated on this collection; None for any.

    Raises:
        InputError: If no key or several keys begin with it.
    """
    if not found:
        raise InputError(
            "no sweep has been evaluated yet; run one, such as `python -m engine sweep --train demo-train --eval demo "
            "--steps 300 --batch-size 48`"
        )
    fitting = [
        family
        for family in found
        if (key is None or family.key.startswith(key)) and collection in (None, family.collection)
    ]
    known = ", ".join(f"{family.key[:8]} ({family.label}, evaluated on {family.collection})" for family in found)
    if not fitting:
        asked = " and ".join(
            [*([f"key {key!r}"] if key else []), *([f"collection {collection!r}"] if collection else [])]
        )
        raise InputError(f"no sweep with {asked}; there are {known}")
    if key is not None and len(fitting) > 1:
        raise InputError(f"sweep {key!r}: the prefix matches {len(fitting)} sweeps; there are {known}")
    return fitting[-1]


def as_values(request: Request) -> dict[str, object]:
    """A request as plain values, ready for JSON."""
    plain = {part.name: getattr(request, part.name) for part in fields(request) if part.name != "layout"}
    return {**plain, "width": request.layout.width, "font": request.layout.font}


def as_arguments(family: Family, request: Request, out: Path = Path("report")) -> list[str]:
    """The arguments of the command that makes a report."""
    line = ["report", "--out", str(out), "--sweep", family.key[:12]]
    default = Request()
    if request.metric != default.metric:
        line += ["--metric", request.metric]
    if request.alphas is not None:
        line += ["--alphas", ",".join(f"{alpha:g}" for alpha in request.alphas)]
    if request.reference is not None:
        line += ["--reference", f"{request.reference:g}" if isinstance(request.reference, float) else request.reference]
    for option, given, usual in (("include", request.parts, PARTS), ("format", request.formats, FORMATS)):
        if given != usual:
            line += [f"--{option}", ",".join(given)]
    for option in ("width", "font"):
        if (given := getattr(request.layout, option)) != getattr(default.layout, option):
            line += [f"--{option}", given]
    return line
