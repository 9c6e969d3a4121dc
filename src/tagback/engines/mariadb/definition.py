"""A table as `SHOW CREATE TABLE` writes it, taken apart: columns, keys, checks, foreign keys, options, partitions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tagback.catalog import ObjectId
from tagback.engines.mariadb.kinds.base import table_id
from tagback.engines.mariadb.kinds.column import Column
from tagback.engines.mariadb.kinds.foreign_key import ForeignKey
from tagback.engines.mariadb.kinds.table import PRIMARY, VERSIONED, Check, Key, Option, Table, in_order
from tagback.engines.mariadb.sqltext import NAME, STRING, bare, lines, names_in

_HEAD = re.compile(rf"CREATE (?:TEMPORARY )?TABLE (?:{NAME.pattern}) \($")
_CHARSET = re.compile(r" CHARACTER SET \w+")
_COLLATE = re.compile(r" COLLATE \w+")
_KEY = re.compile(rf"(?:(PRIMARY|UNIQUE|FULLTEXT|SPATIAL) )?KEY (?:({NAME.pattern}) )?\(")
_CHECK = re.compile(rf"CONSTRAINT ({NAME.pattern}) (CHECK .*)\Z", re.DOTALL)
_REFERENCE = re.compile(
    rf"CONSTRAINT ({NAME.pattern}) (FOREIGN KEY (\(.*?\)) REFERENCES ((?:{NAME.pattern}\.)?)({NAME.pattern}) (\(.*?\)).*)\Z",
    re.DOTALL,
)
_OPTION = re.compile(
    rf"\s*(?:(?:DEFAULT )?([A-Z_]+(?: [A-Z]+)?|{NAME.pattern})=({STRING.pattern}|[^\s']+)|({VERSIONED}))"
)
_PARTITIONS = re.compile(r"\n ?PARTITION BY |\n/\*!501\d\d PARTITION BY ")
_LEFT_OUT = frozenset({"AUTO_INCREMENT", "CHARSET", "COLLATE"})


class Unreadable(Exception):
    """A text that this module doesn't know how to take apart; the table is then seen and watched, and not managed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the information schema says about a column."""

    type: str
    charset: str
    collation: str
    nullable: bool
    default: str | None
    extra: str
    generated: bool
    srid: int


def take_apart(
    name: str, text: str, columns: Mapping[str, Facts], collation: str
) -> tuple[Table, tuple[ForeignKey, ...]]:
    """The table and its foreign keys; Unreadable where a part of the text has no place in them."""
    head, _, rest = text.partition("\n")
    body, _, tail = rest.rpartition("\n) ")
    if not _HEAD.match(head) or not body:
        raise Unreadable(head)
    found_columns: list[Column] = []
    keys: list[Key] = []
    checks: list[Check] = []
    periods: list[str] = []
    references: list[ForeignKey] = []
    partitions = _PARTITIONS.search(rest)
    if partitions:  # what comes after a bracket at the beginning of a line may be theirs
        body, _, tail = rest[: partitions.start()].rpartition("\n) ")
    for line in lines(body):
        item = line.strip(" ").removesuffix(",")
        if item.startswith("`"):
            found_columns.append(_column(item, columns))
        elif item.startswith("PERIOD FOR "):
            periods.append(item.removeprefix("PERIOD FOR "))
        elif match := _KEY.match(item):
            keys.append(_key(item, match))
        elif match := _CHECK.match(item):
            checks.append(Check(bare(match[1]), match[2]))
        elif match := _REFERENCE.match(item):
            references.append(_foreign_key(name, match))
        else:
            raise Unreadable(item)
    if [c.name for c in found_columns] != list(columns):
        raise Unreadable(f"columns of {name}")
    charset, options = _options(tail)
    table = Table(
        id=table_id(name),
        columns=tuple(found_columns),
        keys=in_order(keys, found_columns),
        checks=tuple(checks),
        periods=tuple(periods),
        charset=charset,
        collation=collation,
        options=options,
        partitions=rest[partitions.start() :].strip() if partitions else "",
    )
    return table, tuple(references)


def _column(item: str, columns: Mapping[str, Facts]) -> Column:
    quoted = NAME.match(item)
    name = bare(quoted[0]) if quoted else ""
    if quoted is None or name not in columns:
        raise Unreadable(item)
    facts = columns[name]
    rest = item[quoted.end() + 1 :]
    if not rest.startswith(facts.type):
        raise Unreadable(item)
    rest = rest[len(facts.type) :]
    if facts.collation:
        for pattern in (_CHARSET, _COLLATE):
            if match := pattern.match(rest):
                rest = rest[match.end() :]
    return Column(
        name=name,
        type=facts.type,
        charset=facts.charset,
        collation=facts.collation,
        srid=facts.srid,
        rest=rest.strip(),
        nullable=facts.nullable,
        default=None if facts.default in (None, "NULL") else facts.default,
        generated=facts.generated,
        numbered="auto_increment" in facts.extra.lower(),
    )


def _key(item: str, match: re.Match[str]) -> Key:
    kind = match[1] or ""
    name = PRIMARY if kind == "PRIMARY" else bare(match[2])
    return Key(name, item, tuple(names_in(item[match.end() - 1 :])), kind in ("PRIMARY", "UNIQUE"))


def _foreign_key(table: str, match: re.Match[str]) -> ForeignKey:
    constraint, text, own, schema, parent, theirs = match.groups()
    return ForeignKey(
        id=ObjectId("foreign key", (table, bare(constraint))),
        text=text,
        columns=tuple(names_in(own)),
        parent=bare(parent),
        parent_columns=tuple(names_in(theirs)),
        schema=bare(schema.removesuffix(".")) if schema else "",
    )


def _options(tail: str) -> tuple[str, tuple[Option, ...]]:
    found: dict[str, str] = {}
    position = 0
    text = tail.strip()
    while position < len(text):
        match = _OPTION.match(text, position)
        if match is None:
            raise Unreadable(text[position:])
        found[match[3] or match[1]] = match[2] or ""
        position = match.end()
    charset = found.get("CHARSET", "")
    return charset, tuple(Option(n, v) for n, v in found.items() if n not in _LEFT_OUT)
