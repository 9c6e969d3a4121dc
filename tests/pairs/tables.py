"""Random statements that make tables, columns, constraints and indexes."""

from __future__ import annotations

from tests.pairs.draw import ROLES, TEXTS, WHOLE, Draw, LackingError
from tests.pairs.sight import Column, Relation

METHODS = ("btree", "btree", "btree", "hash", "gin", "gist", "brin", "spgist")
ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")
KEYS = ('COLLATE "C"', "text_pattern_ops", "varchar_pattern_ops", 'COLLATE "POSIX" DESC')
OPTIONS = ("fillfactor = 70", "autovacuum_enabled = false", "toast.autovacuum_enabled = false", "parallel_workers = 2")


def column(d: Draw, name: str, others: list[Column] = []) -> tuple[str, Column]:  # noqa: B006 - only read
    """A column's definition; `others` are there already."""
    kind = d.type()
    sql = f"{name} {kind}"
    if kind in TEXTS and d.chance(25):
        sql += f' COLLATE pg_catalog."{d.one(("C", "POSIX"))}"'
    not_null = d.chance(25)
    generated = identity = False
    if others and d.chance(15):
        sql, generated = f"{name} {kind} GENERATED ALWAYS AS ({_computed(d, kind, others)}) STORED", True
    elif kind in ("integer", "bigint", "smallint") and d.chance(25):
        sql, identity = f"{name} {kind} {identity_clause(d)}", True
    elif d.chance(30):
        sql += f" DEFAULT {d.value(kind)}"
    sql += " NOT NULL" * not_null
    made = Column(name, kind, not_null, generated, identity, default=False)
    if d.chance(8):
        sql += f" CHECK ({d.condition([made], pure=True)})"
    elif d.chance(8):
        sql += f" UNIQUE{d.word('DEFERRABLE', 30)}"
    elif d.chance(5):
        sql += f" CONSTRAINT {d.name()} CHECK ({d.condition([made], pure=True)})"
    return sql, made


def _computed(d: Draw, kind: str, others: list[Column]) -> str:
    functions = [r for r in d.sight.routines if r.kind == "f" and r.pure and r.gives == kind and len(r.takes) == 1]
    fitting = [(f, c) for f in functions for c in others if f.takes == (c.type,) and not c.generated]
    if fitting and d.chance(70):
        f, c = d.one(fitting)
        return f"{f.name}({c.name})"
    plain = [c for c in others if not c.generated]
    if kind in TEXTS and d.chance(50):
        return f"coalesce({d.one(plain).name}::text, '') || 'g'"
    return d.expression(plain, pure=True)


def identity_clause(d: Draw) -> str:
    options = [
        o for o in ("START 5", "INCREMENT 5", "MINVALUE -3", "MAXVALUE 9000", "CACHE 3", "CYCLE") if d.chance(20)
    ]
    given = f" ({' '.join(options)})" if options else ""
    return f"GENERATED {d.one(('ALWAYS', 'BY DEFAULT'))} AS IDENTITY{given}"


def _columns(d: Draw, most: int = 5) -> tuple[list[str], list[Column]]:
    parts: list[str] = []
    made: list[Column] = []
    if d.chance(60):
        kind = d.one(("integer", "bigint", "serial", "text", "uuid"))
        end = d.one(("", "PRIMARY KEY", "PRIMARY KEY", f"CONSTRAINT {d.name()} PRIMARY KEY", "UNIQUE NOT NULL"))
        parts.append(f"id {kind} {end}")
        made.append(Column("id", "integer" if kind == "serial" else kind, False, False, False, default=False))
    for _ in range(d.number(0 if made else 1, most)):
        name = d.column_name()
        if all(c.name.strip('"') != name.strip('"') for c in made):
            sql, c = column(d, name, made)
            parts.append(sql)
            made.append(c)
    return parts, made


def table(d: Draw) -> str:
    parts, made = _columns(d)
    if d.chance(15):
        parts.append(f"CHECK ({d.condition(made, pure=True)}){d.word('NO INHERIT', 20)}")
    if d.chance(10):
        parts.append(f"CONSTRAINT {d.name()} UNIQUE ({', '.join(c.name for c in d.some(made))})")
    sql = f"CREATE{d.word('UNLOGGED', 10)} TABLE {d.new()} ({', '.join(parts)})"
    options = [o for o in OPTIONS if d.chance(8)]
    return sql + (f" WITH ({', '.join(options)})" if options else "")


def table_as(d: Draw) -> str:
    r = d.relation("rpvm")
    if d.chance(50):
        return f"CREATE TABLE {d.new()} (LIKE {r.sql} INCLUDING ALL{d.word('EXCLUDING INDEXES', 30)})"
    return f"CREATE TABLE {d.new()} AS SELECT {d.expression(r.columns)} AS a, * FROM {r.sql} WITH NO DATA"


def typed_table(d: Draw) -> str:
    return f"CREATE TABLE {d.new()} OF {d.own_type('c').sql}"


def heir(d: Draw) -> str:
    parents = d.some([r for r in d.sight.of("r") if not r.is_partition and not r.typed])
    parts, _ = _columns(d, 2) if d.chance(60) else ([], [])
    if d.chance(20):  # a column that the parent has, too
        c = d.one(parents[0].columns)
        parts.append(f"{c.name} {c.type}{d.word('NOT NULL', 40)}{d.word('DEFAULT NULL', 30)}")
    return f"CREATE TABLE {d.new()} ({', '.join(parts)}) INHERITS ({', '.join(p.sql for p in parents)})"


def partitioned(d: Draw) -> str:
    kind, sort = d.one(
        (("integer", "RANGE"), ("text", "LIST"), ("integer", "HASH"), ("date", "RANGE"), ("own", "LIST"))
    )
    if kind == "own":
        kind = d.own_type("ed").sql
    parts, _ = _columns(d, 3)
    parts = [p.replace("PRIMARY KEY", "").replace("UNIQUE", "") for p in parts]
    parts.append(f"k {kind}{d.word('NOT NULL', 30)}")
    if d.chance(40):
        parts.append("PRIMARY KEY (k)")
    key = "k" if d.chance(85) else d.one(("(k::text)", "(coalesce(k, k))", "k, id"))
    return f"CREATE TABLE {d.new()} ({', '.join(parts)}) PARTITION BY {sort} ({key})"


def bound(d: Draw, whole: Relation) -> str:
    """Where a partition of it begins and ends."""
    sort, _, key = whole.key.partition(" ")
    if sort == "HASH":
        return f"FOR VALUES WITH (MODULUS 3, REMAINDER {d.number(0, 2)})"
    if d.chance(12):
        return "DEFAULT"
    name = key.strip("()")
    kind = next((c.type for c in whole.columns if c.name == name), "")
    if sort == "LIST":
        own = next((t for t in d.sight.types if kind in (t.sql, t.sql.removeprefix("public."))), None)
        values = own.labels if own and own.labels else ("'a'", "'b'", "'it''s'", "NULL")
        return f"FOR VALUES IN ({', '.join(d.some(values))})"
    at = d.number(0, 5)
    if kind == "date":
        return f"FOR VALUES FROM ('202{at}-01-01') TO ('202{at + 1}-01-01')"
    if kind in WHOLE:
        return f"FOR VALUES FROM ({at * 10}) TO ({at * 10 + 10})"
    return "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"


def partition(d: Draw) -> str:
    whole = d.relation("p")
    further = f" PARTITION BY HASH ({d.one(whole.columns).name})" if d.chance(15) else ""
    own = ""
    if d.chance(25):
        c = d.one(whole.columns)
        own = f" ({c.name}{d.one((' NOT NULL', f' DEFAULT {d.value(c.type)}', f' CHECK ({d.condition([c], pure=True)})'))})"
    return f"CREATE TABLE {d.new()} PARTITION OF {whole.sql}{own} {bound(d, whole)}{further}"


# ---------------------------------------------------------------------- constraints and indexes


def unique(d: Draw) -> str:
    r, _ = d.table()
    names = [c.name for c in d.some(r.columns)]
    kind = "PRIMARY KEY" if d.chance(30) else "UNIQUE" + d.word("NULLS NOT DISTINCT", 15)
    rest = [c.name for c in r.columns if c.name not in names]
    include = f" INCLUDE ({', '.join(d.some(rest))})" if rest and d.chance(20) else ""
    options = d.word("WITH (fillfactor = 60)", 10)
    name = f"CONSTRAINT {d.name()} " if d.chance(60) else ""
    deferred = d.word("DEFERRABLE INITIALLY DEFERRED", 10) or d.word("DEFERRABLE", 10)
    return f"ALTER TABLE {r.sql} ADD {name}{kind} ({', '.join(names)}){include}{options}{deferred}"


def unique_by_index(d: Draw) -> str:
    _, table_name, _, own, _ = d.one([i for i in d.sight.indexes if i[4] and not i[2]])
    return f"ALTER TABLE {table_name} ADD CONSTRAINT {d.name()} UNIQUE USING INDEX {own}"


def check(d: Draw) -> str:
    r, _ = d.table()
    name = f"CONSTRAINT {d.name()} " if d.chance(60) else ""
    more = d.word("NO INHERIT", 15) + d.word("NOT VALID", 20)
    return f"ALTER TABLE {r.sql} ADD {name}CHECK ({d.condition(r.columns, pure=d.chance(80))}){more}"


def foreign_key(d: Draw) -> str:
    """Over columns that fit, or over a new one."""
    into, _, _, _, key = d.one([k for k in d.sight.constraints if k[2] in "pu"])
    whole = next(r for r in d.sight.relations if r.sql == into)
    types = [next(c.type for c in whole.columns if c.name == n) for n in key]
    if any(kind.endswith("[]") for kind in types):  # of which the server can't check some (15.18)
        raise LackingError
    r, _ = d.table()
    extra = "".join(d.word(f"ON {when} {d.one(ACTIONS)}", 30) for when in ("UPDATE", "DELETE"))
    extra += d.word("DEFERRABLE", 15) or d.word("DEFERRABLE INITIALLY DEFERRED", 15)
    name = f"CONSTRAINT {d.name()} " if d.chance(50) else ""
    fitting = [[c.name for c in r.columns if c.type == kind] for kind in types]
    if len(types) == 1 and (not fitting[0] or d.chance(40)):
        return f"ALTER TABLE {r.sql} ADD COLUMN {d.column_name()} {types[0]} {name}REFERENCES {into} ({key[0]}){extra}"
    chosen = [d.one(names) for names in fitting]
    match = d.word("MATCH FULL", 15)
    return (
        f"ALTER TABLE {r.sql} ADD {name}FOREIGN KEY ({', '.join(chosen)}) REFERENCES {into} ({', '.join(key)})"
        f"{match}{extra}{d.word('NOT VALID', 12)}"
    )


def exclusion(d: Draw) -> str:
    r, c = d.table()
    method, operator = d.one((("btree", "="), ("hash", "="), ("gist", "&&"), ("btree", "=")))
    what = c.name if d.chance(70) else f"({d.expression([c], pure=True)})"
    where = f" WHERE ({d.condition(r.columns, pure=True)})" if d.chance(30) else ""
    name = f"CONSTRAINT {d.name()} " if d.chance(60) else ""
    return f"ALTER TABLE {r.sql} ADD {name}EXCLUDE USING {method} ({what} WITH {operator}){where}{d.word('DEFERRABLE', 20)}"


def index(d: Draw) -> str:
    r, _ = d.table("rpm")
    method = d.one(METHODS)
    keys = []
    for one in d.some(r.columns, 2 if method != "hash" else 1):
        key = one.name if d.chance(60) else f"({d.expression(r.columns, pure=True)})"
        if method == "btree":
            key += d.word("DESC", 15) + d.word("NULLS FIRST", 10) + d.word("NULLS LAST", 5)
            if one.type in TEXTS and d.chance(20):
                key = f"{one.name} {d.one(KEYS)}"
        keys.append(key)
    rest = [x.name for x in r.columns]
    include = f" INCLUDE ({', '.join(d.some(rest))})" if method == "btree" and d.chance(12) else ""
    where = f" WHERE {d.condition(r.columns, pure=True)}" if d.chance(30) else ""
    options = d.word("WITH (fillfactor = 50)", 8)
    distinct = d.word("NULLS NOT DISTINCT", 8)
    only = d.word("ONLY", 10) if r.kind == "p" else ""
    name = f" {d.name()}" if d.chance(75) else ""
    head = f"CREATE{d.word('UNIQUE', 20)} INDEX{name} ON{only} {r.sql} USING {method}"
    return f"{head} ({', '.join(keys)}){include}{distinct}{options}{where}"


def add_column(d: Draw) -> str:
    r = d.relation("rp")
    sql, _ = column(d, d.column_name(), list(r.columns))
    return f"ALTER TABLE {r.sql} ADD COLUMN {sql}"


def granted(d: Draw) -> str:
    """Privileges of relations, their columns, and all else that has some."""
    to = d.one((*ROLES, "PUBLIC"))
    option = d.word("WITH GRANT OPTION", 15) if to != "PUBLIC" else ""
    what = d.number(0, 9)
    if what < 4:
        r = d.relation("rpvm")
        words = ", ".join(d.some(("SELECT", "INSERT", "UPDATE", "DELETE", "TRIGGER", "REFERENCES", "TRUNCATE"), 3))
        if r.columns and d.chance(35):
            words = f"{d.one(('SELECT', 'UPDATE', 'REFERENCES'))} ({', '.join(c.name for c in d.some(r.columns))})"
        on = r.sql
    elif what < 6:
        f = d.routine("fpa")
        words, on = "EXECUTE", f"{'ROUTINE' if f.kind == 'a' else f.word} {f.signature}"
    elif what < 7:
        words, on = d.one(("USAGE", "CREATE", "ALL")), f"SCHEMA {d.one(d.sight.schemas)}"
    elif what < 8:
        words, on = d.one(("USAGE", "SELECT", "ALL")), f"SEQUENCE {d.relation('S').sql}"
    else:
        words, on = "USAGE", f"TYPE {d.own_type().sql}"
    if d.chance(30):
        who = d.one((to, "postgres", "PUBLIC"))
        return f"REVOKE {d.one((words, 'ALL'))} ON {on} FROM {who}{d.word('CASCADE', 20)}"
    return f"GRANT {words} ON {on} TO {to}{option}"
