"""A report's folder appears whole or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.report import folder as folders
from engine.report.folder import check_free, pack, writing, zip_of
from tests.report_builders import files_of


def make(folder: Path, text: str = "new") -> None:
    with writing(folder) as made:
        (made / "sub").mkdir()
        (made / "sub" / "text").write_text(text, encoding="utf-8")
        (made / folders.RUN).write_text('{"report": {}}', encoding="utf-8")


def test_a_folder_is_there_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report"
    with writing(out) as made:
        (made / "a").write_text("a", encoding="utf-8")
        assert not out.exists()
    assert files_of(out) == {"a": b"a"}
    assert [path.name for path in out.parent.iterdir()] == ["report"]


@pytest.mark.parametrize("end", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_of_a_report_that_was_broken_off(tmp_path: Path, end: type[BaseException]) -> None:
    with pytest.raises(end), writing(tmp_path / "report") as made:
        (made / "half").write_text("half", encoding="utf-8")
        raise end
    assert list(tmp_path.iterdir()) == []


def test_the_old_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    make(tmp_path / "report", "old")
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "report") as made:
        (made / "half").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert files_of(tmp_path / "report")["sub/text"] == b"old"
    make(tmp_path / "report", "new")
    assert files_of(tmp_path / "report")["sub/text"] == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("end", [OSError("disk"), KeyboardInterrupt()])
def test_an_interrupt_between_the_two_renames_brings_the_old_report_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    make(tmp_path / "report", "old")
    rename = Path.rename

    def broken(path: Path, target: Path) -> Path:
        if ".making-" in path.name:
            raise end
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises((InputError, KeyboardInterrupt)):
        make(tmp_path / "report", "new")
    assert files_of(tmp_path / "report")["sub/text"] == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_full_folder_is_not_overwritten_without_being_asked(tmp_path: Path) -> None:
    make(tmp_path / "report")
    with pytest.raises(InputError, match="exists already; give another folder, or --force"):
        check_free(tmp_path / "report", force=False, zipped=False)
    check_free(tmp_path / "report", force=True, zipped=False)


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    check_free(tmp_path / "report", force=False, zipped=False)
    make(tmp_path / "report")
    assert (tmp_path / "report" / "sub" / "text").is_file()


@pytest.mark.parametrize("name", ["notes.txt", folders.RUN])
def test_what_is_no_report_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="holds something else than a report"):
        check_free(tmp_path / "mine", force=True, zipped=False)


def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(InputError, match="is a file"):
            check_free(place, force=True, zipped=False)


def test_a_zip_that_is_there_is_not_overwritten_either(tmp_path: Path) -> None:
    zip_of(tmp_path / "report").write_bytes(b"")
    check_free(tmp_path / "report", force=False, zipped=False)
    with pytest.raises(InputError, match=r"report\.zip: exists already"):
        check_free(tmp_path / "report", force=False, zipped=True)


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        make(tmp_path / name / "report")
        packed.append(pack(tmp_path / name / "report"))
    assert packed[0] == tmp_path / "one" / "report.zip"
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with zipfile.ZipFile(packed[0]) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == {
            f"report/{name}": data for name, data in files_of(tmp_path / "one" / "report").items()
        }


def test_a_dotted_name_keeps_its_dots(tmp_path: Path) -> None:
    assert zip_of(tmp_path / "alpha-0.5") == tmp_path / "alpha-0.5.zip"
