"""Files that were chosen together: which belongs to which. Each is imported, used with another one, or reported."""

from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Unpack

from engine.errors import EngineError, InputError
from engine.exchange.importing import Imported, Options, import_file
from engine.exchange.kinds import DESCRIPTIONS, EXPECTED, Kind, kind_of
from engine.exchange.mteb import NoRetrievalError
from engine.exchange.tables import beside
from engine.storage.files import check_unpacked
from engine.storage.store import Store

_SUFFIXES = (".gz", ".run", ".qrels", ".trec", ".txt", ".tsv")
_BY_LANGUAGE = ("mono", "cross")
_MOST_FILES = 20_000


@dataclass(slots=True)
class Outcome:
    """What became of files.

    Attributes:
        imported: What is in the store now.
        faults: Why a file was not imported, a line each.
        notes: What files were used for, or why they were not needed, a line each.
    """

    imported: list[Imported] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    """The files of one folder by kind, and those that an import has used."""

    kinds: dict[Path, Kind | None]
    used: set[Path] = field(default_factory=set)

    def of(self, kind: Kind) -> list[Path]:
        """The files of a kind."""
        return [file for file, is_of in self.kinds.items() if is_of == kind]

    def judgements_of(self, run: Path) -> Path | None:
        """The judgements of the run's name, else the only ones that are of no other run's name."""
        runs = {_stem(other) for other in self.of("run")}
        named = [file for file in self.of("qrels") if _stem(file) == _stem(run)]
        others = [file for file in self.of("qrels") if _stem(file) not in runs]
        return named[0] if named else others[0] if len(others) == 1 else None


def import_together(files: Sequence[Path], store: Store, **options: Unpack[Options]) -> Outcome:
    """Import files; those of one folder may belong together.

    Args:
        files: The files.
        store: Where they go.
        options: See `Options`.
    """
    outcome = Outcome()
    for _, group in groupby(sorted(files), key=lambda file: file.parent):
        folder = _Folder({})
        for file in group:
            try:
                folder.kinds[file] = kind_of(file)
            except InputError as error:
                outcome.faults.append(str(error))
        _set_aside(folder, outcome)
        _import_folder(folder, store, outcome, options)
        _report_unused(folder, outcome, options.get("collection"))
    return outcome


def import_paths(paths: Sequence[Path], store: Store, **options: Unpack[Options]) -> Outcome:
    """Import files, all files of folders, and of zip archives; those of one folder may belong together.

    Args:
        paths: Files, folders and zip archives.
        store: Where they go.
        options: See `Options`.
    """
    files: list[Path] = []
    faults = []
    with tempfile.TemporaryDirectory() as temporary:
        for number, path in enumerate(paths):
            if path.is_dir():
                files += [file for file in path.rglob("*") if not file.is_dir()]
            elif not path.exists():
                faults.append(f"{path}: no such file; give {EXPECTED}")
            elif is_archive(path):
                unpacked = Path(temporary) / str(number) / path.stem
                try:
                    unpack(path, unpacked)
                except InputError as error:
                    faults.append(str(error))
                files += [file for file in unpacked.rglob("*") if not file.is_dir()]
            else:
                files.append(path)
        outcome = import_together(files, store, **options)
    inside = re.compile(rf"{re.escape(temporary)}/\d+/")
    return Outcome(outcome.imported, [inside.sub("", fault) for fault in [*faults, *outcome.faults]], outcome.notes)


def is_archive(file: Path) -> bool:
    """Whether a file is a zip archive, by its content."""
    try:
        return kind_of(file) == "zip"
    except InputError:
        return False


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip archive of files into a folder.

    Raises:
        InputError: If it is damaged or encrypted, has too many files, unpacks to too much, or a path leads outside.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > _MOST_FILES:
                raise InputError(f"{archive}: holds {len(members):,} files; at most {_MOST_FILES:,} are allowed")
            check_unpacked(str(archive), archive.stat().st_size, sum(member.file_size for member in members))
            for member in members:
                path = PurePosixPath(member.filename)
                if path.is_absolute() or ".." in path.parts:
                    raise InputError(f"{archive}: a path in it leads outside; give an archive of plain files")
                opened.extract(member, folder)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError) as error:
        raise InputError(f"{archive}: cannot be unpacked ({type(error).__name__}); give a whole archive") from error


def _set_aside(folder: _Folder, outcome: Outcome) -> None:
    """Our exports have runs for each setting; one evaluation comes from the run of the pool."""
    if not any(_stem(run) == "multi" for run in folder.of("run")):
        return
    aside = [file for file in [*folder.of("run"), *folder.of("qrels")] if _stem(file) in _BY_LANGUAGE]
    for file in aside:
        del folder.kinds[file]
    if aside:
        names = ", ".join(file.name for file in aside)
        outcome.notes.append(f"Not needed: {names}; the same evaluation comes from multi.run.")


def _import_folder(folder: _Folder, store: Store, outcome: Outcome, options: Options) -> None:
    others = 0
    for file, companions in _imports(folder, options.get("collection")):
        folder.used |= {file, *companions.values()}
        try:
            qrels, languages = companions.get("qrels"), companions.get("languages")
            outcome.imported.append(import_file(file, store, qrels=qrels, languages=languages, **options))
        except NoRetrievalError:
            others += 1
        except EngineError as error:
            outcome.faults.append(str(error))
        else:
            if companions:
                outcome.notes.append(f"{file.name} was read with {' and '.join(p.name for p in companions.values())}.")
    if others:
        outcome.notes.append(f"Passed over: {others} results of other tasks than retrieval.")


def _imports(folder: _Folder, collection: str | None) -> Iterator[tuple[Path, dict[str, Path]]]:
    """What to import, with its companions by the name of their argument."""
    maps = folder.of("languages") if collection is None else []
    for run in folder.of("run"):
        parts = {"qrels": folder.judgements_of(run), "languages": maps[0] if len(maps) == 1 else None}
        yield run, {part: file for part, file in parts.items() if file}
    for ranks in folder.of("ranks"):
        folder.used.add(beside(ranks))
        yield ranks, {}
    yield from ((result, {}) for result in folder.of("result"))


def _report_unused(folder: _Folder, outcome: Outcome, collection: str | None) -> None:
    """A line for every file that no import has used."""
    read_beside = {"meta": folder.of("result"), "sidecar": [*folder.of("run"), *folder.of("ranks")]}
    for file, kind in folder.kinds.items():
        if file in folder.used or (kind and read_beside.get(kind)):
            continue
        if kind is None:
            outcome.faults.append(f"{file}: is of no known kind; give {EXPECTED}")
        elif kind == "scores":
            outcome.notes.append(f"Not needed: {file.name}; scores are computed from the ranks.")
        elif kind == "languages" and collection is not None:
            outcome.notes.append(f"Not needed: {file.name}; the collection has the languages.")
        elif kind == "zip":
            outcome.faults.append(f"{file}: is a zip archive; unpack it first")
        else:
            outcome.faults.append(f"{file}: is {DESCRIPTIONS[kind]} that fits none or several of the other files")


def _stem(file: Path) -> str:
    name = file.name
    while name.endswith(_SUFFIXES):
        name = name.rpartition(".")[0]
    return name
