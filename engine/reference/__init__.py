"""Published figures that ship with the project (README.md): `build` makes the files, `engine.published` reads them."""

from pathlib import Path

FOLDER = Path(__file__).parent

SPLITS = {
    "BelebeleRetrieval": "test",
    "MIRACLRetrieval": "dev",
    "MIRACLRetrievalHardNegatives": "dev",
    "MLQARetrieval": "test",
    "XFlickr30kCoT2IRetrieval": "test",
    "XM3600T2IRetrieval": "test",
    "XQuADRetrieval": "validation",
}
"""MTEB's tasks that ship, and the one split of each."""

IMAGES = {"XFlickr30kCoT2IRetrieval", "XM3600T2IRetrieval"}
"""Those that search images."""

IMAGE = "image"
"""Stands in place of a document language there."""
