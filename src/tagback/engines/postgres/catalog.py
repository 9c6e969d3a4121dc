"""The schema of a PostgreSQL database: read in a few large queries, decoded again, renamed."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Union

import msgspec
import psycopg
from psycopg.rows import tuple_row

from tagback.catalog import Action, Catalog, ObjectId, Rename, SchemaObject, Step, UnmanagedObject
from tagback.engines.postgres.kinds import (
    aggregate,
    attachment,
    cast,
    collation,
    column,
    constraint,
    database,
    default,
    default_privileges,
    foreign,
    foreign_table,
    function,
    language,
    operator,
    policy,
    publication,
    schema,
    sequence,
    table,
    text_search,
    trigger,
    types,
    unmanaged,
    view,
)
from tagback.engines.postgres.kinds.index import Index
from tagback.engines.postgres.reading import PG_CLASS, PG_TYPE, Address, Reading
from tagback.engines.postgres.sqltext import ident, literal, qualified

KINDS: tuple[type[SchemaObject], ...] = (
    schema.Schema,
    schema.Extension,
    sequence.Sequence,
    table.Table,
    unmanaged.WatchedTable,
    foreign_table.ForeignTable,
    attachment.Attachment,
    default.Default,
    constraint.Constraint,
    Index,
    view.View,
    view.MaterializedView,
    view.Rule,
    function.Function,
    function.Procedure,
    trigger.Trigger,
    trigger.EventTrigger,
    policy.Policy,
    policy.Statistics,
    types.Enum,
    types.Domain,
    types.CompositeType,
    types.Range,
    aggregate.Aggregate,
    operator.Operator,
    operator.OperatorFamily,
    operator.OperatorClass,
    cast.Cast,
    cast.Conversion,
    cast.Transform,
    collation.Collation,
    language.Language,
    language.AccessMethod,
    text_search.TextSearchParser,
    text_search.TextSearchTemplate,
    text_search.TextSearchDictionary,
    text_search.TextSearchConfiguration,
    foreign.ForeignDataWrapper,
    foreign.ForeignServer,
    foreign.UserMapping,
    publication.Publication,
    publication.PublishedTable,
    publication.PublishedSchema,
    default_privileges.DefaultPrivileges,
    database.DatabaseSettings,
    database.DatabaseComment,
    UnmanagedObject,
)
"""Every kind that a definition can be of."""

STEP_SETTINGS = (
    "SELECT pg_catalog.set_config('search_path', 'pg_catalog, ' || pg_catalog.current_setting('search_path'), true)",
    "SET LOCAL check_function_bodies = off",
    "SET LOCAL standard_conforming_strings = on",
    "SET LOCAL default_table_access_method = heap",
    "SET LOCAL default_tablespace = ''",
    "SET LOCAL default_toast_compression = pglz",
    "SET LOCAL xmloption = content",
    "SET LOCAL row_security = off",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = postgres",
    "SET LOCAL transform_null_equals = off",
)
"""What has to be set, inside the transaction, while a plan's steps run.

Definitions name everything in full but what is in pg_catalog, which therefore comes first. The rest of the path stays:
functions that indexes, checks and generated columns call may count on it.
"""

_READING = (
    "SET LOCAL search_path = ''",
    "SET LOCAL jit = off",
    # What was made just now is in nobody's statistics: expecting one row, the server would go through thousands in loops.
    "SET LOCAL enable_nestloop = off",
    "SET LOCAL quote_all_identifiers = off",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = postgres",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL bytea_output = hex",
)
# Left out: row types, and the triggers behind foreign keys, four of each, which nothing can hang on.
_DEPENDENCIES = """
SELECT classid, objid, refclassid, refobjid, refobjsubid
  FROM pg_depend
 WHERE deptype IN ('n', 'a', 'i') AND refclassid <> 'pg_namespace'::regclass AND refobjid >= 16384
   AND NOT (classid IN ('pg_type'::regclass, 'pg_trigger'::regclass) AND deptype = 'i')
"""
_ROW_AND_ARRAY_TYPES = """
SELECT t.oid, t.typrelid, t.typelem, (SELECT g.rngtypid FROM pg_range g WHERE g.rngmultitypid = t.oid)
  FROM pg_type t WHERE t.oid = ANY (%s)
"""
_ASKING = (
    *(schema, sequence, column, table, view, types),
    *(default, function, constraint, attachment, trigger, policy),
    *(aggregate, operator, cast, collation, language, text_search, foreign, publication),
    *(default_privileges, database, unmanaged),
)
"""What is read, in the order of asking."""
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Union[KINDS])  # noqa: UP007, the kinds as one tuple


def read_catalog(connection: psycopg.Connection[Any], major: int) -> Catalog:
    """The schema as this connection's transaction sees it. Settings are as before afterwards."""
    with connection.cursor(row_factory=tuple_row) as cursor, _undisturbed(cursor), _without_collector():
        asked = [query for kind in _ASKING for query in kind.asked(major)]
        with contextlib.closing(Reading(cursor, major)) as r:
            r.begin([*asked, _DEPENDENCIES])
            schema.read(r)
            sequence.read(r)
            column.read(r)
            table.read(r)
            view.read(r)
            types.read(r)
            default.read(r)
            function.read(r)
            constraint.read(r)
            attachment.read(r)
            view.read_rules(r)
            trigger.read(r)
            policy.read(r)
            for kind in (aggregate, operator, cast, collation, language, text_search, foreign, publication):
                kind.read(r)
            default_privileges.read(r)
            database.read(r)
            unmanaged.read(r)
            dependencies = _dependencies(r)
    return Catalog("postgresql", str(major), r.objects, dependencies, r.lineage, r.role)


def decode(definition: bytes) -> SchemaObject:
    """The object whose canonical form this is."""
    try:
        found: SchemaObject = _decoder.decode(definition)
    except msgspec.MsgspecError as e:
        raise ValueError(f"not a definition of a PostgreSQL object: {e}") from e
    return found


@contextmanager
def _undisturbed(cursor: psycopg.Cursor[Any]) -> Iterator[None]:
    """A savepoint that is undone: it takes back the settings, and the locks that reading definitions needs."""
    cursor.execute("SAVEPOINT tagback_reading; " + "; ".join(_READING))
    try:
        yield
    finally:
        if cursor.connection.info.transaction_status != psycopg.pq.TransactionStatus.UNKNOWN:
            cursor.execute("ROLLBACK TO SAVEPOINT tagback_reading; RELEASE SAVEPOINT tagback_reading")


@contextmanager
def _without_collector() -> Iterator[None]:
    """A reading makes many small objects that all stay: going over them again and again takes a third of the time.

    Frozen and thawed they count as old, and aren't gone over at the next opportunity either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _dependencies(r: Reading) -> dict[ObjectId, frozenset[ObjectId]]:
    found: dict[ObjectId, list[ObjectId]] = {}
    addresses, columns = r.addresses, r.column_ids
    rows = r.rows(_DEPENDENCIES)
    _learn_row_and_array_types(r, {row[3] for row in rows if row[2] == PG_TYPE and (PG_TYPE, row[3]) not in addresses})
    _learn_row_and_array_types(r, {row[1] for row in rows if row[0] == PG_TYPE and (PG_TYPE, row[1]) not in addresses})
    dependent: ObjectId | None = None
    classid_before = objid_before = 0
    for classid, objid, refclassid, refobjid, number in rows:
        if objid != objid_before or classid != classid_before:  # what one object needs mostly stands together
            dependent = addresses.get((classid, objid))
            classid_before, objid_before = classid, objid
        if dependent is None:
            continue
        needed = addresses.get((refclassid, refobjid)) or r.members.get((refclassid, refobjid))
        if needed is None or needed == dependent:
            continue
        if r.counted and (refclassid, refobjid) in r.counted:
            needed = r.counted[refclassid, refobjid]
        if number and refclassid == PG_CLASS and refobjid in columns:
            needed = columns[refobjid].get(number, needed)
        needs = found.get(dependent)
        if needs is None:
            found[dependent] = [needed]
        else:
            needs.append(needed)
    for dependent, more in r.needs.items():
        found.setdefault(dependent, []).extend(more)
    if r.partitions:
        _with_partitions(r, found)
    schemas = {name: ObjectId("schema", (name,)) for name in r.namespaces.values()}
    for object_id in r.objects:
        if object_id[0] in _IN_SCHEMA:
            found.setdefault(object_id, []).append(schemas[object_id[1][0]])
    return {dependent: frozenset(needs) for dependent, needs in found.items()}


def _with_partitions(r: Reading, found: dict[ObjectId, list[ObjectId]]) -> None:
    """A partition can be without what it is a partition of. A foreign key to a partitioned table has to let go of it
    while partitions come and go."""
    for attachments in r.partitions.values():
        for i in attachments:
            table = ObjectId("table", i.name[:2])
            whole = next(n for n in r.needs[i] if n.kind == "table" and n != table)
            if whole in found.get(table, ()):
                found[table] = [n for n in found[table] if n != whole]
    for o in r.objects.values():
        if isinstance(o, constraint.Constraint) and o.references is not None:
            queue = [ObjectId("table", o.references)]
            while queue:
                attachments = r.partitions.get(queue.pop(), [])
                found.setdefault(o.id, []).extend(attachments)
                queue += [ObjectId("table", i.name[:2]) for i in attachments]


_IN_SCHEMA = frozenset(
    (
        "table",
        "sequence",
        "view",
        "materialized view",
        "function",
        "procedure",
        "enum",
        "domain",
        "composite type",
        "range",
        "index",
        "statistics",
        "aggregate",
        "base type",
        "operator",
        "operator class",
        "operator family",
        "collation",
        "conversion",
        "text search configuration",
        "text search dictionary",
        "text search parser",
        "text search template",
    )
)


def _learn_row_and_array_types(r: Reading, oids: set[int]) -> None:
    """Addresses of types that come with another object: a table's rows, arrays, multiranges."""
    while oids:
        further: set[int] = set()
        waiting: list[tuple[int, int]] = []
        for oid, relation, element, of_range in r.rows(_ROW_AND_ARRAY_TYPES, (sorted(oids),)):
            place: Address = (PG_CLASS, relation) if relation else (PG_TYPE, element or of_range or 0)
            known = r.addresses.get(place) or r.members.get(place)
            if known is not None:
                r.addresses[PG_TYPE, oid] = known
            elif not relation and place[1]:
                further.add(place[1])
                waiting.append((oid, place[1]))
        _learn_row_and_array_types(r, further - oids)
        for oid, of in waiting:
            if (PG_TYPE, of) in r.addresses:
                r.addresses[PG_TYPE, oid] = r.addresses[PG_TYPE, of]
        return


_BY_ITS_OWN_NAME = {
    "table": "TABLE",
    "index": "INDEX",
    "sequence": "SEQUENCE",
    "view": "VIEW",
    "materialized view": "MATERIALIZED VIEW",
    "enum": "TYPE",
    "composite type": "TYPE",
    "range": "TYPE",
    "multirange": "TYPE",
    "domain": "DOMAIN",
    "statistics": "STATISTICS",
    "collation": "COLLATION",
    "text search parser": "TEXT SEARCH PARSER",
    "text search template": "TEXT SEARCH TEMPLATE",
    "text search dictionary": "TEXT SEARCH DICTIONARY",
    "text search configuration": "TEXT SEARCH CONFIGURATION",
}
_WITHIN_A_TABLE = {
    "constraint": "ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}",
    "column": "ALTER TABLE {table} RENAME COLUMN {old} TO {new}",
    "trigger": "ALTER TRIGGER {old} ON {table} RENAME TO {new}",
    "rule": "ALTER RULE {old} ON {table} RENAME TO {new}",
    "policy": "ALTER POLICY {old} ON {table} RENAME TO {new}",
}


def rename_steps(rename: Rename) -> tuple[Step, ...] | None:
    """The statements that give an object its other name; none where it follows its table."""
    before, after = rename.before, rename.after
    if before.kind != after.kind:
        return None
    kind = before.kind
    sqls = []
    if kind in _BY_ITS_OWN_NAME:
        word = _BY_ITS_OWN_NAME[kind]
        now = before.name
        if now[1] != after.name[1]:
            sqls.append(f"ALTER {word} {qualified(*now)} RENAME TO {ident(after.name[1])}")
            now = (now[0], after.name[1])
        if now[0] != after.name[0] and kind != "index":
            sqls.append(f"ALTER {word} {qualified(*now)} SET SCHEMA {ident(after.name[0])}")
            if kind in ("range", "multirange"):
                sqls.append(_constructors_too(now[0], after.name))
    elif kind in ("function", "procedure"):
        now = before.name
        if now[1] != after.name[1]:
            sqls.append(f"ALTER {kind.upper()} {qualified(*now[:2])}({now[2]}) RENAME TO {ident(after.name[1])}")
            now = (now[0], after.name[1], now[2])
        if now[0] != after.name[0]:
            sqls.append(f"ALTER {kind.upper()} {qualified(*now[:2])}({now[2]}) SET SCHEMA {ident(after.name[0])}")
    elif kind == "column" and rename.within is not None:
        old, new = ident(before.name[2]), ident(after.name[2])
        sqls.append(f"ALTER TYPE {qualified(*before.name[:2])} RENAME ATTRIBUTE {old} TO {new} CASCADE")
    elif kind in _WITHIN_A_TABLE:
        if before.name[2] != after.name[2]:
            sqls.append(
                _WITHIN_A_TABLE[kind].format(
                    table=qualified(*before.name[:2]), old=ident(before.name[2]), new=ident(after.name[2])
                )
            )
    else:
        return None
    return tuple(Step(sql, before, Action.RENAME, "ACCESS EXCLUSIVE") for sql in sqls)


def _constructors_too(schema: str, of: tuple[str, ...]) -> str:
    """Moves the functions that make values of a range type or its multirange and are still in the schema that it has left.

    ALTER TYPE … SET SCHEMA leaves them behind (15.18), and that schema can't be dropped then.
    """
    type_now = f"{literal(qualified(*of))}::pg_catalog.regtype"
    body = f"""
DECLARE f pg_catalog.regprocedure;
BEGIN
  FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
     WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.deptype = 'i'
       AND (d.refobjid = {type_now}
            OR d.refobjid = (SELECT g.rngmultitypid FROM pg_catalog.pg_range g WHERE g.rngtypid = {type_now}))
       AND p.pronamespace = {literal(ident(schema))}::pg_catalog.regnamespace LOOP
    EXECUTE pg_catalog.format('ALTER FUNCTION %s SET SCHEMA %I', f, {literal(of[0])});
  END LOOP;
END"""
    return f"DO {literal(body)}"
