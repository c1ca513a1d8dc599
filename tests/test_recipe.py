"""The recipe: what it refuses, what makes its key, and its way to disk and back."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from math import inf, nan
from pathlib import Path

import pytest

from engine.encoders.encoder import SentenceEncoder
from engine.errors import InputError
from engine.training.checkpoint import checkpoint_key
from engine.training.recipe import DEFAULTS, Recipe, Settings, check_alpha
from engine.training.sampler import STRATEGIES
from engine.training.train import make_recipe
from engine.training.training_set import TrainingSet
from tests.checkpoints import tiny_bert, tiny_xlm_roberta
from tests.training_builders import made_up_collection

RECIPE = Recipe("fingerprint", {"query": "q: ", "document": "d: "}, "digest", "head", alpha=0.25, encoder_name="e5")
OTHER = {
    "encoder": "another",
    "prompts": {"query": "q: ", "document": ""},
    "collection": "another",
    "method": "full",
    "strategy": "merge",
    "alpha": 0.5,
    "seed": 1,
    "settings": Settings(steps=7),
    "encoder_name": "another",
    "collection_name": "another",
}
OTHER_SETTINGS = Settings(7, 8, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 64, 2, 0.5, 2, 5, 0.5, True, 0.5)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    prompts = {"query": "Wo ", "document": "Die "}
    folder = tmp_path_factory.mktemp("recipe") / "bert"
    return SentenceEncoder(tiny_bert(folder, "de", as_sentence_transformer=True, prompts=prompts), "bert")


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    return TrainingSet(made_up_collection())


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        *((name, value, "integer >= 1") for name in ("steps", "accumulate", "patience") for value in (0, 1.5)),
        *(("save_every", value, "integer >= 1") for value in (-1, nan, True, "10")),
        *(("batch_size", value, "integer >= 2") for value in (1, 2.5)),
        *(("hard_negatives", value, "integer >= 0") for value in (-1, 0.5)),
        *(("max_length", value, "integer >= 4") for value in (3, 8.5)),
        *((name, v, "above 0") for name in ("learning_rate", "temperature") for v in (0, -1.0, 1e30, inf, nan, "1")),
        *(("weight_decay", value, "from 0") for value in (-0.1, 1e30, inf, nan, None)),
        *((name, value, "from 0 to 1") for name in ("tau", "warmup") for value in (-0.1, 1.1, nan)),
        *(("hold_out", value, "from 0 to below 1") for value in (-0.1, 1, nan)),
    ],
)
def test_a_setting_that_cannot_be_says_what_came_and_what_is_allowed(name: str, value: object, allowed: str) -> None:
    with pytest.raises(InputError) as caught:
        Settings(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} must be ")
    assert message.endswith(f", got {value!r}")
    assert allowed in message
    assert "\n" not in message


def test_the_ends_of_what_is_allowed_are_allowed() -> None:
    Settings(1, 2, 1e-30, 0, 1e-30, 0, 0, 0, None, 1, 0, 1, 1)
    Settings(10**6, 10**6, 9e29, 9e29, 9e29, 1, 10**6, 1, 4, 10**6, 0.999, 10**6, 10**6)


def test_the_settings_of_full_are_the_papers() -> None:
    full = DEFAULTS["full"]
    assert (full.learning_rate, full.weight_decay, full.batch_size) == (3e-5, 1e-2, 100)
    assert all(settings.temperature == 0.05 for settings in DEFAULTS.values())


@pytest.mark.parametrize("alpha", [0, 0.25, 1])
def test_a_ratio_is_a_share(alpha: float) -> None:
    assert check_alpha(alpha) == alpha
    assert isinstance(check_alpha(alpha), float)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, inf, -inf, nan, 50])
def test_a_ratio_outside_0_and_1_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match=rf"alpha, .* must be from 0 to 1, got {alpha}"):
        check_alpha(alpha)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"method": "half"}, ["method 'half'", "head, full"]),
        ({"strategy": "x-x-x"}, ["strategy 'x-x-x'", *STRATEGIES]),
        ({"strategy": "merge"}, ["strategy 'merge'", "hybrid"]),
        ({"alpha": None}, ["needs alpha", "from 0 to 1"]),
        ({"alpha": 1.5}, ["from 0 to 1, got 1.5"]),
        ({"strategy": "x-x"}, ["x-x has no alpha, got 0.5", "leave it out"]),
        ({"seed": -1}, ["integer from 0 to 4294967295, got -1"]),
        ({"seed": 2**32}, ["to 4294967295, got 4294967296"]),
        ({"seed": 1.5}, ["integer", "got 1.5"]),
    ],
    ids=str,
)
def test_a_recipe_that_cannot_be_says_why(encoder, training: TrainingSet, options, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        make_recipe(encoder, training, **{"alpha": 0.5, **options})
    for part in parts:
        assert part in str(caught.value)


def test_an_encoder_that_cuts_texts_elsewhere_than_its_files_say_is_refused(encoder, training: TrainingSet) -> None:
    shorter = SentenceEncoder(encoder.folder, "shorter", max_length=16)
    with pytest.raises(InputError, match="encoder shorter was opened with a max length; give it in the settings"):
        make_recipe(shorter, training, alpha=0.5)


@pytest.mark.parametrize("method", ["head", "full"])
def test_a_recipe_tells_what_it_is_made_of(encoder, training: TrainingSet, method: str) -> None:
    recipe = make_recipe(encoder, training, method=method, alpha=1, seed=3)
    assert recipe.encoder == encoder.fingerprint
    assert recipe.prompts == {"query": "Wo ", "document": "Die "}
    assert (recipe.method, recipe.strategy, recipe.alpha, recipe.seed) == (method, "hybrid", 1.0, 3)
    assert recipe.settings == DEFAULTS[method]
    assert recipe.label == f"bert, {method} on made up, alpha 1, seed 3"


def test_labels_tell_strategies_apart(encoder, training: TrainingSet) -> None:
    assert "x-x, seed 0" in make_recipe(encoder, training, strategy="x-x").label
    assert "merge, alpha 0.25, seed 0" in replace(RECIPE, strategy="merge").label


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, alpha=None, strategy="x-x", settings=DEFAULTS["full"])])
def test_a_recipe_survives_its_way_through_json(recipe: Recipe) -> None:
    again = Recipe.from_dict(json.loads(json.dumps(asdict(recipe))))
    assert again == recipe
    assert checkpoint_key(again) == checkpoint_key(recipe)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.pop("encoder"),
        lambda values: values.pop("settings"),
        lambda values: values.update(colour="green"),
        lambda values: values.update(settings=None),
        lambda values: values["settings"].update(colour="green"),
        lambda values: values["settings"].update(steps=0),
        lambda values: values["settings"].update(temperature="warm"),
    ],
)
def test_what_is_no_recipe_is_refused(change) -> None:
    values = asdict(RECIPE)
    change(values)
    with pytest.raises(InputError):
        Recipe.from_dict(values)
    for other in (None, [], "recipe"):
        with pytest.raises(InputError, match="recipe"):
            Recipe.from_dict(other)


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_names_do_not_change_the_key_and_everything_else_does(name: str) -> None:
    changed = replace(RECIPE, **{name: OTHER[name]})
    assert getattr(changed, name) != getattr(RECIPE, name)
    assert (checkpoint_key(changed) == checkpoint_key(RECIPE)) == (name in ("encoder_name", "collection_name"))


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_changes_the_key(name: str) -> None:
    settings = replace(RECIPE.settings, **{name: getattr(OTHER_SETTINGS, name)})
    assert settings != RECIPE.settings
    assert checkpoint_key(replace(RECIPE, settings=settings)) != checkpoint_key(RECIPE)


def test_equal_numbers_give_one_key_however_they_are_written() -> None:
    whole = Settings(learning_rate=1, weight_decay=0, temperature=1, tau=0, warmup=1, hold_out=0)
    point = Settings(learning_rate=1.0, weight_decay=0.0, temperature=1.0, tau=0.0, warmup=1.0, hold_out=0.0)
    assert checkpoint_key(replace(RECIPE, settings=whole)) == checkpoint_key(replace(RECIPE, settings=point))
    zeros = {checkpoint_key(replace(RECIPE, alpha=check_alpha(alpha))) for alpha in (0, 0.0, -0.0)}
    assert len(zeros) == 1


def test_a_family_is_what_ratio_seed_and_strategy_do_not_change() -> None:
    for name, value in OTHER.items():
        same = replace(RECIPE, **{name: value}).family() == RECIPE.family()
        assert same == (name in ("alpha", "seed", "strategy", "encoder_name", "collection_name")), name


def test_what_is_trained_on_and_with_changes_the_recipe(encoder, training: TrainingSet, tmp_path: Path) -> None:
    recipe = make_recipe(encoder, training, alpha=0.5)
    other = SentenceEncoder(tiny_xlm_roberta(tmp_path / "xlm-r"), "bert", prompts=encoder.prompts)
    prompted = SentenceEncoder(encoder.folder, "bert", prompts={"query": "Wer "})
    smaller = TrainingSet(training.collection.without_questions({"q0.0"}))
    renamed = TrainingSet(replace(training.collection, name="renamed"))
    for changed, part in ((other, training), (prompted, training), (encoder, smaller)):
        assert checkpoint_key(make_recipe(changed, part, alpha=0.5)) != checkpoint_key(recipe)
    assert checkpoint_key(make_recipe(encoder, renamed, alpha=0.5)) == checkpoint_key(recipe)


def test_paragraphs_count_only_where_hard_negatives_come_from_them(encoder, training: TrainingSet) -> None:
    collection = training.collection
    corpus = replace(collection.corpus, passages=("one",) * len(collection.corpus))
    other = TrainingSet(replace(collection, corpus=corpus))
    for count, same in ((0, True), (1, False)):
        recipes = [
            make_recipe(encoder, part, alpha=0, settings=Settings(hard_negatives=count)) for part in (training, other)
        ]
        assert (checkpoint_key(recipes[0]) == checkpoint_key(recipes[1])) == same
