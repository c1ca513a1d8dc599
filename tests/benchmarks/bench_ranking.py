"""What a whole evaluation costs: against the bare matrix product of its scores, and against two other libraries.

    python -m tests.benchmarks.bench_ranking                            random vectors of XQuAD-R's size
    python -m tests.benchmarks.bench_ranking --collection xquad-r       stored vectors (what is missing is encoded)
    python -m tests.benchmarks.bench_ranking --collection DIR --vectors DIR   with queries.npy and documents.npy

One repetition runs everything once, one after the other, so that a change of the machine's load meets all alike; the
median over the repetitions counts. Encoding, reading files and compiling are not timed. The peers are timed on a few
language pairs, at full depth, and extrapolated to all pairs; they have no multi setting in that, ours has.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from engine import bias
from engine.collections.catalog import COLLECTIONS
from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.encoders.embedding import embed
from engine.encoders.resolve import DEFAULT_ENCODER, open_encoder
from engine.ranks import metrics, ranking
from engine.storage.store import Store
from tests import oracle

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
QUESTIONS, CANDIDATES, DIMENSION = 1190, 13_014, 384  # XQuAD-R's, and multilingual-e5-small's
AGREEMENT = 1e-3  # equal scores and rounding may place a passage otherwise: one query in a thousand
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """A collection and the vectors of its queries and candidates."""

    collection: Collection
    queries: np.ndarray
    documents: np.ndarray

    def size(self) -> str:
        """In words."""
        return f"{len(self.queries)} queries, {len(self.documents)} candidates, {self.queries.shape[1]} dimensions"

    def of_pair(self, pair: Pair) -> tuple[np.ndarray, np.ndarray, dict[str, set[str]]]:
        """A pair's query vectors, its candidates' vectors, and its relevant candidates by query, all by padded row."""
        first, last = self.collection.query_range(pair[0])
        low, high = self.collection.document_range(pair[1])
        relevant: dict[str, set[str]] = {}
        for row, doc in zip(self.collection.qrels.queries, self.collection.qrels.documents, strict=True):
            if first <= row < last and low <= doc < high:
                relevant.setdefault(padded(row - first), set()).add(padded(doc - low))
        judged = [int(row) for row in relevant]
        renumbered = {padded(i): found for i, found in enumerate(relevant.values())}
        return self.queries[first:last][judged], self.documents[low:high], renumbered


def padded(row: int) -> str:
    """A row as an id: in the order of ids, which decides ties elsewhere, as in the order of rows."""
    return f"{row:06d}"


def random_collection(seed: int) -> Collection:
    """XQuAD-R's size: every question in every language, with one relevant passage in each."""
    rng = np.random.default_rng(seed)
    sizes = np.diff(np.linspace(0, CANDIDATES, len(LANGUAGES) + 1).astype(int)).tolist()
    answers = rng.integers(0, min(sizes), QUESTIONS).tolist()
    relevant = {
        (block * QUESTIONS + question, start + answer)
        for block in range(len(LANGUAGES))
        for question, answer in enumerate(answers)
        for start in accumulate(sizes[:-1], initial=0)
    }
    queries = [(code, f"q{i}") for code in LANGUAGES for i in range(QUESTIONS)]
    documents = [code for code, size in zip(LANGUAGES, sizes, strict=True) for _ in range(size)]
    return oracle.collection_of(LANGUAGES, queries, documents, relevant)


def random_vectors(collection: Collection, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A passage and its questions share a topic, all texts of a language an offset, and the rest is noise."""
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((len(collection.corpus), DIMENSION))
    offsets = 0.5 * rng.standard_normal((len(LANGUAGES), DIMENSION))
    starts = np.array([collection.document_range(code)[0] for code in LANGUAGES])
    answers = collection.qrels.documents[:: len(LANGUAGES)]
    places = np.arange(len(collection.corpus)) - starts[collection.document_codes]

    def vectors(which: np.ndarray, codes: np.ndarray) -> np.ndarray:
        found = topics[which] + offsets[codes] + 1.7 * rng.standard_normal((len(which), DIMENSION))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    return vectors(answers, collection.query_codes), vectors(places, collection.document_codes)


def open_problem(arguments: argparse.Namespace) -> Problem:
    """What the arguments name."""
    name, store = arguments.collection, Store()
    collection = random_collection(arguments.seed) if name is None else open_collection(name, store)
    if arguments.vectors is not None:
        return Problem(collection, *(np.load(arguments.vectors / f"{part}.npy") for part in ("queries", "documents")))
    if name is None:
        return Problem(collection, *random_vectors(collection, arguments.seed))
    encoder = open_encoder(arguments.encoder, store)
    queries = embed(encoder, "query", collection.queries.texts, store)
    return Problem(collection, queries, embed(encoder, "document", collection.corpus.texts, store))


def bare_product(problem: Problem) -> None:
    """The scores and nothing else, in the blocks that the ranking uses."""
    block = 256
    room = np.empty((block, len(problem.documents)), np.float32)
    for first in range(0, len(problem.queries), block):
        part = problem.queries[first : first + block]
        np.matmul(part, problem.documents.T, out=room[: len(part)])


def whole_evaluation(problem: Problem) -> pl.DataFrame:
    """Ranks, top 100, and the scores of all settings; returns those of the pairs."""
    ranks, _ = ranking.rank_collection(problem.queries, problem.documents, problem.collection)
    metrics.by_query_language(ranks)
    bias.rank_distance(ranks, len(problem.documents))
    return metrics.by_pair(ranks)


def with_ranx(queries: np.ndarray, documents: np.ndarray, relevant: dict[str, set[str]]) -> tuple[float, float]:
    """MAP and hit@1 of one pair by ranx, from its vectors."""
    from ranx import Qrels, Run, evaluate

    ids = [padded(row) for row in range(len(documents))]
    run = {padded(i): dict(zip(ids, line.tolist(), strict=True)) for i, line in enumerate(queries @ documents.T)}
    judged = {query: dict.fromkeys(found, 1) for query, found in relevant.items()}
    found = evaluate(Qrels(judged), Run(run), ["map", "hit_rate@1"])
    return float(found["map"]), float(found["hit_rate@1"])


def with_sentence_transformers(
    queries: np.ndarray, documents: np.ndarray, relevant: dict[str, set[str]]
) -> tuple[float, float]:
    """MAP and hit@1 of one pair by InformationRetrievalEvaluator, from its vectors."""
    import torch
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
    from sentence_transformers.util import dot_score

    class Encoded:
        def encode_query(self, texts: list[str], **_: object) -> torch.Tensor:
            return torch.from_numpy(queries)

    depth = len(documents)
    evaluator = InformationRetrievalEvaluator(
        queries={padded(row): "" for row in range(len(queries))},
        corpus={padded(row): "" for row in range(depth)},
        relevant_docs=relevant,
        mrr_at_k=[1],
        ndcg_at_k=[1],
        accuracy_at_k=[1],
        precision_recall_at_k=[1],
        map_at_k=[depth],
        score_functions={"dot": dot_score},
        write_csv=False,
    )
    found = evaluator.compute_all_metrics(Encoded(), corpus_embeddings=torch.from_numpy(documents))["dot"]
    return float(found["map@k"][depth]), float(found["accuracy@k"][1])


PEERS = {"ranx": with_ranx, "sentence-transformers": with_sentence_transformers}


def measure(
    problem: Problem, pairs: Sequence[Pair], repetitions: int
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every repetition by name, and how far each peer's figures are from ours at most."""
    parts = [problem.of_pair(pair) for pair in pairs]
    work: dict[str, Callable[[], object]] = {"bare": lambda: bare_product(problem)}
    work["ours"] = lambda: whole_evaluation(problem)
    for name, peer in PEERS.items():
        work[name] = lambda peer=peer: [peer(*part) for part in parts]
        peer(*parts[0])  # compiles
    scored = {(row["query_lang"], row["doc_lang"]): row for row in whole_evaluation(problem).to_dicts()}
    ours = np.array([(scored[pair]["map"], scored[pair]["hit@1"]) for pair in pairs])
    seconds: dict[str, list[float]] = {name: [] for name in work}
    apart = {}
    for _ in range(repetitions):
        for name, run in work.items():
            started = time.perf_counter()
            result = run()
            seconds[name].append(time.perf_counter() - started)
            if name in PEERS:
                apart[name] = float(np.abs(np.array(result) - ours).max())
    return seconds, apart


def peak_bytes() -> int:
    """The most memory this process has had. Of Linux's two counts, the one that forgets the parent process's."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tell_memory(arguments: argparse.Namespace) -> None:
    """Write what a whole evaluation takes beyond the libraries, loaded and used once."""
    rng = np.random.default_rng(0)
    small = oracle.random_collection(rng, LANGUAGES[:2], questions=3, candidates=9, most_relevant=1)
    whole_evaluation(Problem(small, rng.standard_normal((6, 4)), rng.standard_normal((18, 4))))
    loaded = peak_bytes()
    whole_evaluation(open_problem(arguments))
    sys.stdout.write(json.dumps({"loaded": loaded, "peak": peak_bytes()}))


def measure_memory(problem: Problem, given: Sequence[str]) -> dict[str, int]:
    """Memory of a whole evaluation in a process of its own, its vectors and tables included."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("queries", "documents"):
            np.save(Path(folder) / f"{part}.npy", getattr(problem, part))
        command = [sys.executable, "-m", __spec__.name, *given, "--vectors", folder, "--memory"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this very script
    return json.loads(done.stdout)


def report(
    problem: Problem, pairs: Sequence[Pair], seconds: dict[str, list[float]], apart: dict[str, float], memory: dict
) -> Table:
    """The table that is printed."""
    all_pairs = len(problem.collection.languages) ** 2
    bare, ours = median(seconds["bare"]), median(seconds["ours"])
    table = Table("", "seconds", "least to most", "ratio", title=f"{problem.collection.name}: {problem.size()}")

    def add(what: str, name: str, factor: float, ratio: str) -> None:
        times = [factor * value for value in seconds[name]]
        table.add_row(what, f"{median(times):.2f}", f"{min(times):.2f} to {max(times):.2f}", ratio)

    add("matrix product alone", "bare", 1, "")
    add(f"whole evaluation: {all_pairs} pairs, pool, top 100", "ours", 1, f"{ours / bare:.2f} of the product")
    for name in PEERS:
        add(f"{name}: {len(pairs)} pairs", name, 1, "")
        factor = all_pairs / len(pairs)
        ratio = factor * median(seconds[name]) / ours
        add(f"{name}: extrapolated to {all_pairs} pairs, no pool", name, factor, f"{ratio:.0f} times ours")
    for name, distance in apart.items():
        verdict = "equal" if distance <= AGREEMENT else "DIFFERENT"
        table.add_row(f"{name}: map and hit@1 apart from ours", f"{distance:.1e}", "", verdict)
    scores = 4 * len(problem.queries) * len(problem.documents) / 2**20
    table.add_row(
        "memory beyond the loaded libraries, MiB", f"{(memory['peak'] - memory['loaded']) / 2**20:.0f}", "", ""
    )
    table.add_row("(all scores at once would be, MiB)", f"{scores:.0f}", "", "")
    return table


def parse(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.partition("\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--random", action="store_true", help="vectors by chance, of XQuAD-R's size (the default)")
    source.add_argument("--collection", help=f"one of {', '.join(COLLECTIONS)}, or a folder")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="whose stored vectors to use (%(default)s)")
    parser.add_argument("--vectors", type=Path, help="folder with queries.npy and documents.npy, in place of them")
    parser.add_argument("--repetitions", type=int, default=5, help="the median counts (%(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="on how many pairs the peers are run (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the vectors and the pairs (%(default)s)")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str]) -> None:
    """Measure and print."""
    arguments = parse(given)
    if arguments.memory:
        tell_memory(arguments)
        return
    problem = open_problem(arguments)
    pairs = list(product(problem.collection.languages, repeat=2))
    chosen = np.random.default_rng(arguments.seed).choice(len(pairs), arguments.pairs, replace=False)
    memory = measure_memory(problem, given)
    seconds, apart = measure(problem, [pairs[i] for i in chosen], arguments.repetitions)
    Console().print(report(problem, [pairs[i] for i in chosen], seconds, apart, memory))


if __name__ == "__main__":
    main(sys.argv[1:])
