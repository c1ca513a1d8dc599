"""Pairs from the web on the command line: read, trained on and evaluated with a small model."""

from __future__ import annotations

import json

import pytest

from engine.evaluation.evaluate import evaluations, open_evaluated
from engine.storage.store import Store
from tests import web_builders as web
from tests.command_line import runner, the_error
from tests.picture_models import clip_folder, vision_folder

SHORT = ("--steps", "5", "--batch-size", "4")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a small CLIP model, shards to train on, and shards of other pictures to evaluate on."""
    root = tmp_path_factory.mktemp("web")
    clip_folder(root / "clip")
    clip_folder(root / "other", size=12)
    vision_folder(root / "vision")
    web.write_shard(root / "shards" / "00000.tar", web.pairs(12))
    web.write_shard(root / "shards" / "00001.tar", [web.pair(12, "senza lingua", None)])
    web.embedded(str(root / "clip"), root / "laion", Store(root / "elsewhere"))
    web.write_shard(root / "held" / "00000.tar", [web.pair(i, f"held {i}", "de") for i in range(50, 56)])
    return root


@pytest.fixture
def run(root, store, capsys, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "160")
    return runner(capsys)


def test_shards_are_trained_on_and_evaluated(run, store):
    error = the_error(run("train", "--encoder", "clip", "--train", "shards", "--alpha", "0.5", *SHORT))
    assert "00001.tar: 000000000: a caption's language is not known" in error
    assert "--lang" in error
    given = ("--encoder", "clip", "--train", "shards", "--lang", "it", *SHORT)
    status, out, _ = run("sweep", *given, "--eval", "held", "--alphas", "0,1", "--english-share", "0.5")
    assert status == 0
    assert out.count("held") == 3
    status, out, _ = run("train", *given, "--alpha", "0.5")
    assert status == 0
    checkpoint = out.split("checkpoint ")[1].split(":")[0]
    status, out, _ = run("evaluate", "--encoder", checkpoint, "--collection", "held", "--json", "-")
    assert status == 0
    figures = json.loads(out)
    assert figures["languages"] == ["de", "zxx"]
    assert 0 < figures["pictures"]["caption-picture"]["map"] <= 1


def test_an_evaluation_opens_its_shards_again_with_their_filter(run, store, root):
    status, _, told = run("evaluate", "--encoder", "clip", "--collection", "shards:languages=en", "--lang", "it")
    assert status == 0
    assert "left out: 7 times a pair is outside" in told
    [evaluation] = evaluations(store)
    assert evaluation.manifest.opened_as.collection == f"{root / 'shards'}:lang=it:languages=en"
    assert open_evaluated(evaluation, store).languages == ("en", "zxx")


def test_embeddings_are_trained_on_and_evaluated(run, store):
    given = ("--encoder", "clip", "--train", "laion/embeddings", *SHORT)
    held = "held,laion/embeddings:languages=de"
    status, out, _ = run("sweep", *given, "--eval", held, "--alphas", "0", "--baselines", "en-en")
    assert status == 0
    assert (out.count("held "), out.count("embeddings:languages=de")) == (3, 3)
    status, out, _ = run("train", *given, "--alpha", "0.25")
    assert status == 0
    checkpoint = out.split("checkpoint ")[1].split(":")[0]
    status, out, _ = run("evaluate", "--encoder", checkpoint, "--collection", "laion/embeddings", "--json", "-")
    assert status == 0
    assert json.loads(out)["languages"] == ["de", "en", "zxx"]


def test_embeddings_of_another_encoder_are_refused_before_anything_is_trained(run, store):
    for encoder in ("other", "other+vision"):
        error = the_error(run("train", "--encoder", encoder, "--train", "laion/embeddings", "--alpha", "1", *SHORT))
        assert "its vectors (16 dimensions) are not those of" in error
    assert list(store.entries("checkpoints")) == []
