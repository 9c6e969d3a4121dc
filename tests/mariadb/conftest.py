"""A database on a private server, with deployments to it and the server's own tools to look at it."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.look import Comparison
from tagback.deploy.results import Applied, RolledBack
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tests.support.mariadb import MariadbServer

ROOT = Path(__file__).parents[2]


class Database:
    """One database and a folder of changesets for it."""

    def __init__(self, server: MariadbServer, folder: Path) -> None:
        self._server = server
        self.name = server.create_database()
        self.url = server.url(self.name)
        self.changelog = folder
        folder.mkdir()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.changelog / name).write_text(text)

    def apply(self, tag: str, **options: Any) -> Applied:
        with Target.open(self.url) as target:
            return target.apply(self.changelog, ApplyOptions(tag=tag, **options))

    def rollback(self, to: str, **options: Any) -> RolledBack:
        with Target.open(self.url) as target:
            return target.rollback(RollbackOptions(to=to, **options))

    def verify(self) -> Comparison:
        with Target.open(self.url) as target:
            return target.verify()

    def recover(self) -> tuple[int, ...]:
        with Target.open(self.url) as target:
            return target.recover().deployments

    def killed(self, at: int, *arguments: str) -> int:
        """Runs the command line in a process that is killed before its n-th statement; its exit status."""
        command = [sys.executable, "-m", "tests.mariadb.killed", str(at), "--url", self.url, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=120).returncode

    def tables_like(self, pattern: str) -> set[str]:
        found = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_name LIKE"
        return {str(name) for (name,) in self.ask(f"{found} '{pattern}'")}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """As an application would."""
        with self._server.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def state(self) -> list[str]:
        """Schema and rows as the server's own client writes them down, without tagback's tables."""
        without = [f"--ignore-table={self.name}.{name}" for name in self.tables_like("tagback%")]
        shown = [
            "--routines",
            "--triggers",
            "--events",
            "--skip-comments",
            "--order-by-primary",
            "--skip-extended-insert",
        ]
        text = self._server.run("mariadb-dump", *shown, *without, self.name)
        lines = re.sub(r" AUTO_INCREMENT=\d+", "", text).splitlines()
        rows = itertools.groupby(lines, lambda line: line.startswith("INSERT INTO"))
        return [line for are_rows, some in rows for line in (sorted(some) if are_rows else some)]

    def left_over(self) -> list[str]:
        """Tables of tagback's that no ledger knows."""
        noted = {f"tagback_{place}" for (place,) in self.ask("SELECT json_value(kept, '$.place') FROM tagback_shelf")}
        return sorted(self.tables_like(r"tagback\_shelf\_%") - noted)

    def drop(self) -> None:
        self._server.drop_database(self.name)


@pytest.fixture
def database(mariadb_server: MariadbServer, tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    made = Database(mariadb_server, tmp_path / "changelog")
    yield made
    made.drop()
