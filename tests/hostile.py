"""Names that try to act as markup, a cache in which everything bears one, and independent readers of what is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from engine.collections.reading import read_collection
from engine.evaluation.evaluate import Evaluation
from engine.ranks.schema import PUBLISHED_PAIRS
from engine.storage.store import Store
from engine.training.recipe import Recipe, Settings
from tests.builders import write_xquad_r
from tests.exchange_builders import evaluated
from tests.oracle import random_collection

FRAGMENTS = (
    "![p](http://a.b/c.png)",
    "[l](http://a.b)",
    "<img src=x onerror=y()>",
    "<b>x</b>",
    "</script>",
    "$x^2$",
    ":red[x]",
    ":material/bolt:",
    ":smile:",
    "# x",
    "**x**",
    "`x`",
    "| x |",
    "%{y}",
    r"\input{x}",
    "a & b",
    "&lt;i&gt;",
    "http://a.b",
    "www.a.b",
    "x@a.b",
    "'quoted",
    "=1+1",
    "~x~",
    "{x}",
    "_x_",
)
MARK = "Zq"
NAMES = st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4, unique=True).map(lambda parts: name_of(*parts))
WORST = tuple(FRAGMENTS)
_MARKDOWN = {"body", "label", "help", "text", "content"}  # fields of Streamlit's messages that may be Markdown
_PLAIN = {"code", "text_input", "dataframe", "arrow_data_frame", "html", "plotly_chart", "text", "json"}


def name_of(*parts: str) -> str:
    """A name of fragments, with a token by which it is found, and a fragment in front."""
    return f"{parts[0]} {MARK} {' '.join(parts[1:])}".strip()


def fill(store: Store, folder: Path, name: str) -> list[Evaluation]:
    """A cache with a sweep, an import, a result and a failed run, in which everything bears one name."""
    collection = random_collection(np.random.default_rng(1), ("de", "en", "fr"), 8, 20, 1)
    place = write_xquad_r(folder / "collection", collection)
    collection = replace(read_collection(place), name=name)
    recipes = [None, *(_recipe(name, alpha) for alpha in (0.0, 1.0))]
    made = []
    for seed, recipe in enumerate(recipes):
        more = {"recipe": asdict(recipe) if recipe else None, "seen_in_training": {"queries": 2, "passages": 3}}
        label = f"{name}, alpha {recipe.alpha:g}" if recipe else name
        made.append(evaluated(collection, store, seed=seed, name=label, opened_as=str(place), top_k=50, **more))
    base = made[0].manifest.encoder.fingerprint
    assert recipes[1].encoder == base
    origin = {"source": name, "kind": "TREC run", "relevant": 9, "missing": 1, "notes": [name]}
    evaluated(collection, store, seed=9, name=f"{name} imported", top_k=50, imported=origin)
    _import_result(store, name)
    run = store.path("runs", "r")
    run.mkdir(parents=True)
    for command, state in (("sweep", "failed"), ("evaluate", "stopped"), ("report", "finished")):
        run = store.path("runs", command)
        run.mkdir(parents=True, exist_ok=True)
        about = {"title": name, "arguments": [command, "--out", str(folder / "zips" / "report")], "started": 1.0}
        (run / "run.json").write_text(json.dumps(about))
        status = {"state": state, "stage": name, "message": name, "overall": name, "updated": 2.0}
        (run / "status.json").write_text(json.dumps(status))
        (run / "log.txt").write_text(name)
        (run / "losses.jsonl").write_text(json.dumps({"what": f"{name}, seed 0", "step": 1, "loss": 0.5}) + "\n")
    with store.writing("checkpoints", "c", {"name": name, "recipe": {"strategy": "hybrid"}}) as entry:
        pairs = [{"query_lang": "de", "doc_lang": "en", "pairs": 3}]
        training = {"composition": {"batches": {"mono": 1}, "pairs": pairs}, "leaks": [], "questions": 3, "seconds": 1}
        (entry / "training.json").write_text(json.dumps(training))
    return made


def _recipe(name: str, alpha: float) -> Recipe:
    from engine.storage.digest import digest

    prompts = {"query": "", "document": ""}
    names = {"encoder_name": name, "collection_name": name}
    return Recipe(digest(0), prompts, "trained on", "head", alpha=alpha, settings=Settings(), **names)


def _import_result(store: Store, name: str) -> None:
    pairs = [(one, other) for one in ("de", "en") for other in ("de", "en")]
    model = name.replace("/", "-")
    rows = [(name, model, name, f"2.{name}", *pair, 0.5, 0.6, 0.7, 0.8) for pair in pairs]
    about = {"task": name, "model": model, "revision": name, "version": f"2.{name}", "split": "test"}
    with store.writing("imports", "i", about) as entry:
        pl.DataFrame(rows, schema=PUBLISHED_PAIRS, orient="row").write_parquet(entry / "pairs.parquet")


# readers


def markdown_of(page: AppTest) -> Iterator[str]:
    """Every text of a page that Streamlit reads as Markdown."""
    for node in _nodes(page._tree):
        proto = getattr(node, "proto", None)
        kind = getattr(node, "type", "")
        if proto is None or kind in _PLAIN:
            continue
        yield from _strings(proto)


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", {}).values():
        yield from _nodes(child)


def _strings(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        if isinstance(value, str) and field.name in _MARKDOWN:
            yield value
        elif hasattr(value, "ListFields"):
            yield from _strings(value)
        elif field.message_type is not None and not hasattr(value, "items"):
            for part in value:
                yield from _strings(part)


class _Tags(HTMLParser):
    """The tags of a piece of HTML, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def read_html(text: str) -> _Tags:
    """What a browser would find in HTML."""
    reader = _Tags()
    reader.feed(text)
    reader.close()
    return reader


def shown_in_markdown(text: str, *, streamlit: bool = False) -> _Tags:
    """What Markdown shows, by an independent reader; of Streamlit's own marks, those that are left are errors."""
    if streamlit:
        for mark in (r"(?<!\\)\$", r":(red|material|smile)", r"(http|ftp)s?://", r"www\.", r"\w@a"):
            own = r"^:(green|red|orange)\[:material/\w+:\] |^:material/\w+: |:gray\["
            inside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", re.sub(own, "", text))
            inside = re.sub(r"\]\(https?://[^)]*\)", "", inside)
            assert not re.search(mark, inside) or MARK not in text, (mark, text)
    reader = MarkdownIt("gfm-like", {"linkify": False, "html": True})
    return read_html(reader.render(text))
