"""Whatever a statement did to a schema, the plan leads back to what was, and forth again; the server's dump agrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagback.catalog import Catalog, nothing
from tests.support.mariadb import MariadbServer
from tests.unit.mariadb.conftest import Schema
from tests.unit.mariadb.rich import RICH

CHANGES = {
    "column at the end": "ALTER TABLE t ADD COLUMN more int NOT NULL DEFAULT 7",
    "column in the middle": "ALTER TABLE t ADD COLUMN more int FIRST, ADD COLUMN most int AFTER e",
    "column gone": "ALTER TABLE t DROP COLUMN s",
    "key's column gone": "ALTER TABLE t DROP KEY uq, DROP COLUMN ch, DROP CONSTRAINT chk",
    "columns moved": "ALTER TABLE t MODIFY f double FIRST, MODIFY e enum('a', 'z') NOT NULL AFTER bt",
    "column's type": "ALTER TABLE p MODIFY n bigint NOT NULL DEFAULT 6 COMMENT 'wide'",
    "column invisible": "ALTER TABLE p MODIFY n int INVISIBLE DEFAULT 5",
    "column's character set": "ALTER TABLE t MODIFY tx text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    "compression": "ALTER TABLE t MODIFY c varchar(30) CHARACTER SET utf8mb4",
    "spatial reference": "ALTER TABLE t MODIFY geos geometry REF_SYSTEM_ID = 0",
    "generated to stored": "ALTER TABLE t DROP COLUMN g, ADD COLUMN g int AS (length(e)) STORED AFTER dt",
    "generated to plain": "ALTER TABLE t MODIFY g2 varchar(9)",
    "default expression": "ALTER TABLE t ALTER dt SET DEFAULT (now() + INTERVAL 2 DAY), ALTER u DROP DEFAULT",
    "on update": "ALTER TABLE t MODIFY ts timestamp(3) NOT NULL DEFAULT current_timestamp(3)",
    "number gone": "ALTER TABLE self MODIFY id int NOT NULL AUTO_INCREMENT",
    "keys": "ALTER TABLE t DROP KEY pre, ADD KEY other (e), DROP KEY ig, ADD UNIQUE KEY un (dt), ALTER KEY hh IGNORED",
    "first key gone": "ALTER TABLE t DROP KEY pre",
    "unique key gone": "DROP INDEX code ON p",
    "word key": "ALTER TABLE t DROP KEY ft, ADD FULLTEXT KEY ft2 (tx), ADD FULLTEXT KEY ft3 (j)",
    "primary key": "ALTER TABLE parts DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)",
    "primary key gone": "ALTER TABLE packed DROP PRIMARY KEY",
    "checks": "ALTER TABLE t DROP CONSTRAINT chk, ADD CONSTRAINT chk2 CHECK (f <> 3)",
    "first check": "ALTER TABLE t DROP CONSTRAINT chk",
    "column's check": "ALTER TABLE t MODIFY dec1 decimal(10, 2) unsigned zerofill",
    "foreign key gone": "ALTER TABLE t DROP FOREIGN KEY fk1",
    "foreign key and its index gone": "DROP VIEW a_view, b_view;"
    " ALTER TABLE t DROP FOREIGN KEY fk1, DROP KEY fk1, DROP COLUMN p_id",
    "foreign key's action": "ALTER TABLE t DROP FOREIGN KEY fk1;"
    " ALTER TABLE t ADD CONSTRAINT fk1 FOREIGN KEY (p_id) REFERENCES p (id)",
    "type under a foreign key": """
        ALTER TABLE t DROP FOREIGN KEY fk1; ALTER TABLE t MODIFY p_id bigint;
        ALTER TABLE p MODIFY id bigint AUTO_INCREMENT;
        ALTER TABLE t ADD CONSTRAINT fk1 FOREIGN KEY (p_id) REFERENCES p (id) ON DELETE CASCADE ON UPDATE SET NULL""",
    "table gone": "DROP TABLE lst; DROP TABLE parts",
    "table that others need gone": """
        DROP VIEW b_view; SET foreign_key_checks = 0; DROP TABLE self, p; SET foreign_key_checks = 1;
        DROP VIEW a_view, v1""",
    "tables in a circle": """
        CREATE TABLE one (id int PRIMARY KEY, two int);
        CREATE TABLE two (id int PRIMARY KEY, one int REFERENCES one (id));
        ALTER TABLE one ADD FOREIGN KEY (two) REFERENCES two (id)""",
    "table's options": "ALTER TABLE t COMMENT 'y', ROW_FORMAT = COMPACT, STATS_PERSISTENT = DEFAULT, AVG_ROW_LENGTH = 9",
    "row format": "ALTER TABLE packed ROW_FORMAT = DEFAULT KEY_BLOCK_SIZE = 0",
    "page compression": "ALTER TABLE pc PAGE_COMPRESSED = DEFAULT ENCRYPTED = DEFAULT",
    "table's default character set": "ALTER TABLE t DEFAULT CHARSET utf8mb4",
    "table converted": "ALTER TABLE lst CONVERT TO CHARACTER SET utf8mb4",
    "engine": "ALTER TABLE mis ENGINE = InnoDB",
    "partitions": "ALTER TABLE lst REMOVE PARTITIONING; ALTER TABLE per PARTITION BY HASH (id) PARTITIONS 3",
    "partition more": "ALTER TABLE parts REORGANIZE PARTITION p1 INTO"
    " (PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "versions gone": "ALTER TABLE ver DROP SYSTEM VERSIONING",
    "versions": "ALTER TABLE packed ADD SYSTEM VERSIONING",
    "versioned column": "SET system_versioning_alter_history = KEEP; ALTER TABLE ver MODIFY a bigint",
    "sequence": "ALTER SEQUENCE sq INCREMENT BY 7 MAXVALUE 99 NOCYCLE",
    "sequence gone": "DROP TABLE numbered; DROP SEQUENCE sq",
    "view": "CREATE OR REPLACE VIEW v1 AS SELECT id, code, n FROM p",
    "view gone": "DROP VIEW a_view; DROP VIEW v1",
    "first trigger": "DROP TRIGGER tr0",
    "trigger's text": "CREATE OR REPLACE TRIGGER tr2 AFTER UPDATE ON p FOR EACH ROW DELETE FROM self",
    "routines": "DROP PROCEDURE pr; DROP FUNCTION agg; CREATE OR REPLACE FUNCTION fn(a int) RETURNS int NO SQL RETURN 1",
    "package": "SET sql_mode = oracle; DROP PACKAGE BODY pk",
    "event": "ALTER EVENT ev ENABLE; DROP EVENT ev2",
    "schema": "ALTER DATABASE CHARACTER SET utf8mb4 COMMENT ''",
}


@dataclass
class Shared:
    """The rich schema, made anew only where a test didn't leave it as it was: that takes a second."""

    server: MariadbServer
    schema: Schema | None = None
    start: Catalog = field(default_factory=lambda: nothing("mariadb", ""))
    dump: list[str] = field(default_factory=list)

    def get(self) -> Schema:
        if self.schema is None or self.schema.catalog().fingerprint != self.start.fingerprint:
            self.close()
            self.schema = Schema(self.server)
            self.schema.run(RICH)
            self.start, self.dump = self.schema.catalog(), self.schema.dump()
        return self.schema

    def close(self) -> None:
        if self.schema is not None:
            self.schema.close()


@pytest.fixture(scope="module")
def shared(mariadb_server: MariadbServer) -> Iterator[Shared]:
    made = Shared(mariadb_server)
    yield made
    made.close()


@pytest.fixture
def rich(shared: Shared) -> Schema:
    return shared.get()


@pytest.mark.parametrize("statements", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_taken_back_and_made_again(shared: Shared, rich: Schema, statements: str) -> None:
    before = shared.start
    rich.run(statements)
    after = rich.catalog()
    assert after.fingerprint != before.fingerprint
    rich.go_to(before)
    assert rich.dump() == shared.dump
    rich.go_to(after)
    rich.go_to(before)


def test_an_alteration_is_one_statement_for_each_table(rich: Schema) -> None:
    before = rich.catalog()
    rich.run("ALTER TABLE packed ADD COLUMN b int FIRST, ADD KEY (b), ADD CHECK (b > 1), COMMENT 'x'")
    assert len(rich.go_to(before)) == 1


def test_a_key_that_the_server_made_for_a_foreign_key_comes_back_under_its_name(schema: Schema) -> None:
    schema.run(
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (u int, FOREIGN KEY (u) REFERENCES parent (id))"
    )
    before = schema.catalog()
    schema.run("ALTER TABLE child DROP FOREIGN KEY child_ibfk_1, MODIFY u bigint")
    schema.go_to(before)


@pytest.mark.parametrize(
    "statements",
    [
        "ALTER TABLE child DROP FOREIGN KEY fk, DROP KEY fk",
        "ALTER TABLE child DROP FOREIGN KEY fk; ALTER TABLE child DROP COLUMN u",
        "ALTER TABLE child ADD KEY longer (u, v)",
        "DROP TABLE child",
        "DROP TABLE child, parent",
    ],
)
def test_a_key_that_comes_back_for_a_foreign_key_can_be_replaced_by_another(schema: Schema, statements: str) -> None:
    schema.run(
        "CREATE TABLE parent (id int PRIMARY KEY);"
        "CREATE TABLE child (u int, v int, KEY (v), CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id))"
    )
    before = schema.catalog()
    schema.run("ALTER TABLE child ADD KEY longer (u, v)")
    replaced = schema.catalog()
    schema.go_to(before)
    if "longer" not in statements:
        schema.run(statements)
        schema.go_to(before)
    schema.run("ALTER TABLE child ADD KEY longer (u, v)")
    assert schema.catalog().fingerprint == replaced.fingerprint


@pytest.mark.parametrize(
    "table",
    [
        "KEY fk (u, v), CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id)",
        "KEY fk (u DESC), CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id)",
        "CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id), KEY later (v)",
        "CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id), CONSTRAINT af FOREIGN KEY (u) REFERENCES parent (id)",
        "CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id), CONSTRAINT ab FOREIGN KEY (v) REFERENCES parent (id)",
        "CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id), CONSTRAINT me FOREIGN KEY (v) REFERENCES child (u)",
        "KEY fk (u), KEY longer (u, v), CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id)",
        "UNIQUE KEY fk (u), CONSTRAINT fk FOREIGN KEY (u) REFERENCES parent (id)",
    ],
)
@pytest.mark.parametrize(
    "statements", ["DROP TABLE child", "ALTER TABLE child DROP FOREIGN KEY fk, DROP KEY IF EXISTS fk"]
)
def test_a_key_named_like_a_foreign_key_comes_back(schema: Schema, table: str, statements: str) -> None:
    schema.run(f"CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (u int, v int, {table})")
    before = schema.catalog()
    if statements != "DROP TABLE child":
        for name in ("me", "af"):
            statements = f"ALTER TABLE child DROP FOREIGN KEY IF EXISTS {name}; {statements}"
    schema.run(statements)
    schema.go_to(before)


def test_a_unique_key_that_is_nullable_now_is_no_difference(schema: Schema) -> None:
    schema.run("CREATE TABLE x (a int NOT NULL, b int NOT NULL, UNIQUE KEY ka (a), UNIQUE KEY kb (b))")
    schema.run("ALTER TABLE x MODIFY a int")
    before = schema.catalog()
    schema.run("DROP INDEX ka ON x")
    schema.go_to(before)


def test_keys_come_into_another_order(schema: Schema) -> None:
    schema.run("CREATE TABLE x (a int, b int, KEY ka (a), KEY kb (b))")
    before = schema.catalog()
    schema.run("CREATE OR REPLACE TABLE x (a int, b int, KEY kb (b), KEY ka (a))")
    schema.go_to(before)


def test_a_broken_view_is_read_and_in_nobodys_way(rich: Schema) -> None:
    rich.run("CREATE TABLE gone (a int); CREATE VIEW over_gone AS SELECT a FROM gone; DROP TABLE gone")
    before = rich.catalog()
    rich.run("ALTER TABLE p DROP COLUMN n")
    rich.go_to(before)


COLUMNS = st.lists(st.sampled_from("abcdefg"), unique=True, min_size=1)


@given(before=COLUMNS, after=COLUMNS, data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_and_keys_come_into_any_order(
    schema: Schema, before: list[str], after: list[str], data: st.DataObject
) -> None:
    def made(columns: list[str]) -> str:
        keys = data.draw(st.lists(st.sampled_from(columns), unique=True))
        words = [f"`{c}` int" for c in columns]
        words += [f"{data.draw(st.sampled_from(('', 'UNIQUE ')))}KEY `k{c}` (`{c}`)" for c in keys]
        return f"CREATE OR REPLACE TABLE x ({', '.join(words)})"

    schema.run(made(after))
    wanted = schema.catalog()
    schema.run(made(before))
    schema.go_to(wanted)
