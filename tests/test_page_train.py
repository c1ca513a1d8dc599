"""The page that trains: what is chosen becomes the command; runs are shown, stopped, resumed and forgotten."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from streamlit.testing.v1 import AppTest

from dashboard import cached
from dashboard.names import plain
from engine import read_training
from engine.storage import jobs
from engine.storage.store import Store
from tests.pages import chart, numbers, open_page, options_of, sound, text_of

Started = list[tuple[str, ...]]
SWEEP = ("sweep", "--train", "demo-train", "--eval", "demo")


def _leave_run(store: Store, key: str, **status: object) -> Path:
    """What a run leaves behind, as its process would."""
    folder = store.root / "runs" / key
    folder.mkdir(parents=True)
    about = {"title": f"run {key}", "arguments": list(SWEEP), "started": time.time()}
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "status.json").write_text(json.dumps({"updated": time.time(), **status}), encoding="utf-8")
    return folder


@contextmanager
def _alive(folder: Path) -> Iterator[None]:
    with FileLock(folder / "lock"):
        yield


def _labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_on_a_fresh_machine_it_offers_the_demo_with_its_settings(store: Store, started: Started) -> None:
    page = open_page("train")
    assert page.selectbox(key="train-on").value == "demo-train"
    assert "come with the project" in text_of(page)
    assert "Nothing has been started" in text_of(page) and not started
    page.button(key="train").click().run()
    [command] = started
    asked = options_of(command)
    assert (asked.train, asked.eval, asked.method) == ("demo-train", ["demo"], "head")
    assert (asked.alphas, asked.seeds) == ([0.0, 0.25, 0.5, 0.75, 1.0], [0])
    assert (asked.batch_size, asked.steps) == (48, 300)


def test_what_is_chosen_is_what_is_asked_for(store: Store, started: Started) -> None:
    page = open_page("train")
    page.multiselect(key="train-alphas").set_value([1.0, 0.1])
    page.multiselect(key="train-seeds").set_value([2, 0])
    page.number_input(key="steps-head-True").set_value(77)
    page.number_input(key="rate-head-True").set_value(2e-3)
    page.number_input(key="hard-head-True").set_value(2)
    sound(page.run())
    assert "4 checkpoints" in text_of(page)
    page.button(key="train").click().run()
    asked = options_of(started[0])
    assert (asked.alphas, asked.seeds) == ([0.1, 1.0], [0, 2])
    assert (asked.steps, asked.learning_rate, asked.hard_negatives) == (77, 2e-3, 2)


def test_training_all_weights_is_said_to_need_a_gpu(store: Store, started: Started) -> None:
    page = open_page("train")
    sound(page.radio(key="train-method").set_value("full").run())
    assert "hours each without a GPU" in text_of(page)
    page.button(key="train").click().run()
    assert options_of(started[0]).method == "full"


def test_evaluating_on_the_training_collection_and_a_licence_without_commerce_are_warned_of(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "fetched", lambda: ["xquad-r", "mlqa-r", "demo", "demo-train"])
    page = open_page("train")
    assert page.selectbox(key="train-on").value == "mlqa-r"
    assert page.multiselect(key="eval-on").value == ["xquad-r"]
    assert "CC BY-NC 4.0" in text_of(page) and "non-commercial" in text_of(page)
    assert "what stands in both is left out" not in text_of(page)
    assert "encoding takes some minutes" in text_of(page)
    sound(page.multiselect(key="eval-on").set_value(["mlqa-r"]).run())
    assert "what stands in both is left out" in text_of(page)


@pytest.mark.parametrize("missing", ["eval-on", "train-alphas", "train-seeds"])
def test_without_a_choice_nothing_can_be_started(store: Store, missing: str) -> None:
    page = open_page("train")
    sound(page.multiselect(key=missing).set_value([]).run())
    assert "Choose an encoder" in text_of(page) and "Train and evaluate" not in _labels(page)


def test_a_run_that_goes_on_shows_how_far_it_is_and_can_be_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(jobs, "stop", lambda _, key: stopped.append(key))
    status = {"state": "running", "stage": "train head", "fraction": 0.42, "seconds_left": 12.0, "overall": "3 of 15"}
    status["whole"] = 0.2  # what the bar shows, and not the step within
    with _alive(_leave_run(store, "a", **status)):
        page = open_page("train")
        [bar] = page.get("progress")
        assert bar.proto.value == 20
        assert all(part in bar.proto.text for part in ("train head", "42 %", "about 12 s left", "3 of 15"))
        page.button(key="stop-a").click().run()
    assert stopped == ["a"]


def test_a_failed_run_says_why_and_can_be_resumed_a_finished_one_forgotten(store: Store, started: Started) -> None:
    failed = _leave_run(store, "a", state="failed", message="multilingual-e5-small: no space left")
    (failed / "log.txt").write_text("encode queries\nall of it\n", encoding="utf-8")
    _leave_run(store, "b", state="finished", fraction=1.0)
    page = AppTest.from_file(Path(cached.__file__).parents[1] / "app.py", default_timeout=60)
    page.switch_page("screens/train/train.py").run()
    assert not page.exception
    assert [error.value for error in page.error] == [plain("multilingual-e5-small: no space left")]
    assert any("all of it" in code.value for code in page.code)
    page.button(key="resume-a").click().run()
    assert started == [SWEEP]
    page.button(key="forget-b").click().run()
    assert [run.key for run in jobs.all_runs(store)] == ["a"] and "run b" not in text_of(page)


def test_losses_of_the_latest_run_are_drawn(store: Store) -> None:
    folder = _leave_run(store, "a", state="finished", fraction=1.0)
    losses = [{"what": "head on demo-train, alpha 0.5, seed 0", "step": step, "loss": 4.0 / step} for step in (1, 2, 4)]
    (folder / jobs.LOSSES).write_text("".join(json.dumps(one) + "\n" for one in losses), encoding="utf-8")
    [trace] = chart(open_page("train"), "losses")["data"]
    assert numbers(trace["x"]).tolist() == [1, 2, 4] and numbers(trace["y"]).tolist() == [4, 2, 1]


def test_what_a_checkpoint_was_trained_on_can_be_read(demo_cache: Store) -> None:
    page = open_page("train")
    picked = page.selectbox(key="composition")
    assert len(picked.options) == 9
    name = next(option for option in picked.options if "alpha 1, seed 2" in option)
    sound(picked.set_value(name).run())
    [key] = [key for key, about in demo_cache.entries("checkpoints") if about["name"] in name]
    known = read_training(demo_cache, key)
    assert known["composition"]["batches"]["mono"] == 20
    assert "20 mono (100 %)" in text_of(page) and f"{known['questions']} questions" in text_of(page)
