"""Random changes of rows, the same for both engines: what is written to tables and columns that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.stateful.sketch import Change, Column, Sketch
from tests.support.oracle import quoted

BY_APPLICATION = ("insert", "insert", "insert", "insert", "update all", "update", "update", "delete", "copy", "move")
BY_CHANGESETS = ("insert", "insert", "update all", "update all", "update", "delete", "copy", "move", "select", "empty")

Values = Callable[[Column], SearchStrategy[str]]


@st.composite
def row_changes(
    draw: DrawFn, sketch: Sketch, values: Values, kinds: tuple[str, ...], inserts: Mapping[str, str] = {}
) -> Change:
    """`values` draws SQL for a column; `inserts` has what stands for INSERT sometimes, and what ends it then."""
    table = draw(st.sampled_from(tuple(sketch.tables)))
    columns = [c for c in sketch.tables[table] if not c.generated]
    what = draw(st.sampled_from(kinds))
    if not columns or what == "empty":
        return Change((f"delete from {table}",))
    if what == "insert":
        verb = draw(st.sampled_from(("insert", "insert", "insert", *inserts)))
        names = ", ".join(quoted(c.name) for c in columns)
        rows = [", ".join(draw(values(c)) for c in columns) for _ in range(draw(st.integers(1, 3)))]
        said = ", ".join(f"({r})" for r in rows)
        return Change((f"{verb} into {table} ({names}) values {said}{inserts.get(verb, '')}",))
    others = [c for c in columns if not (c.key or c.name == "id")] or columns
    column = draw(st.sampled_from([*others[:1] * len(columns), *columns]))  # so that the same values are met again
    name = quoted(column.name)
    if what == "delete":
        return Change((f"delete from {table}{draw(_some(columns, values))}",))
    if what == "copy":
        return Change((f"update {table} set {name} = {quoted(draw(st.sampled_from(columns)).name)}",))
    if what == "move":
        keys = [c for c in columns if c.key] or columns
        return Change((f"update {table} set {quoted(keys[0].name)} = {quoted(keys[0].name)} + 10",))
    if what == "select":
        other = draw(st.sampled_from(tuple(sketch.tables)))
        source = draw(st.sampled_from(list(sketch.tables[other]) or [column]))
        return Change((f"insert into {table} ({name}) select {quoted(source.name)} from {other}",))
    some = "" if what == "update all" else draw(_some(columns, values))
    return Change((f"update {table} set {name} = {draw(values(column))}{some}",))


@st.composite
def _some(draw: DrawFn, columns: list[Column], values: Values) -> str:
    """A condition; more often than not on the key, so that the same rows are met again."""
    keys = [c for c in columns if c.key or c.name == "id"]
    column = draw(st.sampled_from([*keys * 3, *columns]))
    how = draw(st.sampled_from(("=", "=", "<>", "null", "not null")))
    if how.endswith("null"):
        return f" where {quoted(column.name)} is {how}"
    return f" where {quoted(column.name)} {how} {draw(values(column))}"
