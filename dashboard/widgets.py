"""Pickers and small pieces of pages. Every picker has a key, and what it holds stands in the address bar."""

from __future__ import annotations

import html
from collections.abc import Sequence
from math import isnan

import polars as pl
import streamlit as st

from dashboard import access, cached
from dashboard.names import plain, verbatim
from engine import Collection, figures
from engine.collections.languages import language
from engine.collections.pictures import PICTURE, Picture
from engine.evaluation.notes import reading_notes
from engine.exchange import limits
from engine.ranks.metrics import METRICS, label
from engine.storage import jobs
from engine.sweeps.prose import LEVEL

CHART = {"displayModeBar": False}
CORRECTIONS = {"p_holm": "Holm", "p_bh": "Benjamini-Hochberg", "p": "uncorrected"}


def pick_evaluation() -> cached.Listed:
    """Pick a collection and a checkpoint in the sidebar; without any evaluation, say how to get one and stop.

    Another page leads here with an evaluation's key in the address, as `evaluation`.
    """
    listed = cached.evaluations()
    if not listed:
        no_evaluation()
    if wanted := st.query_params.get("evaluation"):
        for one in (one for one in listed if one.key == wanted):
            st.session_state["collection"], st.session_state["checkpoint"] = one.collection, one.checkpoint
        del st.query_params["evaluation"]
    with st.sidebar:
        collections = list(dict.fromkeys(one.collection for one in reversed(listed)))
        collection = st.selectbox("Collection", collections, key="collection", bind="query-params")
        here = [one for one in listed if one.collection == collection]
        fitting = {one.checkpoint: one for one in sorted(here, key=_whole_and_untrained_first)}
        checkpoint = st.selectbox("Checkpoint", list(fitting), key="checkpoint", bind="query-params")
    one = fitting[checkpoint]
    with st.sidebar.expander("Where these numbers come from"):
        st.markdown(provenance(one))
    tell_import(one)
    return one


def _whole_and_untrained_first(one: cached.Listed) -> tuple[bool, bool]:
    """Of evaluations that come with the project, those that every page can show, and the untrained encoder, first."""
    packed = one.manifest.packed is not None
    return not cached.has_top(one), packed and one.manifest.recipe is not None


def no_evaluation() -> None:
    """Say that nothing is evaluated yet, lead to where that is done, and stop the page."""
    st.title("Nothing is evaluated yet")
    st.markdown(
        "The pages show measurements only, and none has been made on this machine. "
        "Fetch a collection and evaluate an encoder on it; the default encoder needs no download."
    )
    access.link("screens/evaluate/evaluate.py", label="Fetch and evaluate", icon=":material/download:")
    st.stop()


def provenance(one: cached.Listed) -> str:
    """What determined an evaluation's numbers, as a list in Markdown."""
    collection, encoder = one.manifest.collection, one.manifest.encoder
    prompts = " / ".join(verbatim(text) if text else "none" for text in encoder.prompts.values())
    length = f"{encoder.max_length} tokens" if encoder.max_length else "the model’s limit"
    measured = [f"prompts (query / document): {prompts}", f"text length: {length}, {encoder.dtype}"]
    lines = [
        f"**{plain(collection.name)}**: {len(collection.languages)} languages, {collection.queries:,} queries, "
        f"{collection.candidates:,} candidates",
        f"**{plain(encoder.name)}**, fingerprint `{encoder.fingerprint[:12]}`",
        *(map(plain, limits(one.manifest)[:1]) if one.manifest.imported else measured),
        f"evaluation `{one.key[:12]}`",
    ]
    return "\n".join(f"- {line}" for line in [*lines, *map(plain, reading_notes(collection))])


def tell_import(one: cached.Listed) -> None:
    """Say of an imported evaluation where it is from, and which of its numbers are bounds."""
    sentences = limits(one.manifest)
    if sentences:
        tell = st.warning if one.manifest.missing else st.info
        tell("  \n".join(map(plain, sentences)), icon=":material/swap_vert:")


def watch_runs(kinds: tuple[str, ...], shown: int) -> None:
    """Show the runs that are going on, and draw the page anew when one has brought something.

    Args:
        kinds: Commands of the engine, such as "sweep".
        shown: How many evaluations the page shows.
    """
    going = [run for run in jobs.all_runs(cached.store()) if run.arguments[0] in kinds and run.state == "running"]
    if going:
        st.fragment(_watch, run_every=1.0)([run.key for run in going], shown)


def _watch(keys: list[str], shown: int) -> None:
    found = [jobs.read(cached.store(), key) for key in keys]
    for run in found:
        step = f"{run.stage} {100 * run.fraction:.0f} %"
        text = f"{run.title}: {f'{run.overall}; now {step}' if run.overall else step}"
        st.progress(run.done, text=plain(text))
    if any(run.state != "running" for run in found) or len(cached.evaluations()) != shown:
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
        format_func=lambda code: everything if code is None else figures.name_of(code),
        key=key,
        bind="query-params",
    )


def pick_correction() -> str:
    """Pick how p values of many pairs are corrected; returns their column."""
    return st.segmented_control(
        "Bold: differences that survive the correction for many pairs",
        list(CORRECTIONS),
        format_func=CORRECTIONS.get,
        default="p_holm",
        required=True,
        key="correction",
        bind="query-params",
        help="Holm keeps the chance of any false alarm among the pairs below 5 %; Benjamini-Hochberg keeps the "
        "expected share of false alarms among the bold ones below 5 %; uncorrected, one pair in twenty is bold "
        "by chance.",
    )


def survivors(tests: pl.DataFrame, correction: str) -> str:
    """How many differences between pairs survive, in a sentence."""
    known = tests.drop_nulls(correction)
    parts = []
    for kind, same in (("cross-lingual", False), ("same-language", True)):
        part = known.filter((pl.col("query_lang") == pl.col("doc_lang")) == same)
        told = part.filter(pl.col(correction) < LEVEL)
        up, down = (told.filter(sign).height for sign in (pl.col("difference") > 0, pl.col("difference") < 0))
        parts.append(f"of {part.height} {kind} pairs {up} are better and {down} worse")
    return f"Told apart at the 5 % level ({CORRECTIONS[correction]}): {'; '.join(parts)}. Pale: not told apart."


def selection_table(choice: pl.DataFrame) -> None:
    """The ratios with their chances of being the best."""
    st.dataframe(
        choice.select(
            "system",
            "value",
            "low",
            "high",
            pl.col("probability") * 100,
            "candidate",
            "difference",
            "difference_low",
            "difference_high",
            "detectable",
        ),
        hide_index=True,
        column_config={
            "system": st.column_config.NumberColumn("alpha", format="%g"),
            "probability": st.column_config.ProgressColumn("is best", min_value=0, max_value=100, format="%.0f %%"),
            "candidate": st.column_config.CheckboxColumn("could be best"),
            "difference": st.column_config.NumberColumn("to the best"),
            "difference_low": "from",
            "difference_high": "to",
            "detectable": st.column_config.NumberColumn(
                "detectable", help="The smallest difference that this collection would find 4 times in 5."
            ),
        },
    )


def score_columns(columns: dict[str, str]) -> dict[str, object]:
    """How a table shows columns of `results.points`: their titles, and as many digits as figures have."""
    return {
        column: st.column_config.NumberColumn(title, format="%.0f" if column == "rank_distance" else "%.3f")
        for column, title in columns.items()
    }


def text_in(code: str, text: str) -> str:
    """A text as HTML, marked with its language and direction; a picture as a thumbnail."""
    if isinstance(text, Picture):
        address = cached.thumbnail(text)
        return (
            f'<img src="{address}" alt="picture" class="thumbnail">' if address else "<i>the picture cannot be read</i>"
        )
    return f'<span lang="{html.escape(code)}" dir="{language(code).direction}">{html.escape(text)}</span>'


def question_line(code: str, text: str) -> None:
    """Draw a question large, on the side where its language begins."""
    st.html(f'<p dir="{language(code).direction}" style="font-size:1.2rem;margin:0">{text_in(code, text)}</p>')


def texts_or_note(*listed: cached.Listed) -> Collection | None:
    """The collection of some evaluations; where its texts or their first passages are not here, a note and None."""
    for one in listed:
        if not cached.can_read(one):
            opened = one.manifest.opened_as
            if opened is None:
                st.info(
                    f"The texts of {plain(one.collection)} are not on this machine: this evaluation was imported "
                    "without them."
                )
                return None
            st.info(f"Fetch {plain(opened.collection)} to read its texts; the other pages need none.")
            access.link("screens/evaluate/evaluate.py", label="Fetch and evaluate", icon=":material/download:")
            return None
        if not cached.has_top(one):
            st.info(f"The first passages of {plain(one.checkpoint)} did not ship. Evaluate it here to read them.")
            return None
    return cached.collection_of(listed[0])


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
        f'<tr class="{mark or "other"}"><td class="n">{rank}</td>'
        f'<td class="l" title="{html.escape(language(code).name)}">{html.escape(language(code).name)}</td>'
        f'<td class="n">{"" if isnan(score) else f"{score:.3f}"}</td>'
        f'<td dir="{language(code).direction}">{text_in(code, text)} {marks.get(mark, "")}</td></tr>'
        for rank, code, score, mark, text in rows
    ]
    head = "<tr><th>rank</th><th>language</th><th>score</th><th>passage</th></tr>"
    st.html(f"{_STYLE}<table class='passages'>{head}{''.join(items)}</table>")


def picture_row(pictures: Sequence[tuple[str, bool]]) -> None:
    """Draw retrieved pictures in a row, the first one first.

    Args:
        pictures: Each with whether it is the one that was asked for.
    """
    items = [
        f'<span class="{"answer" if is_answer else "other"}">{text_in(PICTURE, picture)}<br>{rank}</span>'
        for rank, (picture, is_answer) in enumerate(pictures, 1)
    ]
    st.html(f"{_STYLE}<div class='pictures'>{''.join(items)}</div>")


_STYLE = """<style>
.pictures { display: flex; flex-wrap: wrap; gap: 6px; text-align: center; font-size: 0.75rem; }
.pictures span { padding: 5px; border-radius: 6px; border: 1px solid rgba(128, 128, 128, 0.25); }
.pictures span.answer { background: rgba(46, 139, 87, 0.25); border-color: #2e8b57; }
.thumbnail { max-height: 56px; vertical-align: middle; }
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
