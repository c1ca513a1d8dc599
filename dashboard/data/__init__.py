"""What the pages show, from the engine. The only st.cache_*: one engine call a function, with small hashable keys.

A module for each kind of thing; what most pages need is named here.
"""

from dashboard.data.evaluations import (
    Listed,
    collection,
    collection_of,
    encoder,
    evaluations,
    fetched,
    most_changed,
    pairs,
    pool_ranks,
    questions,
    ranks,
    retrieve,
    shares,
    store,
    summary,
    time_estimate,
    top,
)
from dashboard.data.sweeps import (
    checkpoints,
    compositions,
    families,
    family_names,
    latest_losses,
    mean_pairs,
    points,
    start_demo,
    sweep_command,
)

__all__ = [
    "Listed",
    "checkpoints",
    "collection",
    "collection_of",
    "compositions",
    "encoder",
    "evaluations",
    "families",
    "family_names",
    "fetched",
    "latest_losses",
    "mean_pairs",
    "most_changed",
    "pairs",
    "points",
    "pool_ranks",
    "questions",
    "ranks",
    "retrieve",
    "shares",
    "start_demo",
    "store",
    "summary",
    "sweep_command",
    "time_estimate",
    "top",
]
