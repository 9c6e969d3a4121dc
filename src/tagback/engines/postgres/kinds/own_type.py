"""What types of the schema's own share: columns can be turned over to another type in their place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from tagback.catalog import Action, Alteration, Catalog, Loss, ObjectId, Step
from tagback.engines.postgres.kinds.base import ACCESS_EXCLUSIVE, PgObject
from tagback.engines.postgres.kinds.holders import holders_of_rows
from tagback.engines.postgres.kinds.table import Table
from tagback.engines.postgres.sqltext import ident, qualified


class OwnType(PgObject, frozen=True, kw_only=True, omit_defaults=True):
    """`spelled` is how the server writes the type's name."""

    spelled: str

    keyword: ClassVar[str] = "TYPE"
    default_grants: ClassVar[tuple[tuple[str, str], ...]] = (("*", "U"), ("", "U"))

    def drop(self) -> tuple[Step, ...]:
        return (self.step(f"DROP {self.keyword} {self.address}", Action.DROP),)

    def replaced(
        self,
        after: PgObject,
        live: Catalog,
        target: Catalog,
        turned: Mapping[str, Callable[[str], str]] | None = None,
        lost: Sequence[Loss] = (),
    ) -> Alteration:
        """Puts a new type in the place of the old one, and turns every column of the old over to it: by way of text.

        `turned` are other ways, as SQL over a column's name: by the column's type, and there is none for others then.
        `lost` is what the turning destroys.

        What else hangs on the type (functions, defaults, checks) is made anew around it.
        """
        name = "tagback_" + hashlib.sha256(self.id.path.encode()).hexdigest()[:12]
        old = qualified(*self.id.name[:-1], name)
        converted = []
        disturbed = {self.id}
        away: set[ObjectId] = set()
        impossible = ""
        in_the_way: set[ObjectId] = set()
        spellings = (self.spelled, f"{self.spelled}[]")
        for table in target.objects.values():
            before = live.objects.get(table.id)
            if not isinstance(table, Table) or not isinstance(before, Table):
                continue
            # A table that hangs on the type has taken its own other changes before this, one that doesn't takes them after.
            if not any(c.type in spellings for c in before.columns):
                continue
            clauses = []
            for c in table.columns:
                if c.type not in spellings:
                    continue
                if c.inherited or (live.has_parts(table.id) and not table.partition_by):
                    impossible = (
                        f"{self.id} would have to be made anew, and {table.id} shares columns of it by inheritance."
                    )
                    in_the_way |= {table.id} if c.inherited else set(live.parts_of(table.id))
                if (c.generated and not c.calls) or any(c.name in g.uses for g in (*before.columns, *table.columns)):
                    impossible = f"{self.id} would have to be made anew, and {table.id} computes values of it."
                    in_the_way.add(table.id)
                if c.name in before.key:
                    impossible = f"{self.id} would have to be made anew, and {table.id} is partitioned by values of it."
                    in_the_way.add(table.id)
                text = "text[]" if c.type.endswith("[]") and c.type != self.spelled else "text"
                using = f"{ident(c.name)}::{text}::{c.type}"
                if turned is not None and c.type in turned:
                    using = turned[c.type](ident(c.name))
                elif turned is not None:
                    impossible = f"{self.id} would have to be made anew, and {table.id} has arrays of it."
                    in_the_way.add(table.id)
                clauses.append(f"ALTER COLUMN {ident(c.name)} TYPE {c.type} USING {using}")
                disturbed.add(ObjectId("column", (*table.id.name, c.name)))
            if clauses:
                holders = holders_of_rows(table.id, live, target)
                away |= holders.shown
                impossible = impossible or holders.in_the_way
                in_the_way |= holders.tables
                converted.append(f"ALTER TABLE ONLY {table.address} {', '.join(clauses)}")
        return Alteration(
            (
                *self.steps([f"ALTER {self.keyword} {self.address} RENAME TO {ident(name)}"]),
                *after.create(),
                *(self.step(sql, Action.ALTER, ACCESS_EXCLUSIVE, lost) for sql in converted),
                self.step(f"DROP {self.keyword} {old}", Action.DROP),
            ),
            frozenset(disturbed),
            impossible=impossible,
            away=frozenset(away),
            holders=frozenset(in_the_way),
        )
