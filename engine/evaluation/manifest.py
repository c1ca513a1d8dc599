"""What an evaluation is of and how it was made: the typed, versioned manifest that every reader shares.

It is read and checked once, where an evaluation is taken from the store. Fields that came later have defaults, so that
manifests of earlier versions stay readable.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.collections.pictures import PICTURE
from engine.collections.structures import Role, Setting
from engine.errors import InputError

VERSION: Literal[1] = 1
"""Version of the manifest; a reader refuses what a later version has written."""


class _Part(BaseModel):
    """A part of the manifest: frozen; what the store adds to the file is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CollectionPart(_Part):
    """The collection that was evaluated on.

    Attributes:
        name: What it is called.
        digest: Of what it holds.
        languages: Its language codes, in the order of its blocks.
        query_languages: Those that have queries; None in manifests of earlier versions: all.
        document_languages: Those that have candidates; likewise.
        queries: How many queries it has.
        candidates: How many candidates its pool has.
        skipped: Rows that were left out, by reason.
        identical_ids: How many queries stand in the corpus under their own id and are left out of their own ranking.
        absent: How many relevant documents are not in the corpus and count as missed.
        restatements: How many queries ask a question again in the same language; each counts as one of its own.
        split: Split of its judgements that was read; None where it has none.
        pictures: How many of the candidates are pictures.
        crossed: Whether a query has a relevant passage in another language than its own.
    """

    name: str
    digest: str
    languages: tuple[str, ...] = ()
    query_languages: tuple[str, ...] | None = None
    document_languages: tuple[str, ...] | None = None
    queries: int = 0
    candidates: int = 0
    skipped: dict[str, int] = {}
    identical_ids: int = 0
    absent: int = 0
    restatements: int = 0
    split: str | None = None
    pictures: int = 0
    crossed: bool = True

    @property
    def pool(self) -> int:
        """Candidates in the pool of all languages; a picture asks for captions only, so pictures are not in it."""
        return self.candidates - self.pictures

    @property
    def asking(self) -> tuple[str, ...]:
        """Languages that the pool is asked in: where there are pictures, theirs alone."""
        return (PICTURE,) if self.pictures else self.query_languages or self.languages

    @property
    def not_crossed(self) -> str:
        """Why a collection that is not crossed has no cross-lingual pair, in a sentence."""
        return (
            f"Questions of {self.name} have relevant passages in their own language only, so there is no cross-lingual "
            "pair; scores are by language, and in the pool of all languages."
        )


class EncoderPart(_Part):
    """The encoder that was evaluated.

    Attributes:
        name: What it is called.
        fingerprint: Digest of weights, tokenizer and configuration.
        prompts: What was put before queries and documents.
        max_length: Tokens after which a text was cut; None for the model's own limit.
        dtype: Number type of the computation.
        similarity: How its vectors are compared.
        truncate_dim: Dimensions that its vectors were cut to; None for all.
        folder: Where it was; None for one from elsewhere.
    """

    name: str
    fingerprint: str
    prompts: dict[Role, str]
    max_length: int | None = None
    dtype: str = "unknown"
    similarity: str = "cosine"
    truncate_dim: int | None = None
    folder: str | None = None


class OpenedAs(_Part):
    """How the collection and the encoder are opened again.

    Attributes:
        collection: Catalogue name or folder of the collection.
        every: Which share of the paragraphs was kept: every n-th.
        skip_invalid: Whether unusable rows were left out.
        keep_identical_ids: Whether queries may retrieve the candidates of their own id.
        allow_leaks: Of a sweep: whether texts that are evaluated on might be trained on.
        split: Split that was asked for; None for the usual one.
        train_split: Of a sweep: split that was asked for to train on.
        encoder: Catalogue name, key, Hub id or folder of the encoder; None for an imported run.
        base: Of a sweep: how its base encoder is opened.
        training: Of a sweep: how its training collection is opened.
        evaluations: Of a sweep: all collections that it is evaluated on.
        truncate_dim: Of a sweep: how many dimensions of its base encoder were asked for; None for the model's own.
        dtype: Of a sweep: the number type that was asked for; None for the model's and device's own.
    """

    collection: str
    every: int = 1
    skip_invalid: bool = False
    keep_identical_ids: bool = False
    allow_leaks: bool = False
    split: str | None = None
    train_split: str | None = None
    encoder: str | None = None
    base: str | None = None
    training: str | None = None
    evaluations: tuple[str, ...] = ()
    truncate_dim: int | None = None
    dtype: str | None = None


class SeenInTraining(_Part):
    """How many of the collection's texts the checkpoint was trained on.

    Attributes:
        queries: Queries that were trained on.
        passages: Answering passages that were trained on.
        near_queries: Queries in training that nearly repeat one of these; 0 where this was not looked for.
        near_passages: Likewise, of answering passages in training.
        threshold: Least similarity of a near copy; None where near copies were not looked for.
    """

    queries: int = 0
    passages: int = 0
    near_queries: int = 0
    near_passages: int = 0
    threshold: float | None = None

    @property
    def texts(self) -> int:
        """Queries and passages together."""
        return self.queries + self.passages


class ImportOrigin(_Part):
    """Where an imported evaluation is from, and how far it can be trusted.

    Attributes:
        source: Name of the file.
        kind: What it was, such as "TREC run".
        relevant: How many relevant passages there are.
        missing: How many of them were not retrieved.
        exact: Metrics that no missing passage can change, by setting.
        notes: What a reader should know.
    """

    source: str
    kind: str
    relevant: int = 0
    missing: int = 0
    exact: dict[Setting, tuple[str, ...]] = {}
    notes: tuple[str, ...] = ()


class PackedAs(_Part):
    """How an evaluation that comes with the project is packed; see `engine.evaluation.packed`.

    Attributes:
        model: Key of the evaluation that its ranks are packed against; None for none.
        top_model: Key of the evaluation that its first places are packed against; None for none.
        places: How many first places are kept for each query; 0 for none.
        starts: Position in the pool of each language's first candidate, in the order of the collection's languages
            that have candidates.
    """

    model: str | None = None
    top_model: str | None = None
    places: int = 0
    starts: tuple[int, ...] = ()


class EvaluationManifest(_Part):
    """What an evaluation is of and how it was made.

    Attributes:
        collection: On what.
        encoder: Of what.
        recipe: What the checkpoint was trained by, as `recipe.json` holds it; None for an encoder from elsewhere.
        seen_in_training: Texts that the checkpoint was trained on; None where that is not known.
        top_k: How many of the pool are kept for each query.
        index: FAISS index-factory string that the first k were searched with, or "imported".
        seconds: How long it took.
        opened_as: How its parts are opened again; None where they are not at hand.
        imported: Where it is from; None for one that was made here.
        packed: How it is packed; None for one that is not.
        version: Of the manifest.
    """

    collection: CollectionPart
    encoder: EncoderPart
    recipe: dict[str, Any] | None = None
    seen_in_training: SeenInTraining | None = None
    top_k: int = 0
    index: str = "Flat"
    seconds: float = 0.0
    opened_as: OpenedAs | None = None
    imported: ImportOrigin | None = None
    packed: PackedAs | None = None
    version: Literal[1] = VERSION

    @classmethod
    def read(cls, values: dict[str, Any], place: str) -> EvaluationManifest:
        """Check the values of a stored manifest.

        Args:
            values: The manifest file's object.
            place: What to call it in the error.

        Raises:
            InputError: If it is of another version, or a field is missing or of the wrong type.
        """
        written = values.get("version", VERSION)
        if written != VERSION:
            raise InputError(f"{place}: its manifest has version {written!r}, this program reads {VERSION}; update it")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            fault = error.errors()[0]
            field = ".".join(map(str, fault["loc"]))
            raise InputError(f"{place}: field {field} of its manifest is wrong ({fault['msg']})") from error

    def values(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return self.model_dump(mode="json")

    @property
    def missing(self) -> int:
        """How many relevant passages an imported run did not retrieve; 0 for an evaluation that was made here."""
        return self.imported.missing if self.imported else 0
