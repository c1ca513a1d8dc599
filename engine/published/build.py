"""Make the shipped tables anew from published files: `python -m engine.published.build --from DIR`.

DIR holds what README.md names. Rows are sorted by every column, and parquet is written without times, so that equal
input gives equal bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from engine.collections.languages import from_tag
from engine.errors import InputError
from engine.ranks.schema import PUBLISHED_CLIP, PUBLISHED_PAIRS, PUBLISHED_SETTINGS, check_frame
from engine.reference import FOLDER, IMAGE, IMAGES, SPLITS

MEAN = "mean"
UNKNOWN = "unknown"

_MEASURES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "map@100": "map_at_100"}
_PAPER_MEASURES = {
    "mAP": "map",
    "R@1": "hit@1",
    "R@10": "recall@10",
    "nDCG@10": "ndcg@10",
    "Recall@100": "recall@100",
    "rank_distance": "rank_distance",
}
_LAREQA = {"xquad-r": (0.29, 0.23, 0.52, 0.66), "mlqa-r": (0.36, 0.26, 0.49, 0.49)}
_LAREQA_STRATEGIES = ("en-en", "x-x", "x-x-mono", "x-y")
_CLIP_SETS = {"crossmodal3600": "crossmodal-3600", "multilingual_mscoco_captions": "xtd10"}
_CLIP_DIRECTIONS = {"image_retrieval": "text-to-image", "text_retrieval": "image-to-text"}


def mteb_pairs(results: pl.DataFrame) -> pl.DataFrame:
    """The shipped part of MTEB's results, one run per task and model.

    MTEB names a cross-lingual subset document language first: the corpus of "zho-ara" is Chinese, its queries Arabic.

    Args:
        results: Rows of `mteb_pairs.parquet`: task, model, rev, split, subset, measures, mteb.

    Returns:
        Frame of schema `PUBLISHED_PAIRS`, sorted.
    """
    tags = {tag: from_tag(tag) for tag in _tags(results)}
    first, last = (pl.col("subset").str.split("-").list.get(end).replace_strict(tags) for end in (0, -1))
    kept = results.filter(pl.col("split") == pl.col("task").replace_strict(SPLITS, default=None)).select(
        "task",
        pl.col("model").str.replace("__", "/", literal=True),
        pl.col("rev").alias("revision"),
        pl.col("mteb").fill_null(UNKNOWN).alias("version"),
        last.alias("query_lang"),
        pl.when(pl.col("task").is_in(IMAGES)).then(pl.lit(IMAGE)).otherwise(first).alias("doc_lang"),
        *[pl.col(theirs).alias(ours) for ours, theirs in _MEASURES.items()],
    )
    return check_frame(_one_run(kept), PUBLISHED_PAIRS, "mteb_pairs.parquet").sort(list(PUBLISHED_PAIRS))


def _tags(results: pl.DataFrame) -> list[str]:
    return sorted({tag for subset in results["subset"].unique() for tag in subset.split("-")})


def _one_run(rows: pl.DataFrame) -> pl.DataFrame:
    """Of several runs of a model on a task, the one with most pairs; of those the latest version; then by revision."""
    numbers = pl.col("version").str.split(".").list.eval(pl.element().cast(pl.Int64, strict=False).fill_null(-1))
    runs = rows.group_by("task", "model", "revision", "version").agg(pl.len().alias("pairs"))
    order = ["task", "model", "pairs", numbers.alias("numbers"), "revision"]
    chosen = runs.sort(order, descending=[False, False, True, True, False]).unique(["task", "model"], keep="first")
    return rows.join(chosen.drop("pairs"), on=["task", "model", "revision", "version"], how="semi")


def paper_figures(tables: pl.DataFrame) -> pl.DataFrame:
    """The hybrid-batch paper's figures, and LAReQA's of mBERT.

    Args:
        tables: Rows of `hybrid_batch_paper_tables.csv`: model, dataset, metric, setting, query_lang, strategy, value.

    Returns:
        Frame of schema `PUBLISHED_SETTINGS`, sorted.
    """
    paper = tables.select(
        pl.lit("hybrid-batch").alias("source"),
        pl.col("dataset").str.to_lowercase().alias("collection"),
        "model",
        pl.col("strategy").str.to_lowercase(),
        "setting",
        pl.col("metric").replace_strict(_PAPER_MEASURES).alias("measure"),
        pl.col("query_lang").replace("Mean", MEAN),
        pl.col("value").cast(pl.Float64),
    )
    lareqa = pl.DataFrame(
        [
            ("lareqa", collection, "mBERT", strategy, "multi", "map", MEAN, value)
            for collection, values in _LAREQA.items()
            for strategy, value in zip(_LAREQA_STRATEGIES, values, strict=True)
        ],
        schema=PUBLISHED_SETTINGS,
        orient="row",
    )
    both = check_frame(pl.concat([paper, lareqa]), PUBLISHED_SETTINGS, "hybrid_batch_paper_tables.csv")
    return both.sort(list(PUBLISHED_SETTINGS))


def clip_recalls(results: pl.DataFrame) -> pl.DataFrame:
    """open_clip's multilingual retrieval results by language, the averages left out.

    Args:
        results: Rows of `openclip_multilingual_retrieval.csv`: model, version, and a column per data set, direction,
            cut-off and language, such as "crossmodal3600 image_retrieval_recall@1 de".

    Returns:
        Frame of schema `PUBLISHED_CLIP`, sorted.
    """
    columns = [name for name in results.columns if name.count(" ") == 2 and not name.endswith(" avg")]
    dataset, direction, cut, tag = (
        pl.col("column").str.extract(r"^(\S+) (\S+)_recall@(\d+) (\S+)$", i) for i in range(1, 5)
    )
    tags = {name.split(" ")[2]: from_tag(name.split(" ")[2]) for name in columns}
    long = results.unpivot(columns, index=["model", "version"], variable_name="column").select(
        dataset.replace_strict(_CLIP_SETS).alias("dataset"),
        "model",
        pl.col("version").alias("pretrained"),
        direction.replace_strict(_CLIP_DIRECTIONS).alias("direction"),
        tag.replace_strict(tags).alias("language"),
        ("hit@" + cut).alias("measure"),
        "value",
    )
    wide = long.pivot("measure", index=["dataset", "model", "pretrained", "direction", "language"], values="value")
    return check_frame(wide, PUBLISHED_CLIP, "openclip_multilingual_retrieval.csv").sort(list(PUBLISHED_CLIP))


def build(source: Path, target: Path = FOLDER) -> None:
    """Write all shipped tables.

    Args:
        source: Folder of the published files.
        target: Where to write.

    Raises:
        InputError: If a published file is missing or not what was expected.
    """
    missing = [name for name in ("mteb_pairs.parquet", *_CSV) if not (source / name).is_file()]
    if missing:
        raise InputError(f"{source}: lacks {', '.join(missing)}; README.md says where they come from")
    tables = {
        "mteb.parquet": mteb_pairs(pl.read_parquet(source / "mteb_pairs.parquet")),
        "papers.parquet": paper_figures(pl.read_csv(source / _CSV[0])),
        "clip.parquet": clip_recalls(pl.read_csv(source / _CSV[1])),
    }
    for name, table in tables.items():
        table.write_parquet(target / name, compression="zstd", compression_level=19, row_group_size=len(table))


_CSV = ("hybrid_batch_paper_tables.csv", "openclip_multilingual_retrieval.csv")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(prog="python -m engine.published.build", description=main.__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder of the published files")
    parser.add_argument(
        "--to", dest="target", type=Path, default=FOLDER, help="where to write; default: where it ships"
    )
    options = parser.parse_args(arguments)
    build(options.source, options.target)


if __name__ == "__main__":
    main()
