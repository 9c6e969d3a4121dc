"""A project in a folder of its own: a database, a changelog, and the program to be called on them."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tagback.cli import main


@dataclass(frozen=True, slots=True)
class Result:
    """What one call gave."""

    exit: int
    out: str
    err: str

    @property
    def body(self) -> dict[str, Any]:
        """The one JSON object on standard output, with what the contract says of every such object checked."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert found["exit_code"] == self.exit
        assert found["ok"] is (self.exit == 0)
        if self.exit:
            assert found["error"]["code"]
            assert found["error"]["message"]
            assert isinstance(found["error"]["hint"], str)
        else:
            assert "error" not in found
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error of a call that failed."""
        found: dict[str, Any] = self.body["error"]
        return found


class Project:
    """A folder with a changelog `m`, and the database at `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.changelog = folder / "m"
        self.changelog.mkdir()

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite:")

    def write(self, name: str, sql: str | bytes) -> Path:
        """Puts a file into the changelog."""
        path = self.changelog / name
        path.write_bytes(sql if isinstance(sql, bytes) else sql.encode())
        return path

    def run(self, *arguments: str, url: str | None = None) -> Result:
        """Calls the program in this process, without a terminal."""
        out, err = io.StringIO(), io.StringIO()
        target = ["--url", self.url if url is None else url] if url != "" else []
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            exit_code = main([*target, *arguments])
        assert "Traceback" not in err.getvalue()
        return Result(exit_code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str, url: str | None = None) -> Result:
        """The same with --json; only events may be told on standard error."""
        return self.run(*arguments, "--json", url=url)

    def apply(self, *arguments: str) -> Result:
        """Deploys the changelog and expects it to work."""
        result = self.json("apply", "--changelog", "m", *arguments)
        assert result.exit == 0, result.out
        return result

    def command(self, *arguments: str) -> list[str]:
        """The program as a process of its own."""
        return [sys.executable, "-m", "tagback", "--url", self.url, *arguments]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts that process in the project's folder."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        """What somebody else does to the database."""
        if self.is_sqlite:
            with contextlib.closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as mine, mine:
                return mine.execute(text).fetchall()
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as other:
            cursor = other.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def schema(self) -> list[tuple[Any, ...]]:
        """The schema by other eyes than the product's."""
        if self.is_sqlite:
            return self.sql(
                "select type, name, tbl_name, sql from sqlite_schema where tbl_name not like 'tagback%' order by 1, 2"
            )
        return self.sql(
            "select 'column', table_name, column_name, ordinal_position, data_type, column_default, is_nullable"
            " from information_schema.columns where table_schema = 'public' union all"
            " select 'index', tablename, indexname, 0, indexdef, null, null from pg_indexes"
            " where schemaname = 'public' order by 1, 2, 4, 3"
        )


@pytest.fixture
def project(tmp_path: Path, target_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, once on each engine."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, target_url)


@pytest.fixture
def sqlite_project(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project on SQLite, where the engine makes no difference."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, sqlite_url)


@pytest.fixture
def shop(project: Project) -> Project:
    """One table with rows, deployed and tagged r1; a second changeset is pending."""
    project.write("001_people.sql", "create table people (id integer primary key, name text not null);")
    project.apply("--tag", "r1")
    project.sql("insert into people (id, name) values (1, 'Ada'), (2, 'Bob')")
    project.write("002_places.sql", "create table places (id integer primary key, city text);")
    return project
