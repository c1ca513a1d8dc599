"""Text of any script -> lines of a width, for where nobody else breaks them."""

from __future__ import annotations

import re
import unicodedata

_NO_SPACES = "[\u0e00-\u0e2e\u3040-\u9fff\uf900-\ufaff\uff00-\uffef]"
"""Letters of scripts that put no spaces between words: Thai, Japanese, Chinese."""


def wrapped(text: str, ems: float) -> list[str]:
    """A text in lines of some ems; scripts without spaces are broken anywhere.

    Args:
        text: The text.
        ems: The width of a line; a Latin letter is taken for 0.55, a Chinese one for 1.
    """
    lines, line, width = [], "", 0.0
    for word in _words(text):
        more = sum(_em(letter) for letter in word)
        if line and width + more > ems:
            lines.append(line.strip())
            line, width = "", 0.0
        line, width = line + word, width + more
    return [*lines, line.strip()] if line.strip() else lines


def _words(text: str) -> list[str]:
    """Words with the space behind them; a letter of a script without spaces is one."""
    return re.findall(rf"{_NO_SPACES}[^\S\n]*|(?:(?!{_NO_SPACES})\S)+\s*", text)


def _em(letter: str) -> float:
    if unicodedata.category(letter) in ("Mn", "Cf"):
        return 0.0
    return 1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.55
