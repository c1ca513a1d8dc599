"""Names from files and users as plain text on pages: nothing in a name may become a link, picture, formula or tag."""

from __future__ import annotations

import re

_JOINER = "\u2060"  # invisible, without width: icons and addresses are matched again after backslashes are resolved


def plain(name: str) -> str:
    """A name for a text in Markdown, so that it is shown letter by letter.

    Args:
        name: Of a collection, an encoder, an import or a run; anything may stand in it.
    """
    line = " ".join(name.split())
    line = re.sub(r"([\\`*_{}\[\]$<>~|&!#:])", r"\\\1", line)
    line = re.sub(r"^([-+=])", r"\\\1", line)
    line = re.sub(r"^(\d+)([.)])", r"\1\\\2", line)
    return re.sub(r"(:|@|www)", rf"\1{_JOINER}", line, flags=re.IGNORECASE)
