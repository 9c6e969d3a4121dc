"""Rows against a type or an exclusion constraint that comes back are counted, told and waited for."""

from __future__ import annotations

import pytest

import tagback
from tagback.errors import RefusedError
from tests.support.oracle import differences
from tests.support.trial import Trial

SETUP = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN pos AS int CHECK (VALUE > 0) CHECK (VALUE <> 13 OR 'VALUE' = 'x');
CREATE TABLE "T t" (id int PRIMARY KEY, "m m" mood, d pos, ms mood[]);
CREATE TABLE r (room int, "during it" int4range, active boolean DEFAULT true,
    CONSTRAINT apart EXCLUDE USING gist ("during it" WITH &&, int4range(room, room + 1) WITH &&) WHERE (active));
INSERT INTO "T t" VALUES (1, 'sad', 1, '{sad}');
INSERT INTO r VALUES (1, '[1,4)'), (2, '[1,4)');
"""
CASES = {
    "a label": (
        "ALTER TYPE mood ADD VALUE 'happy';",
        """INSERT INTO "T t" VALUES (2, 'happy', 1, NULL), (3, NULL, 1, '{sad,happy}')""",
        "2 rows",
        "public.T t: m m=happy; public.T t: ms={sad,happy}",
        """DELETE FROM "T t" WHERE id > 1""",
    ),
    "a domain's check": (
        "ALTER DOMAIN pos DROP CONSTRAINT pos_check, ADD CHECK (VALUE > -9);",
        """INSERT INTO "T t" (id, d) VALUES (2, -1), (3, -1), (4, -2), (5, 7)""",
        "3 rows",
        "public.T t: d=-1; public.T t: d=-2",
        """DELETE FROM "T t" WHERE id > 1""",
    ),
    "a domain that is never NULL": (
        "ALTER DOMAIN pos DROP NOT NULL;",
        """INSERT INTO "T t" (id) VALUES (2)""",
        "1 row",
        "public.T t: d=NULL",
        """DELETE FROM "T t" WHERE id > 1""",
    ),
    "an exclusion": (
        "ALTER TABLE r DROP CONSTRAINT apart;",
        "INSERT INTO r VALUES (1, '[3,9)'), (3, '[3,9)'); INSERT INTO r VALUES (2, '[2,3)', false)",
        "2 rows",
        "[1,4), [1,2); [3,9), [1,2)",
        "DELETE FROM r WHERE NOT '[1,4)' @> \"during it\" OR NOT active",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_against_it_are_counted_told_and_waited_for(trial: Trial, case: str) -> None:
    change, write, count, told, correct = CASES[case]
    trial.setup(SETUP + ("ALTER DOMAIN pos SET NOT NULL;" if "never" in case else ""))
    before = trial.state()
    trial.deploy(change.replace("DROP CONSTRAINT pos_check, ADD", "DROP CONSTRAINT pos_check; ALTER DOMAIN pos ADD"))
    trial.write(write)
    with tagback.open(trial.url) as target:
        (tag,) = [t for t in target.tags() if t.tag == "before"]
    assert tag.reachable is False
    assert f"does not hold for {count}: {told}" in tag.reasons[0]
    with pytest.raises(RefusedError) as caught:
        trial.back()
    assert f"{count} of today: {told}" in str(caught.value)
    trial.write(correct)
    trial.back()
    assert differences(before, trial.state()) == []


def test_labels_that_have_another_name_are_only_told(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; ALTER TYPE mood ADD VALUE 'happy';")
    with tagback.open(trial.url) as target:
        (tag,) = [t for t in target.tags() if t.tag == "before"]
    assert tag.reachable is not False


def test_comparing_each_with_each_is_left_alone_in_a_large_table(trial: Trial) -> None:
    trial.setup(SETUP)
    trial.deploy("ALTER TABLE r DROP CONSTRAINT apart;")
    trial.write("INSERT INTO r SELECT n, int4range(1, 4) FROM generate_series(1, 6000) n")
    with tagback.open(trial.url) as target:
        (tag,) = [t for t in target.tags() if t.tag == "before"]
    assert tag.reachable is None
    assert tag.reasons == ("not known: whether all rows satisfy constraint public.r.apart; `rollback --dry-run` tells",)
    with pytest.raises(RefusedError, match="conflicts with key"):
        trial.back()
