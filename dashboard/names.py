"""Names from files and users as plain text on pages: nothing in a name may become a link, picture, formula or tag."""

from __future__ import annotations

import re

from engine.escaping import markdown, markdown_code

_JOINER = "\u2060"  # invisible, without width: icons and addresses are matched again after backslashes are resolved


def plain(text: str) -> str:
    """A text for Streamlit's Markdown, which also knows icons, colours and emojis, shown letter by letter.

    Args:
        text: A name of a collection, an encoder, an import or a run, or a message with one in it.
    """
    line = re.sub(r"(?<!\\)([{}!#:])", r"\\\1", markdown(text))
    return re.sub(r"(:|@|www)", rf"\1{_JOINER}", line, flags=re.IGNORECASE)


def file_name(name: str) -> str:
    """A name for a file or folder: letters, digits, points and dashes, not too long."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "unnamed"


def verbatim(text: str) -> str:
    """A text within Markdown as code, with the spaces at its ends."""
    return markdown_code(text)
