"""What a report tells: its numbers against a second way of getting them, and what may be asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from engine.errors import InputError
from engine.evaluation.evaluate import evaluations
from engine.evaluation.summary import summarise
from engine.figures.publication import Layout
from engine.report import Findings, Request, as_arguments, bias_tables, claims, find_family, gather, results, sections
from engine.report.findings import name_of
from engine.storage.store import Store
from engine.sweeps import uncertainty
from engine.sweeps.prose import Difference
from engine.sweeps.results import Family, families
from engine.sweeps.uncertainty import UNTRAINED, System
from tests.pages import options_of


@pytest.fixture(scope="module")
def family(demo_store: Store) -> Family:
    [found] = families(list(evaluations(demo_store)))
    return found


@pytest.fixture(scope="module")
def found(family: Family) -> Findings:
    return gather(family, Request(alphas=(0.0, 1.0)))


def one_seed(family: Family) -> Family:
    return replace(family, evaluations=tuple(one for one in family.evaluations if one[0].seed == 0))


def test_the_settings_table_holds_means_over_seeds_of_what_each_evaluation_comes_to(found: Findings) -> None:
    table = results.settings_table(found)
    assert [row[0].text for row in table.rows] == ["untrained", "0", "0.5", "1"]
    assert table.heads == ("alpha", "mono mAP", "cross mAP", "multi mAP", "rank distance")
    for row, numbers in zip(table.rows[1:], table.frame.filter(strategy="hybrid").iter_rows(named=True), strict=True):
        members = found.systems[System("hybrid", float(row[0].text))]
        summaries = [summarise(one) for one in members]
        for place, setting in enumerate(("mono", "cross", "multi"), 1):
            values = [one.value(setting, "map") for one in summaries]
            assert numbers[f"{setting}_map"] == pytest.approx(np.mean(values))
            assert numbers[f"{setting}_map_sd"] == pytest.approx(np.std(values, ddof=1))
            assert row[place].text == f"{np.mean(values):.3f}"
        distance = np.mean([one.mean_rank_distance() for one in summaries])
        assert row[4].text == f"{distance:,.0f}"


def test_the_best_of_a_column_is_bold_and_those_that_cannot_be_told_from_it_are_marked(found: Findings) -> None:
    table = results.settings_table(found)
    for column, (measure, setting) in enumerate(found.figures, 1):
        cells = [row[column] for row in table.rows]
        values = [float(cell.text.replace(",", "")) for cell in cells]
        best = min(values) if measure == "rank_distance" else max(values)
        assert [cell.text for cell in cells if cell.bold] == [cells[values.index(best)].text]
        choice = found.all_choices[measure, setting]
        marked = {claims.in_list([row[0].text]) for row, cell in zip(table.rows, cells, strict=True) if cell.mark}
        expected = choice.filter(pl.col("candidate") & pl.col("difference").is_not_null())["system"]
        assert marked == {name.removeprefix("alpha = ").removeprefix("the ").split(" ")[0] for name in expected}


def test_intervals_hold_their_values(found: Findings) -> None:
    frame = results.settings_table(found).frame
    for column in ("mono_map", "cross_map", "multi_map", "rank_distance"):
        assert (frame[f"{column}_low"] <= frame[column]).all()
        assert (frame[column] <= frame[f"{column}_high"]).all()


def test_matrices_hold_every_pair_and_their_means(found: Findings) -> None:
    table, pairs = results.pairs_table(found, UNTRAINED), found.pairs[UNTRAINED]
    codes = found.codes
    assert table.heads == ("", *codes, "mean")
    for row in table.rows[:-1]:
        own = pairs.filter(query_lang=row[0].text)
        values = [own.filter(doc_lang=code)["map"].item() for code in codes]
        assert [cell.text.strip("()") for cell in row[1:-1]] == [f"{value:.3f}".removeprefix("0") for value in values]
        others = [value for code, value in zip(codes, values, strict=True) if code != row[0].text]
        assert row[-1].text == f"{np.mean(others):.3f}".removeprefix("0")
        assert [cell.bold for cell in row[1:-1]] == [value == max(values) for value in values]
    assert len(table.frame) == len(codes) ** 2


def test_a_difference_is_one_matrix_minus_the_other_and_marked_by_its_test(found: Findings) -> None:
    table = results.difference_table(found, 1.0)
    after, before = found.pairs[System("hybrid", 1.0)], found.pairs[UNTRAINED]
    both = after.join(before, on=["query_lang", "doc_lang"], suffix="_before")
    changes = {
        (row["query_lang"], row["doc_lang"]): row["map"] - row["map_before"] for row in both.iter_rows(named=True)
    }
    p = {(q, d): value for q, d, value in table.frame.select("query_lang", "doc_lang", "p_holm").rows()}
    for row in table.rows[:-1]:
        for code, cell in zip(found.codes, row[1:-1], strict=True):
            assert float(cell.text.replace("−", "-")) == pytest.approx(100 * changes[row[0].text, code], abs=0.051)
            assert (cell.mark == "*") == (p[row[0].text, code] < 0.05)
    assert any(cell.mark for row in table.rows for cell in row)


def test_every_system_has_a_name_of_its_own() -> None:
    systems = [UNTRAINED, System("centred")]
    systems += [System(name, alpha) for name in ("hybrid", "merge", "centred+hybrid") for alpha in (0.0, 0.5)]
    assert [results._row_name(system) for system in systems[1:]] == [
        *("centred", "0", "0.5", "merged, 0", "merged, 0.5", "centred+hybrid, 0", "centred+hybrid, 0.5")
    ]
    assert len({name_of(system) for system in systems}) == len(systems)
    assert name_of(System("centred+hybrid", 0.5)) == "centred+hybrid at 0.5"


def test_rank_distance_by_language_agrees_with_the_bias_module(found: Findings) -> None:
    table = bias_tables.distance_table(found)
    assert table.heads == ("query language", "untrained", "0", "0.5", "1")
    expected = summarise(found.systems[UNTRAINED][0]).rank_distance
    for row in table.rows[:-1]:
        code = row[0].text.rpartition("(")[2].rstrip(")")
        assert row[1].text == f"{expected.filter(query_lang=code)['rank_distance'].item():,.0f}"
        values = [float(cell.text.replace(",", "")) for cell in row[1:]]
        assert all(value == min(values) for value, cell in zip(values, row[1:], strict=True) if cell.bold)


def test_every_part_is_of_the_same_draws(found: Findings, family: Family) -> None:
    again = uncertainty.resample_family(family, ["map"])
    given = gather(family, found.request, draws=again)
    assert results.settings_table(given).frame.equals(results.settings_table(found).frame)


def test_the_answer_names_what_the_choice_supports(found: Findings) -> None:
    answer = sections._answer(found)
    assert answer[0] == uncertainty.answer("demo", found.draws, 3)
    assert [sentence.split("**")[1] for sentence in answer[1:]] == ["mono mAP", "cross mAP", "rank distance"]
    for sentence, figure in zip(answer[1:], [*found.figures[:2], found.figures[3]], strict=True):
        candidates = found.choices[figure].filter("candidate")["system"].to_list()
        assert ("worse" in sentence) == (len(candidates) < 3)


def test_sentences_of_comparisons_bear_one_correction_over_all() -> None:
    values = [Difference(0.1, 0.05, 0.15, p, 0.5) for p in (0.01, 0.02, 0.04)]
    from engine.report.findings import corrected

    assert [one.p for one in corrected([*values, Difference(0.1, None, None, None, 0.5)])] == [
        pytest.approx(0.03),
        pytest.approx(0.04),
        pytest.approx(0.04),
        None,
    ]


def test_with_one_seed_tables_and_sentences_say_what_that_means(family: Family) -> None:
    found = gather(one_seed(family), Request())
    assert found.seeds == 1
    assert "one seed: intervals and marks hold for these checkpoints" in results.settings_table(found).caption
    assert "with one seed the marks hold for these checkpoints" in results.difference_table(found, 0.0).caption
    told = sections._comparisons(found)[0]
    assert len(told) == 4
    for sentence in told:
        assert "With one seed what others would give is unknown" in sentence


def test_both_ends_and_the_best_are_shown_unless_asked_otherwise(family: Family) -> None:
    default = gather(family, Request())
    assert set(default.chosen) == {0.0, default.best, 1.0}
    assert default.reference == UNTRAINED
    asked = gather(family, Request(alphas=(0.5,), reference=1.0))
    assert (asked.chosen, asked.reference) == ((0.5,), System("hybrid", 1.0))
    assert list(asked.tests) == [0.5]


def test_without_the_untrained_encoder_the_smallest_ratio_is_the_reference(family: Family) -> None:
    found = gather(replace(family, base=None), Request(alphas=(0.0, 1.0)))
    assert found.reference == System("hybrid", 0.0)
    assert list(found.tests) == [1.0]
    with pytest.raises(InputError, match="the untrained encoder is not evaluated"):
        gather(replace(family, base=None), Request(reference="untrained"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(alphas=(0.3, 1.0)), "alphas 0.3 are not trained in this sweep; trained are 0, 0.5, 1"),
        (Request(reference=0.3), "reference 0.3: not trained in this sweep; allowed are untrained, 0, 0.5, 1"),
        (Request(reference="none"), "reference none: not trained in this sweep"),
    ],
)
def test_what_is_not_trained_is_refused(family: Family, request_: Request, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gather(family, request_)


def test_a_setting_without_a_mean_is_left_out_of_everything(family: Family, found: Findings, demo_store: Store) -> None:
    draws = {}
    for system, one in found.draws.items():
        gone = (one.rows["setting"] == "cross") & one.rows["query_lang"].is_null()
        draws[system] = replace(one, estimate=np.where(gone.to_numpy(), np.nan, one.estimate))
    partly = gather(family, replace(found.request, parts=("curves", "tables")), draws=draws)
    assert partly.figures == [("map", "mono"), ("map", "multi"), ("rank_distance", "multi")]
    assert "cross mAP" not in results.settings_table(partly).heads
    composed = sections.compose(partly, demo_store)
    assert [sentence.split("**")[1] for sentence in composed.answer[1:]] == ["mono mAP", "rank distance"]


def test_a_ratio_alone_is_a_report_too(family: Family, demo_store: Store) -> None:
    members = tuple(one for one in family.evaluations if one[0].alpha == 0.5 and one[0].seed == 0)
    alone = gather(Family(family.key, members[0][0], members, None), Request())
    composed = sections.compose(alone, demo_store)
    assert "the only trained ratio" in composed.answer[0] + composed.answer[1]
    assert not [table.name for table in composed.tables if "difference" in table.name]


def test_a_sweep_is_found_by_its_key_or_collection(family: Family) -> None:
    other = replace(family, key="f" * 32)
    assert find_family([other, family]) is family
    assert find_family([other, family], "ffff") is other
    assert find_family([family], collection="demo") is family
    for asked, message in (
        (("0" * 32,), "no sweep with key '0{32}'; there are"),
        ((None, "xquad-r"), "no sweep with collection 'xquad-r'"),
        (("",), "the prefix matches 2 sweeps"),
    ):
        with pytest.raises(InputError, match=message):
            find_family([other, family], *asked)
    with pytest.raises(InputError, match="no sweep has been evaluated yet"):
        find_family([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mapp"}, "metric: 'mapp' is unknown; allowed are map, hit@1"),
        ({"parts": ("curves", "x")}, "part: 'x' is unknown"),
        ({"formats": ()}, "format: none was given"),
    ],
)
def test_unknown_names_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Request(**options)


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request("hit@1", (0.0, 0.5), 1.0, ("curves", "tables"), ("pdf", "tex"), Layout("full", "sans")),
        Request(reference="untrained"),
    ],
)
def test_the_arguments_ask_for_the_same_again(family: Family, request_: Request) -> None:
    options = options_of(as_arguments(family, request_))
    assert family.key.startswith(options.sweep)
    assert options.metric == request_.metric
    assert (None if options.alphas is None else tuple(options.alphas)) == request_.alphas
    assert options.reference == (
        f"{request_.reference:g}" if isinstance(request_.reference, float) else request_.reference
    )
    assert tuple(options.include or request_.parts) == request_.parts
    assert tuple(options.format or request_.formats) == request_.formats
    assert Layout(options.width, options.font) == request_.layout
