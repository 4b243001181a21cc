"""Imports run one way, within the package and between its folders."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import sdlm_core

ROOT = Path(sdlm_core.__file__).parent
# Every room imports from its own line or those before it.
LAYERS = (
    {"config", "errors", "checked", "trace", "forks", "masks", "text", "jsonl", "assets", "problems"},
    {"models"},
    {"reference", "execution"},
    {"decoding"},
    {"serve", "evaluate", "retrofit", "bench"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TOPS = {"__init__", "__main__"}  # they name everything


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, modules: set[str], lazy: bool = True) -> Iterator[str]:
    """Full names of what a file imports, lazy: functions' imports included. TYPE_CHECKING is no import."""
    nodes: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else str(node.module) for name in names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
        elif lazy or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}
MODULES = set(FILES)


def room(module: str) -> str:
    """The folder, or file, of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else "__init__"


def test_no_folder_imports_from_one_above_it() -> None:
    upward = [
        f"{module} imports {name}"
        for module, path in FILES.items()
        for name in imports(path, MODULES)
        if name.startswith("sdlm_core") and room(module) not in TOPS and room(name) != room(module)
        if room(name) in TOPS or LEVEL[room(name)] > LEVEL[room(module)]
    ]
    assert not upward


def test_nothing_in_the_core_imports_the_app() -> None:
    assert not [(m, n) for m, path in FILES.items() for n in imports(path, MODULES) if n.split(".")[0] == "app"]


def test_problems_stand_alone() -> None:
    own = {m: path for m, path in FILES.items() if room(m) == "problems"}
    assert own
    assert not [
        (m, n)
        for m, path in own.items()
        for n in imports(path, MODULES)
        if n.startswith("sdlm_core") and room(n) != "problems"
    ]


def test_no_module_is_part_of_a_circle() -> None:
    graph = {m: {n for n in imports(path, MODULES, lazy=False) if n in MODULES} for m, path in FILES.items()}
    TopologicalSorter({m: needs - {m} for m, needs in graph.items() if room(m) not in TOPS}).prepare()
