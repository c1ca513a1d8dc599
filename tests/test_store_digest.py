"""Keys: equal typed values agree, and no two different sequences run together."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.storage.digest import digest, file_digest

_ROOT = Path(__file__).resolve().parents[1]

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(allow_nan=False),
    st.text("ab01:s", max_size=3),
    st.binary(max_size=3),
)
_ARRAYS = st.builds(
    lambda values, dtype, column: np.array(values, dtype).reshape(-1, 1) if column else np.array(values, dtype),
    st.lists(st.integers(0, 2), max_size=3),
    st.sampled_from(["int32", "int64", "float32", "float64", "uint8", "bool"]),
    st.booleans(),
)
_VALUES = st.recursive(
    _SCALARS | _ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.text("ab1", max_size=2) | st.integers(0, 1), inner, max_size=2)
    ),
    max_leaves=5,
)
_SEQUENCES = st.lists(_VALUES, max_size=4)


def _typed(value: object) -> str:
    """A value written out with its type, a second way to tell which values are the same."""
    if isinstance(value, np.ndarray):
        return f"array<{value.dtype}{value.shape}{value.tolist()}>"
    if isinstance(value, dict):
        return "dict<" + ",".join(sorted(f"{_typed(key)}={_typed(item)}" for key, item in value.items())) + ">"
    if isinstance(value, list | tuple):
        return "list<" + ",".join(map(_typed, value)) + ">"
    return f"{type(value).__name__}<{value!r}>"


@settings(deadline=None, max_examples=300)
@given(st.lists(_SEQUENCES, min_size=2, max_size=12))
@example([["ab", "c"], ["a", "bc"], ["abc"], ["a", "b", "c"], [["ab", "c"]], [b"ab", b"c"], ["ab", ["c"]]])
@example([["as", "b"], ["a", "sb"], ["s", ""], ["", "s"], ["a1", "b"], ["a", "1b"]])
@example([[1], [1.0], [True], ["1"], [b"1"], [[1]], [None], [""], [], [[]], [{}], [0], [0.0], [False], [{"1": 1}]])
@example([[{"a": "b"}], [["a", "b"]], [{"a": None}], [{1: "a"}], [{"1": "a"}], ["m1:", "s1:a"], [{"a": {}}]])
@example([[np.zeros(2, "f4")], [np.zeros(2, "f8")], [np.zeros((2, 1), "f4")], [("float32", (2,))], [bytes(8)]])
def test_two_digests_are_equal_exactly_when_the_typed_values_are(sequences: list[list[object]]):
    assert len({digest(*values) for values in sequences}) == len({_typed(values) for values in sequences})


@settings(deadline=None, max_examples=100)
@given(_SEQUENCES)
def test_equal_values_have_equal_digests(values: list[object]):
    assert digest(*copy.deepcopy(values)) == digest(*values)


def test_lists_and_tuples_and_orders_of_a_mapping_are_the_same():
    assert digest([1, (2, "a")], {"x": 1, "y": [2]}) == digest((1, [2, "a"]), {"y": (2,), "x": 1})


def test_an_array_is_its_values_not_their_layout():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert digest(np.asfortranarray(array)) == digest(array)
    assert digest(np.repeat(array, 2, axis=1)[:, ::2]) == digest(array)
    assert digest(array.T) != digest(array)


def test_a_digest_is_the_same_in_another_process():
    code = "from engine.storage.digest import digest; print(digest('ä', {'b': 1.5, 'a': [None, True]}))"
    runs = [
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], cwd=_ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True
        )
        for seed in ("1", "2")
    ]
    expected = digest("ä", {"b": 1.5, "a": [None, True]})
    assert [run.stdout.decode().strip() for run in runs] == [expected, expected]


@pytest.mark.parametrize("value", [object(), {1, 2}, np.float32(1), Path("x"), np.array([object()]), [{"a": object()}]])
def test_a_value_without_a_stable_form_is_refused(value: object):
    with pytest.raises(TypeError, match="has no stable byte form"):
        digest("key", value)


def test_a_files_digest_follows_its_content(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    assert file_digest(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    file.write_bytes(b"abcd")
    assert file_digest(file) == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"
