"""Foreign keys: objects of their own, because they tie two tables together."""

from __future__ import annotations

from collections.abc import Iterable

from tagback.catalog import Action, ObjectId, Step
from tagback.engines.mariadb.kinds.base import MariadbObject, table_id
from tagback.engines.mariadb.sqltext import ident


class ForeignKey(MariadbObject, frozen=True, kw_only=True, omit_defaults=True, tag="foreign key"):
    """`text` is the server's, from FOREIGN KEY on. `schema` is empty for a parent in the same one.

    `dangling`: the parent was dropped under foreign_key_checks = 0, and the key waits for another one of its name.
    """

    text: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    schema: str = ""
    dangling: bool = False

    @property
    def part_of(self) -> ObjectId | None:
        return table_id(self.id.name[0])

    @property
    def acts_on_rows_of(self) -> Iterable[ObjectId]:
        own = table_id(self.id.name[0])
        return (own,) if self.schema else tuple(dict.fromkeys((own, table_id(self.parent))))

    @property
    def acts_by_columns(self) -> bool:
        return True

    @property
    def limits_rows(self) -> bool:
        return True

    def create(self) -> tuple[Step, ...]:
        """The server makes a key of this name where none serves it: `Table` leaves that to it.

        It may put that in the place of one that it had made for another foreign key, and tells of no key that it made
        it. The next plan sees the other name, and puts the key there in words.
        """
        sql = f"ALTER TABLE {ident(self.id.name[0])} ADD CONSTRAINT {self.address} {self.text}"
        if not self.dangling:
            return (self.step(sql, Action.CREATE),)
        around = [f"SET SESSION foreign_key_checks = {on}" for on in (0, 1)]
        return tuple(self.step(s, Action.CREATE) for s in (around[0], sql, around[1]))

    def drop(self) -> tuple[Step, ...]:
        sql = f"ALTER TABLE {ident(self.id.name[0])} DROP FOREIGN KEY {self.address}"
        return (self.step(sql, Action.DROP),)
