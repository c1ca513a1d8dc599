"""A checkpoint's model card: `README.md` with its recipe, data and licences, results, use, and whom to cite.

The card follows from what the folder and the evaluations say, so that the same recipe has the same card.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.collections.catalog import COLLECTIONS, ENCODERS, SHIPPED, shipped_folder
from engine.collections.citations import bibtex
from engine.collections.languages import LANGUAGES
from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.ranks.metrics import label
from engine.training.recipe import FULL_ONLY, Recipe

CARD = "README.md"

_TAGS = {"MIT": "mit", "Apache 2.0": "apache-2.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0"}
_FREE = "CC0 1.0"
_UNKNOWN = "unknown"
_SHOWN = (("mono", "map"), ("cross", "map"), ("multi", "map"), ("mono", "hit@1"), ("cross", "hit@1"))


def card_of(folder: Path, evaluations: Iterable[Evaluation] = ()) -> str:
    """Write a checkpoint's card.

    Args:
        folder: The checkpoint's folder, with its `recipe.json`.
        evaluations: Evaluations to tell the results from: of the checkpoint, and of its base encoder.

    Returns:
        Markdown with a front matter in YAML, as the Hugging Face Hub reads it.

    Raises:
        InputError: If the folder has no recipe, or one of another version.
    """
    made = _Made.read(folder)
    results = _results(made, folder, list(evaluations))
    parts = [_front_matter(made, results), _head(made), _use(made), _recipe(made), _data(made)]
    return "\n\n".join([*parts, _results_table(results), _licence(made), _citation()]) + "\n"


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of how a checkpoint was made."""

    recipe: Recipe
    training: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> _Made:
        try:
            recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: no recipe.json can be read ({error}); give a trained checkpoint") from error
        file = folder / "training.json"
        training = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        return cls(Recipe.from_dict(recipe), training)

    @property
    def languages(self) -> list[str]:
        """Languages that were trained on."""
        name = self.recipe.collection_name
        drawn = self.training.get("composition", {}).get("pairs")
        if drawn:
            return sorted({row[side] for row in drawn for side in ("query_lang", "doc_lang")})
        files = COLLECTIONS[name].files if name in COLLECTIONS else ()
        found = [Path(file).stem for file in files or (shipped_folder(name).iterdir() if name in SHIPPED else ())]
        return sorted(code for code in found if code in LANGUAGES)

    @property
    def base(self) -> str | None:
        """The base encoder's id on the Hub."""
        name = self.recipe.encoder_name
        if name in ENCODERS:
            return ENCODERS[name].hub_id
        return name if name.count("/") == 1 else None

    @property
    def licences(self) -> tuple[str, str]:
        """Licence of the training collection, and of the base encoder."""
        name, base = self.recipe.collection_name, self.recipe.encoder_name
        data = COLLECTIONS[name].licence if name in COLLECTIONS else _FREE if name in SHIPPED else _UNKNOWN
        return data, ENCODERS[base].licence if base in ENCODERS else _UNKNOWN

    @property
    def licence(self) -> str:
        """The checkpoint's: the training collection's where that asks for something, else the base encoder's."""
        data, base = self.licences
        return _UNKNOWN if _UNKNOWN in (data, base) else base if data == _FREE else data


@dataclass(frozen=True, slots=True)
class _Result:
    """A row of the table of results."""

    collection: str
    trained: bool
    figures: Mapping[str, Any]
    key: str
    seen: int


def _results(made: _Made, folder: Path, evaluations: list[Evaluation]) -> list[_Result]:
    """The latest evaluation of the checkpoint on each collection, and the base encoder's on the same ones."""
    if not evaluations:
        return []
    own = SentenceEncoder(folder, made.recipe.label).fingerprint
    found: dict[tuple[str, bool], _Result] = {}
    for evaluation in evaluations:
        about, encoder = evaluation.about, evaluation.about["encoder"]
        as_trained = encoder["prompts"] == made.recipe.prompts and encoder["max_length"] is None
        if as_trained and encoder["fingerprint"] in (own, made.recipe.encoder):
            trained, seen = encoder["fingerprint"] == own, sum((about.get("seen_in_training") or {}).values())
            on = about["collection"]
            figures = evaluation.figures()["settings"]
            found[on["digest"], trained] = _Result(on["name"], trained, figures, evaluation.key, seen)
    names = {digest: row.collection for (digest, trained), row in found.items() if trained}
    return [found[at] for at in sorted(found, key=lambda at: (names.get(at[0], ""), at)) if at[0] in names]


def _front_matter(made: _Made, results: list[_Result]) -> str:
    """YAML, its values written as JSON, which is YAML too."""
    licence = _TAGS.get(made.licence)
    values: dict[str, Any] = {"license": licence or "other"}
    if licence is None:
        values["license_name"] = _UNKNOWN
    values |= {
        "library_name": "sentence-transformers",
        "pipeline_tag": "sentence-similarity",
        "language": made.languages,
        "tags": ["sentence-transformers", "sentence-similarity", "feature-extraction", "cross-lingual-retrieval"],
        "base_model": made.base,
        "datasets": [made.recipe.collection_name],
        "model-index": _model_index(made, results),
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value]
    return "\n".join(["---", *lines, "---"])


def _model_index(made: _Made, results: list[_Result]) -> list[dict[str, Any]]:
    own = [
        {
            "task": {"type": "information-retrieval", "name": f"Retrieval ({setting})"},
            "dataset": {"type": row.collection, "name": row.collection},
            "metrics": [
                {"type": metric, "name": label(metric), "value": round(row.figures[setting][metric], 6)}
                for within, metric in _SHOWN
                if within == setting and row.figures[setting][metric] is not None
            ],
        }
        for row in results
        if row.trained
        for setting in ("mono", "cross", "multi")
    ]
    whole = [result for result in own if result["metrics"]]
    return [{"name": made.recipe.label, "results": whole}] if whole else []


def _head(made: _Made) -> str:
    recipe = made.recipe
    base = f"[{made.base}](https://huggingface.co/{made.base})" if made.base else f"`{recipe.encoder_name}`"
    if recipe.strategy == "hybrid":
        how = f"each training batch was monolingual with probability {recipe.alpha:g}, else cross-lingual"
    elif recipe.strategy == "merge":
        how = (
            f"its weights are the average of a checkpoint trained on monolingual batches (weight {recipe.alpha:g}) and "
            f"one trained on cross-lingual batches (weight {1 - recipe.alpha:g})"
        )
    else:
        how = f"its training batches were drawn by the strategy {recipe.strategy}"
    what = "a linear head on the frozen encoder was trained" if recipe.method == "head" else "all weights were trained"
    return (
        f"# {recipe.label}\n\nA multilingual sentence encoder for retrieval, made from {base}: {what}, and {how} "
        "(arXiv 2408.10536). Trained with Hybrid Batch Lab."
    )


def _use(made: _Made) -> str:
    prompts = made.recipe.prompts
    if any(prompts.values()):
        told = f"Its prompts ({prompts['query']!r} and {prompts['document']!r}) are put before the texts by themselves."
    else:
        told = "It takes no prompts."
    return f"""## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("PATH OR HUB ID OF THIS FOLDER")
queries = model.encode_query(["Where does the mill stand?"])
passages = model.encode_document(["Die alte Mühle steht am Fluss.", "The night train leaves at ten."])
print(model.similarity(queries, passages))
```

{told} Vectors are compared by their cosine. It was made to find the sentence that answers a question, in the languages
that it was trained on; nothing is known of other tasks and languages."""


def _recipe(made: _Made) -> str:
    recipe = made.recipe
    settings = asdict(recipe.settings)
    if recipe.method == "head":
        settings = {name: value for name, value in settings.items() if name not in FULL_ONLY}
    rows = {
        "method": recipe.method,
        "strategy": recipe.strategy,
        "alpha": None if recipe.alpha is None else f"{recipe.alpha:g}",
        "seed": recipe.seed,
        **{name: f"{value:g}" if isinstance(value, float) else value for name, value in settings.items()},
        "base encoder": f"{recipe.encoder_name}, fingerprint {recipe.encoder}",
        "training collection": f"{recipe.collection_name}, digest {recipe.collection}",
    }
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows.items() if value is not None]
    drawn = made.training.get("composition", {}).get("batches", {})
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in drawn.items() if count)
    told = f"\n\nBatches that were drawn: {kinds}." if kinds else ""
    table = "\n".join(["| | |", "|---|---|", *lines])
    return f"## Recipe\n\n{table}{told}\n\nThe loss is InfoNCE over the batch, by cosine and temperature."


def _data(made: _Made) -> str:
    name, licence = made.recipe.collection_name, made.licences[0]
    if name in COLLECTIONS:
        source = COLLECTIONS[name]
        told = f"{source.title}: {source.about}. Licence: [{licence}]({source.licence_url}). {source.citation}."
    elif name in SHIPPED:
        told = f"`{name}`, which comes with Hybrid Batch Lab: {SHIPPED[name]}. Licence: {licence}."
    else:
        told = f"`{name}`, a collection of the trainer's own; its licence is not known to the tool."
    questions = made.training.get("questions")
    used = f" {questions:,} questions were trained on" if questions else ""
    used += f", in {', '.join(made.languages)}." if used and made.languages else "." if used else ""
    removed = [
        f"{leak['questions_removed']:,} that stand in {leak['collection']} too"
        for leak in made.training.get("leaks", [])
        if leak["questions_removed"]
    ]
    return f"## Training data\n\n{told}{used}" + (f" Left out: {'; '.join(removed)}." if removed else "")


def _results_table(results: list[_Result]) -> str:
    if not results:
        return "## Results\n\nIt has not been evaluated yet."
    head = [
        "collection",
        "model",
        *(f"{setting} {label(metric)}" for setting, metric in _SHOWN),
        "rank distance",
        "evaluation",
    ]
    rows = ["| " + " | ".join(head) + " |", "|---|---" + "|--:" * (len(_SHOWN) + 1) + "|---|"]
    for row in results:
        values = [row.figures[setting][metric] for setting, metric in _SHOWN]
        distance = row.figures["multi"]["rank_distance"]
        cells = [
            row.collection,
            ("this checkpoint" if row.trained else "base encoder") + ("\\*" if row.seen else ""),
            *("-" if value is None else f"{value:.4f}" for value in values),
            "-" if distance is None else f"{distance:.0f}",
            f"`{row.key[:12]}`",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    told = [
        "mono: query and candidates in one language; cross: in two; multi: candidates in all languages together. mAP "
        "has no cut-off. Averages are over queries, then language pairs or query languages. Rank distance: how many "
        "places lie between the versions of one answer in the pool of all languages; lower is less biased."
    ]
    if any(row.seen for row in results):
        told.append("\\* Not zero-shot: texts of this collection were trained on.")
    return "## Results\n\n" + "\n".join(rows) + "\n\n" + "\n\n".join(told)


def _citation() -> str:
    return f"## Citation\n\n```bibtex\n{bibtex(['hybrid-batch', 'lareqa'])}\n```"


def _licence(made: _Made) -> str:
    data, base = made.licences
    told = f"Training data: {data}. Base encoder: {base}."
    if made.licence == _UNKNOWN:
        return f"## Licence\n\n{told} Fill in `license` at the top before you share this checkpoint."
    limits = " It may not be used commercially." if "NC" in made.licence else ""
    return f"## Licence\n\n{told} This checkpoint is given under {made.licence}.{limits}"
