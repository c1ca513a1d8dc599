"""Names are data: on pages they are shown letter by letter."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dashboard.names import plain

HOSTILE = ["![p](http://a.b/c.png)", "[l](http://a.b)", "<b>x</b>", "$x^2$", ":red[x]", ":material/bolt:", "# head"]


def _shown(name: str) -> str:
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(plain(name))
    inside = rendered.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inside, rendered
    return html.unescape(inside).replace("\u2060", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_letter_by_letter(name: str) -> None:
    assert _shown(name) == name
    assert not re.search(r"(?<!\\)[\[$<:]", plain(name))
    assert not re.search(r":[a-z/]|www\.", plain(name))


@given(st.text("ab1.)-+=#!*_`~[]()<>$:\\|&;@ w/", min_size=1).filter(str.strip))
def test_every_name_comes_out_of_markdown_as_it_went_in(name: str) -> None:
    assert _shown(name) == " ".join(name.split())
