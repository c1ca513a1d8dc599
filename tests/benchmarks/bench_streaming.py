"""What ranking past memory costs: shards on disk against the bare matrix product streamed over the same shards.

    python -m tests.benchmarks.bench_streaming --candidates 1000000 --queries 2000

Vectors are by chance, written to a temporary folder and removed at the end. Each query has three judged passages. Both
are run in turns, and the median counts. Memory is what the ranking takes beyond the loaded libraries, with the tables.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console

from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.ranks import ranking
from engine.ranks.tiling import Tiling
from engine.storage.shards import Shards
from tests.benchmarks.bench_ranking import peak_bytes

DIMENSION, JUDGED, SHARD = 384, 3, 250_000


def unit_vectors(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Vectors by chance, of unit length."""
    vectors = rng.standard_normal((rows, DIMENSION), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_shards(folder: Path, candidates: int, rng: np.random.Generator) -> Shards:
    """Shards of candidates' vectors."""
    files = []
    for start in range(0, candidates, SHARD):
        files.append(folder / f"{start:09d}.npy")
        np.save(files[-1], unit_vectors(rng, min(SHARD, candidates - start)))
    return Shards(files)


def collection_of(queries: int, candidates: int, rng: np.random.Generator) -> Collection:
    """One language; ids and texts are the same string, so that memory is that of the ranking."""
    judged = np.stack([np.sort(rng.choice(candidates, JUDGED, replace=False)) for _ in range(queries)])
    same = ("",) * candidates
    return Collection(
        name="by chance",
        languages=("en",),
        queries=Queries(tuple(map(str, range(queries))), ("en",) * queries, ("",) * queries),
        corpus=Corpus(same, ("en",) * candidates, same),
        qrels=Qrels(np.repeat(np.arange(queries), JUDGED), judged.reshape(-1)),
    )


def bare_product(queries: np.ndarray, shards: Shards) -> None:
    """Every score, and nothing done with it."""
    with Tiling(queries, ranking.BLOCK) as tiling:
        for _, block in tiling.blocks(shards, (0, shards.shape[0]), ranking.BLOCK):
            for _ in tiling.each(block, lambda scores, first: None):
                pass


def timed(work: object, *given: object) -> tuple[float, float]:
    """Seconds that a call takes, and of all processors' time, which other work on the machine disturbs less."""
    started, used = time.perf_counter(), time.process_time()
    work(*given)
    return time.perf_counter() - started, time.process_time() - used


def main(given: Sequence[str]) -> None:
    """Measure and print, one line a figure."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.partition("\n")[0])
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=1)
    options = parser.parse_args(given)
    rng, tell = np.random.default_rng(0), Console().print
    queries = unit_vectors(rng, options.queries)
    small = collection_of(10, 100, rng)
    ranking.rank_collection(queries[:10], queries[:100], small)
    with tempfile.TemporaryDirectory() as folder:
        collection = collection_of(options.queries, options.candidates, rng)
        shards = write_shards(Path(folder), options.candidates, rng)
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak of writing the shards
        loaded = peak_bytes()
        bare, ours = [], []
        for _ in range(options.repetitions):
            bare.append(timed(bare_product, queries, shards))
            ours.append(timed(ranking.rank_collection, queries, shards, collection))
    tell(f"candidates: {options.candidates:,}; queries: {options.queries:,}; dimensions: {DIMENSION}")
    for place, what in enumerate(("seconds", "processor seconds")):
        product, ranking_took = (median(run[place] for run in runs) for runs in (bare, ours))
        tell(f"bare product, {what}: {product:.2f}")
        tell(f"ranking, {what}: {ranking_took:.2f}")
        tell(f"ranking / bare product, {what}: {ranking_took / product:.2f}")
        tell(f"ranking, {what} a million candidates: {1e6 * ranking_took / options.candidates:.2f}")
    tell(f"memory beyond the libraries and the collection, MiB: {(peak_bytes() - loaded) / 2**20:.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
