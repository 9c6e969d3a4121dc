"""The model of a schema: its fingerprint, its differences, and what a person reads of them."""

from __future__ import annotations

import random
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagback.catalog import Catalog, FieldChange, ObjectId, SchemaObject, diff, explain, nothing


class Part(msgspec.Struct, frozen=True):
    name: str
    type: str = "text"


class Thing(SchemaObject, frozen=True, kw_only=True, tag="thing"):
    """An object of a kind that only these tests know."""

    text: str = ""
    parts_of_it: tuple[Part, ...] = ()


def thing(name: str, text: str = "", *parts: Part) -> Thing:
    return Thing(id=ObjectId("thing", (name,)), text=text, parts_of_it=parts)


def catalog(*things: Thing, major: str = "1", engine: str = "none") -> Catalog:
    return Catalog(engine=engine, major=major, objects={t.id: t for t in things})


schemas = st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=6)


@given(schemas, st.randoms())
def test_the_fingerprint_does_not_depend_on_the_order_of_reading(
    texts: dict[str, str], randomness: random.Random
) -> None:
    things = [thing(name, text) for name, text in texts.items()]
    shuffled = things[:]
    randomness.shuffle(shuffled)
    assert catalog(*things).fingerprint == catalog(*shuffled).fingerprint


@given(schemas, schemas)
def test_fingerprints_are_equal_exactly_when_nothing_differs(a: dict[str, str], b: dict[str, str]) -> None:
    one, other = (catalog(*(thing(n, t) for n, t in side.items())) for side in (a, b))
    assert (one.fingerprint == other.fingerprint) == (a == b) == (not diff(one, other))


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    program = (
        "from tagback.catalog import Catalog, ObjectId, UnmanagedObject as U\n"
        "os = [U(id=ObjectId('policy', ('s', n)), digest=n) for n in ('ä', 'b', 'c d')]\n"
        "print(Catalog(engine='e', major='15', objects={o.id: o for o in os}).fingerprint)"
    )
    seeds = ("0", "1", "2")
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": s, "PYTHONPATH": ":".join(p for p in sys.path if p)},
        ).stdout.strip()
        for s in seeds
    }
    assert len(found) == 1
    assert len(found.pop()) == 64


@pytest.mark.parametrize("other", [catalog(thing("a"), major="2"), catalog(thing("a"), engine="another")])
def test_the_fingerprint_carries_engine_and_major(other: Catalog) -> None:
    assert other.fingerprint != catalog(thing("a")).fingerprint


def test_dependencies_and_lineage_are_not_part_of_the_fingerprint() -> None:
    a = thing("a")
    told = Catalog(
        engine="none",
        major="1",
        objects={a.id: a},
        dependencies={a.id: frozenset({ObjectId("thing", ("b",))})},
        lineage={a.id: "17"},
    )
    assert told.fingerprint == catalog(a).fingerprint


@given(schemas, schemas)
def test_a_difference_is_what_makes_one_the_other(a: dict[str, str], b: dict[str, str]) -> None:
    found = diff(*(catalog(*(thing(n, t) for n, t in side.items())) for side in (a, b)))
    names = [{i.name[0] for i in group} for group in (found.added, found.removed, found.changed)]
    assert names == [b.keys() - a.keys(), a.keys() - b.keys(), {n for n in a.keys() & b.keys() if a[n] != b[n]}]
    assert len(found) == len(found.names) == sum(map(len, names))


def test_nothing_is_the_empty_schema() -> None:
    assert nothing("none", "1").fingerprint == catalog().fingerprint


def test_an_explanation_goes_down_to_the_column() -> None:
    before = catalog(thing("t", "x", Part("a"), Part("b", "integer")))
    after = catalog(thing("t", "x", Part("a", "varchar(9)"), Part("c")))
    assert explain(before, after, ObjectId("thing", ("t",))) == (
        FieldChange("parts_of_it.a.type", "text", "varchar(9)"),
        FieldChange("parts_of_it.b", '{"name":"b","type":"integer"}', "(none)"),
        FieldChange("parts_of_it.c", "(none)", '{"name":"c","type":"text"}'),
    )


def test_an_explanation_tells_another_order_of_columns() -> None:
    before, after = catalog(thing("t", "", Part("a"), Part("b"))), catalog(thing("t", "", Part("b"), Part("a")))
    assert explain(before, after, ObjectId("thing", ("t",))) == (FieldChange("parts_of_it order", "a, b", "b, a"),)


@pytest.mark.parametrize(
    ("path", "shown"),
    [(("public", "t"), "thing public.t"), (("a b", 'q"q'), 'thing "a b"."q""q"'), (("größe",), "thing größe")],
)
def test_names_are_shown_quoted_where_they_are_no_plain_words(path: tuple[str, ...], shown: str) -> None:
    assert str(ObjectId("thing", path)) == shown
