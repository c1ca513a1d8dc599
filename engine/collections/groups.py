"""Documents that share questions, in groups: what must stay together when questions are split or batched."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def groups_by_question(questions: np.ndarray, documents: np.ndarray, count: int) -> np.ndarray:
    """The group of each document: those that answer one question, and on through questions that share a document.

    Args:
        questions: Which question each judgement is about, counted from 0, int64 (judgements,).
        documents: Which document it is about, counted from 0, int64 (judgements,).
        count: How many documents there are; one without judgements is a group of its own.

    Returns:
        int64 (count,), counted from 0 in the order of the groups' first documents.
    """
    nodes = count + int(questions.max(initial=-1)) + 1
    edges = np.ones(len(documents)), (documents, count + questions)
    _, labels = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    _, first, group = np.unique(labels[:count], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[group], np.int64)
