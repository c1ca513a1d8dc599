"""What it costs to say how sure a whole result is: against evaluating the resampled ranks anew, as a plain bootstrap.

    python -m tests.benchmarks.bench_significance               XQuAD-R's size: 1,190 questions, 121 pairs
    python -m tests.benchmarks.bench_significance --seeds 3     the mean of three seeds, which are drawn too

Ours: per-question sums of the ranks, all draws, and the intervals of every cell and setting. The peer joins drawn
questions with the ranks and calls the functions of an evaluation, for a few draws, and is extrapolated. Both draw the
same questions, so that their figures can be set side by side. One repetition runs everything once, one after the other,
so that a change of the machine's load meets all alike; the median over the repetitions counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from engine import bias
from engine.collections.structures import SETTINGS
from engine.ranks import metrics
from engine.ranks.schema import RANKS
from engine.significance import Resampled, intervals, question_sums, resample

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
QUESTIONS, POOL = 1190, 13_014  # XQuAD-R's
METRICS = ("map", "hit@1")
LIMIT, AGREEMENT = 3.0, 1e-9
FIGURES = [(metric, setting) for metric in METRICS for setting in SETTINGS] + [("rank_distance", "multi")]


def random_ranks(seed: int) -> pl.DataFrame:
    """Ranks of XQuAD-R's size: every question in every language, with one relevant passage in each."""
    rng = np.random.default_rng(seed)
    names = pl.DataFrame({"question": [f"q{i:04d}" for i in range(QUESTIONS)]})
    codes = pl.DataFrame({"query_lang": LANGUAGES})
    rows = names.join(codes, how="cross").join(codes.rename({"query_lang": "doc_lang"}), how="cross")
    hard = rng.exponential(1.0, QUESTIONS).repeat(len(LANGUAGES) ** 2) + rng.exponential(1.0, rows.height)
    places = np.minimum(np.expm1(hard), POOL / len(LANGUAGES) - 1).astype(int)
    in_pool = 1 + places * len(LANGUAGES) + rng.integers(len(LANGUAGES), size=rows.height)
    return rows.with_columns(doc=pl.lit(0), rank_in_language=1 + places, rank_in_pool=in_pool, score=pl.lit(0.0)).cast(
        dict(RANKS)
    )


def ours(seeds: Sequence[pl.DataFrame], resamples: int, seed: int) -> Resampled:
    """Sums, draws and intervals."""
    found = resample(
        {"system": [question_sums(ranks, METRICS, pool=POOL) for ranks in seeds]}, resamples=resamples, seed=seed
    )["system"]
    intervals(found)
    return found


def again(ranks: pl.DataFrame, chosen: np.ndarray) -> list[float]:
    """The figures of one draw, by joining it with the ranks and evaluating them."""
    drawn = pl.DataFrame({"number": chosen, "copy": np.arange(len(chosen))})
    names = ranks.select(pl.col("question").unique().sort()).with_row_index("number").cast({"number": pl.Int64})
    copies = drawn.join(names, on="number").select("question", pl.col("copy").cast(pl.String))
    again = ranks.join(copies, on="question").with_columns(question=pl.col("copy"))
    pairs, query_languages = metrics.by_pair(again, METRICS), metrics.by_query_language(again, METRICS)
    settings = metrics.by_setting(pairs, query_languages, LANGUAGES, METRICS)
    macro = [settings.filter(setting=setting)[metric].item() for metric in METRICS for setting in SETTINGS]
    return [*macro, bias.rank_distance(again, POOL)["rank_distance"].mean()]


def measure(arguments: argparse.Namespace) -> tuple[dict[str, list[float]], float]:
    """Seconds of every repetition by name, and how far the peer's figures are from ours at most, as a share."""
    seeds = [random_ranks(arguments.seed + at) for at in range(arguments.seeds)]
    chosen = np.random.default_rng(arguments.seed).integers(QUESTIONS, size=(arguments.resamples, QUESTIONS))
    work: dict[str, Callable[[], object]] = {
        "sums": lambda: [question_sums(ranks, METRICS, pool=POOL) for ranks in seeds],
        "ours": lambda: ours(seeds, arguments.resamples, arguments.seed),
        "peer": lambda: [[again(ranks, line) for ranks in seeds] for line in chosen[: arguments.peer_resamples]],
    }
    work["peer"]()  # starts polars' threads
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(arguments.repetitions):
        for name, run in work.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    first = ours(seeds[:1], arguments.resamples, arguments.seed)
    draws = np.column_stack([first.only(*figure).draws[: arguments.peer_resamples, 0] for figure in FIGURES])
    expected = np.array([again(seeds[0], line) for line in chosen[: arguments.peer_resamples]])
    return seconds, float(np.abs(draws / expected - 1).max())


def report(arguments: argparse.Namespace, seconds: dict[str, list[float]], apart: float) -> Table:
    """The table that is printed."""
    size = (
        f"{QUESTIONS} questions, {len(LANGUAGES) ** 2} pairs, {arguments.seeds} seeds, {arguments.resamples} resamples"
    )
    table = Table("", "seconds", "least to most", "", title=size)

    def add(what: str, name: str, factor: float, note: str) -> None:
        times = [factor * value for value in seconds[name]]
        table.add_row(what, f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}", note)

    mine = median(seconds["ours"])
    add("ours: sums, draws, intervals", "ours", 1, f"{'under' if mine < LIMIT else 'OVER'} {LIMIT:.0f} s")
    add("(of that, the sums)", "sums", 1, "once per evaluation")
    add(f"evaluating {arguments.peer_resamples} draws anew", "peer", 1, "")
    factor = arguments.resamples / arguments.peer_resamples
    add("the same, extrapolated", "peer", factor, f"{factor * median(seconds['peer']) / mine:.0f} times ours")
    table.add_row("figures apart", f"{apart:.1e}", "", "equal" if apart <= AGREEMENT else "DIFFERENT")
    return table


def parse(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.partition("\n")[0])
    parser.add_argument("--resamples", type=int, default=2000, help="how many draws (%(default)s)")
    parser.add_argument("--peer-resamples", type=int, default=5, help="how many of them the peer makes (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="how many evaluations are averaged (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="the median counts (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the ranks and the draws (%(default)s)")
    return parser.parse_args(given)


def main(given: Sequence[str]) -> None:
    """Measure and print."""
    arguments = parse(given)
    Console().print(report(arguments, *measure(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
