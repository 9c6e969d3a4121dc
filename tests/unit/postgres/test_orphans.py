"""Rows that were against a foreign key before a deployment don't keep the database from going back; new ones do."""

from __future__ import annotations

import pytest

from tagback.errors import RefusedError
from tests.support.oracle import differences
from tests.support.trial import Trial

SETUP = """
CREATE TABLE p (id int PRIMARY KEY, name text);
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, note text, twice text GENERATED ALWAYS AS (note || note) STORED);
INSERT INTO p SELECT n, 'p' || n FROM generate_series(1, 5) n;
INSERT INTO c SELECT n, n, 'c' || n FROM generate_series(1, 5) n;
SET session_replication_role = replica;
INSERT INTO c VALUES (6, 77, 'lost'), (7, 77, 'lost too'), (8, 78, 'and this');
SET session_replication_role = origin;
"""
DEPLOYMENTS = {
    "rows of the parent go and come": "DELETE FROM c WHERE p = 3; DELETE FROM p WHERE id = 3; INSERT INTO p VALUES (9, 'new');",
    "a column of the child goes": "ALTER TABLE c DROP COLUMN note CASCADE;",
    "a column of the parent goes": "ALTER TABLE p DROP COLUMN name;",
    "the child goes": "DROP TABLE c;",
    "both go": "DROP TABLE c; DROP TABLE p;",
    "the key goes": "ALTER TABLE c DROP CONSTRAINT c_p_fkey;",
    "the key goes and comes as another": "ALTER TABLE c DROP CONSTRAINT c_p_fkey, ADD FOREIGN KEY (p) REFERENCES p NOT VALID;",
    "the key goes, tables and columns have other names": "ALTER TABLE c DROP CONSTRAINT c_p_fkey; ALTER TABLE p RENAME id TO nr;"
    " ALTER TABLE c RENAME p TO of_p; ALTER TABLE c RENAME TO cc; ALTER TABLE p RENAME TO pp;",
    "all rows of the child go": "DELETE FROM c;",
    "the orphans go": "DELETE FROM c WHERE id > 5;",
    "one of the orphans goes": "DELETE FROM c WHERE id = 7; UPDATE p SET name = 'x';",
}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_orphans_from_before_come_back_or_stay(trial: Trial, deployment: str) -> None:
    trial.setup(SETUP)
    trial.goes_there_and_back(DEPLOYMENTS[deployment])


@pytest.mark.parametrize("deployment", ["DROP TABLE c;", "ALTER TABLE p DROP COLUMN name;", "DELETE FROM c;"])
def test_they_are_kept_by_a_partitioned_table(trial: Trial, deployment: str) -> None:
    trial.setup(
        """
        CREATE TABLE p (id int PRIMARY KEY, name text);
        CREATE TABLE c (id int, p int REFERENCES p) PARTITION BY RANGE (id);
        CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (10);
        INSERT INTO p VALUES (1, 'one');
        INSERT INTO c VALUES (1, 1);
        SET session_replication_role = replica;
        INSERT INTO c VALUES (2, 77);
        """
    )
    trial.goes_there_and_back(deployment)


def test_rows_that_a_redo_brings_back_come_beside_orphans(trial: Trial) -> None:
    trial.setup(SETUP + "CREATE SEQUENCE s; ")
    trial.deploy("INSERT INTO p SELECT 100 + nextval('s'); ALTER TABLE p DROP COLUMN name; DROP TABLE c;")
    after = trial.state()
    trial.back()
    trial.deploy()
    assert differences(after, trial.state()) == []


def test_a_new_one_is_in_the_way(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy("DROP TABLE c;")
    trial.write("DELETE FROM p WHERE id = 2")
    before = trial.state()
    with pytest.raises(RefusedError, match="c_p_fkey") as caught:
        trial.back()
    assert caught.value.exit_code == 3
    assert differences(before, trial.state()) == []


def test_more_orphans_than_there_were_are_in_the_way(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy("ALTER TABLE c DROP CONSTRAINT c_p_fkey;")
    trial.write("INSERT INTO c VALUES (9, 99, 'x')")
    with pytest.raises(RefusedError, match="c_p_fkey"):
        trial.back()
    trial.write("DELETE FROM c WHERE id = 9")
    trial.back()


def test_what_a_key_that_went_let_in_is_in_the_way(trial: Trial) -> None:
    trial.setup(SETUP.partition("SET session")[0])
    trial.deploy("ALTER TABLE c DROP CONSTRAINT c_p_fkey;")
    trial.write("INSERT INTO c VALUES (9, 99, 'x')")
    with pytest.raises(RefusedError, match=r"1 row of today: p=99"):
        trial.back()


def test_triggers_that_fire_for_replicas_keep_their_rows(trial: Trial) -> None:
    """Such a trigger would see rows go and come that never did."""
    trial.setup(
        SETUP
        + """
        CREATE TABLE log (what text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$;
        CREATE TRIGGER noted AFTER INSERT OR DELETE ON c FOR EACH ROW EXECUTE FUNCTION note();
        ALTER TABLE c ENABLE ALWAYS TRIGGER noted;
        """
    )
    trial.deploy(DEPLOYMENTS["rows of the parent go and come"])
    with pytest.raises(RefusedError, match="c_p_fkey"):
        trial.back()
