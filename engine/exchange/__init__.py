"""In and out: results from elsewhere into the store, and what the store has in the formats of the field.

In: TREC runs with judgements, frames of ranks, MTEB's result files. Out: TREC runs and judgements, BEIR folders, an
MTEB-style result, frames as parquet and CSV, checkpoints with a model card.
"""

from engine.exchange.exporting import (
    FORMATS,
    export_checkpoint,
    export_collection,
    export_evaluation,
    find_stored,
    identify,
)
from engine.exchange.imported import limits
from engine.exchange.importing import Imported, Options, import_file
from engine.exchange.mteb import NoRetrievalError
from engine.exchange.together import Outcome, import_paths, import_together, is_archive, unpack

__all__ = [
    "FORMATS",
    "Imported",
    "NoRetrievalError",
    "Options",
    "Outcome",
    "export_checkpoint",
    "export_collection",
    "export_evaluation",
    "find_stored",
    "identify",
    "import_file",
    "import_paths",
    "import_together",
    "is_archive",
    "limits",
    "unpack",
]
