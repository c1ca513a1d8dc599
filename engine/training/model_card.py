"""A checkpoint's model card: `README.md` with its recipe, data and licences, results, use, and whom to cite.

The card follows from what the folder and the evaluations say, so that the same recipe has the same card.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from engine.collections.catalog import COLLECTIONS, SHIPPED, published_as, shipped_folder
from engine.collections.citations import bibtex
from engine.collections.gallery import GALLERY
from engine.collections.languages import is_tag
from engine.collections.near_texts import in_words, read_near_texts
from engine.collections.pictures import PICTURE
from engine.collections.structures import SETTINGS
from engine.encoders.catalog import ENCODERS
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.towers import PICTURE_TOWER, TEXT, TwoTowers, is_towers
from engine.errors import InputError
from engine.evaluation.evaluate import Evaluation
from engine.ranks.metrics import label
from engine.ranks.picture_scores import DIRECTIONS
from engine.training.adjusted import adjusted_by
from engine.training.recipe import FULL_ONLY, OF_PICTURES, Recipe

CARD = "README.md"

_TAGS = {
    **{"MIT": "mit", "Apache 2.0": "apache-2.0", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0"},
    **{"CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0"},
}
_FREE = "CC0 1.0"
_UNKNOWN = "unknown"
_ABOUT: dict[str, str] = {**SHIPPED, **{str(name): about for name, about in GALLERY.items()}}
_COMES_WITH = {name: _FREE if name in SHIPPED else "CC BY 4.0" for name in _ABOUT}

logger = logging.getLogger(__name__)
_ORDER = (*DIRECTIONS, *SETTINGS)
_SHOWN_OF_PICTURES = (("caption-picture", "hit@1"), ("picture-caption", "hit@1"), ("multi", "map"))
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
    name, training = made.recipe.collection_name, made.training
    return _template().render(
        front_matter=_front_matter(made, results),
        recipe=made.recipe,
        adjusted=adjusted_by(made.recipe.strategy),
        rows=_rows(made.recipe),
        base=made.base,
        batches={kind: count for kind, count in training.get("composition", {}).get("batches", {}).items() if count},
        source=published_as(name),
        shipped=_ABOUT.get(name),
        questions=training.get("questions"),
        languages=made.languages,
        removed=[leak for leak in training.get("leaks", []) if leak["questions_removed"]],
        near_copies=training.get("near_copies", []),
        near=_near_texts(folder),
        results=results,
        pictured=made.has_pictures,
        shown=made.shown,
        licences=made.licences,
        licence=made.licence,
        bibtex=bibtex(["hybrid-batch", "lareqa"]),
    )


@cache
def _template() -> Template:
    """The card's template; its values are Markdown, so nothing is escaped as HTML."""
    environment = Environment(
        loader=PackageLoader("engine.training", "."),
        autoescape=False,  # noqa: S701 - Markdown, not HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "short": lambda number: f"{number:g}",
        "fixed": lambda number, digits: "-" if number is None else f"{number:.{digits}f}",
        "quoted": repr,
        "metric_label": label,
    }
    return environment.get_template("model_card.md.j2")


def _near_texts(folder: Path) -> list[str]:
    """What nearly repeats texts of collections, a sentence for each."""
    found = read_near_texts(folder)
    told = (in_words(one["collection"], one["queries"], one["passages"], one["threshold"]) for one in found)
    return [sentence[0].upper() + sentence[1:] for sentence in told if sentence]


def _training(file: Path) -> dict[str, Any]:
    """What is known of a checkpoint's training; nothing if its file is missing or damaged."""
    if not file.is_file():
        return {}
    try:
        return dict(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        logger.warning("%s cannot be read; the model card leaves the training out", file)
        return {}


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
        return cls(Recipe.from_dict(recipe), _training(folder / "training.json"))

    @property
    def languages(self) -> list[str]:
        """Languages that were trained on."""
        name = self.recipe.collection_name
        drawn = self.training.get("composition", {}).get("pairs")
        if drawn:
            return sorted({row[side] for row in drawn for side in ("query_lang", "doc_lang")} - {PICTURE})
        files = COLLECTIONS[name].files if name in COLLECTIONS else ()
        found = [Path(file).stem for file in files or (shipped_folder(name).iterdir() if name in SHIPPED else ())]
        return sorted(code for code in found if is_tag(code))

    @property
    def has_pictures(self) -> bool:
        """Whether it was trained on captions and pictures."""
        return any(row["doc_lang"] == PICTURE for row in self.training.get("composition", {}).get("pairs", ()))

    @property
    def shown(self) -> tuple[tuple[str, str], ...]:
        """Settings and metrics of the table of results."""
        return _SHOWN_OF_PICTURES if self.has_pictures else _SHOWN

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
        source = published_as(name)
        data = source.licence if source else _COMES_WITH.get(name, _UNKNOWN)
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
    scores: Mapping[str, Any]
    key: str
    seen: int


def _results(made: _Made, folder: Path, evaluations: list[Evaluation]) -> list[_Result]:
    """The latest evaluation of the checkpoint on each collection, and the base encoder's on the same ones."""
    if not evaluations:
        return []
    own = _fingerprint(folder)
    found: dict[tuple[str, bool], _Result] = {}
    for evaluation in evaluations:
        seen, encoder = evaluation.manifest.seen_in_training, evaluation.manifest.encoder
        as_trained = encoder.prompts == made.recipe.prompts and encoder.max_length is None
        if as_trained and encoder.fingerprint in (own, made.recipe.encoder):
            trained, on = encoder.fingerprint == own, evaluation.manifest.collection
            figures = evaluation.figures()
            scores = figures["settings"] | figures.get("pictures", {})
            found[on.digest, trained] = _Result(on.name, trained, scores, evaluation.key, seen.texts if seen else 0)
    names = {digest: row.collection for (digest, trained), row in found.items() if trained}
    return [found[at] for at in sorted(found, key=lambda at: (names.get(at[0], ""), at)) if at[0] in names]


def _fingerprint(folder: Path) -> str:
    if is_towers(folder):
        return TwoTowers(*(SentenceEncoder(folder / part, part) for part in (TEXT, PICTURE_TOWER))).fingerprint
    return SentenceEncoder(folder, folder.name).fingerprint


def _front_matter(made: _Made, results: list[_Result]) -> str:
    """The YAML that the Hugging Face Hub reads."""
    from huggingface_hub import EvalResult, ModelCardData

    tag = _TAGS.get(made.licence)
    scores = [
        EvalResult(
            task_type="information-retrieval",
            task_name=f"Retrieval ({setting})",
            dataset_type=row.collection,
            dataset_name=row.collection,
            metric_type=metric,
            metric_name=label(metric),
            metric_value=round(row.scores[setting][metric], 6),
        )
        for row in results
        if row.trained
        for setting, metric in sorted(made.shown, key=lambda shown: _ORDER.index(shown[0]))
        if setting in row.scores and row.scores[setting][metric] is not None
    ]
    data = ModelCardData(
        license=tag or "other",
        license_name=None if tag else _UNKNOWN,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        language=made.languages or None,
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction", "cross-lingual-retrieval"],
        base_model=made.base,
        datasets=[made.recipe.collection_name],
        model_name=made.recipe.label if scores else None,
        eval_results=scores or None,
    )
    return data.to_yaml().strip()


def _rows(recipe: Recipe) -> dict[str, object]:
    """The table of a recipe: names and values; None where it has none."""
    settings = asdict(recipe.settings)
    if recipe.method == "head":
        settings = {name: value for name, value in settings.items() if name not in FULL_ONLY}
    settings = {name: value for name, value in settings.items() if value != OF_PICTURES.get(name, _UNKNOWN)}
    return {
        "method": recipe.method,
        "strategy": recipe.strategy,
        "alpha": None if recipe.alpha is None else f"{recipe.alpha:g}",
        "seed": recipe.seed,
        **{name: f"{value:g}" if isinstance(value, float) else value for name, value in settings.items()},
        "base encoder": f"{recipe.encoder_name}, fingerprint {recipe.encoder}",
        "training collection": f"{recipe.collection_name}, digest {recipe.collection}",
    }
