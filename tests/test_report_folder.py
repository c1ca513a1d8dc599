"""The place of a report: what may be replaced, what an earlier report lists, its zip."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.report import folder as folders
from engine.report.folder import check_place, pack, write_run, written_before, zip_of
from tests.report_builders import files_of


def make(folder: Path, text: str = "new") -> None:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "sub" / "text").write_text(text, encoding="utf-8")
    write_run(folder, {"report": {}})


def test_a_full_folder_is_not_overwritten_without_being_asked(tmp_path: Path) -> None:
    make(tmp_path / "report")
    with pytest.raises(InputError, match="already exists; give another folder, or --force"):
        check_place(tmp_path / "report", force=False, zipped=False)
    check_place(tmp_path / "report", force=True, zipped=False)


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    check_place(tmp_path / "report", force=False, zipped=False)


def test_a_report_lists_its_files(tmp_path: Path) -> None:
    make(tmp_path / "report")
    assert written_before(tmp_path / "report") == [folders.RUN, "sub/text"]
    for content in ('{"report": {}, "files": 7}', '{"report": {}}', "[1]", "{", "[" * 10**5):
        (tmp_path / "report" / folders.RUN).write_text(content)
        assert written_before(tmp_path / "report") == []
    assert written_before(tmp_path / "gone") == []


@pytest.mark.parametrize("name", ["notes.txt", folders.RUN])
def test_what_is_no_report_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="holds something else than a report"):
        check_place(tmp_path / "mine", force=True, zipped=False)


def test_a_zip_that_is_there_is_not_overwritten_either(tmp_path: Path) -> None:
    zip_of(tmp_path / "report").write_bytes(b"")
    check_place(tmp_path / "report", force=False, zipped=False)
    with pytest.raises(InputError, match=r"report\.zip: already exists"):
        check_place(tmp_path / "report", force=False, zipped=True)


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
