"""Every kind of object goes through the same: apply, go back, schema and rows equal, apply again, go back again.

At last its schema is made anew elsewhere, and all of that once more there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rehearse import RehearsalError, rehearse
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import TagbackError
from tests.conformance import postgres_cases, sqlite_cases
from tests.conformance.case import Case
from tests.support.oracle import State, differences, postgres_state, sqlite_state
from tests.support.postgres import PostgresServer
from tests.support.versions import fitting


def named(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    """One test for each case, by its name."""
    assert len({c.name for c in cases}) == len(cases)
    return pytest.mark.parametrize("case", cases, ids=[c.name for c in cases])


@named(sqlite_cases.CASES)
def test_sqlite(case: Case, sqlite_url: str, tmp_path: Path) -> None:
    rite(case, sqlite_url, lambda: sqlite_state(tmp_path / "target.db"), tmp_path)


@named(postgres_cases.CASES)
def test_postgres(case: Case, pg_url: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    database = pg_url.rpartition("/")[2]
    setup, change = (fitting(sql, postgres_server.major) for sql in (case.setup, case.change))
    case = replace(case, setup=setup, change=change)
    with postgres_server.connect(database) as connection:
        rite(case, pg_url, lambda: postgres_state(postgres_server, database, connection), tmp_path)


PLAIN = [c for c in postgres_cases.CASES if not (c.refused or c.name.endswith((" made", " changed")))][::12]
"""A share of those that no superuser is needed for."""


@named(tuple(PLAIN))
def test_postgres_without_superuser(case: Case, pg_url: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """As the database's owner on a managed service, who may make databases."""
    if postgres_server.major < 15:
        pytest.skip("the schema public of a scratch database is the superuser's there, and can't be made like another")
    database = pg_url.rpartition("/")[2]
    role = f"owner_{database}"
    setup, change = (fitting(sql, postgres_server.major) for sql in (case.setup, case.change))
    with postgres_server.connect(database) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB; ALTER DATABASE {database} OWNER TO {role}".encode())
        connection.execute(f"GRANT ALL ON SCHEMA public TO {role}".encode())
        url = postgres_server.url(database, role)
        look = partial(postgres_state, postgres_server, database, connection)
        rite(replace(case, setup=setup, change=change), url, look, tmp_path)
        connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}".encode())


def rite(case: Case, url: str, look: Callable[[], State], folder: Path) -> None:
    """What every case goes through; `look` asks the oracle."""
    changelog = folder / "changelog"
    changelog.mkdir()
    (changelog / "1_setup.sql").write_text(case.setup)
    with Target.open(url, create=True) as target:
        target.apply(changelog, ApplyOptions(tag="before"))
        before = look()
        (changelog / "2_change.sql").write_text(case.change)
        if case.refused:
            with pytest.raises(TagbackError) as caught:
                target.apply(changelog, ApplyOptions(tag="after"))
            assert caught.value.code == case.refused
            assert differences(before, look()) == []
            assert target.verify("before").equal
            return
        applied = target.apply(changelog, ApplyOptions(tag="after"))
        after = look()
        if case.verdict:
            assert applied.reversibility == case.verdict, applied.reasons
            assert applied.shelved, "rows are kept"
            assert bool(applied.reasons) == (case.verdict == "conditional")
        assert differences(before, after) or case.name.endswith("changes nothing"), "the case changes nothing"
        done = target.rollback(RollbackOptions(to="before"))
        assert (done.verified, done.conflicts_total) == (True, 0)
        assert differences(before, look()) == []
        assert target.verify("before").equal
        target.apply(changelog, ApplyOptions(tag="after"))
        assert differences(after, look()) == []
        assert target.rollback(RollbackOptions(count=1, on_conflict=OnConflict.FAIL)).verified
        assert differences(before, look()) == []
    if case.needs_rows:
        with pytest.raises(RehearsalError) as failed:
            rehearse(url, changelog)
        assert failed.value.code == "constraint"
    else:
        assert rehearse(url, changelog).changesets == ("2_change",)
