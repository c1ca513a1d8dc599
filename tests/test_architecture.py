"""The order of the house: which module may import which, read from the sources with `ast`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TIERS = (
    ("errors", "progress"),
    ("storage", "escaping"),
    ("collections", "reference", "demo"),
    ("encoders",),
    ("ranks",),
    ("significance",),
    ("bias",),
    ("evaluation",),
    ("training", "published"),
    ("sweeps", "exchange"),
    ("figures",),
    ("report",),
    ("commands",),
    ("__init__", "__main__"),
)
"""Left never imports right: a room may import its own tier and the tiers above it."""

TIER_OF = {module: number for number, tier in enumerate(TIERS) for module in tier}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(file: Path) -> str:
    """The module of the package that a file belongs to; all files of a sub-package are one."""
    return Path(file.relative_to(ROOT).parts[1]).stem


def imports(file: Path) -> Iterator[str]:
    """Dotted names of what a file imports, inside functions too; of `from a import b`, `a.b`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = file.relative_to(ROOT).parts[: -node.level] if node.level else ()
            origin = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def engine_modules(file: Path) -> set[str]:
    """Modules of the engine that a file imports; `__init__` stands for a public name taken from `engine` itself."""
    modules = {module_of(source) for source in sources("engine")}
    named = [name.split(".")[1:2] for name in imports(file) if name.split(".")[0] == "engine"]
    return {part[0] if part and part[0] in modules else "__init__" for part in named}


def is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def offenders(files: list[Path], *packages: str) -> list[str]:
    """Which of the files import one of the packages."""
    return [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in files
        for name in imports(file)
        if any(is_of(name, package) for package in packages)
    ]


def graph() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in sources("engine"):
        found.setdefault(module_of(file), set()).update(engine_modules(file) - {module_of(file)})
    return found


def test_every_module_has_its_place() -> None:
    for module, imported in graph().items():
        known = [TIER_OF[name] for name in imported if name in TIER_OF]
        assert module in TIER_OF, (
            f"engine/{module}.py stands in no tier: add {module!r} to TIERS in {Path(__file__).name}, not above "
            f"tier {max(known, default=0)} {TIERS[max(known, default=0)]}, whose modules it imports, and not below "
            f"the first tier that imports it"
        )


def test_no_module_imports_from_a_later_tier() -> None:
    wrong = [
        f"engine/{module}.py (tier {TIER_OF[module]}) imports engine.{name} (tier {TIER_OF[name]})"
        for module, imported in graph().items()
        for name in sorted(imported)
        if TIER_OF.get(name, 0) > TIER_OF.get(module, len(TIERS))
    ]
    assert not wrong, f"{'; '.join(wrong)}: move what both need to an earlier tier, or the module to a later one"


def test_the_imports_have_no_cycle() -> None:
    order = list(TopologicalSorter(graph()).static_order())  # raises CycleError, which names the cycle
    assert set(order) >= {module_of(file) for file in sources("engine")}


def test_the_first_tier_needs_numpy_and_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "engine"}
    first = [file for file in sources("engine") if TIER_OF.get(module_of(file)) == 0]
    assert [name for file in first for name in imports(file) if name.split(".")[0] not in allowed] == []


def test_the_engine_never_imports_the_dashboard_or_streamlit() -> None:
    assert offenders(sources("engine"), "streamlit", "dashboard") == []


def test_the_dashboard_never_imports_what_is_heavy_or_writes_the_cache() -> None:
    heavy = ("torch", "faiss", "numba", "sentence_transformers", "transformers", "engine.storage.store")
    assert offenders(sources("dashboard"), *heavy) == []


def test_the_dashboard_names_its_own_modules_in_full() -> None:
    own = {path.stem for path in (ROOT / "dashboard").iterdir()} - {"__init__", "__pycache__"}
    assert offenders(sources("dashboard"), *own) == []


def test_only_ranking_imports_faiss() -> None:
    users = {str(file.relative_to(ROOT)) for file in sources("engine") if offenders([file], "faiss")}
    assert users == {"engine/ranks/ranking.py"}


def test_figures_are_made_of_frames_alone() -> None:
    files = [file for file in sources("engine") if module_of(file) == "figures"]
    assert offenders(files, "engine.storage.store", "engine.evaluation", "engine.encoders.resolve", "torch") == []


def test_the_engine_does_not_print() -> None:
    printing = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sources("engine")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


@pytest.mark.parametrize("statement", ["import engine", "import engine; dir(engine)", "from engine import EngineError"])
def test_importing_the_engine_loads_nothing_heavy(statement: str) -> None:
    heavy = {"torch", "faiss", "numba", "streamlit", "sentence_transformers", "transformers"}
    command = f"import sys; {statement}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_the_rules_see_every_kind_of_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "engine" / "figures").mkdir(parents=True)
    for name in ("store", "ranking"):
        (tmp_path / "engine" / f"{name}.py").write_text("", encoding="utf-8")
    file = tmp_path / "engine" / "figures" / "maps.py"
    file.write_text(
        "import faiss.contrib as f\nfrom engine import store, Store\ndef late():\n    from ..ranking import search\n",
        encoding="utf-8",
    )
    assert offenders([file], "faiss") == ["engine/figures/maps.py imports faiss.contrib"]
    assert engine_modules(file) == {"store", "__init__", "ranking"}
    assert module_of(file) == "figures"
