"""Tables as LaTeX, Markdown, HTML, CSV and parquet."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engine.errors import InputError
from engine.report.render.html import as_html
from engine.report.render.latex import as_latex, escape
from engine.report.render.markdown import as_markdown
from engine.report.tables import Cell, Table, as_csv, as_parquet


def table(**changes: object) -> Table:
    rows = (
        (Cell("x_0 & more"), Cell("0.512", "[.501, .523]", mark="†"), Cell("−1.5", mark="*")),
        (Cell("[50 %]"), Cell("0.601", "[.590, .612]", bold=True), Cell("", "")),
    )
    whole = {
        "name": "scores",
        "title": "Scores | all",
        "caption": "mAP_1 of 100 % {all}; †: as good.",
        "heads": ("", "multi mAP", "points"),
        "rows": rows,
        "rules": (1,),
        "frame": pl.DataFrame({"a": [1 / 3, None], "b": ["x", "y"]}),
    }
    return Table(**{**whole, **changes})


def body_of(latex: str) -> list[str]:
    """Rows of a tabular, without rules."""
    inner = latex.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    return [line for line in inner.splitlines() if line.strip() and line.strip() != r"\midrule"]


def columns_of(line: str) -> int:
    return len(re.findall(r"(?<!\\)&", line)) + 1


def is_balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text.replace(r"\\", "")):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize("options", [{}, {"columns": 1}, {"columns": 1, "stacked": True}, {"small": True}])
def test_latex_has_booktabs_rules_balanced_braces_and_whole_rows(options: dict[str, object]) -> None:
    latex = as_latex(table(**options))
    assert is_balanced(latex)
    assert [latex.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    assert {columns_of(line) for line in body_of(latex)} == {3}
    assert r"\begin{tabular}{lrr}" in latex
    assert r"\label{tab:scores}" in latex
    assert (r"\begin{table*}" in latex) == ("columns" not in options)


def test_latex_sets_the_best_bold_marks_raised_and_intervals_smaller() -> None:
    first, second = body_of(as_latex(table()))[1:]
    assert first == r"x\_0 \& more & 0.512$^{\dagger}$ {\scriptsize {[}.501, .523]} & $-$1.5$^{*}$ \\"
    assert second == r"{[}50 \%] & \textbf{0.601} {\scriptsize {[}.590, .612]} &  \\"
    stacked = body_of(as_latex(table(stacked=True)))
    assert stacked[1].endswith(r"\\[-2pt]")
    assert stacked[2] == r" & {\scriptsize {[}.501,\hspace{1pt}.523]} &  \\"


def test_the_caption_stands_with_its_marks_escaped() -> None:
    assert r"\caption{mAP\_1 of 100 \% \{all\}; $^\dagger$: as good.}" in as_latex(table())


def test_special_characters_are_escaped() -> None:
    assert escape(r"a_b%c&d#e$f{g}h~i^j\k") == (
        r"a\_b\%c\&d\#e\$f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k"
    )
    assert escape("ü ñ − ±") == r"ü ñ $-$ $\pm$"


def test_letters_that_pdflatex_cannot_set_are_written_as_code_points() -> None:
    assert escape("模型 ع") == "[U+6A21][U+578B] [U+0639]"


@given(st.text(max_size=40))
def test_any_text_stays_one_argument_of_latex(text: str) -> None:
    escaped = escape(text)
    assert is_balanced(escaped)
    assert re.sub(r"\\[&%$#_{}]|\\[a-z]+\{\}|\$[^$]*\$", "", escaped).isprintable()
    bare = re.sub(r"\\[&%$#_{}]|\\(?:textbackslash|textasciitilde|textasciicircum|dots)\{\}|\$[^$]*\$", "", escaped)
    assert not set(bare) & set("\\&%$#_^")


def test_a_row_that_lacks_cells_is_refused() -> None:
    with pytest.raises(InputError, match="a row has 1 cells, the head has 3"):
        table(rows=((Cell("x"),),))


def test_markdown_has_as_many_cells_as_heads_and_escapes_bars() -> None:
    lines = as_markdown(table(heads=("", "multi | mAP", "points"))).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {4}
    assert r"multi \| mAP" in rows[0]
    assert rows[2] == r"| x\_0 \& more | 0.512† \[.501, .523\] | −1.5\* |"
    assert r"**0.601** \[.590, .612\]" in rows[3]
    assert lines[-1].startswith(r"mAP\_1 of 100 %")


class _Counter(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.opened, self.cells = [], []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.opened.append(tag)
        if tag == "tr":
            self.cells.append(0)
        if tag in ("td", "th"):
            self.cells[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


def test_html_is_well_formed_and_escaped() -> None:
    found = _Counter()
    found.feed(as_html(table(caption="a < b & c")))
    assert found.opened == []
    assert found.cells == [3, 3, 3]
    text = as_html(table(caption="a < b & c"))
    assert "a &lt; b &amp; c" in text
    assert "x_0 &amp; more" in text
    assert "<b>0.601</b>" in text


def test_csv_and_parquet_hold_the_numbers() -> None:
    frame = pl.DataFrame({"alpha": [0.0, None], "value": [2 / 3, 1234.56789012345], "name": ["a", 'b,"c"']})
    read = pl.read_csv(io.StringIO(as_csv(frame)))
    assert_frame_equal(read, frame, rel_tol=1e-9)
    assert_frame_equal(pl.read_parquet(io.BytesIO(as_parquet(frame))), frame, rel_tol=1e-9)


def test_sums_in_another_order_give_the_same_bytes() -> None:
    parts = [0.1, 0.2, 0.3]
    one, other = sum(parts), sum(reversed(parts))
    assert one != other
    frames = [pl.DataFrame({"value": [total / 3]}) for total in (one, other)]
    assert as_csv(frames[0]) == as_csv(frames[1])
    assert as_parquet(frames[0]) == as_parquet(frames[1])


def test_html_escapes_every_text_of_a_table() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    drawn = as_html(
        Table(hostile, hostile, hostile, (hostile, "n"), ((Cell(hostile, hostile), Cell("1")),), pl.DataFrame())
    )
    assert "<img" not in drawn
    assert drawn.count("&lt;img") == 4


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_in_csv_is_no_formula_and_a_number_stays(text: str) -> None:
    frame = pl.read_csv(io.StringIO(as_csv(pl.DataFrame({"name": [text, "fr"], "score": [-0.5, 1.0]}))))
    assert frame["name"].to_list() == [f"'{text}", "fr"]
    assert frame["score"].to_list() == [-0.5, 1.0]
