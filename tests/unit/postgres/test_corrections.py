"""Where no key is touched rows get their old values in place, and what hangs on the table stays as it is."""

from __future__ import annotations

import pytest

from tagback.errors import RefusedError
from tests.support.oracle import differences
from tests.support.trial import OnConflict, Trial

FAMILY = """
CREATE TABLE p (id int PRIMARY KEY, a text NOT NULL, b int, code text UNIQUE, d date DEFAULT '2020-01-01');
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, note text);
INSERT INTO p VALUES (1, 'x', 1, 'one'), (2, 'y', NULL, 'two'), (3, 'z', 3, NULL);
INSERT INTO c VALUES (1, 1, 'of one'), (2, 2, 'of two');
"""
CONSTRAINTS = "SELECT conname, oid FROM pg_constraint WHERE contype = 'f' ORDER BY conname"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE p SET b = 7",
        "UPDATE p SET a = upper(a), b = id WHERE id < 3",
        "ALTER TABLE p DROP b",
        "ALTER TABLE p DROP a",
        "ALTER TABLE p DROP d, ADD e int; UPDATE p SET e = 1",
        "ALTER TABLE p DROP a, DROP b, DROP d",
        "ALTER TABLE p ALTER a DROP NOT NULL; UPDATE p SET a = NULL",
        "UPDATE c SET note = NULL; UPDATE p SET a = 'new'",
    ],
)
def test_foreign_keys_that_are_not_concerned_stay_up(trial: Trial, change: str) -> None:
    trial.setup(FAMILY)
    keys = trial.rows(CONSTRAINTS)
    trial.goes_there_and_back(change)
    assert trial.rows(CONSTRAINTS) == keys


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE c SET p = CASE p WHEN 1 THEN 2 ELSE 1 END",
        "UPDATE p SET code = '' WHERE id = 1; UPDATE p SET code = 'one' WHERE id = 2; UPDATE p SET code = 'two' WHERE id = 1",
        "UPDATE p SET id = id + 10",
        "ALTER TABLE p DROP code",
        "INSERT INTO p VALUES (4, 'w', 4, 'four'); UPDATE p SET b = 0",
        "DELETE FROM p WHERE id = 3; UPDATE p SET b = 0",
    ],
)
def test_keys_that_are_concerned_come_back_too(trial: Trial, change: str) -> None:
    trial.setup(FAMILY)
    trial.goes_there_and_back(change)


def test_orphans_that_were_there_before_do_not_keep_a_column_from_coming_back(trial: Trial) -> None:
    trial.setup(FAMILY + "SET session_replication_role = replica; INSERT INTO c VALUES (3, 99, 'orphan')")
    trial.goes_there_and_back("ALTER TABLE p DROP b; UPDATE c SET note = 'new'")


def test_orphans_do_keep_their_own_key_from_being_made_again(trial: Trial) -> None:
    trial.setup(FAMILY + "SET session_replication_role = replica; INSERT INTO c VALUES (3, 99, 'orphan')")
    trial.deploy("UPDATE c SET p = 1")
    with pytest.raises(RefusedError, match=r"c_p_fkey"):
        trial.back()


def test_later_rows_and_later_values_stay_where_others_are_corrected(trial: Trial) -> None:
    trial.setup(FAMILY)
    trial.deploy("ALTER TABLE p DROP b, ADD note text; UPDATE p SET a = 'new'")
    trial.write(
        "INSERT INTO p (id, a) VALUES (4, 'later'); UPDATE p SET a = 'mine' WHERE id = 1; DELETE FROM p WHERE id = 3"
    )
    done = trial.back()
    assert trial.rows("SELECT id, a, b FROM p ORDER BY id") == [(1, "mine", 1), (2, "y", None), (4, "later", None)]
    assert done.conflicts_total >= 1


def test_a_column_that_must_have_values_says_which_rows_lack_them(trial: Trial) -> None:
    trial.setup(FAMILY)
    trial.deploy("ALTER TABLE p DROP a")
    trial.write("INSERT INTO p (id) VALUES (4)")
    before = trial.state()
    with pytest.raises(RefusedError, match=r"1 row of today: id=4"):
        trial.back()
    assert differences(before, trial.state()) == []


@pytest.mark.parametrize(
    "keys",
    [
        'code text COLLATE "C" NOT NULL, n int NOT NULL, PRIMARY KEY (code, n)',
        "code varchar(10) NOT NULL, n mood NOT NULL, PRIMARY KEY (n, code)",
        "code text COLLATE loose NOT NULL, n numeric NOT NULL, PRIMARY KEY (code, n)",
        "code char(4) NOT NULL, n whole NOT NULL, PRIMARY KEY (code, n)",
        "code bytea NOT NULL, n timestamptz NOT NULL, UNIQUE (code, n)",
    ],
)
def test_rows_are_found_by_keys_of_any_type(trial: Trial, keys: str) -> None:
    kind = keys.partition(" n ")[2].split()[0]
    one, two = {"mood": ("'sad'", "'happy'"), "timestamptz": ("'1999-01-01'", "'0044-03-15 BC'")}.get(kind, ("1", "2"))
    trial.setup(
        f"""CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE DOMAIN whole AS int CHECK (value > 0);
        CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE TABLE t ({keys}, a text, b mood);
        INSERT INTO t VALUES ('ä', {one}, 'x', 'sad'), ('ä', {two}, 'y', 'happy'), ('b', {one}, 'z', NULL);"""
    )
    trial.goes_there_and_back("ALTER TABLE t DROP b; UPDATE t SET a = a || '!'")


def test_a_trigger_of_the_application_does_not_act_on_corrections(trial: Trial) -> None:
    trial.setup(
        FAMILY
        + """CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.a := 'spoilt'; RETURN new; END $$;
        CREATE TRIGGER spoils BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION spoil();
        CREATE RULE also AS ON UPDATE TO c DO ALSO DELETE FROM p;"""
    )
    trial.deploy("ALTER TABLE p DROP b; ALTER TABLE c DROP note;")
    trial.back(on_conflict=OnConflict.FAIL)
    assert trial.rows("SELECT id, a, b FROM p ORDER BY id") == [(1, "x", 1), (2, "y", None), (3, "z", 3)]
    assert trial.rows("SELECT count(*) FROM pg_rules WHERE rulename = 'also'") == [(1,)]


@pytest.mark.parametrize("late", ["", "DEFERRABLE INITIALLY DEFERRED"])
def test_partial_and_expression_keys_are_not_corrected_row_by_row(trial: Trial, late: str) -> None:
    trial.setup(
        f"""CREATE TABLE t (id int PRIMARY KEY, flag bool, name text, CONSTRAINT once UNIQUE (name) {late});
        CREATE UNIQUE INDEX current ON t ((1)) WHERE flag; CREATE UNIQUE INDEX low ON t (lower(name), flag);
        INSERT INTO t VALUES (1, true, 'a'), (2, false, 'b');"""
    )
    trial.goes_there_and_back("UPDATE t SET flag = NULL; UPDATE t SET flag = true WHERE id = 2")


SURROGATE = """
CREATE TABLE p (id int PRIMARY KEY);
INSERT INTO p VALUES (1), (2);
CREATE TABLE t (a int NOT NULL UNIQUE, p int REFERENCES p, note text, id int PRIMARY KEY);
INSERT INTO t VALUES (1, 1, 'one', 11), (2, 2, 'one', 12), (3, 1, 'one', 13);
"""


def test_rows_are_told_apart_by_another_key_when_theirs_is_dropped(trial: Trial) -> None:
    trial.setup(SURROGATE)
    keys = trial.rows(CONSTRAINTS)
    trial.deploy("ALTER TABLE t DROP id; ALTER TABLE t ADD PRIMARY KEY (a); UPDATE t SET note = 'two' WHERE a = 2")
    trial.write("UPDATE t SET note = 'mine' WHERE a = 1; DELETE FROM t WHERE a = 3")
    done = trial.back()
    assert trial.rows("SELECT a, note, id FROM t ORDER BY a") == [(1, "mine", 11), (2, "one", 12)]
    assert not done.conflicts_total
    assert trial.rows(CONSTRAINTS) == keys


@pytest.mark.parametrize(
    "constraint",
    [
        "CREATE UNIQUE INDEX u ON t (a) WHERE a > 0",
        "CREATE UNIQUE INDEX u ON t (abs(a))",
        "CREATE UNIQUE INDEX u ON t (a, id)",
        "ALTER TABLE t ADD UNIQUE (a) DEFERRABLE",
        "CREATE UNIQUE INDEX u ON t (b)",
        "CREATE UNIQUE INDEX u ON t (g)",
        "CREATE UNIQUE INDEX u ON t (a) INCLUDE (id)",
    ],
)
def test_keys_that_tell_rows_apart_only_sometimes_are_none(trial: Trial, constraint: str) -> None:
    trial.setup(
        "CREATE TABLE t (a int NOT NULL, b int, g int NOT NULL GENERATED ALWAYS AS (a) STORED, note text, id int PRIMARY KEY);"
        f"{constraint}; INSERT INTO t (a, b, note, id) VALUES (1, NULL, 'x', 1), (2, NULL, 'y', 2), (3, 3, 'z', 3)"
    )
    trial.goes_there_and_back("UPDATE t SET note = 'n', b = 7 WHERE id < 2; ALTER TABLE t DROP id")
