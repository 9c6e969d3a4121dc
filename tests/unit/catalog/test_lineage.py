"""Renames are found by what identifies an object, and followed over any number of stretches."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tagback.catalog import Catalog, ObjectId, Rename, follow, renames

NAMES = "abcde"


@dataclass(frozen=True)
class Shape:
    """A schema as this test sees it: tables and columns by what they really are, with their present names."""

    tables: dict[int, str]
    columns: dict[int, dict[int, str]]

    def catalog(self) -> Catalog:
        lineage = {ObjectId("table", (name,)): f"t{t}" for t, name in self.tables.items()}
        for t, columns in self.columns.items():
            lineage.update({ObjectId("column", (self.tables[t], name)): f"t{t}c{c}" for c, name in columns.items()})
        return Catalog(engine="none", major="1", objects={}, lineage=lineage)


@st.composite
def histories(draw: DrawFn) -> list[tuple[Shape, Shape]]:
    """Stretches, each from one shape to the next: any renaming at once, and between them new tables and columns."""
    fresh = iter(range(1000))

    def named(keys: list[int], least: int = 0) -> dict[int, str]:
        names = draw(st.permutations(NAMES))
        return dict(zip(keys, names, strict=False)) if least <= len(keys) else {}

    tables = [next(fresh) for _ in range(draw(st.integers(1, 3)))]
    shape = Shape(named(tables), {t: named([next(fresh) for _ in range(draw(st.integers(0, 3)))]) for t in tables})
    stretches = []
    for _ in range(draw(st.integers(1, 4))):
        after = Shape(named(list(shape.tables)), {t: named(list(c)) for t, c in shape.columns.items()})
        stretches.append((shape, after))
        shape = Shape(dict(after.tables), {t: dict(c) for t, c in after.columns.items()})
        if len(shape.tables) < 4 and draw(st.booleans()):
            new = next(fresh)
            shape.tables[new] = draw(st.sampled_from(sorted(set(NAMES) - set(shape.tables.values()))))
            shape.columns[new] = {}
        for columns in shape.columns.values():
            if len(columns) < 4 and draw(st.booleans()):
                columns[next(fresh)] = draw(st.sampled_from(sorted(set(NAMES) - set(columns.values()))))
    return stretches


@given(histories())
def test_renames_over_many_stretches_are_those_between_the_first_and_the_last(
    history: list[tuple[Shape, Shape]],
) -> None:
    chain = [renames(a.catalog(), b.catalog()) for a, b in history]
    start = history[0][0].catalog()
    followed = [r for r in follow(chain) if r.before in start.lineage]
    assert followed == list(renames(start, history[-1][1].catalog()))


def column(*path: str) -> ObjectId:
    return ObjectId("column", path)


def table(name: str) -> ObjectId:
    return ObjectId("table", (name,))


def test_a_swap_and_its_swap_back_cancel_out() -> None:
    swap = (Rename(table("a"), table("b")), Rename(table("b"), table("a")))
    assert follow([swap]) == swap
    assert follow([swap, swap]) == ()


def test_a_column_keeps_its_table_through_the_tables_rename() -> None:
    chain = [
        (Rename(column("t", "a"), column("t", "b")),),
        (Rename(table("t"), table("u")),),
        (Rename(column("u", "b"), column("u", "c")),),
    ]
    assert follow(chain) == (Rename(column("t", "a"), column("u", "c")), Rename(table("t"), table("u")))


def test_a_new_table_under_an_old_name_is_not_the_old_table() -> None:
    chain = [(Rename(table("t"), table("u")),), (Rename(table("t"), table("v")),)]
    assert follow(chain) == (Rename(table("t"), table("u")),)


def test_columns_of_a_renamed_table_are_not_renamed() -> None:
    a = Shape({1: "t"}, {1: {2: "a"}}).catalog()
    b = Shape({1: "u"}, {1: {2: "a"}}).catalog()
    assert renames(a, b) == (Rename(table("t"), table("u")),)
