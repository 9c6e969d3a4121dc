"""As on a managed service: a role that owns some of the objects, no superuser, none of the server's own roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tagback
from tagback.deploy.rehearse import rehearse
from tagback.errors import RefusedError, TagbackError
from tests.support import client
from tests.support.oracle import State, differences, postgres_state
from tests.support.postgres import PostgresServer

OTHERS = """
CREATE TABLE theirs (id int PRIMARY KEY, secret text); INSERT INTO theirs VALUES (1, 'x');
CREATE TABLE shared (id int PRIMARY KEY, v text); INSERT INTO shared VALUES (1, 'a'), (2, 'b');
GRANT SELECT, REFERENCES ON shared TO {app};
CREATE VIEW over_theirs AS SELECT id FROM theirs; GRANT SELECT ON over_theirs TO {app};
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN INSERT INTO theirs VALUES (100 + NEW.id, 'logged'); RETURN NEW; END $$;
CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN DELETE FROM theirs; RETURN NULL; END $$;
CREATE TABLE logged_ddl (tag text);
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN INSERT INTO public.logged_ddl VALUES (tg_tag); END $$;
CREATE FOREIGN DATA WRAPPER fw; CREATE SERVER fs FOREIGN DATA WRAPPER fw;
CREATE USER MAPPING FOR postgres SERVER fs OPTIONS (password 'p');
CREATE SCHEMA hidden; CREATE TABLE hidden.t (a int);
CREATE PUBLICATION sharing FOR TABLE shared;
ALTER DATABASE {database} SET work_mem = '5MB';
"""
MINE = """
CREATE TABLE mine (id int PRIMARY KEY, shared int REFERENCES shared, v text);
INSERT INTO mine VALUES (1, 1, 'one'), (2, 2, 'two');
CREATE VIEW both_of AS SELECT m.id, s.v FROM mine m JOIN shared s ON s.id = m.shared;
"""
CHANGE = """
UPDATE mine SET v = upper(v) WHERE id = 1;
ALTER TABLE mine DROP COLUMN v;
DROP VIEW both_of;
CREATE TABLE more (id serial PRIMARY KEY, mine int REFERENCES mine);
"""


class Place:
    """A database of which the role `app` owns nothing at first."""

    def __init__(self, server: PostgresServer, database: str, folder: Path) -> None:
        self.server, self.database, self.changelog = server, database, folder / "changelog"
        self.app = f"app_{database}"
        self.url = server.url(database, self.app)
        self.changelog.mkdir()

    def admin(self, sql: str) -> None:
        with self.server.connect(self.database) as connection:
            connection.execute(sql.format(app=self.app, database=self.database).encode())

    def add(self, sql: str) -> None:
        number = len(list(self.changelog.glob("*.sql"))) + 1
        (self.changelog / f"{number:03}_x.sql").write_text(sql)

    def state(self) -> State:
        with self.server.connect(self.database) as connection:
            return postgres_state(self.server, self.database, connection)


@pytest.fixture
def place(postgres_server: PostgresServer, pg_url: str, tmp_path: Path) -> Iterator[Place]:
    place = Place(postgres_server, pg_url.rpartition("/")[2], tmp_path)
    place.admin("CREATE ROLE {app} LOGIN NOINHERIT; GRANT CREATE ON DATABASE {database} TO {app};")
    place.admin("GRANT CREATE ON SCHEMA public TO {app};" + OTHERS)
    yield place
    place.admin("DROP OWNED BY {app} CASCADE; DROP ROLE {app};")


def there_and_back(place: Place, change: str) -> None:
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        before = place.state()
        place.add(change)
        target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
        assert differences(before, place.state()) == []
        target.apply(place.changelog, tagback.ApplyOptions(tag="again"))
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
        assert differences(before, place.state()) == []
        assert target.verify().equal


def test_what_the_role_owns_goes_there_and_back_beside_what_it_does_not(place: Place) -> None:
    there_and_back(place, CHANGE)


def test_what_a_trigger_of_others_adds_where_the_role_may_not_read_stays(place: Place) -> None:
    place.add(MINE + "CREATE TRIGGER log AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION log();")
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        place.add("INSERT INTO mine VALUES (3, 1, 'c');")
        done = target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        assert any("1 row was added to table public.theirs" in note for note in done.notes), done.notes
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
    assert client.rows(place.url, "SELECT count(*) FROM mine") == [(2,)]
    assert client.rows(place.server.url(place.database), "SELECT count(*) FROM theirs") == [(2,)]


def test_an_event_trigger_of_the_administrators_is_in_nobodys_way(place: Place) -> None:
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        place.admin("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()")
        target.tag("watched")
        place.add(CHANGE)
        done = target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        assert any("added to table public.logged_ddl, which this role may not read" in note for note in done.notes)
        assert target.rollback(tagback.RollbackOptions(to="watched")).verified
        assert client.rows(place.url, "SELECT id, v FROM mine ORDER BY id") == [(1, "one"), (2, "two")]


PATHS = {
    "the role's own and public": '"$user", public',
    "none": "''",
    "one that is not there": "nowhere",
    "names in quotes": '"Odd Schema", "a,b", "it\'s", public',
    "several, one of them nobody's to use": "hidden, own, public",
    "the catalog last": "public, pg_catalog",
    "temporary ones first": "pg_temp, public",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_whatever_the_search_path(place: Place, path: str) -> None:
    place.admin(
        'CREATE SCHEMA "Odd Schema" AUTHORIZATION {app}; CREATE SCHEMA "a,b" AUTHORIZATION {app};'
        'CREATE SCHEMA "it\'s" AUTHORIZATION {app}; CREATE SCHEMA own AUTHORIZATION {app};'
        "CREATE SCHEMA {app} AUTHORIZATION {app};"
        f"ALTER ROLE {{app}} SET search_path = {path};"
    )
    place.add(
        "CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';"
        "CREATE TABLE public.mine (id int PRIMARY KEY, two int GENERATED ALWAYS AS (public.twice(id)) STORED, v text);"
        "CREATE INDEX by_two ON public.mine (public.twice(id)); INSERT INTO public.mine (id, v) VALUES (1, 'a'), (2, 'b');"
    )
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        before = place.state()
        place.add(
            "ALTER TABLE public.mine DROP two; DELETE FROM public.mine WHERE id = 1; DROP FUNCTION public.twice CASCADE;"
            "ALTER TABLE public.mine RENAME v TO w; CREATE TABLE public.more (a int);"
        )
        target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        assert target.rollback(tagback.RollbackOptions(to="before")).verified
        assert differences(before, place.state()) == []
        assert target.verify().equal


MISSING = {
    "a trigger of others changes what the role may not read": (
        "CREATE TRIGGER wipe AFTER INSERT ON mine EXECUTE FUNCTION wipe(); INSERT INTO mine VALUES (3, 1, 'c')",
        'the rows of "theirs" are read and written',
    ),
    "a table of others is changed": ("ALTER TABLE shared ADD more int", 'Only the owner of "shared" may do that'),
    "rows that are hidden from the role": (
        "ALTER TABLE mine ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; UPDATE mine SET v = 'x'",
        "BYPASSRLS",
    ),
}


@pytest.mark.parametrize(("change", "hint"), MISSING.values(), ids=MISSING.keys())
def test_a_missing_right_is_named_and_all_is_as_before(place: Place, change: str, hint: str) -> None:
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        before = place.state()
        place.add(change)
        with pytest.raises(TagbackError) as caught:
            target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        assert hint in caught.value.hint
        assert differences(before, place.state()) == []


def test_a_way_back_that_needs_anothers_right_names_it_before_anything(place: Place) -> None:
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
        place.add("CREATE TABLE more (a int)")
        target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        place.admin("ALTER TABLE more OWNER TO postgres")
        at = place.state()
        options = tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.UNDO)
        for dry_run in (True, False):
            with pytest.raises(TagbackError) as caught:
                target.rollback(tagback.RollbackOptions(to="before", on_drift=options.on_drift, dry_run=dry_run))
            assert (caught.value.code, '"more"' in caught.value.hint) == ("permission", True)
        assert differences(at, place.state()) == []


def test_a_publication_of_all_tables_is_refused_whoever_makes_it_and_when(place: Place) -> None:
    admin = place.server.url(place.database)
    (place.changelog / "001_t.sql").write_text("CREATE TABLE t (id int PRIMARY KEY);")
    publication = place.changelog / "002_all.sql"
    publication.write_text("CREATE PUBLICATION everything FOR ALL TABLES;")
    with tagback.open(admin) as target:
        before = place.state()
        with pytest.raises(RefusedError, match='"everything" is FOR ALL TABLES'):
            target.apply(place.changelog)
        assert differences(before, place.state()) == []
        publication.unlink()
        target.tag("before")
        target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
        place.admin("CREATE PUBLICATION everything FOR ALL TABLES")
        at = place.state()
        options = tagback.RollbackOptions(to="before", on_drift=tagback.OnDrift.KEEP)
        for command in (lambda: target.rollback(options), lambda: target.apply(place.changelog)):
            with pytest.raises(RefusedError, match='"everything" is FOR ALL TABLES') as caught:
                command()
            assert (caught.value.code, caught.value.exit_code) == ("publication", 3)
        assert differences(at, place.state()) == []
        place.admin("DROP PUBLICATION everything")
        assert target.rollback(options).verified


def test_what_is_pending_is_rehearsed_without_the_rights_of_others(place: Place) -> None:
    place.admin(
        "DROP FOREIGN DATA WRAPPER fw CASCADE; ALTER ROLE {app} CREATEDB INHERIT;"
        "ALTER SCHEMA public OWNER TO postgres; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watch()"
    )
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
    place.add(CHANGE)
    done = rehearse(place.url, place.changelog)
    assert done.changesets == ("002_x",)
    assert any("owners and privileges" in note for note in done.notes)


def test_the_ledger_of_another_role_is_used_by_its_members(place: Place) -> None:
    place.add(MINE)
    with tagback.open(place.url) as target:
        target.apply(place.changelog, tagback.ApplyOptions(tag="before"))
    place.admin("CREATE ROLE {app}_member LOGIN IN ROLE {app}")
    try:
        place.add(CHANGE)
        with tagback.open(place.server.url(place.database, f"{place.app}_member")) as target:
            target.apply(place.changelog, tagback.ApplyOptions(tag="after"))
            assert target.rollback(tagback.RollbackOptions(to="before")).verified
        assert client.rows(place.url, "SELECT id, v FROM mine ORDER BY id") == [(1, "one"), (2, "two")]
    finally:
        place.admin("REASSIGN OWNED BY {app}_member TO {app}; DROP OWNED BY {app}_member; DROP ROLE {app}_member")
