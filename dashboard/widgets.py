"""Pickers and small pieces of pages. Every picker has a key, and what it holds stands in the address bar."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from dashboard import data
from engine import Evaluation, runs
from engine.languages import language
from engine.metrics import METRICS, label

CHART = {"displayModeBar": False}


def pick_evaluation() -> data.Listed:
    """Pick a collection and a checkpoint in the sidebar; without any evaluation, say how to get one and stop."""
    listed = data.evaluations()
    if not listed:
        no_evaluation()
    with st.sidebar:
        collections = sorted({one.collection for one in listed})
        collection = st.selectbox("Collection", collections, key="collection", bind="query-params")
        fitting = {one.checkpoint: one for one in listed if one.collection == collection}
        checkpoint = st.selectbox("Checkpoint", list(fitting), key="checkpoint", bind="query-params")
    one = fitting[checkpoint]
    with st.sidebar.expander("Where these numbers come from"):
        st.markdown(provenance(one))
    return one


def no_evaluation() -> None:
    """Say that nothing is evaluated yet, lead to where that is done, and stop the page."""
    st.title("Nothing is evaluated yet")
    st.markdown(
        "The pages show measurements only, and none has been made on this machine. "
        "Fetch a collection and evaluate an encoder on it; the default encoder needs no download."
    )
    st.page_link("app_pages/evaluate.py", label="Fetch and evaluate", icon=":material/download:")
    st.stop()


def provenance(one: data.Listed) -> str:
    """What determined an evaluation's numbers, as a list in Markdown."""
    collection, encoder = one.about["collection"], one.about["encoder"]
    prompts = " / ".join(f"`{text}`" if text else "none" for text in encoder["prompts"].values())
    lines = [
        f"**{collection['name']}**: {len(collection['languages'])} languages, {collection['queries']:,} queries, "
        f"{collection['candidates']:,} candidates",
        f"**{encoder['name']}**, fingerprint `{encoder['fingerprint'][:12]}`",
        f"prompts (query / document): {prompts}",
        f"text length: {encoder['max_length'] or 'the model’s limit'} tokens, {encoder['dtype']}",
        f"evaluation `{one.key[:12]}`",
    ]
    left_out = [f"left out: {count} × {reason}" for reason, count in collection["skipped"].items()]
    return "\n".join(f"- {line}" for line in [*lines, *left_out])


def warn_of_training_overlap(evaluations: Sequence[Evaluation]) -> None:
    """Warn where checkpoints are shown on texts that they were trained on."""
    seen = [evaluation.about.get("seen_in_training") or {} for evaluation in evaluations]
    queries, passages = (max((one.get(kind, 0) for one in seen), default=0) for kind in ("queries", "passages"))
    if queries or passages:
        st.warning(
            f"Not zero-shot: {queries:,} queries and {passages:,} answering passages of this collection were seen in "
            "training. These scores say how well the texts were learnt, not how well the retriever generalises.",
            icon=":material/warning:",
        )


def watch_runs(kinds: tuple[str, ...], shown: int) -> None:
    """Show the runs that are going on, and draw the page anew when one has brought something.

    Args:
        kinds: Commands of the engine, such as "sweep".
        shown: How many evaluations the page shows.
    """
    going = [run for run in runs.all_runs(data.store()) if run.arguments[0] in kinds and run.state == "running"]
    if going:
        st.fragment(_watch, run_every=1.0)([run.key for run in going], shown)


def _watch(keys: list[str], shown: int) -> None:
    found = [runs.read(data.store(), key) for key in keys]
    for run in found:
        whole = f", {run.overall}" if run.overall else ""
        st.progress(min(1.0, run.fraction), text=f"{run.title}: {run.stage} {100 * run.fraction:.0f} %{whole}")
    if any(run.state != "running" for run in found) or len(data.evaluations()) != shown:
        st.rerun(scope="app")


def pick_metric() -> str:
    """Pick a metric of the pair heatmap."""
    return st.selectbox(
        "Metric", ["hit@1", *[m for m in METRICS if m != "hit@1"]], format_func=label, key="metric", bind="query-params"
    )


def pick_language(title: str, codes: Sequence[str], key: str, everything: str | None = None) -> str | None:
    """Pick a language by name; with `everything`, a first choice of that name that stands for all (None)."""
    options = ([None] if everything else []) + sorted(codes, key=lambda code: language(code).name)
    return st.selectbox(
        title,
        options,
        format_func=lambda code: everything if code is None else f"{language(code).name} {code}",
        key=key,
        bind="query-params",
    )


def text_in(code: str, text: str) -> str:
    """A text as HTML, marked with its language and direction."""
    return f'<span lang="{code}" dir="{language(code).direction}">{html.escape(text)}</span>'


def passage_list(rows: Sequence[tuple[int, str, float, str, str]]) -> None:
    """Draw retrieved passages.

    Args:
        rows: (rank, language, score, mark, text); the mark is "answer", "translation" or "".
    """
    marks = {
        "answer": '<span class="mark answer">answer</span>',
        "translation": '<span class="mark translation">answer, translated</span>',
    }
    items = [
        f'<tr class="{mark or "other"}"><td class="n">{rank}</td><td class="l" title="{language(code).name}">'
        f'{html.escape(language(code).name)}</td><td class="n">{score:.3f}</td>'
        f'<td dir="{language(code).direction}">{text_in(code, text)} {marks.get(mark, "")}</td></tr>'
        for rank, code, score, mark, text in rows
    ]
    head = "<tr><th>rank</th><th>language</th><th>score</th><th>passage</th></tr>"
    st.html(f"{_STYLE}<table class='passages'>{head}{''.join(items)}</table>")


_STYLE = """<style>
.passages { width: 100%; border-collapse: collapse; font-size: 0.92rem; line-height: 1.45; }
.passages th { text-align: left; font-weight: 600; opacity: 0.6; font-size: 0.8rem; padding: 2px 10px; }
.passages td { padding: 7px 10px; vertical-align: top; border-top: 1px solid rgba(128, 128, 128, 0.25); }
.passages td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.passages td.l { white-space: nowrap; }
.passages tr.answer { background: rgba(46, 139, 87, 0.16); }
.passages tr.translation { background: rgba(46, 139, 87, 0.08); }
.passages .mark { border-radius: 6px; padding: 1px 7px; font-size: 0.75rem; white-space: nowrap; }
.passages .mark.answer { background: #2e8b57; color: #fff; }
.passages .mark.translation { border: 1px solid #2e8b57; }
</style>"""
