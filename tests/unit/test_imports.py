"""The house's order: imports go one way, the middle is pure, start-up is cheap, and no module is a drawer.

The rules are functions over source text, tried on small offenders first, then on every module of the package.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "src"
MODULES = sorted(path.relative_to(SOURCES) for path in (SOURCES / "tagback").rglob("*.py"))

# A room may import rooms of its own floor or below; rooms of one floor must not import each other in a circle.
FLOORS = {
    "errors": 0,
    "catalog": 1,
    "plan": 1,
    "engines": 2,
    "ledger": 2,
    "changelog": 2,
    "deploy": 3,
    "pipeline": 4,
    "fleet": 4,
    "__init__": 4,  # the library's surface, for programs; rooms may take only __version__ from it
    "cli": 5,
    "web": 5,
    "__main__": 6,
}
PURE = ("catalog", "plan")
IMPURE_MODULES = frozenset(
    "asyncio click concurrent datetime fcntl getpass glob http importlib io locale logging multiprocessing os pathlib "
    "platform psycopg pymysql random rich secrets select selectors shutil signal socket sqlite3 ssl subprocess sys "
    "tempfile threading time urllib uuid zoneinfo".split()
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
HEAVY = frozenset(
    "psycopg rich hypothesis postgast sqlglot pymysql yaml starlette uvicorn jinja2 simpleeval apprise".split()
)
DRAWERS = frozenset("util utils helper helpers common manager managers misc".split())
LONGEST = 450


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: `module` is absolute, `name` what `from` takes out of it."""

    module: str
    name: str
    line: int
    deferred: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def imports(path: Path, source: str) -> Iterator[Import]:
    """Every import of the module; deferred are those in functions and under TYPE_CHECKING."""
    package = [*path.parts[:-1]]

    def walk(node: ast.AST, deferred: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import(names=names):
                    yield from (Import(alias.name, "", child.lineno, deferred) for alias in names)
                case ast.ImportFrom(module=module, names=names, level=level):
                    base = package[: len(package) - level + 1] if level else []
                    origin = ".".join([*base, *([module] if module else [])])
                    yield from (Import(origin, alias.name, child.lineno, deferred) for alias in names)
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    yield from walk(child, True)
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    yield from walk(child, True)
                case _:
                    yield from walk(child, deferred)

    yield from walk(ast.parse(source), False)


def room(path: Path) -> str:
    """The room of a module: the package below tagback, or the module itself at the top."""
    return path.with_suffix("").parts[1]


def rooms_used(path: Path, source: str) -> Iterator[tuple[str, int]]:
    """The rooms that a module imports, with the line."""
    for found in imports(path, source):
        if found.top != "tagback":
            continue
        parts = [*found.module.split("."), found.name]
        if parts != ["tagback", "__version__"]:
            below = parts[1] if len(parts) > 1 and parts[1] in FLOORS else "__init__"
            yield below, found.line


def offences(path: Path, source: str) -> list[str]:
    """What the module does against the house's order."""
    here, found = room(path), []
    if here not in FLOORS:
        return [f"{path}: the room {here!r} has no floor yet; give it one in FLOORS of {Path(__file__).name}"]
    found += [
        f"{path}:{line}: {here} must not import {used}: it stands above"
        for used, line in rooms_used(path, source)
        if used != here and FLOORS[used] > FLOORS[here]
    ]
    if here in PURE:
        found += [f"{path}:{line}: {here} is pure: no {name}" for name, line in impurities(path, source)]
    if here == "cli":
        found += [
            f"{path}:{one.line}: import {one.top} inside the function that needs it: start-up pays for it"
            for one in imports(path, source)
            if one.top in HEAVY and not one.deferred
        ]
    found += [
        f"{path}: {part!r} is a drawer; name the module after what is in it"
        for part in path.with_suffix("").parts
        if part in DRAWERS
    ]
    if source.count("\n") > LONGEST:
        found.append(f"{path}: {source.count(chr(10))} lines, more than {LONGEST}; which nouns are in it?")
    return found


def impurities(path: Path, source: str) -> Iterator[tuple[str, int]]:
    """Imports and calls by which a module would reach the outside world, the clock or chance."""
    yield from ((one.module, one.line) for one in imports(path, source) if one.top in IMPURE_MODULES)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"{node.func.id}()", node.lineno


def circle(uses: dict[str, set[str]]) -> list[str]:
    """Rooms that import each other in a circle, as the way around; empty if there is none."""

    def follow(way: list[str]) -> list[str]:
        for following in sorted(uses.get(way[-1], ())):
            if following in way:
                return [*way[way.index(following) :], following]
            around = follow([*way, following])
            if around:
                return around
        return []

    return next((way for start in sorted(uses) if (way := follow([start]))), [])


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_keeps_the_order_of_the_house(path: Path) -> None:
    assert offences(path, (SOURCES / path).read_text()) == []


def test_rooms_do_not_import_each_other_in_a_circle() -> None:
    uses: dict[str, set[str]] = {}
    for path in MODULES:
        used = {name for name, _ in rooms_used(path, (SOURCES / path).read_text())}
        uses.setdefault(room(path), set()).update(used - {room(path)})
    assert {"catalog", "errors"} <= set(uses)
    assert circle(uses) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        ("catalog/model.py", "import tagback.engines.sqlite", "catalog must not import engines"),
        ("catalog/model.py", "from tagback import deploy", "catalog must not import deploy"),
        ("catalog/model.py", "from ..plan import steps\nfrom .. import cli", "catalog must not import cli"),
        ("ledger/tags.py", "def f():\n    from tagback.deploy.apply import apply", "ledger must not import deploy"),
        ("deploy/apply.py", "from tagback import apply", "deploy must not import __init__"),
        ("errors.py", "from tagback.catalog import model", "errors must not import catalog"),
        ("plan/steps.py", "import os.path", "plan is pure: no os.path"),
        ("plan/steps.py", "def f():\n    from datetime import datetime", "plan is pure: no datetime"),
        ("catalog/diff.py", "def f():\n    print(1)", "catalog is pure: no print()"),
        ("cli/status.py", "import rich.table", "import rich inside the function"),
        (
            "cli/status.py",
            "try:\n    import psycopg\nexcept ImportError:\n    pass",
            "import psycopg inside the function",
        ),
        ("engines/utils.py", "", "'utils' is a drawer"),
        ("engines/helpers/names.py", "", "'helpers' is a drawer"),
        ("ledger/tags.py", "\n" * 451, "451 lines, more than 450"),
        ("drawer.py", "", "the room 'drawer' has no floor yet"),
    ],
)
def test_an_offence_against_the_order_is_seen(path: str, source: str, complaint: str) -> None:
    assert any(complaint in offence for offence in offences(Path("tagback", path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "engines/sqlite/read.py",
            "import sqlite3\nfrom tagback.catalog import model\nfrom ...errors import UsageError",
        ),
        ("ledger/tags.py", "from tagback import __version__\nfrom .snapshot import Snapshot"),
        ("cli/status.py", "def show():\n    import rich\n    import tagback"),
        ("cli/status.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import psycopg"),
    ],
)
def test_what_keeps_the_order_passes(path: str, source: str) -> None:
    assert offences(Path("tagback", path), source) == []


def test_a_circle_is_found_and_told_as_the_way_around() -> None:
    assert circle({"catalog": {"plan"}, "plan": {"errors"}}) == []
    around = circle({"engines": {"ledger"}, "ledger": {"changelog"}, "changelog": {"ledger"}})
    assert around == ["changelog", "ledger", "changelog"]
