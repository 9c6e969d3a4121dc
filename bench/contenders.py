"""Who is measured: tagback, the floor that no tool can go below, and peers from the registries, each used as its manual says."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from changes import Change

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Command:
    """One process to be timed whole."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)


class Contender:
    """Writes its own kind of migration files once; then gives the commands for one database after the other."""

    name = ""
    engines = ("sqlite", "postgresql")

    def __init__(self, folder: Path, changes: Sequence[Change]) -> None:
        self.folder = folder
        self.changes = changes
        folder.mkdir(parents=True)
        self.write()

    def write(self) -> None:
        """Writes the files."""

    def before(self, url: str) -> list[Command]:
        """What is run once on a new database, not timed."""
        return []

    def apply(self, url: str) -> list[Command]:
        """Everything pending."""
        raise NotImplementedError

    def back(self, url: str) -> list[Command]:
        """Everything taken back."""
        raise NotImplementedError

    def status(self, url: str) -> list[Command]:
        """What is applied; empty where there is no such question."""
        return []

    def _files(self, folder: Path, up: str, down: str = "") -> None:
        folder.mkdir(exist_ok=True)
        for c in self.changes:
            (folder / f"{c.stem}.sql").write_text(up.format(c.up) + (down.format(c.down) if down else ""))

    def _run(self, *argv: str | Path, **env: str) -> Command:
        return Command(tuple(map(str, argv)), self.folder, env)


class Tagback(Contender):
    """No downs; the state before is marked with a tag."""

    name = "tagback"

    def write(self) -> None:
        self._files(self.folder / "changelog", "{};\n")

    def before(self, url: str) -> list[Command]:
        return [self._tagback(url, "tag", "before")]

    def apply(self, url: str) -> list[Command]:
        return [self._tagback(url, "apply", "--changelog", "changelog", "--tag", "after")]

    def back(self, url: str) -> list[Command]:
        return [self._tagback(url, "rollback", "--to", "before", "--yes")]

    def status(self, url: str) -> list[Command]:
        return [self._tagback(url, "status")]

    def status_with_changelog(self, url: str) -> list[Command]:
        """Compares the files with what is applied, as Django's showmigrations does."""
        return [self._tagback(url, "status", "--changelog", "changelog")]

    def _tagback(self, url: str, *arguments: str) -> Command:
        return self._run(BIN / "tagback", *arguments, TAGBACK_URL=url)


class Floor(Contender):
    """The statements and nothing else: a fresh Python with the sqlite3 module, or one psql in one transaction."""

    name = "floor"

    def __init__(self, folder: Path, changes: Sequence[Change], psql: Path) -> None:
        self.psql = psql
        super().__init__(folder, changes)

    def write(self) -> None:
        self._files(self.folder / "up", "{};\n")
        down = self.folder / "down"
        down.mkdir()
        for c in self.changes:
            (down / f"{len(self.changes) - c.number:04}.sql").write_text(f"{c.down};\n")
        (self.folder / "run.py").write_text(_SQLITE_FLOOR)

    def apply(self, url: str) -> list[Command]:
        return self._all("up", url)

    def back(self, url: str) -> list[Command]:
        return self._all("down", url)

    def _all(self, where: str, url: str) -> list[Command]:
        if url.startswith("sqlite:"):
            return [self._run(sys.executable, "run.py", url.removeprefix("sqlite:///"), where)]
        files = [part for path in sorted((self.folder / where).iterdir()) for part in ("-f", str(path))]
        return [self._run(self.psql, "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", url, *files)]


class Dbmate(Contender):
    """A Go program; it goes back one migration per call."""

    name = "dbmate"

    def write(self) -> None:
        self._files(self.folder / "migrations", "-- migrate:up\n{};\n", "-- migrate:down\n{};\n")

    def apply(self, url: str) -> list[Command]:
        return [self._dbmate(url, "up")]

    def back(self, url: str) -> list[Command]:
        return [self._dbmate(url, "rollback") for _ in self.changes]

    def status(self, url: str) -> list[Command]:
        return [self._dbmate(url, "status")]

    def _dbmate(self, url: str, command: str) -> Command:
        if url.startswith("sqlite:"):
            url = "sqlite:" + url.removeprefix("sqlite:///")
        else:
            url += "?sslmode=disable"
        return self._run(BIN / "dbmate", "--url", url, "--migrations-dir", "migrations", "--no-dump-schema", command)


class Alembic(Contender):
    """SQLAlchemy's migration tool; revisions are Python files with op.execute."""

    name = "Alembic"

    def write(self) -> None:
        versions = self.folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (self.folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
        )
        (self.folder / "migrations" / "env.py").write_text(_ALEMBIC_ENV)
        for c in self.changes:
            previous = repr(f"r{c.number - 1:04}") if c.number > 1 else "None"
            (versions / f"{c.stem}.py").write_text(
                f"from alembic import op\n\nrevision = 'r{c.number:04}'\ndown_revision = {previous}\n\n\n"
                f"def upgrade():\n    op.execute({c.up!r})\n\n\ndef downgrade():\n    op.execute({c.down!r})\n"
            )

    def apply(self, url: str) -> list[Command]:
        return [self._alembic(url, "upgrade", "head")]

    def back(self, url: str) -> list[Command]:
        return [self._alembic(url, "downgrade", "base")]

    def status(self, url: str) -> list[Command]:
        return [self._alembic(url, "current")]

    def _alembic(self, url: str, *arguments: str) -> Command:
        return self._run(BIN / "alembic", *arguments, BENCH_URL=url.replace("postgresql:", "postgresql+psycopg:"))


class Django(Contender):
    """Migrations are Python files with RunSQL; nothing else of Django is installed in the project."""

    name = "Django"

    def write(self) -> None:
        migrations = self.folder / "shop" / "migrations"
        migrations.mkdir(parents=True)
        (self.folder / "shop" / "__init__.py").touch()
        (migrations / "__init__.py").touch()
        (self.folder / "manage.py").write_text(_DJANGO_MANAGE)
        previous = ""
        for c in self.changes:
            needs = f"[('shop', {previous!r})]" if previous else "[]"
            (migrations / f"{c.stem}.py").write_text(
                "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
                f"    dependencies = {needs}\n    operations = [migrations.RunSQL({c.up!r}, {c.down!r})]\n"
            )
            previous = c.stem

    def apply(self, url: str) -> list[Command]:
        return [self._manage(url, "migrate", "shop")]

    def back(self, url: str) -> list[Command]:
        return [self._manage(url, "migrate", "shop", "zero")]

    def status(self, url: str) -> list[Command]:
        return [self._manage(url, "showmigrations", "shop")]

    def _manage(self, url: str, *arguments: str) -> Command:
        return self._run(sys.executable, "manage.py", *arguments, BENCH_URL=url)


def environment(command: Command) -> dict[str, str]:
    """The command's environment: this one, without variables that lead a client elsewhere or forbid Python to cache."""
    away = ("PG", "PYTHON", "DATABASE_URL", "TAGBACK_URL")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(away)}
    return {**kept, **command.env}


_SQLITE_FLOOR = """\
import pathlib, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    connection.execute(path.read_text())
connection.execute("COMMIT")
"""

_ALEMBIC_ENV = """\
import os

from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["BENCH_URL"]).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

_DJANGO_MANAGE = """\
import os
import sys
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import execute_from_command_line

url = urlsplit(os.environ["BENCH_URL"])
if url.scheme == "sqlite":
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path.removeprefix("/")}
else:
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.removeprefix("/"),
        "USER": url.username,
        "HOST": url.hostname,
        "PORT": url.port,
    }
settings.configure(INSTALLED_APPS=["shop"], DATABASES={"default": database}, DEFAULT_AUTO_FIELD="django.db.models.AutoField")
execute_from_command_line(sys.argv)
"""
