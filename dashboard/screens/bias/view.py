"""Pieces of the bias page: the answer, the overview, and a section for each kind of bias that ranks tell."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard import cached, widgets
from dashboard.cached import bias as bias_data
from dashboard.names import plain
from engine import figures
from engine.bias import DIRECTIONS, MEASURES, RANK_MEASURES, Suite
from engine.collections.languages import language
from engine.ranks.schema import in_corpus
from engine.sweeps.prose import LEVEL, p_value

_NAMED = 3  # languages that a sentence names


def answer(one: cached.Listed, found: Suite) -> str:
    """What the measures say, in a sentence or two, each number with its interval and what a random ranking gives."""
    value = {row["measure"]: row for row in found.measures.to_dicts()}
    k = bias_data.depth(one)
    text = (
        f"In the pool of all languages of {plain(one.collection)}, **{plain(one.checkpoint)}** sets the versions "
        f"of one answer {told(value['rank_distance'])} ranks apart (equal treatment: near 0; a random ranking: "
        f"{MEASURES['rank_distance'].write(value['rank_distance']['random'])})"
    )
    own = value["own_share"]
    if own["value"] is not None and own["random"]:  # pictures have no language of their own
        fair = f"fair share {MEASURES['own_share'].write(own['random'])}"
        text += f", and {told(own)} of the first {k} are in the query's own language ({fair})"
    return f"{text}."


def told(row: dict[str, float]) -> str:
    """A measure's value with its interval."""
    measure = MEASURES[row["measure"]]
    interval = "" if row["low"] is None else f" ({measure.write(row['low'])} to {measure.write(row['high'])})"
    return f"**{measure.write(row['value'])}**{interval}"


def draw_overview(found: Suite, k: int) -> None:
    """All measures beside a random ranking; numbers and definitions on demand."""
    st.plotly_chart(figures.measure_forest(found.measures, k), key="suite", config=widgets.CHART)
    st.caption(
        "Bars: 95 % intervals, from drawing questions anew. Red: a language-blind random ranking, in which every order "
        "of the pool is as likely as any other. Each measure has its own axis."
    )
    with st.expander("Numbers and definitions"):
        st.dataframe(
            pl.DataFrame(
                [
                    {
                        "measure": MEASURES[row["measure"]].label,
                        **{
                            name: MEASURES[row["measure"]].write(row[name])
                            for name in ("value", "low", "high", "random")
                        },
                        "less biased": DIRECTIONS[MEASURES[row["measure"]].direction],
                        "queries": row["queries"],
                        "questions": row["questions"],
                    }
                    for row in found.measures.to_dicts()
                ]
            ),
            hide_index=True,
        )
        st.markdown("\n".join(f"- {_definition(name, k)}" for name in RANK_MEASURES))
        st.markdown(
            "PEER, the per-query fairness test of arXiv 2405.00978, is left out: with one relevant passage in each "
            "language it gives the same constant for every ranking."
        )


def _definition(name: str, k: int) -> str:
    measure = MEASURES[name]
    return (
        (
            f"**{measure.label}** ({DIRECTIONS[measure.direction]}). {measure.definition} "
            f"*Random*: {measure.random} *Source*: {measure.source}."
        )
        .replace("first k", f"first {k}")
        .replace("top k", f"top {k}")
    )


def explain(*names: str, k: int) -> None:
    """Definitions of measures, on demand."""
    with st.expander("What is measured"):
        st.markdown("\n".join(f"- {_definition(name, k)}" for name in names))


def draw_own_language(one: cached.Listed, found: Suite, codes: list[str], k: int) -> None:
    """Is the passage in the query's language put before its translations?"""
    row = found.measures.filter(pl.col("measure") == "own_advantage").row(0, named=True)
    if row["value"] is None:
        st.info("No query has a relevant passage in its own language and in another.")
        return
    times = 2 ** row["value"]
    st.markdown(
        f"The passage in the query's own language stands **{times:,.0f} times** further up than its translations do on "
        f"average: {told(row)} doublings of the rank (equal treatment: 0)."
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Doublings ahead of its translations**, query language down, passage language across")
        st.plotly_chart(
            figures.advantage_heatmap(bias_data.advantages(one.key), codes), key="advantage", config=widgets.CHART
        )
    with right:
        st.markdown(f"**Own language in the top {k}**")
        own = found.query_languages.filter(pl.col("measure") == "own_share")
        fair = dict(own.select("query_lang", "random").iter_rows())
        st.plotly_chart(figures.share_bars(cached.shares(one.key, k), fair, k), key="shares", config=widgets.CHART)
    explain("own_advantage", "own_share", k=k)


def draw_first(one: cached.Listed, found: Suite, k: int) -> None:
    """What is the first result?"""
    value = {row["measure"]: row for row in found.measures.to_dicts()}
    right = value["first_right_own"]["value"] + value["first_right_other"]["value"]
    st.markdown(
        f"The first result is right for **{MEASURES['first_right_own'].write(right)}** of the queries; for "
        f"{told(value['first_wrong_own'])} it is wrong but in the query's language, though right passages in other "
        "languages were to be had."
    )
    st.plotly_chart(figures.outcome_bars(bias_data.outcomes(one.key)), key="outcomes", config=widgets.CHART)
    explain("first_right_own", "first_right_other", "first_wrong_own", "first_wrong_other", k=k)


def draw_documents(one: cached.Listed, found: Suite, k: int) -> None:
    """Are passages of some languages pushed down, whoever asks?"""
    effect, pushed = bias_data.documents(one.key)
    if not effect.freedom:
        st.info("No question tells two document languages apart.")
        return
    apart = pushed.filter(pl.col("p_holm") < LEVEL)
    behind = apart.filter(pl.col("place") > 0.5).sort("place", descending=True)["doc_lang"].to_list()
    first = apart.filter(pl.col("place") < 0.5)["doc_lang"].to_list()
    row = found.measures.filter(pl.col("measure") == "document_effect").row(0, named=True)
    p = p_value(effect.p)
    text = (
        f"Pushed down most: **{_names(behind)}**; put first: **{_names(first)}**"
        if behind or first
        else "No language differs significantly from equal treatment"
    )
    st.markdown(
        f"{text}. Kendall's W is {told(row)} (random {MEASURES['document_effect'].write(row['random'])}); Friedman's "
        f"test over {effect.questions:,} questions: χ² = {effect.statistic:,.0f} with {effect.freedom} degrees of "
        f"freedom, {p}."
    )
    st.plotly_chart(figures.document_places(found.document_languages, pushed), key="documents", config=widgets.CHART)
    st.caption(
        "Mean over questions, with 95 % intervals; colours by a randomisation test of each language against its "
        "translations, corrected over the languages by Holm's method."
    )
    explain("document_effect", k=k)


def _names(codes: list[str]) -> str:
    named = ", ".join(language(code).name for code in codes[:_NAMED])
    return named or "none"


def draw_distance(one: cached.Listed, found: Suite, codes: list[str], k: int) -> None:
    """Where do the answers stand in the pool, by language?"""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Rank distance by query language**")
        st.plotly_chart(
            figures.rank_distance_dots(cached.summary(one.key).rank_distance), key="distance", config=widgets.CHART
        )
    with right:
        query_lang = widgets.pick_language("Query language", codes, key="query")
        st.plotly_chart(
            figures.pool_rank_boxes(in_corpus(cached.ranks_of_pool(one.key)), query_lang),
            key="boxes",
            config=widgets.CHART,
        )
    st.markdown("**Median rank in the pool**, query language down, passage language across")
    st.plotly_chart(
        figures.pool_rank_heatmap(cached.pool_ranks(one.key), codes), key="median_ranks", config=widgets.CHART
    )
    explain("rank_distance", "bias", k=k)


def draw_probes(one: cached.Listed, found: Suite, codes: list[str], k: int) -> None:
    """What if translations are taken out of the pool?"""
    value = {row["measure"]: row for row in found.measures.to_dicts()}
    if value["one_target_gap"]["value"] is None:
        st.info("No query has a relevant passage in its own language and in another.")
        return
    targets, removed = bias_data.probes(one.key, one.manifest.collection.candidates)
    st.markdown(
        f"Alone in the pool, the passage in the query's language reaches a mean reciprocal rank "
        f"{told(value['one_target_gap'])} above that of one in another language. Taking it out costs "
        f"{told(value['own_removal'])} mAP more than taking out another (equal treatment: 0 for both)."
    )
    left, right = st.columns([5, 4], gap="large")
    with left:
        st.markdown("**Only one passage is relevant**: mean reciprocal rank, query language down, passage across")
        st.plotly_chart(figures.target_heatmap(targets, codes), key="targets", config=widgets.CHART)
    with right:
        st.markdown("**mAP in the pool**: with all answers, without the own language's, without another's")
        means = removed.select(
            pl.lit("mean").alias("query_lang"), pl.exclude("query_lang", "len").mean(), pl.col("len").sum()
        )
        st.dataframe(
            pl.concat([removed.with_columns(pl.col("query_lang").replace_strict(_language_names(codes))), means]),
            hide_index=True,
            height=38 + 35 * (removed.height + 1),
            column_config={
                "query_lang": st.column_config.TextColumn("query", width="small"),
                "len": st.column_config.NumberColumn("queries", width="small"),
                "map": st.column_config.NumberColumn("all", format="%.3f", width="small"),
                "without_own": st.column_config.NumberColumn("no own", format="%.3f", width="small"),
                "without_other": st.column_config.NumberColumn("no other", format="%.3f", width="small"),
            },
        )
    explain("one_target_gap", "own_removal", k=k)


def _language_names(codes: list[str]) -> dict[str, str]:
    return {code: language(code).name for code in codes}


def draw_agreement(one: cached.Listed, found: Suite, codes: list[str], k: int) -> None:
    """Do the versions of a question find the same?"""
    row = found.measures.filter(pl.col("measure") == "rank_correlation").row(0, named=True)
    if row["value"] is None:
        st.info("No question is asked in two languages.")
        return
    st.markdown(
        f"The rankings of two versions of a question correlate by {told(row)} on average (the same ranking for all: "
        f"1; random rankings: 0), judged by their first {k}."
    )
    frame = bias_data.agreement(one.key, one.manifest.collection.candidates, k)
    held = set(frame["query_lang"])
    figure = figures.agreement_heatmap(frame, [code for code in codes if code in held])
    st.plotly_chart(figure, key="agreement", config=widgets.CHART)
    explain("rank_correlation", k=k)


def label(name: str, k: int) -> str:
    """What a measure is called, with the number of first places that count."""
    return MEASURES[name].label.replace("top k", f"top {k}")
