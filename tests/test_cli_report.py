"""The command `report`: what it prints and writes, its mistakes in one line, and as a background run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from engine.report import write
from engine.report.render import images
from engine.storage import jobs
from engine.storage.store import Store
from tests.command_line import Run, runner, the_error
from tests.pages import copy_of
from tests.report_builders import files_of

QUICK = ("--format", "md,csv", "--include", "curves,tables")


@pytest.fixture
def run(demo_store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `report --out out` with more arguments in an empty folder."""
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(demo_store.root))
    monkeypatch.chdir(tmp_path)

    return runner(capsys, "report", "--out", "out")


def test_it_writes_the_latest_sweep_and_says_where(run: Run, tmp_path: Path) -> None:
    status, out, err = run(*QUICK)
    assert status == 0
    assert "multilingual-e5-small, head on demo-train on demo" in out
    files = files_of(tmp_path / "out")
    assert f"{len(files)} files" in out
    assert {"report.md", "run.json", "tables/settings.csv", "data/points.csv"} <= set(files)
    assert "read ranks" in err
    assert "left out" not in err


def test_its_options_reach_the_report(run: Run, tmp_path: Path) -> None:
    options = ("--metric", "hit@1", "--alphas", "0.5,1", "--reference", "0", "--width", "full", "--font", "sans")
    assert run(*QUICK, *options, "--zip")[0] == 0
    asked = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert asked["report"] == {
        "metric": "hit@1",
        "alphas": [0.5, 1.0],
        "reference": "0",
        "parts": ["curves", "tables"],
        "formats": ["md", "csv"],
        "width": "full",
        "font": "sans",
    }
    assert asked["shown"] == {"alphas": [0.5, 1.0], "best": asked["shown"]["best"], "reference": "alpha = 0"}
    assert "R@1" in (tmp_path / "out" / "tables" / "settings.csv").with_suffix(".md").read_text(encoding="utf-8")
    assert (tmp_path / "out.zip").is_file()
    assert asked["commands"][-1].endswith(
        "--metric hit@1 --alphas 0.5,1 --reference 0 --include curves,tables --format md,csv --width full --font sans"
    )


def test_a_report_is_not_overwritten_without_force(run: Run, tmp_path: Path) -> None:
    assert run(*QUICK)[0] == 0
    before = files_of(tmp_path / "out")
    assert the_error(run("--format", "csv")) == "out: already exists; give another folder, or --force to replace it"
    assert files_of(tmp_path / "out") == before
    assert run("--format", "csv", "--include", "tables", "--force")[0] == 0
    assert "report.md" not in files_of(tmp_path / "out")


def test_force_never_replaces_what_is_no_report(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine", encoding="utf-8")
    assert "holds something else than a report" in the_error(run(*QUICK, "--force"))
    assert files_of(tmp_path / "out") == {"thesis.tex": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sweep", "0000"), "no sweep with key '0000'; there are"),
        (("--collection", "xquad-r"), "no sweep with collection 'xquad-r'; there are"),
        (("--metric", "f1"), "metric: 'f1' is unknown; allowed are map"),
        (("--format", "docx"), "format: 'docx' is unknown; allowed are html"),
        (("--include", "all"), "part: 'all' is unknown; allowed are curves"),
        (("--width", "a4"), "width 'a4' is unknown; allowed are column, full"),
        (("--font", "mono"), "font 'mono' is unknown; allowed are serif, sans"),
        (("--alphas", "0.3"), "alphas 0.3 are not trained in this sweep; trained are 0, 0.5, 1"),
        (("--alphas", "half"), "numbers by commas are expected"),
        (("--reference", "best"), "reference best: not trained in this sweep"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert message in the_error(run(*arguments))
    assert list(tmp_path.iterdir()) == []


def test_without_a_sweep_it_says_how_to_get_one(run: Run, store: Store) -> None:
    assert "no sweep has been evaluated yet; run one, such as `python -m engine sweep" in the_error(run())


def test_without_a_browser_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (images, write):
        monkeypatch.setattr(module, "browser", lambda: None)
    status, _, err = run("--format", "svg,csv", "--include", "curves")
    assert status == 0
    assert "left out: no Chrome or Chromium was found" in err
    assert "kaleido_get_chrome" in err


def test_it_runs_in_the_background_and_can_be_watched(demo_store: Store, tmp_path: Path) -> None:
    store = copy_of(demo_store, tmp_path / "cache")
    out = tmp_path / "out"
    started = jobs.start(["report", "--out", str(out), *QUICK, "--zip"], store, "a report")
    stages = set()
    for _ in range(600):
        now = jobs.read(store, started.key)
        stages.add(now.stage)
        if now.state != "running":
            break
        time.sleep(0.1)
    assert now.state == "finished", jobs.log_tail(store, started.key)
    assert stages & {"read ranks", "measure bias"}
    assert (out / "report.md").is_file()
    assert out.with_name("out.zip").is_file()
