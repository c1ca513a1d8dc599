"""Whom to cite, in BibTeX: the method, the collections and the encoder, from `engine/reference/citations.bib`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from engine.reference import FOLDER

_KEYWORDS = re.compile(r"^ *keywords = \{(.+)\},\n", re.MULTILINE)


@cache
def entries() -> dict[str, str]:
    """The BibTeX entries by what they are for, in the order of the file."""
    text = (FOLDER / "citations.bib").read_text(encoding="utf-8")
    blocks = [block.strip() for block in text.split("\n\n") if block.strip().startswith("@")]
    named = [(_KEYWORDS.search(block), block) for block in blocks]
    return {match[1]: _KEYWORDS.sub("", block) for match, block in named if match}


def bibtex(names: Iterable[str]) -> str:
    """The entries of some names, in their order; a name that has none is left out."""
    known = entries()
    return "\n\n".join(known[name] for name in names if name in known)
