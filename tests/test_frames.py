"""engine.ranks.schema: a table is what it says it is, or it is refused in one line."""

from __future__ import annotations

import polars as pl
import pytest

from engine.errors import InputError
from engine.ranks.schema import RANKS, TOP, check_frame, read_frame


def one_row() -> pl.DataFrame:
    return pl.DataFrame([("q", "en", "de", 3, 1, 2, 0.5)], schema=RANKS, orient="row")


def refusal(frame: pl.DataFrame) -> str:
    with pytest.raises(InputError) as caught:
        check_frame(frame, RANKS, "ranks")
    message = str(caught.value)
    assert message.startswith("ranks: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("schema", [RANKS, TOP])
def test_an_empty_frame_of_the_schema_passes(schema):
    assert check_frame(schema.to_frame(), schema, "table").schema == schema


def test_columns_come_back_in_the_schemas_order_and_others_are_dropped():
    shuffled = one_row().select(*reversed(list(RANKS)), more=pl.lit(1))
    assert check_frame(shuffled, RANKS, "ranks").equals(one_row())


def test_every_missing_column_is_named():
    message = refusal(one_row().drop("doc", "score"))
    assert "lacks the columns doc, score" in message


def test_every_column_of_another_type_is_named_with_both_types():
    message = refusal(one_row().with_columns(pl.col("doc").cast(pl.Int64), pl.col("score").cast(pl.String)))
    assert "doc is Int64, not Int32" in message
    assert "score is String, not Float32" in message
    assert "rank_in_pool" not in message


def test_a_null_is_refused_with_its_column():
    message = refusal(pl.concat([one_row(), one_row().with_columns(rank_in_pool=pl.lit(None, pl.Int32))]))
    assert "holds null in rank_in_pool" in message


def test_a_frame_survives_its_file(tmp_path):
    one_row().write_parquet(tmp_path / "ranks.parquet")
    assert read_frame(tmp_path / "ranks.parquet", RANKS).equals(one_row())


@pytest.mark.parametrize("content", [None, b"", b"PAR1 cut short", b"\0" * 200])
def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path, content):
    file = tmp_path / "ranks.parquet"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as parquet") as caught:
        read_frame(file, RANKS)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_table_is_refused_by_name(tmp_path):
    file = tmp_path / "top.parquet"
    TOP.to_frame().write_parquet(file)
    with pytest.raises(InputError, match=r"top\.parquet: lacks the columns rank_in_language, rank_in_pool"):
        read_frame(file, RANKS)
