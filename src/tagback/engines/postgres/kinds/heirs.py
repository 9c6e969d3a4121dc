"""Children by inheritance: which columns they have from their parents, and how a child is made whose columns are in an order
that CREATE TABLE … INHERITS wouldn't give them, as its parents got columns later.

Such a child is one of a helper first, which gets the columns that the child has from others one by one: what comes down to
the child that way stands behind all that it has, and isn't its own. Then it is its parents' instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tagback.catalog import Catalog, ObjectId
from tagback.engines.postgres.kinds.column import STORAGE, Column, usual_not_null_name
from tagback.engines.postgres.kinds.constraint import Constraint
from tagback.engines.postgres.reading import Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified, stable


def in_usual_order(columns: Iterable[str], parents: Iterable[Iterable[str]]) -> bool:
    """Whether a child's columns stand as CREATE TABLE … INHERITS puts them: its parents' in their order, then its own."""
    own = list(columns)
    return own == list(dict.fromkeys((*(c for parent in parents for c in parent), *own)))


def as_stored(columns: Iterable[Column], parents: Iterable[Column]) -> list[str]:
    """Clauses that take away again what a child has from its parents of how values are stored."""
    above = {c.name: c for c in parents}
    clauses = []
    for c in columns:
        its = above.get(c.name, c)
        if its.storage and not c.storage:
            clauses.append(f"ALTER COLUMN {ident(c.name)} SET STORAGE {STORAGE[its.usual_storage]}")
        if its.compression and not c.compression:
            clauses.append(f"ALTER COLUMN {ident(c.name)} SET COMPRESSION DEFAULT")
    return clauses


def helper_of(child: ObjectId) -> tuple[str, str]:
    """The name of the table that a child is one of while it is made."""
    return child.name[0], f"tagback_{hashlib.sha256(child.path.encode()).hexdigest()[:12]}"


def in_that_order(
    child: ObjectId,
    columns: Sequence[Column],
    parents: Sequence[tuple[str, str]],
    helper: tuple[str, str],
    target: Catalog,
) -> list[str]:
    """Statements that give these columns to a child of the helper, which has none yet, and make it one of its parents."""
    sqls = []
    constraints = int(target.major) >= 18  # NOT NULL is one, which has its origin, too
    helped: set[str] = set()
    for c in columns:
        if c.is_heirloom:  # what it is computed from has to be in the helper, too
            uses = [u for u in columns if u.name in c.uses and u.name not in helped]
            sqls += [f"ALTER TABLE {qualified(*helper)} ADD COLUMN {u.bare.definition()}" for u in uses]
            helped |= {c.name, *(u.name for u in uses)}
        name = c.not_null_name or usual_not_null_name(child.name[1], c.name)
        named = msgspec.structs.replace(c, not_null_name=name if constraints else "", identity=None)
        nullable = msgspec.structs.replace(named, not_null=False)
        if c.is_heirloom:
            given = nullable if c.inherited == "stricter" else named
            sqls.append(f"ALTER TABLE {qualified(*helper)} ADD COLUMN {given.definition()}")
            continue
        from_parents = constraints and c.inherited == "looser"
        own = nullable if from_parents else msgspec.structs.replace(named, identity=c.identity)
        sqls.append(f"ALTER TABLE {qualified(*child.name)} ADD COLUMN {own.definition()}")
        if from_parents:
            sqls.append(f"ALTER TABLE {qualified(*helper)} ADD COLUMN {named.definition()}")
    checks = _checks(parents, target)
    sqls += [_with_checks(parents, helper, checks)] if checks else []
    sqls += [f"ALTER TABLE {qualified(*child.name)} INHERIT {qualified(*p)}" for p in parents]
    sqls.append(f"ALTER TABLE {qualified(*child.name)} NO INHERIT {qualified(*helper)}")
    return [*sqls, f"DROP TABLE {qualified(*helper)}"]


def _ahead(columns: Sequence[Column]) -> bool:
    """Whether a computed column stands before one that it is computed from."""
    names = [c.name for c in columns]
    return any(name in c.uses for n, c in enumerate(columns) for name in names[n:])


def _checks(parents: Sequence[tuple[str, str]], target: Catalog) -> dict[str, str]:
    """The checks that come down from all that it is a child of, by name."""
    above = {ObjectId("table", p) for p in parents}
    above |= {whole for i in above for whole in target.wholes_of(i)}
    return {
        o.id.name[2]: o.definition.removesuffix(" NOT VALID")
        for o in target.objects.values()
        if isinstance(o, Constraint) and o.kind == "c" and o.part_of in above and " NO INHERIT" not in o.definition
    }


def _with_checks(parents: Sequence[tuple[str, str]], helper: tuple[str, str], checks: Mapping[str, str]) -> str:
    """Gives the helper those that the parents have by now: a child must have them, and the others will come down to it."""
    tables = ", ".join(f"{literal(qualified(*p))}::pg_catalog.regclass" for p in parents)
    body = ["BEGIN"]
    for name, definition in checks.items():
        there = f"conrelid IN ({tables}) AND contype = 'c' AND conname = {literal(name)}"
        add = f"ALTER TABLE {qualified(*helper)} ADD CONSTRAINT {ident(name)} {stable(definition)}"
        body.append(f"IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE {there}) THEN {add}; END IF;")
    return f"DO {literal(' '.join([*body, 'END']))}"


def marked(r: Reading, relation: int, parents: tuple[int, ...], inherited: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns, with those that come from parents marked."""
    strict = {c.name for parent in parents for c in r.columns.get(parent, ()) if c.not_null}
    marks = {}
    for n, c in zip(r.attributes.get(relation, {}), r.columns.get(relation, ()), strict=True):
        mark = inherited.get(str(n), "")
        own = c.name not in strict or (relation, n) in r.own_not_nulls
        if mark and c.not_null and own == (mark == "alone"):
            mark = "stricter" if own else "looser"
        marks[n] = mark
    columns = tuple(
        msgspec.structs.replace(c, inherited=marks[n])
        for n, c in zip(r.attributes.get(relation, {}), r.columns.get(relation, ()), strict=True)
    )
    r.columns[relation] = columns
    return columns


def odd_heirs(r: Reading, parents: Mapping[int, tuple[tuple[int, ...], Mapping[str, str]]], odd: set[int]) -> set[int]:
    """Children that can't be made so, as computed columns need others that stand behind; and all they hang with."""
    found = set(odd)
    for child, (own, _) in parents.items():
        names = r.attributes.get(child, {})
        above = [list(r.attributes.get(parent, {}).values()) for parent in own]
        if not in_usual_order(names.values(), above) and _ahead(r.columns.get(child, ())):
            found.add(child)
    while True:
        more = {p for child, (own, _) in parents.items() if child in found for p in own}
        more |= {child for child, (own, _) in parents.items() if found & set(own)}
        if more <= found:
            return found if parents else set()
        found |= more
