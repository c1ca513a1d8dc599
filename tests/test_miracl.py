"""MIRACL: its official layout, fetching by language and split, and scores beside pytrec_eval's."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from engine.collections import miracl_source
from engine.collections.miracl_source import fetch_miracl, languages_of, miracl_name
from engine.collections.opening import open_collection
from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.errors import EngineError, FetchError, InputError
from engine.evaluation.evaluate import evaluate
from engine.evaluation.summary import summarise
from engine.ranks import metrics
from engine.ranks.ranking import rank_collection
from engine.storage.store import Store
from tests.checkpoints import tiny_bert
from tests.command_line import runner, the_error
from tests.pages import open_page, text_of

TOPICS = {
    "bn": {"0": "নদী কোথায়?", "1": "কে লিখেছেন?"},
    "sw": {"0": "Mto uko wapi?", "7": "Nani aliandika?", "8": "Hakuna jibu?"},
}
"""Questions by id; the id 0 is there in both languages, and they are not versions of one question."""

PASSAGES = {
    code: [(f"{i // 3}#{i % 3}", f"{code} title {i // 3}", f"{code} text {i}") for i in range(40)] for code in TOPICS
}
JUDGED = {
    "bn": [("0", "0#0", 1), ("0", "4#1", 1), ("0", "2#2", 0), ("1", "3#0", 1)],
    "sw": [("0", "5#0", 1), ("0", "0#0", 0), ("7", "0#1", 1), ("7", "0#2", 1), ("7", "99#9", 1), ("8", "1#0", 0)],
}
"""Query, docid, judgement: sw 8 has a negative only, 99#9 is not in the corpus."""


def _model(folder: Path) -> Path:
    return tiny_bert(folder / "model", as_sentence_transformer=True)


def write_miracl(folder: Path) -> Path:
    """A small MIRACL in its official layout: each corpus in two shards."""
    for code, topics in TOPICS.items():
        topic_file = folder / "miracl" / miracl_source.topics_name(code, "dev")
        qrels_file = folder / "miracl" / miracl_source.qrels_name(code, "dev")
        corpus = folder / "miracl-corpus" / miracl_source.corpus_name(code)
        for place in (topic_file.parent, qrels_file.parent, corpus):
            place.mkdir(parents=True)
        topic_file.write_text("".join(f"{query}\t{text}\n" for query, text in topics.items()), encoding="utf-8")
        qrels_file.write_text("".join(f"{query}\tQ0\t{doc}\t{value}\n" for query, doc, value in JUDGED[code]))
        for number, rows in enumerate((PASSAGES[code][:25], PASSAGES[code][25:])):
            lines = [json.dumps(dict(zip(("docid", "title", "text"), row, strict=True))) for row in rows]
            with gzip.open(corpus / f"docs-{number}.jsonl.gz", "wt", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(miracl_source, "SHARDS", {"bn": 2, "sw": 2, "te": 2})
    return write_miracl(tmp_path / "official")


@pytest.fixture
def small(source: Path, store: Store) -> Collection:
    fetch_miracl(["sw", "bn"], "dev", store, source)
    return open_collection("miracl:bn+sw", store)


def test_what_is_read(small: Collection) -> None:
    assert (small.languages, small.split, small.crossed) == (("bn", "sw"), "dev", False)
    assert small.queries.questions == ("bn/0", "bn/1", "sw/0", "sw/7")  # equal ids are not one question
    assert len(small.corpus) == 80
    assert small.corpus.texts[41] == "sw title 0 sw text 1"
    assert small.corpus.passages[41] == "sw/0"
    assert dict(small.skipped) == {
        "a query has no relevant document": 1,
        "a relevant document is not in the corpus": 1,
    }


def _relevant(code: str) -> Iterator[tuple[str, str]]:
    known = {docid for docid, *_ in PASSAGES[code]}
    return ((query, doc) for query, doc, value in JUDGED[code] if value == 1 and doc in known)


def _trec(scores: np.ndarray, measures: set[str]) -> dict[str, Mapping[str, float]]:
    """pytrec_eval's scores by query, each language among its own passages; judgements of 0 are given to it as such."""
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    row = 0
    for block, code in enumerate(TOPICS):
        known = [docid for docid, *_ in PASSAGES[code]]
        for query in TOPICS[code]:
            if query not in {asked for asked, _ in _relevant(code)}:
                continue
            judged = {doc: value for asked, doc, value in JUDGED[code] if asked == query and doc in known}
            qrels[f"{code}/{query}"] = judged
            own = scores[row, 40 * block : 40 * (block + 1)].tolist()
            run[f"{code}/{query}"] = dict(zip(known, own, strict=True))
            row += 1
    return pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)


def test_ndcg_and_recall_are_those_of_trec_eval(small: Collection) -> None:
    rng = np.random.default_rng(5)
    queries, documents = (
        rng.normal(size=(count, 16)).astype(np.float32) for count in (len(small.queries), len(small.corpus))
    )
    ranks, _ = rank_collection(queries, documents, small)
    ours = metrics.per_query(ranks, "mono", ["ndcg@10", "recall@10", "recall@100", "map"]).to_dicts()
    theirs = _trec(queries @ documents.T, {"ndcg_cut_10", "recall_10,100", "map"})
    names = {"ndcg@10": "ndcg_cut_10", "recall@10": "recall_10", "recall@100": "recall_100", "map": "map"}
    assert [row["question"] for row in ours] == sorted(theirs)
    for row in ours:
        for our_name, their_name in names.items():
            assert row[our_name] == pytest.approx(theirs[row["question"]][their_name], abs=1e-6)


def test_an_evaluation_has_mono_and_the_pool_but_no_cross_and_no_distance(small, store: Store, tmp_path) -> None:
    summary = summarise(evaluate(SentenceEncoder(_model(tmp_path), "tiny"), small, store))
    cells = summary.settings.select("setting", "cells", "expected").rows()
    assert cells == [("mono", 2, 2), ("cross", 0, 0), ("multi", 2, 2)]
    assert summary.value("cross", "map") is None
    assert summary.value("mono", "recall@100") == 1.0
    assert summary.value("multi", "ndcg@10") is not None
    assert summary.mean_rank_distance() is None  # relevant passages of one language are not parallel


def test_languages_are_fetched_one_by_one_and_only_once(source: Path, store: Store) -> None:
    notes: list[tuple[float, float]] = []
    assert fetch_miracl(["sw"], "dev", store, source) == ("miracl:sw", True)
    progress = lambda _stage, done, total: notes.append((done, total))  # noqa: E731
    assert fetch_miracl(["bn", "sw"], "dev", store, source, progress) == ("miracl:bn+sw", True)
    assert notes[-1] == (4, 4)  # two shards, topics and judgements of bn
    assert fetch_miracl(["bn", "sw"], "dev", store, source / "nowhere") == ("miracl:bn+sw", False)
    assert open_collection("miracl:sw", store).languages == ("sw",)


def test_a_language_that_is_not_fetched_is_named_with_the_command(source: Path, store: Store) -> None:
    fetch_miracl(["sw"], "dev", store, source)
    with pytest.raises(InputError, match=r"bn is not fetched yet.*fetch miracl --languages bn --split dev"):
        open_collection("miracl:bn+sw", store)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("topics", "0 Mto uko wapi?\n", "topics.*:1: a line has 1 columns; expected query id and question by a tab"),
        ("qrels", "0\tQ0\t5#0\n", "qrels.*:1: a line is no judgement"),
        ("qrels", "9\tQ0\t5#0\t1\n", "names the unknown query '9'"),
    ],
)
def test_a_file_with_a_fault_is_named(source: Path, store: Store, file: str, content: str, message: str) -> None:
    [place] = (source / "miracl" / "miracl-v1.0-sw" / file).iterdir()
    place.write_text(content)
    fetch_miracl(["sw"], "dev", store, source)
    with pytest.raises(InputError, match=message):
        open_collection("miracl:sw", store)


@pytest.mark.parametrize("fault", ["cut", "missing"])
def test_a_shard_that_is_cut_or_missing_leaves_nothing_in_place(source: Path, store: Store, fault: str) -> None:
    shard = source / "miracl-corpus" / "miracl-corpus-v1.0-sw" / "docs-1.jsonl.gz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-20]) if fault == "cut" else shard.unlink()
    with pytest.raises(FetchError, match="cut short" if fault == "cut" else "no such file"):
        fetch_miracl(["sw"], "dev", store, source)
    assert not list(store.entries("collections"))
    shard.write_bytes(whole)
    assert fetch_miracl(["sw"], "dev", store, source)[1]


def test_a_cut_shard_in_the_cache_is_one_line(source: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = source / "miracl-corpus" / "miracl-corpus-v1.0-sw" / "docs-1.jsonl.gz"
    shard.write_bytes(shard.read_bytes()[:-20])
    monkeypatch.setattr(miracl_source, "_check_whole", lambda file: None)
    fetch_miracl(["sw"], "dev", store, source)
    with pytest.raises(InputError, match="the shard is cut short; fetch it again"):
        open_collection("miracl:sw", store)


@pytest.mark.parametrize(
    ("languages", "message"), [(["xx", "sw"], "miracl has no language 'xx'"), ([], "choose languages with --languages")]
)
def test_unknown_languages_are_refused(languages: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        miracl_name(languages)


def test_the_official_languages_and_shards() -> None:
    assert len(miracl_source.SHARDS) == 18
    assert sum(miracl_source.SHARDS.values()) == 222
    assert languages_of("miracl:sw+bn") == ["bn", "sw"]


def test_fetch_and_evaluate_on_the_command_line(source: Path, store: Store, tmp_path: Path, capsys) -> None:
    run = runner(capsys)
    chosen = ("--languages", "sw,bn", "--split", "dev")
    status, out, _ = run("fetch", "miracl", *chosen, "--from", str(source))
    assert (status, "fetched: miracl:bn+sw, split dev" in out) == (0, True)
    status, out, err = run("evaluate", "--encoder", str(_model(tmp_path)), "--collection", "miracl", *chosen)
    assert status == 0
    assert "evaluated on miracl:bn+sw, split dev" in err
    assert "nDCG@10" in out
    assert "Recall@100" in out
    assert "no cross-lingual pair" in out.replace("\n", " ")
    assert "--languages is for the collection miracl" in the_error(
        run("evaluate", "--collection", "demo", "--languages", "sw")
    )


@pytest.mark.parametrize("page", ["pairs", "bias"])
def test_pages_say_that_there_is_no_cross_pair(small: Collection, store: Store, tmp_path: Path, page: str) -> None:
    evaluate(SentenceEncoder(_model(tmp_path), "tiny"), small, store)
    opened = open_page(page)
    assert "Questions of miracl:bn+sw have relevant passages in their own language only" in text_of(opened)
    assert not opened.get("plotly_chart")


class _Hub:
    """The Hub on this machine: files of two data sets at their pinned revisions; can break off in mid-file."""

    def __init__(self, folder: Path) -> None:
        self.broken, self.ranges = "", []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.respond(body=False)

            def do_GET(self) -> None:
                self.respond(body=True)

            def respond(self, *, body: bool) -> None:
                _, _, _, name, _, revision, file = self.path.split("/", 6)
                pinned = {"miracl": miracl_source._TOPICS, "miracl-corpus": miracl_source._CORPUS}
                place = folder / name / file
                if revision != pinned[name].revision or not place.is_file():
                    self.send_error(404)
                    return
                content = place.read_bytes()
                start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", revision)
                self.end_headers()
                if body:
                    hub.ranges.append((file, start))
                    cut = hub.broken and file.endswith(hub.broken)
                    self.wfile.write(content[start : len(content) // 2 if cut else None])

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hub(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Hub]:
    site = _Hub(source)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", site.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_it_is_downloaded_from_the_hub_at_pinned_revisions(hub: _Hub, store: Store) -> None:
    assert fetch_miracl(["bn"], "dev", store) == ("miracl:bn", True)
    assert len(open_collection("miracl:bn", store).corpus) == 40
    assert [about["revision"] for _, about in store.entries("collections")]


def test_a_download_that_broke_off_goes_on_where_it_was(hub: _Hub, store: Store, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.broken = "docs-1.jsonl.gz"
    with pytest.raises(EngineError, match=r"docs-1.jsonl.gz: could not be downloaded from the Hub"):
        fetch_miracl(["bn"], "dev", store)
    assert not list(store.entries("collections"))
    hub.broken, hub.ranges = "", []
    assert fetch_miracl(["bn"], "dev", store)[1]
    asked = {file.rpartition("/")[2]: start for file, start in hub.ranges}
    assert "docs-0.jsonl.gz" not in asked  # it was whole
    assert "docs-1.jsonl.gz" in asked
