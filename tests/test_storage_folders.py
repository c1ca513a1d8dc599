"""A folder appears whole or not at all; killed at any step, the old one or the new one is there; claims end in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.storage import folders
from engine.storage.folders import check_free, claimed, is_abandoned, making, output, remove_abandoned

OLD, NEW = {"a": "old", "sub/b": "old"}, {"a": "new", "sub/c": "new"}

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from engine.storage import folders

step, place, exchange = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "True"
if not exchange:
    folders._exchange = lambda *_: False
left = step

def count(frame, event, argument):
    global left
    left -= event == "line"
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return count

def trace(frame, event, argument):
    return count if frame.f_code.co_filename in (folders.__file__, folders.shutil.__file__) else None

def run(first):
    global left
    left = step
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.settrace(trace)
    with folders.making(place, replace=True) as made:
        (made / "a").write_text("new")
        (made / "sub").mkdir()
        (made / "sub" / "c").write_text("new")
    os._exit(0)

def contents():
    return {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}

old, new, seen = {"a": "old", "sub/b": "old"}, {"a": "new", "sub/c": "new"}, set()
while True:
    folders.shutil.rmtree(place, ignore_errors=True)
    (place / "sub").mkdir(parents=True)
    for name in old:
        (place / name).write_text("old")
    code = run(step)
    if not exchange:
        folders.check_free(place, force=True)
    after = contents()
    assert after in (old, new), (step, after)
    seen.add(after == new)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    with folders.making(place, replace=True) as made:
        (made / "again").write_text("whole")
    assert contents() == {"again": "whole"}, step
    assert [path.name for path in place.parent.iterdir()] == [place.name], step
    step += 1
print(step, sorted(seen))
"""
"""Kills a process at every line that replacing a folder takes, one after the other, and looks at what is left."""


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fill(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that is there already."""
    fill(tmp_path / "place", OLD)
    return tmp_path / "place"


@pytest.fixture(params=[True, False], ids=["in one step", "in two steps"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system can exchange two folders."""
    if not request.param:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_any_step_the_old_folder_or_the_new_one_is_there(tmp_path: Path, exchange: bool) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", KILLED_AT, "1", str(tmp_path / "place"), str(exchange)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps, seen = done.stdout.split(" ", 1)
    assert int(steps) > 40
    assert seen.strip() == "[False, True]"


def test_a_folder_takes_the_place_of_another(place: Path, exchange: bool) -> None:
    with making(place, replace=True) as made:
        fill(made, NEW)
        assert contents(place) == OLD
    assert contents(place) == NEW
    assert [path.name for path in place.parent.iterdir()] == ["place"]


def test_a_folder_that_is_not_to_be_replaced_is_kept(place: Path) -> None:
    with making(place, replace=False) as made:
        fill(made, NEW)
    assert contents(place) == OLD
    assert [path.name for path in place.parent.iterdir()] == ["place"]


@pytest.mark.parametrize("end", [OSError("disk"), KeyboardInterrupt(), SystemExit()], ids=repr)
def test_an_end_between_the_two_steps_brings_the_old_folder_back(
    place: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    rename, moves = Path.rename, []

    def broken(path: Path, target: Path) -> Path:
        if ".making-" in path.name:
            moves.append(path)
            if len(moves) > 1:
                raise end
        return rename(path, target)

    monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(type(end)), making(place, replace=True) as made:
        fill(made, NEW)
    assert len(moves) == 2
    assert contents(place) == OLD
    assert [path.name for path in place.parent.iterdir()] == ["place"]


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_was_broken_off_leaves_nothing(place: Path, end: type[BaseException]) -> None:
    for folder in (place, place.with_name("other")):
        with pytest.raises(end), output(folder, force=True) as made:
            fill(made, NEW)
            raise end
    assert contents(place) == OLD
    assert [path.name for path in place.parent.iterdir()] == ["place"]


def test_folders_above_are_made_and_an_empty_folder_is_filled(tmp_path: Path) -> None:
    for folder in (tmp_path / "deep" / "place", tmp_path):
        with output(folder, force=False) as made:
            fill(made, NEW)
            assert made.parent == folder.parent
        assert contents(folder) == NEW
        folders.shutil.rmtree(tmp_path / "deep", ignore_errors=True)


def test_a_link_to_a_folder_stays_a_link(place: Path) -> None:
    link = place.with_name("link")
    link.symlink_to(place)
    with making(link, replace=True) as made:
        fill(made, NEW)
    assert link.is_symlink()
    assert contents(place) == NEW
    assert sorted(path.name for path in place.parent.iterdir()) == ["link", "place"]


def test_force_replaces_only_what_is_written_again_or_known(place: Path) -> None:
    with pytest.raises(InputError, match="place: already exists; give another folder, or --force to replace it"):
        check_free(place, force=False)
    fill(place, {"thesis.tex": "years of work"})
    for known in ([], ["sub/b"], ["thesis.tex"]):
        with (
            pytest.raises(InputError, match=r"holds files that would not be written again \("),
            output(place, force=True, known=known) as made,
        ):
            fill(made, NEW)
        assert contents(place) == OLD | {"thesis.tex": "years of work"}
    with output(place, force=True, known=["thesis.tex", "sub/b"]) as made:
        fill(made, NEW)
    assert contents(place) == NEW


def test_a_link_in_the_way_is_a_file_too(place: Path) -> None:
    (place / "data").symlink_to(place.parent)
    with pytest.raises(InputError, match=r"\(data\)"), output(place, force=True, known=OLD) as made:
        fill(made, NEW)


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "place"):
        with pytest.raises(InputError, match="is a file"):
            check_free(place, force=True)


# claims


def test_a_claimed_folder_is_not_abandoned_until_every_process_has_left_it(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    with claimed(folder) as first, claimed(folder) as second:
        assert first == second == folder
        assert not is_abandoned(folder)
        assert not remove_abandoned(folder)
    assert is_abandoned(folder)
    with claimed(folder):
        assert not remove_abandoned(folder)
    assert remove_abandoned(folder)
    assert not folder.exists()
    assert remove_abandoned(folder), "it is gone already"


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.storage.folders import claimed\n"
        "with claimed(Path(sys.argv[1])):\n    print('in', flush=True)\n    input()"
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code, str(tmp_path / "work")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"in\n"
    assert not is_abandoned(tmp_path / "work")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert is_abandoned(tmp_path / "work")


def test_a_folder_that_is_removed_while_it_is_claimed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, folder = folders.fcntl.flock, tmp_path / "work"

    def late(descriptor: int, how: int) -> None:
        if folder.exists() and not (tmp_path / "once").exists():
            (tmp_path / "once").touch()
            folder.rmdir()  # by a process that cleans
        lock(descriptor, how)

    monkeypatch.setattr(folders.fcntl, "flock", late)
    with claimed(folder):
        assert folder.is_dir()
        assert not is_abandoned(folder)


def _no_locks(*_: object) -> None:
    raise OSError(95, "Operation not supported")


def test_where_there_are_no_locks_work_goes_on_and_nothing_is_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders.fcntl, "flock", _no_locks)
    with claimed(tmp_path / "work"):
        pass
    assert not is_abandoned(tmp_path / "work")
    assert not remove_abandoned(tmp_path / "work")


def test_a_folder_of_another_name_is_never_tidied_away(tmp_path: Path) -> None:
    others = [".making-out-1-0123abcd", ".making-out-0123abcg", ".replaced-outer-0123abcd", ".making-other-0123abcd"]
    mine: Callable[[str], Path] = tmp_path.joinpath
    for name in [*others, ".making-out-0123abcd"]:
        mine(name).mkdir()
    with making(tmp_path / "out", replace=False):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "out"])
