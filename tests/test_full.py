"""The method `full` against the same training as a plain torch loop; interrupted, held out, and in two processes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer
from torch.nn.functional import normalize

from engine.collections.structures import Collection
from engine.encoders.encoder import SentenceEncoder
from engine.encoders.resolve import open_encoder
from engine.errors import InputError, TrainingError
from engine.storage.store import Store
from engine.training import full
from engine.training import train as training
from engine.training.checkpoint import checkpoint_key
from engine.training.negatives import HardNegatives
from engine.training.recipe import Settings
from engine.training.train import make_recipe, train
from engine.training.training_set import TrainingSet, make_sampler
from tests.checkpoints import change_json, tiny_bert, tiny_xlm_roberta
from tests.training_builders import SHORT, made_up_collection, python, recipe_for, same_weights, weights

PROMPTS = {"query": "Wo ", "passage": "Die "}
ARCHITECTURES = {"bert": tiny_bert, "xlm-r": tiny_xlm_roberta}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in the other processes, so that the weights are the same bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each architecture, and of BERT's without dropout, so that a plain loop can do the same."""
    root = tmp_path_factory.mktemp("full")
    made = {
        name: make(root / name, "ar", "de", "en", as_sentence_transformer=True, prompts=PROMPTS)
        for name, make in ARCHITECTURES.items()
    }
    made["steady"] = shutil.copytree(made["bert"], root / "steady")
    change_json(made["steady"] / "config.json", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return made


@pytest.fixture(scope="module")
def collection() -> Collection:
    return made_up_collection()


def run(folder: Path, collection: Collection, store: Store, settings: Settings = SHORT, **options: object) -> Path:
    """Train, and give the checkpoint's folder."""
    recipe, encoder, part = recipe_for(folder, collection, settings, method="full")
    return store.path("checkpoints", train(recipe, encoder, part, store, **options))


def told(folder: Path) -> dict:
    return json.loads((folder / "training.json").read_text(encoding="utf-8"))


def texts_of(collection: Collection, settings: Settings, count: int) -> list[list[list[str]]]:
    """The first batches of a run: queries, passages, and a list for each hard negative."""
    recipe = recipe_of(settings)
    sampler = make_sampler(recipe, collection, count)
    negatives = HardNegatives(collection, settings.hard_negatives, recipe.seed)
    return [
        [
            [collection.queries.texts[row] for row in batch.queries],
            [collection.corpus.texts[row] for row in batch.documents],
            *[[collection.corpus.texts[row] for row in rows] for rows in negatives.by_pair(batch, step).T],
        ]
        for step, batch in enumerate(sampler, 1)
    ]


def recipe_of(settings: Settings) -> training.Recipe:
    return training.Recipe("e", {}, "c", "full", alpha=0.5, settings=settings)


def contrast(asked: np.ndarray, given: np.ndarray, temperature: float) -> float:
    """InfoNCE of unit vectors: row i of `given` answers row i of `asked`, all others do not."""
    losses = []
    for i, query in enumerate(asked.astype(np.float64)):
        odds = [np.exp(query @ answer / temperature) for answer in given.astype(np.float64)]
        losses.append(-np.log(odds[i] / sum(odds)))
    return float(np.mean(losses))


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_both_architectures_train_all_their_weights(folders, collection: Collection, store: Store, name: str) -> None:
    after = run(folders[name], collection, store)
    old, new = weights(folders[name]), weights(after)
    assert old.keys() == new.keys()
    still = {weight for weight in old if np.array_equal(old[weight], new[weight])}
    assert {weight.split(":")[1] for weight in still} <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert all(np.isfinite(weight).all() for weight in new.values())
    assert told(after)["steps"] == SHORT.steps
    assert [step for step, _ in told(after)["losses"]] == [2, 4, 6]  # whenever a state is saved


def test_a_raw_transformer_from_elsewhere_trains(tmp_path: Path, collection: Collection, store: Store) -> None:
    encoder = open_encoder(str(tiny_xlm_roberta(tmp_path / "raw")), store)
    part = TrainingSet(collection)
    recipe = make_recipe(encoder, part, method="full", alpha=0.5, settings=replace(SHORT, steps=1))
    folder = store.path("checkpoints", train(recipe, encoder, part, store))
    assert not same_weights(folder, encoder.folder)
    assert [type(module).__name__ for module in SentenceTransformer(str(folder))][1:] == ["Pooling"]


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 0.5}, {"hard_negatives": 2, "temperature": 0.2}, {"max_length": 6}], ids=str
)
def test_the_first_loss_is_that_of_the_untrained_vectors(folders, collection, store: Store, changes: dict) -> None:
    settings = replace(SHORT, steps=1, **changes)
    [(step, loss)] = told(run(folders["steady"], collection, store, settings))["losses"]
    encoder = SentenceEncoder(folders["steady"], "steady", max_length=settings.max_length)
    [[queries, *passages]] = texts_of(collection, settings, 1)
    given = np.concatenate([encoder.encode(texts, "document") for texts in passages])
    assert step == 1
    assert loss == pytest.approx(contrast(encoder.encode(queries, "query"), given, settings.temperature), abs=2e-4)
    if settings.max_length == 6:
        longer = SentenceEncoder(folders["steady"], "steady")
        assert np.abs(longer.encode(queries, "query") - encoder.encode(queries, "query")).max() > 1e-3


def plain_loop(folder: Path, collection: Collection, settings: Settings) -> tuple[dict[str, np.ndarray], list[float]]:
    """The training as a loop over torch: the weights, and every step's loss."""
    model = SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = settings.max_length
    parts = ([], [])  # decay, no decay
    for name, parameter in model.named_parameters():
        parts["bias" in name or "LayerNorm" in name].append(parameter)
    groups = [{"params": parts[0], "weight_decay": settings.weight_decay}, {"params": parts[1], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate)
    batches = iter(texts_of(collection, settings, settings.steps * settings.accumulate))
    rising, losses = round(settings.warmup * settings.steps), []
    for step in range(settings.steps):
        share = step / rising if step < rising else (settings.steps - step) / (settings.steps - rising)
        for group in optimiser.param_groups:
            group["lr"] = share * settings.learning_rate
        losses.append(0.0)
        for _ in range(settings.accumulate):
            queries, *passages = next(batches)
            asked = vectors(model, queries, PROMPTS["query"])
            given = torch.cat([vectors(model, texts, PROMPTS["passage"]) for texts in passages])
            scores = asked @ given.T / settings.temperature
            loss = (torch.logsumexp(scores, dim=1) - scores.diagonal()).mean() / settings.accumulate
            loss.backward()
            losses[-1] += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(str(folder.with_name("looped")))
    return weights(folder.with_name("looped")), losses


def far_apart(old: dict, new: dict, expected: dict) -> list[str]:
    """The tensors that did not come to where they were expected, measured by how far they came."""
    assert old.keys() == new.keys() == expected.keys()
    least = 1e-6  # the gradient of a bias of keys is 0 but for rounding
    return [
        name
        for name, weight in expected.items()
        if np.abs(new[name] - weight).max() > 0.02 * np.abs(weight - old[name]).max() + least
    ]


def vectors(model: SentenceTransformer, texts: list[str], prompt: str) -> torch.Tensor:
    return normalize(model(model.preprocess([prompt + text for text in texts]))["sentence_embedding"])


@pytest.mark.parametrize(
    "changes",
    [
        {"save_every": 1},
        {"accumulate": 3, "warmup": 0.5},
        {"hard_negatives": 1, "weight_decay": 10.0, "max_length": 12, "temperature": 0.02},
    ],
    ids=str,
)
def test_training_is_what_a_plain_loop_computes(folders, collection, store: Store, changes: dict) -> None:
    settings = replace(SHORT, **changes)
    found = run(folders["steady"], collection, store, settings)
    expected, losses = plain_loop(folders["steady"], collection, settings)
    old, new = weights(folders["steady"]), weights(found)
    assert far_apart(old, new, expected) == []
    ends = [0, *(step for step, _ in told(found)["losses"])]
    means = [np.mean(losses[start:end]) for start, end in pairwise(ends)]
    assert [loss for _, loss in told(found)["losses"]] == pytest.approx(means, abs=1e-3)


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(folders, collection, tmp_path: Path) -> None:
    stores = [Store(tmp_path / str(i)) for i in range(3)]
    one, same = (run(folders["bert"], collection, store) for store in stores[:2])
    recipe, encoder, part = recipe_for(folders["bert"], collection, SHORT, method="full", seed=1)
    other = stores[2].path("checkpoints", train(recipe, encoder, part, stores[2]))
    assert same_weights(one, same)
    assert {**told(one), "seconds": 0} == {**told(same), "seconds": 0}
    assert not same_weights(one, other)


def without_pooler(folder: Path) -> Path:
    file = folder / "model.safetensors"
    kept = {name: weight for name, weight in load_file(file).items() if not name.startswith("pooler.")}
    file.unlink()
    save_file(kept, file, metadata={"format": "pt"})
    return folder


def test_weights_that_the_base_does_not_have_are_the_same_in_every_run(folders, collection, tmp_path: Path) -> None:
    folder = without_pooler(shutil.copytree(folders["bert"], tmp_path / "without-pooler"))
    one, same = (run(folder, collection, Store(tmp_path / name), replace(SHORT, steps=1)) for name in ("one", "same"))
    assert same_weights(one, same)
    assert len(weights(one)) > len(weights(folder))


def test_a_raw_transformer_is_the_same_base_in_every_cache(tmp_path: Path) -> None:
    raw, found = without_pooler(tiny_xlm_roberta(tmp_path / "raw")), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        found.append(open_encoder(str(raw), Store(tmp_path / str(seed))))
        assert torch.equal(torch.get_rng_state(), state)
    assert found[0].folder != found[1].folder
    assert found[0].fingerprint == found[1].fingerprint


def test_sentence_transformers_alone_gives_the_same_vectors(folders, collection, store: Store) -> None:
    folder = run(folders["xlm-r"], collection, store, replace(SHORT, max_length=9))
    encoder, alone = SentenceEncoder(folder, "trained"), SentenceTransformer(str(folder), device="cpu")
    assert alone.max_seq_length == 9
    for role, texts, encode in (
        ("query", collection.queries.texts[:9], alone.encode_query),
        ("document", collection.corpus.texts[:9], alone.encode_document),
    ):
        assert (encoder.encode(texts, role) * encode(list(texts))).sum(axis=1).min() > 0.99999


def test_a_checkpoint_with_a_head_trains_on_in_full(folders, collection: Collection, store: Store) -> None:
    recipe, encoder, part = recipe_for(folders["bert"], collection, replace(SHORT, learning_rate=0.01))
    base = open_encoder(train(recipe, encoder, part, store), store)
    again = make_recipe(base, part, method="full", alpha=0.0, settings=SHORT)
    trained = open_encoder(train(again, base, part, store), store)
    (_, old), (_, new) = base.head(), trained.head()
    assert 0 < np.abs(old - new).max() < 0.1


def test_the_batches_are_written_out_in_order(collection: Collection) -> None:
    settings = replace(SHORT, hard_negatives=2)
    sampler = make_sampler(recipe_of(settings), collection, 5)
    rows = full.batch_rows(collection, sampler, HardNegatives(collection, 2, 0))
    assert rows.column_names == ["anchor", "positive", "negative_0", "negative_1"]
    expected = [column for batch in zip(*texts_of(collection, settings, 5), strict=True) for column in batch]
    columns = [list(chain.from_iterable(expected[i * 5 : i * 5 + 5])) for i in range(4)]
    assert [list(rows[name]) for name in rows.column_names] == columns


def interrupted(folder: Path, collection: Collection, store: Store, settings: Settings, at: int) -> None:
    """Stop a run in its step `at`, as Ctrl-C does."""

    def stop(_stage: str, done: float, _total: float) -> None:
        if done == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, collection, store, settings, progress=stop)
    assert not list(store.entries("checkpoints"))


WATCHED = replace(SHORT, steps=8, hold_out=0.3, patience=8)


@pytest.mark.parametrize(
    ("settings", "at"),
    [(SHORT, 1), (SHORT, 3), (SHORT, 6), (replace(SHORT, accumulate=2, hard_negatives=1), 5), (WATCHED, 5)],
    ids=["before the first state", "after a state", "in the last step", "accumulating", "watched"],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_end(folders, collection, tmp_path: Path, settings, at: int) -> None:
    stores = [Store(tmp_path / name) for name in ("whole", "resumed")]
    whole = run(folders["bert"], collection, stores[0], settings)
    interrupted(folders["bert"], collection, stores[1], settings, at)
    steps = []
    resumed = run(folders["bert"], collection, stores[1], settings, progress=lambda _, done, __: steps.append(done))
    assert same_weights(whole, resumed)
    assert {**told(whole), "seconds": 0} == {**told(resumed), "seconds": 0}
    assert steps[0] == (at - 1) // settings.save_every * settings.save_every + 1
    assert not list(stores[1].root.glob("checkpoints/.*"))


def test_a_killed_process_leaves_nothing_broken_and_its_run_goes_on(folders, collection, tmp_path: Path) -> None:
    stores = [Store(tmp_path / name) for name in ("whole", "killed")]
    killed = python("-c", _KILLED, str(folders["bert"]), store=stores[1])
    assert killed.communicate(timeout=120)[1].strip() == ""
    assert killed.returncode == -9
    [work] = stores[1].root.glob("checkpoints/*")
    assert work.name.startswith(".partial-")
    torn = shutil.copytree(work / "checkpoint-4", work / "checkpoint-5")  # as if killed while a state was written
    for name in ("trainer_state.json", "model.safetensors"):
        (torn / name).write_bytes((torn / name).read_bytes()[:100])
    assert not list(stores[1].entries("checkpoints"))
    steps = []
    resumed = run(
        folders["bert"], collection, stores[1], progress=lambda _, done, __: steps.append((done, torn.exists()))
    )
    assert steps == [(5, False), (6, False)]
    assert same_weights(resumed, run(folders["bert"], collection, stores[0]))
    assert [path.name for path in stores[1].root.glob("checkpoints/*")] == [resumed.name]


_KILLED = """
import os, signal, sys
from pathlib import Path
from engine.storage.store import Store
from engine.training.train import train
from tests.training_builders import made_up_collection, recipe_for

def kill(stage, done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)

train(*recipe_for(Path(sys.argv[1]), made_up_collection(), method="full"), Store(), progress=kill)
"""


def test_a_recipe_that_another_process_trains_is_refused(folders, collection: Collection, store: Store) -> None:
    recipe, encoder, part = recipe_for(folders["bert"], collection, method="full")
    other = "another process is training it; wait for it"
    with (
        store.partial("checkpoints", checkpoint_key(recipe)) as work,
        FileLock(work / "lock"),
        pytest.raises(TrainingError, match=other),
    ):
        train(recipe, encoder, part, store)
    assert work.is_dir()


@pytest.mark.parametrize("changes", [{"learning_rate": 1e20}, {"learning_rate": 9e29, "steps": 1}], ids=str)
def test_a_run_that_diverges_leaves_nothing(folders, collection: Collection, store: Store, changes: dict) -> None:
    settings = replace(SHORT, warmup=0.0, weight_decay=9e29, **changes)
    with pytest.raises(TrainingError, match=r"no checkpoint was written.*[Ll]ower the learning rate"):
        run(folders["bert"], collection, store, settings)
    assert not list(store.root.glob("checkpoints/*"))


def split(collection: Collection, **values: object) -> tuple[Collection, Collection]:
    recipe = recipe_of(replace(SHORT, **values))
    kept, (watched, _) = TrainingSet(collection).split(recipe)
    return kept.collection, watched


def test_no_passage_and_no_question_is_on_both_sides_of_a_split() -> None:
    collection = made_up_collection(20)
    rows, documents = collection.qrels.queries, collection.qrels.documents
    # every second question is answered by the next one's passage as well, so that the two must stay together
    questions = [q for q, code in zip(*_first_columns(collection), strict=True) if code == "en"]
    answers = {q: documents[[collection.queries.questions[r] == q for r in rows]] for q in questions}
    pairs = dict(zip(questions[::2], questions[1::2], strict=True))
    more = {(row, int(doc)) for row, doc in zip(rows, documents, strict=True)}
    for row, question in enumerate(collection.queries.questions):
        more |= {(row, int(doc)) for doc in answers[pairs[question]]} if question in pairs else set()
    linked = replace(collection, qrels=type(collection.qrels)(*np.array(sorted(more), np.int64).T))
    for share in (0.2, 0.5):
        kept, watched = split(linked, hold_out=share)
        sides = [set(part.queries.questions) for part in (kept, watched)]
        assert sides[0] | sides[1] == set(questions)
        assert not sides[0] & sides[1]
        assert len(sides[1]) == round(share * 20) * 2
        assert not set(kept.qrels.documents) & set(watched.qrels.documents)
        assert all((one in sides[1]) == (other in sides[1]) for one, other in pairs.items())


def _first_columns(collection: Collection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return collection.queries.questions, collection.queries.languages


def test_the_split_depends_on_the_seed() -> None:
    collection = made_up_collection(20)
    chosen = []
    for seed in (0, 0, 1):
        recipe = replace(recipe_of(replace(SHORT, hold_out=0.3)), seed=seed)
        chosen.append(set(TrainingSet(collection).split(recipe)[1][0].queries.questions))
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("method", ["head", "full"])
def test_nothing_is_held_out_unless_it_is_asked_for(collection: Collection, method: str) -> None:
    part = TrainingSet(collection)
    assert part.split(replace(recipe_of(replace(SHORT, hold_out=0.0)), method=method)) == (part, None)


@pytest.mark.parametrize(
    ("share", "parts"),
    [
        (0.01, ["hold_out: 0.01 of 16 passages", "nothing on one side"]),
        (0.99, ["hold_out: 0.99 of 16 passages", "nothing on one side"]),
        (0.1, ["hold_out: 0.1 of the passages cannot fill a batch", "at most 2"]),
        (0.9, ["batch size must be at most 2"]),
    ],
)
def test_a_split_that_cannot_be_says_why(folders, collection, store: Store, share: float, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        run(folders["bert"], collection, store, replace(SHORT, hold_out=share))
    for part in parts:
        assert part in str(caught.value)
    assert not list(store.root.glob("checkpoints/*"))


RISING = Settings(steps=40, batch_size=4, learning_rate=0.03, max_length=32, save_every=1, hold_out=0.5, patience=2)
"""A run whose held-out loss soon rises: what it learns helps with nothing else."""


def test_training_stops_when_patience_runs_out_and_the_best_state_is_kept(folders, collection, store: Store) -> None:
    observed = []
    folder = run(folders["steady"], collection, store, RISING, observe=lambda *loss: observed.append(loss))
    result = told(folder)
    losses = [loss for _, loss in result["held_out"]]
    best = int(np.argmin(losses))
    assert [step for step, _ in result["held_out"]] == list(range(1, result["steps"] + 1))
    assert result["steps"] == best + 1 + RISING.patience < RISING.steps
    assert all(np.argmin(losses[:stop]) >= stop - RISING.patience for stop in range(1, len(losses)))
    assert result["losses"][-1][0] == result["steps"]
    assert sum(result["composition"]["batches"].values()) == result["steps"]
    held = [(step, loss) for what, step, loss in observed if what.endswith(", held out")]
    assert held == [tuple(look) for look in result["held_out"]]

    recipe, _, part = recipe_for(folders["steady"], collection, RISING, method="full")
    _, (watched, batches) = part.split(recipe)
    encoder, found = SentenceEncoder(folder, "trained"), []
    for batch in batches:
        queries = [watched.queries.texts[row] for row in batch.queries]
        passages = [watched.corpus.texts[row] for row in batch.documents]
        asked, given = encoder.encode(queries, "query"), encoder.encode(passages, "document")
        found.append(contrast(asked, given, RISING.temperature))
    assert len(found) == len(set(watched.queries.questions)) // 4
    assert np.mean(found) == pytest.approx(losses[best], abs=1e-3)
    assert result["questions"] == 16 - len(set(watched.queries.questions))


def test_a_run_that_was_stopped_after_its_early_end_stays_ended(
    folders, collection, tmp_path: Path, monkeypatch
) -> None:
    stores = [Store(tmp_path / name) for name in ("whole", "resumed")]
    whole = run(folders["bert"], collection, stores[0], RISING)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "write_recipe", stop)
        run(folders["bert"], collection, stores[1], RISING)
    assert not list(stores[1].entries("checkpoints"))
    resumed = run(folders["bert"], collection, stores[1], RISING)
    assert same_weights(whole, resumed)
    assert {**told(whole), "seconds": 0} == {**told(resumed), "seconds": 0}


def test_two_processes_share_out_each_batch(folders, collection: Collection, store: Store, tmp_path: Path) -> None:
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("torch was built without gloo, by which processes on a CPU talk to each other")
    script = tmp_path / "two.py"
    script.write_text(_TWO, encoding="utf-8")
    launch = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    both = Store(tmp_path / "both")
    started = python(
        *(
            "-m",
            "accelerate.commands.launch",
            *launch.split(),
            "--main_process_port",
            "0",
            str(script),
            str(folders["steady"]),
        ),
        store=both,
        PYTHONPATH=os.pathsep.join([str(Path(full.__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    )
    out, err = started.communicate(timeout=180)
    assert started.returncode == 0, err[-2000:]
    assert out.count("batch size must be a multiple of the 2 processes that share a batch, got 5") == 2
    settings = replace(SHORT, hold_out=0.5, patience=9)
    one = run(folders["steady"], collection, store, settings)
    [two] = both.root.glob("checkpoints/*")
    assert two.name == one.name
    old, new, expected = weights(folders["steady"]), weights(two), weights(one)
    assert far_apart(old, new, expected) == []
    for what in ("losses", "held_out"):
        assert np.allclose(told(one)[what], told(two)[what], atol=1e-3)


_TWO = """
import sys
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from engine.errors import InputError
from engine.storage.store import Store
from engine.training.train import train
from tests.training_builders import SHORT, made_up_collection, recipe_for

folder, collection = Path(sys.argv[1]), made_up_collection()
for settings in (replace(SHORT, batch_size=5), replace(SHORT, hold_out=0.5, patience=9)):
    try:
        train(*recipe_for(folder, collection, settings, method="full"), Store())
    except InputError as error:
        print(error, flush=True)
"""
