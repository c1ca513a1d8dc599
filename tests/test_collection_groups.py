"""Documents that share questions stand in one group."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.collections.groups import groups_by_question


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), max_size=14))
def test_groups_are_connected_through_questions_and_counted_by_their_first_document(judged) -> None:
    questions, documents = (np.array([pair[side] for pair in judged], np.int64) for side in (0, 1))
    least = list(range(13))
    for _ in judged:  # slow: the least document that a question joins, until nothing changes
        for question in set(questions.tolist()):
            joined = [doc for q, doc in judged if q == question]
            lowest = min(least[doc] for doc in joined)
            for doc in joined:
                least[doc] = lowest
    expected = [sorted(set(least)).index(lowest) for lowest in least]
    assert groups_by_question(questions, documents, 13).tolist() == expected
