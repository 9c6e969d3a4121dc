"""Random statements that make all else: types, routines, views, and what hangs on relations."""

from __future__ import annotations

from tests.pairs.draw import ROLES, TEXTS, TYPES, WHOLE, Draw, text
from tests.pairs.sight import Column, Relation

LABELS = ("new", "paid", "it's", "c;", "sp ace", "Ü", "x\\y", "")
VOLATILE = ("IMMUTABLE", "IMMUTABLE", "IMMUTABLE", "STABLE", "VOLATILE")


def schema(d: Draw) -> str:
    return f"CREATE SCHEMA {d.name()}{d.word(f'AUTHORIZATION {d.one(ROLES)}', 15)}"


def enum(d: Draw) -> str:
    return f"CREATE TYPE {d.new()} AS ENUM ({', '.join(map(text, d.some(LABELS, 4)))})"


def domain(d: Draw) -> str:
    base = d.type()
    value = Column("VALUE", base, not_null=False, generated=False, identity=False, default=False)
    sql = f"CREATE DOMAIN {d.new()} AS {base}"
    if base in TEXTS and d.chance(20):
        sql += ' COLLATE pg_catalog."C"'
    if d.chance(20):
        sql += f" DEFAULT {d.value(base)}"
    sql += d.word("NOT NULL", 15)
    if d.chance(50):
        sql += f"{d.word(f'CONSTRAINT {d.name()}', 50)} CHECK ({d.condition([value], pure=True)})"
    return sql


def composite(d: Draw) -> str:
    names = dict.fromkeys(d.column_name() for _ in range(d.number(0, 3)))
    return f"CREATE TYPE {d.new()} AS ({', '.join(f'{n} {d.type()}' for n in names)})"


def span(d: Draw) -> str:
    subtype = (
        d.own_type("ed").sql if d.chance(30) else d.one(("integer", "text", "timestamptz", "numeric", "date", "float8"))
    )
    more = f", multirange_type_name = {d.name()}" if d.chance(30) else ""
    more += ", subtype_diff = float8mi" if subtype == "float8" and d.chance(50) else ""
    more += ', collation = "C"' if subtype == "text" and d.chance(40) else ""
    return f"CREATE TYPE {d.new()} AS RANGE (subtype = {subtype}{more})"


def sequence(d: Draw) -> str:
    options = [o for o in ("INCREMENT 3", "MINVALUE -5", "MAXVALUE 900", "START 7", "CACHE 4", "CYCLE") if d.chance(20)]
    sql = f"CREATE{d.word('UNLOGGED', 8)} SEQUENCE {d.new()}{d.word('AS smallint', 15)} {' '.join(options)}"
    if d.chance(25) and d.sight.of("r"):
        r, c = d.table("r")
        sql += f" OWNED BY {r.sql}.{c.name}"
    return sql


# ---------------------------------------------------------------------- routines


def _body(d: Draw, arguments: list[str], gives: str, *, calls: bool) -> str:
    """A query that gives this type. `calls`: with what may be renamed, as is known of a body that is kept parsed."""
    fitting = [f"${n}" for n, kind in enumerate(arguments, 1) if kind == gives]
    sets = [r for r in d.sight.relations if r.columns and r.kind in "rvmp"]
    choices = [d.value(gives, calls=calls), *fitting, *fitting]
    if sets and gives in TEXTS:
        r = d.one(sets)
        choices += [f"max({d.one(r.columns).name}::text) FROM {r.sql}"]
    if sets and gives in WHOLE:
        choices += [f"count(*) FROM {d.one(sets).sql}"]
    return f"SELECT {d.one(choices)}"


def function(d: Draw) -> str:
    tables = d.sight.of("rv")
    kinds = [d.one(tables).sql if tables and d.chance(12) else d.type() for _ in range(d.number(0, 2))]
    if d.chance(30) and d.sight.of("rp"):
        kinds = [d.table()[1].type]  # one that expressions over columns can call
    arguments = []
    named = d.chance(60)  # of $2 the server prints nothing where only $1 has a name (15.18)
    for n, kind in enumerate(kinds):
        default = f" DEFAULT {d.value(kind)}" if n == len(kinds) - 1 and d.chance(20) else ""
        arguments.append(f"{f'x{n}' * named} {kind}{default}".strip())
    gives = d.one(("integer", "text", "boolean", d.type(), d.type(), *kinds))
    head = f"CREATE{d.word('OR REPLACE', 40)} FUNCTION {d.new()}({', '.join(arguments)}) RETURNS {gives}"
    settings = d.one(VOLATILE) + d.word("STRICT", 15) + d.word("SECURITY DEFINER", 8) + d.word("PARALLEL SAFE", 15)
    settings += d.word("COST 7", 8) + d.word("SET search_path = public, pg_temp", 8) + d.word("LEAKPROOF", 4)
    style = d.number(0, 9)
    body = _body(d, kinds, gives, calls=style >= 7)
    if style < 5:
        return f"{head} LANGUAGE sql {settings} AS $body$ {body}; $body$"
    if style < 7:
        return f"{head} LANGUAGE plpgsql {settings} AS $body$ BEGIN RETURN ({body}); END $body$"
    if style < 9:
        return f"{head} LANGUAGE sql {settings} BEGIN ATOMIC {body}; END"
    return f"{head} LANGUAGE sql {settings} RETURN ({body})"


def set_function(d: Draw) -> str:
    r, c = d.table("rpvm")
    head = f"CREATE{d.word('OR REPLACE', 40)} FUNCTION {d.new()}() RETURNS"
    choices = [
        f"SETOF {r.sql} LANGUAGE sql STABLE ROWS 7 AS $b$ SELECT * FROM {r.sql} $b$",
        f"SETOF {c.type} LANGUAGE sql STABLE AS $b$ SELECT {c.name} FROM {r.sql} $b$",
        f"TABLE (x {c.type}, y text) LANGUAGE sql BEGIN ATOMIC SELECT {c.name}, 'y'::text FROM {r.sql}; END",
        f"SETOF {r.sql} LANGUAGE sql BEGIN ATOMIC SELECT * FROM {r.sql}; END",
        f"{r.sql} LANGUAGE sql STABLE AS $b$ SELECT x FROM {r.sql} x LIMIT 1 $b$",
    ]
    return f"{head} {d.one(choices)}"


def row_function(d: Draw) -> str:
    """One that takes a table's row."""
    r, c = d.table("rpv")
    return (
        f"CREATE FUNCTION {d.new()}(r {r.sql}) RETURNS {c.type} LANGUAGE sql IMMUTABLE AS $b$ SELECT (r).{c.name} $b$"
    )


def trigger_function(d: Draw) -> str:
    security = d.word("SECURITY DEFINER", 10)
    return (
        f"CREATE{d.word('OR REPLACE', 50)} FUNCTION {d.new()}() RETURNS trigger LANGUAGE plpgsql{security}"
        f" AS $b$ BEGIN {d.one(('RETURN NEW', 'RETURN NULL', 'PERFORM 1; RETURN OLD'))}; END $b$"
    )


def procedure(d: Draw) -> str:
    r = d.relation("rv") if d.sight.of("rv") and d.chance(60) else None
    body = f"DELETE FROM {r.sql}" if r else "SELECT 1"
    arguments = f"a {d.type()}, INOUT b {d.type()}" if d.chance(50) else ""
    if d.chance(50) and not arguments:
        return f"CREATE PROCEDURE {d.new()}() LANGUAGE sql BEGIN ATOMIC {body}; END"
    return (
        f"CREATE PROCEDURE {d.new()}({arguments}) LANGUAGE plpgsql AS $b$ BEGIN NULL; {body if r else 'NULL'}; END $b$"
    )


def aggregate(d: Draw) -> str:
    steps = [f for f in d.sight.routines if f.kind == "f" and len(f.takes) == 2 and f.takes[0] == f.gives]
    if steps and d.chance(60):
        f = d.one(steps)
        return f"CREATE AGGREGATE {d.new()} ({f.takes[1]}) (SFUNC = {f.name}, STYPE = {f.gives})"
    return f"CREATE AGGREGATE {d.new()} (integer) (SFUNC = int4pl, STYPE = int4, INITCOND = '{d.number(0, 3)}')"


# ---------------------------------------------------------------------- views


def query(d: Draw, kinds: str = "rpvm") -> str:
    r, _ = d.table(kinds)
    listed = ", ".join(
        f"{d.expression(r.columns)} AS {name}" for name in dict.fromkeys(d.column_name() for _ in range(2))
    )
    where = f" WHERE {d.condition(r.columns)}" if d.chance(40) else ""
    style = d.number(0, 12)
    if style < 3:
        return f"SELECT * FROM {r.sql}{where}"
    if style < 7:
        return f"SELECT {listed} FROM {r.sql}{where}"
    s, c = d.table(kinds)
    if style == 7:
        on = f"x.{r.columns[0].name}::text = y.{c.name}::text"
        return f"SELECT x.*, y.{c.name} AS other FROM {r.sql} x LEFT JOIN {s.sql} y ON {on}"
    if style == 8:
        key = d.one(r.columns).name
        return f"SELECT {key} AS a, count(*) AS n, max({key}::text) AS m FROM {r.sql} GROUP BY {key}"
    if style == 9:
        return f"WITH w AS (SELECT * FROM {r.sql}) SELECT w.*, (SELECT count(*) FROM {s.sql}) AS n FROM w{where}"
    if style == 10:
        return f"SELECT {d.one(r.columns).name}::text AS a FROM {r.sql} UNION ALL SELECT {c.name}::text FROM {s.sql}"
    if style == 11 and set(r.columns) & set(s.columns):
        return f"SELECT * FROM {r.sql} JOIN {s.sql} USING ({d.one([c.name for c in r.columns if c in s.columns])})"
    whole = d.one([f"{_in(d, r)} AS a", f"x AS a, x.{d.one(r.columns).name} AS b"])
    return f"SELECT {whole} FROM {r.sql} x"


def _in(d: Draw, r: Relation) -> str:
    """A call with the whole row, if there is such a function."""
    takers = [f for f in d.sight.routines if f.kind == "f" and len(f.takes) == 1 and r.sql.endswith(f.takes[0])]
    return f"{d.one(takers).name}(x)" if takers else "ROW(x.*)"


def view(d: Draw) -> str:
    options = [o for o in ("security_barrier", "security_barrier = false", "security_invoker") if d.chance(10)]
    given = f" WITH ({', '.join(options[:1])})" if options else ""
    check = d.word("WITH LOCAL CHECK OPTION", 5)
    # With a table's rows the server tells the columns of a view that was made before the table got more, and reads others.
    sets = [f for f in d.sight.routines if f.kind == "f" and not f.takes and f.gives == "SETOF record"]
    if sets and d.chance(15):
        return f"CREATE VIEW {d.new()} AS SELECT * FROM {d.one(sets).name}() f"
    if d.chance(30):
        return f"CREATE OR REPLACE VIEW {d.new()}{given} AS {query(d, 'rpm')}{check}"
    return f"CREATE VIEW {d.new()}{given} AS {query(d)}{check}"


def recursive_view(d: Draw) -> str:
    return f"CREATE RECURSIVE VIEW {d.new()} (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM {d.name()} WHERE n < 9"


def materialized_view(d: Draw) -> str:
    options = d.word("WITH (fillfactor = 60)", 12)
    return f"CREATE MATERIALIZED VIEW {d.new()}{options} AS {query(d)}{d.word('WITH NO DATA', 30)}"


# ---------------------------------------------------------------------- what hangs on relations


def trigger(d: Draw) -> str:
    r, c = d.table("rprpv")
    f = d.one([f for f in d.sight.routines if f.gives == "trigger"])
    given = d.word("'a', 'it''s'", 30)
    name, call = d.name(), f"EXECUTE FUNCTION {f.name}({given})"
    if r.kind == "v":
        return (
            f"CREATE TRIGGER {name} INSTEAD OF {d.one(('INSERT', 'UPDATE OR DELETE'))} ON {r.sql} FOR EACH ROW {call}"
        )
    style = d.number(0, 5)
    when = f" WHEN (NEW.{c.name} IS DISTINCT FROM OLD.{c.name})" if d.chance(40) else ""
    if style == 0:
        timing = d.one(("", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"))
        return f"CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE ON {r.sql} {timing} FOR EACH ROW{when} {call}"
    if style == 1:
        return f"CREATE TRIGGER {name} AFTER INSERT ON {r.sql} REFERENCING NEW TABLE AS n FOR EACH STATEMENT {call}"
    if style == 2:
        return f"CREATE TRIGGER {name} {d.one(('BEFORE', 'AFTER'))} TRUNCATE ON {r.sql} FOR EACH STATEMENT {call}"
    timing = d.one(("BEFORE", "AFTER"))
    of = f" OF {c.name}" if d.chance(50) else ""
    return f"CREATE{d.word('OR REPLACE', 20)} TRIGGER {name} {timing} UPDATE{of} ON {r.sql} FOR EACH ROW{when} {call}"


def rule(d: Draw) -> str:
    r, c = d.table("rpv")
    s = d.relation("r")
    actions = ("NOTHING", f"NOTIFY {d.name()}", f"DELETE FROM {s.sql}", f"INSERT INTO {s.sql} DEFAULT VALUES")
    where = f" WHERE OLD.{c.name} IS NOT NULL" if d.chance(40) else ""
    event = d.one(("UPDATE", "DELETE"))
    head = f"CREATE{d.word('OR REPLACE', 30)} RULE {d.name()} AS ON {event} TO {r.sql}{where}"
    return f"{head} DO{d.word('INSTEAD', 50)} {d.one(actions)}"


def policy(d: Draw) -> str:
    r, _ = d.table()
    command = d.one(("ALL", "SELECT", "INSERT", "UPDATE", "DELETE"))
    to = d.one((*ROLES, "PUBLIC", "CURRENT_USER"))
    sql = f"CREATE POLICY {d.name()} ON {r.sql}{d.word('AS RESTRICTIVE', 20)} FOR {command} TO {to}"
    if command != "INSERT":
        sql += f" USING ({d.condition(r.columns)})"
    return sql + (
        f" WITH CHECK ({d.condition(r.columns)})" if command not in ("SELECT", "DELETE") and d.chance(60) else ""
    )


def statistics(d: Draw) -> str:
    r, _ = d.table("rpm")
    kinds = d.word(f"({', '.join(d.some(('ndistinct', 'dependencies', 'mcv')))})", 50)
    on = [c.name for c in d.some(r.columns, 3)]
    if d.chance(30):
        on.append(f"({d.expression(r.columns, pure=True)})")
    return f"CREATE STATISTICS {d.new()}{kinds} ON {', '.join(on)} FROM {r.sql}"


def publication(d: Draw) -> str:
    r, c = d.table()
    part = d.one(("", f" ({c.name})", f" WHERE ({d.condition([c], pure=True)})"))
    what = f"TABLE {r.sql}{part}" if d.chance(70) else f"TABLES IN SCHEMA {d.one(d.sight.schemas)}"
    return f"CREATE PUBLICATION {d.name()} FOR {what}"


def cast(d: Draw) -> str:
    f = d.one([f for f in d.sight.routines if f.kind == "f" and len(f.takes) == 1 and f.gives != f.takes[0]])
    return f"CREATE CAST ({f.takes[0]} AS {f.gives}) WITH FUNCTION {f.signature}{d.word('AS ASSIGNMENT', 30)}"


def operator(d: Draw) -> str:
    f = d.one([f for f in d.sight.routines if f.kind == "f" and len(f.takes) == 2])
    name = f"{d.schema()}.{d.one(('<#', '###'))}"
    return f"CREATE OPERATOR {name} (FUNCTION = {f.name}, LEFTARG = {f.takes[0]}, RIGHTARG = {f.takes[1]})"


def collation(d: Draw) -> str:
    return f"CREATE COLLATION {d.new()} (provider = libc, locale = '{d.one(('C', 'POSIX'))}')"


def default_privileges(d: Draw) -> str:
    within = f" IN SCHEMA {d.one(d.sight.schemas)}" if d.chance(40) else ""
    what = d.one(("SELECT ON TABLES", "EXECUTE ON FUNCTIONS", "USAGE ON TYPES", "USAGE ON SEQUENCES"))
    return f"ALTER DEFAULT PRIVILEGES{within} GRANT {what} TO {d.one(ROLES)}"


def comment(d: Draw) -> str:
    words = d.one(("NULL", text("why; it's"), text("back\\slash"), text("ü"), text("-- Name: x; Type: TABLE")))
    named: list[str] = []
    for r in d.sight.relations:
        kind = {"r": "TABLE", "p": "TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW", "S": "SEQUENCE", "c": "TYPE"}[r.kind]
        named.append(f"{kind} {r.sql}")
        if r.columns and r.kind != "S":
            named.append(f"COLUMN {r.sql}.{d.one(r.columns).name}")
    named += [f"INDEX {i[0]}" for i in d.sight.indexes]
    named += [f"CONSTRAINT {k[1]} ON {k[0]}" for k in d.sight.constraints]
    named += [f"{kind} {name} ON {on}" for kind, on, name in d.sight.members]
    named += [f"{'DOMAIN' if t.kind == 'd' else 'TYPE'} {t.sql}" for t in d.sight.types if t.kind != "c"]
    named += [f"CONSTRAINT {d.one(t.checks)} ON DOMAIN {t.sql}" for t in d.sight.types if t.checks]
    named += [f"{f.word} {f.signature}" for f in d.sight.routines]
    named += [f"STATISTICS {s}" for s in d.sight.statistics] + [f"SCHEMA {s}" for s in d.sight.schemas]
    return f"COMMENT ON {d.one(named)} IS {words}"


def plain_type(d: Draw) -> str:
    """For columns that get another one."""
    return d.one(TYPES) if d.chance(60) else d.type()
