# ruff: noqa: E501 - changesets, a line each
"""What becomes of a table on the shelf: later changes, roles, names that are taken, purging, dumps, interruptions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

import tagback
from tagback.errors import RefusedError, TagbackError
from tests.support.oracle import differences, postgres_state
from tests.support.postgres import PostgresServer
from tests.support.trial import OnConflict, Trial

PLAIN = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b');"
TIED = """
CREATE SCHEMA app; CREATE FUNCTION app.seven() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 7';
CREATE TABLE app.p (id int PRIMARY KEY); INSERT INTO app.p VALUES (1);
CREATE TABLE app.t (id serial PRIMARY KEY, p int REFERENCES app.p, n int DEFAULT app.seven() CHECK (n > app.seven() - 1), v text);
CREATE INDEX i ON app.t ((n + app.seven())); INSERT INTO app.t (p, v) VALUES (1, 'a'), (NULL, 'b');
"""


def test_shelf_says_what_was_moved_and_how_large_it_is(trial: Trial) -> None:
    trial.setup(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, repeat('x', 90) FROM generate_series(1, 5000) g"
    )
    ((size,),) = trial.rows("SELECT pg_total_relation_size('t')")
    trial.deploy("DROP TABLE t;", tag="one")
    with tagback.open(trial.url) as target:
        (kept,) = target.shelf()
        assert (kept.table, kept.how, kept.rows, kept.gone, kept.bytes) == ("public.t", "moved", 5000, 5000, size)
        assert kept.needed
    trial.back()
    with tagback.open(trial.url) as target:
        assert target.shelf() == ()
        assert target.purge_shelf().purged == ()


def test_purge_drops_moved_tables(trial: Trial) -> None:
    import datetime

    trial.setup(PLAIN)
    trial.deploy("DROP TABLE t;")
    with tagback.open(trial.url) as target:
        assert [p.how for p in target.purge_shelf(datetime.timedelta(0)).purged] == ["moved"]
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []
    with pytest.raises(RefusedError, match="purged"):
        trial.back()


def test_sequence_goes_on_where_it_stood(trial: Trial) -> None:
    trial.setup(
        "CREATE TABLE t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY); INSERT INTO t DEFAULT VALUES; SELECT setval('t_id_seq', 70), setval('t_n_seq', 80)"
    )
    trial.deploy("DROP TABLE t;")
    trial.back()
    trial.write("INSERT INTO t DEFAULT VALUES")
    assert trial.rows("SELECT * FROM t ORDER BY 1") == [(1, 1), (71, 81)]


def test_limit_of_the_shelf_holds_for_moved_tables(trial: Trial) -> None:
    trial.setup(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, repeat('x', 90) FROM generate_series(1, 5000) g"
    )
    before = trial.state()
    trial.add("DROP TABLE t;")
    with tagback.open(trial.url) as target:
        with pytest.raises(TagbackError, match="limit") as caught:
            target.apply(trial.changelog, tagback.ApplyOptions(shelf_limit=100_000))
        assert caught.value.code == "shelf_limit"
        assert differences(before, trial.state()) == []
        assert [s.how for s in target.apply(trial.changelog, tagback.ApplyOptions(shelf_limit=1_000_000)).shelved] == [
            "moved"
        ]
    trial.back()
    assert differences(before, trial.state()) == []


def test_rollback_and_redo_in_turn_keep_what_was_written_between(trial: Trial) -> None:
    trial.setup(PLAIN)
    trial.deploy("DROP TABLE t;")
    trial.back()
    trial.write("INSERT INTO t VALUES (3, 'c'); UPDATE t SET v = 'z' WHERE id = 1; DELETE FROM t WHERE id = 2")
    between = trial.state()
    for _ in range(2):
        assert [(s.rows, s.how) for s in trial.deploy().shelved] == [(2, "moved")]
        done = trial.back(on_conflict=OnConflict.FAIL)
        assert ([(r.table, r.rows) for r in done.restored], done.conflicts_total) == ([("public.t", 2)], 0)
        assert differences(between, trial.state()) == []
        assert trial.back().deployments == ()
    with tagback.open(trial.url) as target:
        assert target.shelf() == ()


def test_moved_table_is_not_published(trial: Trial) -> None:
    trial.setup(f"{PLAIN} CREATE TABLE o (id int PRIMARY KEY); CREATE PUBLICATION one FOR TABLE t, o")
    trial.deploy("DROP TABLE t;", anyway=True)
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == [
        ("tagback_shelf_1_1_1",)
    ]
    assert trial.rows("SELECT tablename FROM pg_publication_tables") == [("o",)]


def test_table_in_a_tablespace_is_copied_so_that_it_can_go(trial: Trial) -> None:
    place = f"place_{trial.url.rpartition('/')[2]}"
    with psycopg.connect(trial.url, autocommit=True) as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute(f"CREATE TABLESPACE {place} LOCATION ''".encode())
        trial.setup(
            f"{PLAIN} CREATE TABLE u (id int PRIMARY KEY) TABLESPACE {place}; INSERT INTO u VALUES (1); CREATE INDEX i ON t (v) TABLESPACE {place}"
        )
        assert [s.how for s in trial.deploy("DROP TABLE t, u;").shelved] == ["compared", "compared"]
        admin.execute(f"DROP TABLESPACE {place}".encode())


def test_schema_of_that_name_does_no_harm(trial: Trial) -> None:
    trial.setup(f"{PLAIN} CREATE SCHEMA tagback_shelf_0_0_1")
    before = trial.state()
    assert [s.how for s in trial.deploy("DROP TABLE t;").shelved] == ["compared"]
    trial.back()
    assert differences(before, trial.state()) == []


def test_schemas_of_the_user_that_begin_alike_are_his(trial: Trial) -> None:
    trial.setup(
        "CREATE SCHEMA tagbackx; CREATE SCHEMA tagback_mine; CREATE SCHEMA tagback_shelf; CREATE SCHEMA tagback_shelf_1_1; CREATE TABLE tagback_mine.t (id int); INSERT INTO tagback_mine.t VALUES (1)"
    )
    done = trial.deploy(
        "DROP SCHEMA tagbackx, tagback_shelf, tagback_shelf_1_1; DROP TABLE tagback_mine.t; CREATE TABLE tagback_mine.u ();"
    )
    assert [(s.table, s.how) for s in done.shelved] == [("tagback_mine.t", "moved")]
    trial.back()
    assert trial.rows("SELECT * FROM tagback_mine.t") == [(1,)]
    assert trial.rows("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tagback_%'") == [(4,)]
    assert trial.rows("SELECT to_regclass('tagback_mine.u')") == [(None,)]


@pytest.mark.parametrize(
    "later",
    [
        "DROP FUNCTION app.seven()",
        "DROP FUNCTION app.seven() CASCADE",
        "DROP TABLE app.p",
        "DROP SCHEMA app CASCADE",
        "DELETE FROM app.p",
        "ALTER TABLE app.p ADD x int; CREATE TABLE app.t (z text)",
    ],
)
def test_what_is_dropped_later_takes_nothing_from_a_moved_table(trial: Trial, later: str) -> None:
    trial.setup(TIED)
    before = trial.state()
    trial.deploy("DROP TABLE app.t;", tag="one")
    between = trial.state()
    trial.deploy(later + ";", tag="two")
    trial.back("one")
    assert differences(between, trial.state()) == []
    trial.deploy(tag="again")
    trial.back(on_conflict=OnConflict.FAIL)
    assert differences(before, trial.state()) == []


def test_a_changeset_that_takes_from_a_moved_table_fails(trial: Trial) -> None:
    trial.setup(PLAIN)
    before = trial.state()
    trial.deploy("DROP TABLE t;")
    files = set(trial.changelog.iterdir())
    for sql in (
        "DROP SCHEMA tagback_shelf_1_1_1 CASCADE;",
        "ALTER TABLE tagback_shelf_1_1_1.t DROP COLUMN v;",
        "DELETE FROM tagback_shelf_1_1_1.t;",
        "TRUNCATE tagback_shelf_1_1_1.t;",
        "ALTER TABLE tagback_shelf_1_1_1.t SET SCHEMA public;",
        "ALTER SCHEMA tagback_shelf_1_1_1 RENAME TO mine;",
        "DROP OWNED BY CURRENT_USER;",
    ):
        with pytest.raises(TagbackError):
            trial.deploy(sql)
        (new,) = set(trial.changelog.iterdir()) - files
        new.unlink()
    trial.back()
    assert differences(before, trial.state()) == []


def test_error_of_a_drop_is_the_users_and_says_where(trial: Trial) -> None:
    trial.setup(PLAIN + "CREATE TABLE u (id int); INSERT INTO u VALUES (1); CREATE VIEW v AS SELECT id FROM u")
    before = trial.state()
    trial.add("DROP TABLE t;\nDROP TABLE u;\nDROP TABLE t;")
    with (
        tagback.open(trial.url) as target,
        pytest.raises(TagbackError, match="cannot drop table u because other objects depend on it") as caught,
    ):
        target.apply(trial.changelog)
    assert caught.value.location is not None
    assert (caught.value.location.line, caught.value.exit_code) == (2, 1)
    assert differences(before, trial.state()) == []


def test_notices_of_a_drop_are_told_once(trial: Trial) -> None:
    trial.setup(PLAIN + "CREATE VIEW v AS SELECT id FROM t")
    assert trial.deploy("DROP TABLE IF EXISTS t, missing CASCADE;").notes == (
        'NOTICE: table "missing" does not exist, skipping',
        "NOTICE: drop cascades to view v",
    )


def test_pending_trigger_events_keep_a_table_from_being_dropped(trial: Trial) -> None:
    trial.setup(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1); INSERT INTO t VALUES (1)"
    )
    before = trial.state()
    trial.add("INSERT INTO t VALUES (1);\nDROP TABLE t;")
    with tagback.open(trial.url) as target, pytest.raises(TagbackError, match="pending trigger events"):
        target.apply(trial.changelog)
    assert differences(before, trial.state()) == []


@pytest.mark.parametrize("on_drift", [tagback.OnDrift.UNDO, tagback.OnDrift.KEEP])
@pytest.mark.parametrize(
    "by_hand",
    {
        "table": "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (2, 'later'), (3, 'c')",
        "view": "CREATE VIEW t AS SELECT 1 AS id",
        "index": "CREATE TABLE u (id int); CREATE INDEX t_pkey ON u (id)",
    }.items(),
    ids=lambda item: item[0] if isinstance(item, tuple) else str(item),
)
def test_rows_come_back_where_the_name_is_taken_by_hand(
    trial: Trial, by_hand: tuple[str, str], on_drift: tagback.OnDrift
) -> None:
    name, sql = by_hand
    trial.setup(PLAIN)
    trial.deploy("DROP TABLE t;")
    trial.write(sql)
    options = tagback.RollbackOptions(to="before", on_drift=on_drift)
    with tagback.open(trial.url) as target:
        if on_drift is tagback.OnDrift.KEEP and name != "table":
            told = {"view": "has a name that table public.t returns to", "index": 'relation "t_pkey" already exists'}
            with pytest.raises(RefusedError, match=told[name]):
                target.rollback(options)
            return
        target.rollback(options)
    wanted = [(1, "a"), (2, "later"), (3, "c")] if name == "table" else [(1, "a"), (2, "b")]
    assert trial.rows("SELECT * FROM t ORDER BY 1") == wanted
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []


def test_several_deployments_are_gone_back_over(trial: Trial) -> None:
    trial.setup(PLAIN)
    states = {"before": trial.state()}
    for tag, change in {
        "one": "DROP TABLE t;",
        "two": "CREATE TABLE t (id int PRIMARY KEY, w int); INSERT INTO t VALUES (7, 8);",
        "three": "DROP TABLE t; CREATE TABLE u (id int);",
        "four": "CREATE TABLE t (x text); INSERT INTO t VALUES ('y');",
    }.items():
        trial.deploy(change, tag=tag)
        states[tag] = trial.state()
    for tag in ("two", "before"):
        trial.back(tag)
        assert differences(states[tag], trial.state()) == []
    trial.deploy(tag="again")
    assert differences(states["four"], trial.state()) == []
    trial.back("before")
    assert differences(states["before"], trial.state()) == []


def test_granular_deployment_drops_what_it_made_itself(trial: Trial) -> None:
    trial.setup(PLAIN)
    before = trial.state()
    changes = (
        "DROP TABLE t;",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (9);",
        "DROP TABLE t;",
        "CREATE TABLE t (n text);",
    )
    trial.deploy(*changes, granular=True)
    trial.back(to_changeset="002_change")
    assert trial.rows("SELECT * FROM t") == [(9,)]
    trial.back()
    assert differences(before, trial.state()) == []


def test_failed_deployment_in_parts_gives_the_moved_table_back(trial: Trial) -> None:
    trial.setup(PLAIN + "CREATE TABLE twice (b int); INSERT INTO twice VALUES (1), (1);")
    before = trial.state()
    with pytest.raises(TagbackError):
        trial.deploy("DROP TABLE t;", "CREATE UNIQUE INDEX CONCURRENTLY once ON twice (b);")
    assert differences(before, trial.state()) == []
    with tagback.open(trial.url) as target:
        assert target.shelf() == ()


def test_dry_run_shows_the_move_and_does_nothing(trial: Trial) -> None:
    trial.setup(PLAIN)
    trial.deploy("DROP TABLE t;")
    after = trial.state()
    with tagback.open(trial.url) as target:
        plan = target.rollback(tagback.RollbackOptions(to="before", dry_run=True)).plan
    assert plan is not None
    assert [step.sql for step in plan] == [
        'ALTER TABLE "tagback_shelf_1_1_1"."t" SET SCHEMA "public"',
        'DROP SCHEMA "tagback_shelf_1_1_1"',
    ]
    assert differences(after, trial.state()) == []
    trial.back()


@pytest.mark.parametrize("sql", ["DROP TABLE tagback_shelf_1_1_1.t", "DROP SCHEMA tagback_shelf_1_1_1 CASCADE"])
def test_moved_table_that_somebody_dropped_is_told_as_gone(trial: Trial, sql: str) -> None:
    trial.setup(PLAIN)
    trial.deploy("DROP TABLE t;")
    trial.write(sql)
    with pytest.raises(RefusedError, match=r"there is no table tagback_shelf_1_1_1\.t") as caught:
        trial.back()
    assert caught.value.code == "shelf_missing"


def test_what_must_not_survive_is_not_moved(trial: Trial) -> None:
    trial.setup(PLAIN)
    trial.deploy("-- tagback: no-keep\nDROP TABLE t;", anyway=True)
    assert trial.rows("SELECT count(*) FROM pg_class WHERE relname = 't'") == [(0,)]
    assert trial.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tagback_shelf%'") == []


def test_dump_and_restore_keep_the_way_back(trial: Trial, postgres_server: PostgresServer) -> None:
    trial.setup(TIED)
    before = trial.state()
    trial.deploy("DROP TABLE app.t;")
    other = postgres_server.create_database()
    postgres_server.restore(postgres_server.run("pg_dump", "--dbname", trial.url), other)
    with tagback.open(postgres_server.url(other)) as target:
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
    with postgres_server.connect(other) as connection:
        assert differences(before, postgres_state(postgres_server, other, connection)) == []
    postgres_server.drop_database(other)


# ---------------------------------------------------------------------- others at the same time


def test_writer_that_waits_for_the_table_gets_in_before_or_not_at_all(trial: Trial) -> None:
    trial.setup(PLAIN)
    with psycopg.connect(trial.url) as holder:
        holder.execute("INSERT INTO t VALUES (3, 'waiting')")
        failed: list[psycopg.Error] = []
        started = threading.Thread(target=lambda: trial.deploy("DROP TABLE t;"))
        started.start()
        _wait(trial, "SELECT count(*) FROM pg_locks WHERE NOT granted", 1)

        def write() -> None:
            try:
                trial.write("INSERT INTO t VALUES (4, 'late')")
            except psycopg.Error as error:
                failed.append(error)

        late = threading.Thread(target=write)
        late.start()
        _wait(trial, "SELECT count(*) FROM pg_locks WHERE NOT granted", 2)
        holder.commit()
        started.join()
        late.join()
    assert [type(e) for e in failed] == [psycopg.errors.UndefinedTable]
    trial.back()
    assert trial.rows("SELECT id FROM t ORDER BY 1") == [(1,), (2,), (3,)]


def test_connection_that_is_lost_in_the_middle_leaves_everything_as_it_was(trial: Trial) -> None:
    trial.setup(TIED)
    before = trial.state()
    lost: list[TagbackError] = []

    def deploy() -> None:
        try:
            trial.deploy("DROP TABLE app.t; SELECT pg_sleep(60);")
        except TagbackError as error:
            lost.append(error)

    running = threading.Thread(target=deploy)
    running.start()
    _wait(trial, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", 1)
    trial.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    running.join()
    assert len(lost) == 1
    assert differences(before, trial.state()) == []


def _wait(trial: Trial, query: str, count: int) -> None:
    deadline = time.monotonic() + 30
    while trial.rows(query) != [(count,)]:
        assert time.monotonic() < deadline, query
        time.sleep(0.02)


# ---------------------------------------------------------------------- roles


@pytest.fixture
def owner(postgres_server: PostgresServer, trial: Trial) -> Iterator[str]:
    """The name of a role that may log in and nothing else."""
    name = f"owner_{trial.url.rpartition('/')[2]}"
    with psycopg.connect(trial.url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON SCHEMA public TO {name}".encode())
        yield name
        admin.execute(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}".encode())


def _as(trial: Trial, role: str, server: PostgresServer) -> Trial:
    trial.url = server.url(trial.url.rpartition("/")[2], role)
    return trial


def test_role_that_may_not_make_schemas_copies_and_says_so(
    trial: Trial, owner: str, postgres_server: PostgresServer
) -> None:
    trial.setup(f"{PLAIN} ALTER TABLE t OWNER TO {owner}")
    trial.write(f"DROP SCHEMA tagback CASCADE; CREATE SCHEMA tagback AUTHORIZATION {owner}")
    before = trial.state()
    _as(trial, owner, postgres_server)
    with tagback.open(trial.url) as target:
        target.tag("before")
    done = trial.deploy("DROP TABLE t;")
    assert [s.how for s in done.shelved] == ["compared"]
    assert any("copied to the shelf and not moved" in note for note in done.notes)
    trial.back()
    assert differences(before, trial.state()) == []


def test_rows_that_row_security_hides_are_moved_unread(
    trial: Trial, owner: str, postgres_server: PostgresServer
) -> None:
    trial.setup(
        f"{PLAIN} CREATE POLICY p ON t USING (id = 1); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO {owner}"
    )
    before = trial.state()
    trial.write(f"DROP SCHEMA tagback CASCADE; GRANT CREATE ON DATABASE {trial.url.rpartition('/')[2]} TO {owner}")
    _as(trial, owner, postgres_server)
    with tagback.open(trial.url) as target:
        target.tag("before")
    done = trial.deploy("DROP TABLE t;")
    assert [(s.rows, s.how) for s in done.shelved] == [(2, "moved")]
    trial.back()
    _as(trial, "postgres", postgres_server)
    assert differences(before, trial.state()) == []


def test_nobody_else_may_look_at_a_moved_table(trial: Trial) -> None:
    trial.setup(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC; {PLAIN} GRANT ALL ON t TO PUBLIC")
    trial.deploy("DROP TABLE t;")
    assert trial.rows("SELECT has_schema_privilege('pg_monitor', 'tagback_shelf_1_1_1', 'USAGE')") == [(False,)]


def test_changeset_under_another_role_has_its_tables_moved(trial: Trial, owner: str) -> None:
    trial.setup(f"{PLAIN} ALTER TABLE t OWNER TO {owner}")
    before = trial.state()
    done = trial.deploy(f"SET ROLE {owner}; DROP TABLE t; RESET ROLE;")
    assert [s.how for s in done.shelved] == ["moved"]
    trial.back()
    assert differences(before, trial.state()) == []
