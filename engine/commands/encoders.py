"""The arguments that say which encoder is used and how it is run; shared by all commands that encode."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from engine.collections.pair_filter import name_or_path

if TYPE_CHECKING:
    from engine.encoders.encoder import Options


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """Add `--encoder` and the options of how it is run."""
    parser.add_argument("--encoder", default="multilingual-e5-small", help="catalog name, checkpoint, folder or Hub id")
    parser.add_argument(
        "--image-encoder", metavar="E", help="encoder of pictures beside it: efficientnet-lite0, a folder or Hub id"
    )
    parser.add_argument(
        "--truncate-dim", type=int, metavar="N", help="keep the first N dimensions (Matryoshka); default: the model's"
    )
    parser.add_argument(
        "--dtype", choices=["float32", "float16", "bfloat16"], help="number type; default: by model and device"
    )
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run code that comes with the model; read it first"
    )


def encoder_name(arguments: argparse.Namespace) -> str:
    """The encoder's name, or the names of a text and a picture encoder joined; folders as whole paths."""
    from engine.encoders.towers import JOINED

    given = [arguments.encoder, *([arguments.image_encoder] if arguments.image_encoder else [])]
    return JOINED.join(map(name_or_path, given))


def encoder_options(arguments: argparse.Namespace) -> Options:
    """How the encoder is run, by the arguments.

    Raises:
        InputError: If one of them is not allowed.
    """
    from engine.encoders.encoder import Options

    return Options(
        truncate_dim=arguments.truncate_dim, dtype=arguments.dtype, trust_remote_code=arguments.trust_remote_code
    )
