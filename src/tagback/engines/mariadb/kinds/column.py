"""Columns of tables, as `SHOW CREATE TABLE` and the information schema tell them."""

from __future__ import annotations

import msgspec

from tagback.engines.mariadb.sqltext import ident


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column. `type` is the server's text, `rest` what follows it there: NOT NULL, DEFAULT, GENERATED, COMMENT, CHECK.

    `charset` and `collation` are set for every text, whatever the table's default is. `srid` is MariaDB's, whose SHOW
    CREATE TABLE has it nowhere. `generated`: values follow from others or from the server's clock of versions. `default`
    is SQL; None: there is none, or it is NULL.
    """

    name: str
    type: str
    charset: str = ""
    collation: str = ""
    srid: int = 0
    rest: str = ""
    nullable: bool = True
    default: str | None = None
    generated: bool = False
    numbered: bool = False

    @property
    def definition(self) -> str:
        """As in CREATE TABLE, ADD and MODIFY."""
        parts = [ident(self.name), self.type]
        if self.charset:
            parts.append(f"CHARACTER SET {self.charset} COLLATE {self.collation}")
        if self.srid:
            parts.append(f"REF_SYSTEM_ID={self.srid}")
        return " ".join([*parts, self.rest] if self.rest else parts)

    @property
    def stored_type(self) -> str:
        """The type as far as values depend on it."""
        return f"{self.type} CHARACTER SET {self.charset}" if self.charset else self.type

    def becomes(self, after: Column) -> bool:
        """Whether MODIFY turns it into the other: what is computed is made anew."""
        return not (self.generated or after.generated) or self == after
