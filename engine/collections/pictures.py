"""Pictures: the language `zxx`, pictures that are opened only when encoded or shown, and their safe reading."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.collections.languages import from_tag, is_tag
from engine.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE = "zxx"
"""ISO 639's code for "no linguistic content": the language of pictures."""


MOST_PIXELS = 100_000_000
"""Pixels of the largest picture that is opened; more is taken for a decompression bomb."""

_BACKGROUND = (255, 255, 255)
_FAULTS = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, MemoryError)  # of broken files in Pillow
_CHECK_SIDE = 64  # a JPEG is checked at about this size, which takes a fraction of the time


def code_of_text(tag: object) -> str | None:
    """The code of a language that texts are in; None if the tag names none, as LAION's "nolang", or no text's.

    Args:
        tag: A tag of BCP 47, or whatever stands in its place.
    """
    if not isinstance(tag, str) or not is_tag(tag):
        return None
    code = from_tag(tag)
    return None if code == PICTURE else code


class Picture(str):
    """A picture among texts: as a string it is the name of its content, so equal pictures are equal strings.

    What compares, counts or digests texts therefore does the right thing with pictures, and no path is part of a key.

    Attributes:
        path: File that holds it.
        span: First byte and number of bytes within the file; None for the whole file.
    """

    __slots__ = ("path", "span")

    path: Path
    span: tuple[int, int] | None

    def __new__(cls, path: Path, span: tuple[int, int] | None = None) -> Picture:
        """Name a picture by its content; it is read once for that, but not decoded.

        Raises:
            InputError: If the file cannot be read.
        """
        picture = super().__new__(cls, f"picture:{hashlib.sha256(_read(path, span)).hexdigest()[:32]}")
        picture.path, picture.span = path, span
        return picture

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as the place that it is read from."""
        return Picture, (self.path, self.span)

    @property
    def place(self) -> str:
        """Where it stands, for errors."""
        return str(self.path) if self.span is None else f"{self.path} at byte {self.span[0]}"

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            InputError: If the file cannot be read.
        """
        return _read(self.path, self.span)

    def open(self, *, side: int | None = None) -> Image:
        """Decode it: upright, first frame, on white where it is transparent, 8-bit RGB.

        Args:
            side: About how many pixels the shorter side needs; None for all.

        Raises:
            InputError: If it is broken, truncated, too large, or of an unknown format.
        """
        try:
            return decode(self.read(), side=side)
        except ValueError as error:
            raise InputError(f"{self.place}: {error}; replace it, or leave it out with --skip-invalid") from error

    def fault(self) -> str | None:
        """What is wrong with it; None if it can be decoded. A JPEG is decoded at a small size."""
        try:
            decode(self.read(), side=_CHECK_SIDE)
        except ValueError as error:
            return str(error)
        return None


class UnseenPicture(Picture):
    """A picture of which only the vector is at hand; as a string it is the name of its vector."""

    __slots__ = ()

    def __new__(cls, vector: bytes, path: Path) -> UnseenPicture:
        """Name a picture by its vector, which stands in a file."""
        return _unseen(f"vector:{hashlib.sha256(vector).hexdigest()[:32]}", path)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as its name and its place."""
        return _unseen, (str(self), self.path)

    def read(self) -> bytes:
        """There is nothing to read.

        Raises:
            InputError: Always.
        """
        raise InputError(f"{self.path}: holds the vector of a picture, not the picture; it cannot be shown or encoded")


def _unseen(name: str, path: Path) -> UnseenPicture:
    picture = str.__new__(UnseenPicture, name)
    picture.path, picture.span = path, None
    return picture


def decode(content: bytes, *, side: int | None = None) -> Image:
    """Decode a picture to 8-bit RGB.

    Args:
        content: The file's bytes.
        side: About how many pixels the shorter side needs; None for all. Only a JPEG's decoding becomes faster by it.

    Raises:
        ValueError: With the reason, if it is broken, truncated, too large, or of an unknown format.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about size, which is checked here, and about odd metadata
            picture = Image.open(io.BytesIO(content))
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(_too_large(picture.size))
            if side is not None:
                picture.draft("RGB", (side, side))
            picture.load()
            return _as_rgb(ImageOps.exif_transpose(picture))
    except Image.DecompressionBombError as error:
        raise ValueError(_too_large(None)) from error
    except UnidentifiedImageError as error:
        raise ValueError("the file is no picture of a known format") from error
    except _FAULTS as error:
        message = " ".join(str(error).split())
        raise ValueError(message if "pixels" in message else f"the picture is broken ({message})") from error


def _too_large(size: tuple[int, int] | None) -> str:
    what = "the picture" if size is None else f"the picture of {size[0]} x {size[1]} pixels"
    return f"{what} is too large, allowed are {MOST_PIXELS:,} pixels"


def _as_rgb(picture: Image) -> Image:
    """Bring any mode to RGB; 16-bit values are scaled, not cut off."""
    from PIL import Image

    if picture.mode.startswith(("I;16", "I", "F")):
        return Image.fromarray(_eight_bit(np.asarray(picture, np.float64), picture.mode)).convert("RGB")
    if picture.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (*_BACKGROUND, 255))
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _eight_bit(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than 8 bits as uint8: whole numbers are taken for 16 bits, fractions for 0 to 1."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    highest = values.max(initial=0.0)
    white = (1.0 if highest <= 1 else 255.0) if mode == "F" else 65535.0
    scaled: np.ndarray = np.rint(values * (255.0 / max(white, highest))).clip(0, 255).astype(np.uint8)
    return scaled


def _read(path: Path, span: tuple[int, int] | None) -> bytes:
    try:
        if not path.is_file():  # a pipe would block
            raise InputError(f"{path}: no such file; give the folder that holds the pictures")
        with path.open("rb") as file:
            if span is None:
                return file.read()
            file.seek(span[0])
            return file.read(span[1])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check it and its permissions") from error
