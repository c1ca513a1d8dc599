"""The project as a package: its metadata, its files, and where an installed engine keeps its cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from engine.storage import store as module
from engine.storage.store import default_cache

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("requirements.txt", "requirements-cluster.txt", "tests/requirements.txt")


def requirements(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = (re.match(r"([\w.-]+)==([\w.+]+)", line) for line in lines)
    return {pin[1].lower().replace("_", "-"): pin[2] for pin in pins if pin}


def test_the_lock_holds_every_requirement_at_its_version() -> None:
    wanted = {name: version for file in REQUIREMENTS for name, version in requirements(file).items()}
    locked = requirements("requirements.lock")
    assert len(wanted) > 20
    assert {name: locked.get(name) for name in wanted} == wanted


def test_what_tests_is_not_installed_for_users() -> None:
    assert not {"pytest", "ranx", "playwright", "mypy"} & requirements("requirements.txt").keys()


def test_the_console_script_is_the_command_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"hybrid-batch-lab": "engine.__main__:main"}
    from engine.__main__ import main

    with pytest.raises(SystemExit, match="0"):
        main(["--help"])


def test_the_readme_installs_what_the_project_names() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"(?<= -[rc] )(\S+)", readme)
    assert {*REQUIREMENTS, "requirements.lock"} == set(named)
    assert all((ROOT / name).is_file() for name in named)


def test_the_cache_of_a_checkout_is_beside_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYBRID_BATCH_CACHE", raising=False)
    assert default_cache() == ROOT / "cache"


def test_an_installed_engine_uses_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HYBRID_BATCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site-packages" / "engine" / "storage" / "store.py"))
    assert default_cache() == tmp_path / "hybrid-batch-lab"


def test_the_engine_can_be_imported_from_anywhere_when_installed(tmp_path: Path) -> None:
    target, source = tmp_path / "site", tmp_path / "source"
    for folder in ("engine", "dashboard"):  # a copy, for pip builds in the folder that it is given
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", *REQUIREMENTS):
        (source / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, source / file)
    subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(source)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    script = (
        "import engine; from engine.collections.catalog import shipped_folder; from engine.reference import FOLDER; "
        "print(engine.__file__, (shipped_folder('demo') / 'en.json').is_file(), (FOLDER / 'mteb.parquet').is_file())"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == [str(target / "engine" / "__init__.py"), "True", "True"]
