"""Text of any script in lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report.wrapping import wrapped

TEXTS = {
    "en": "Which river did the old mill at the edge of the town draw its water from in summer?",
    "ar": "من أي نهر كانت الطاحونة القديمة على حافة البلدة تستمد ماءها في الصيف؟",
    "zh": "镇边的老磨坊夏天从哪条河里取水，又是谁每天早晨在那里磨小麦？",
    "th": "โรงสีเก่าที่ชายเมืองใช้น้ำจากแม่น้ำสายใดในฤดูร้อน และใครบดข้าวสาลีที่นั่นทุกเช้า",
    "hi": "शहर के किनारे की पुरानी चक्की गर्मियों में किस नदी से पानी लेती थी?",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_is_lost_and_every_line_is_short(text: str) -> None:
    lines = wrapped(text, 16)
    assert len(lines) > 1
    assert "".join("".join(lines).split()) == "".join(text.split())
    widest = max(len(line) for line in lines)
    assert widest <= (16 if "镇" in text else 46)


def test_words_are_not_broken() -> None:
    assert wrapped("one two three four", 5) == ["one two", "three", "four"]
    assert wrapped("unbreakable", 2) == ["unbreakable"]


def test_scripts_without_spaces_are_broken_anywhere() -> None:
    assert wrapped("镇边的老磨坊", 4) == ["镇边的老", "磨坊"]


@given(st.text(max_size=60), st.floats(1, 40))
def test_any_text_is_kept(text: str, ems: float) -> None:
    assert "".join("".join(wrapped(text, ems)).split()) == "".join(text.split())
