"""Places: the shelf's tables, in the ledger's schema. They have core types only, and nobody else may look into them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from tagback.engines.kept import KeptRows, told
from tagback.engines.postgres.columns import Column
from tagback.engines.postgres.sqltext import SCHEMA, ident, literal, qualified

MOVED = "moved"
"""How a table is kept that is itself on the shelf, in a schema of its own."""


def schema_of(place: str) -> str:
    """Where a moved table is."""
    return f"{SCHEMA}_{place}"


def address_of_moved(k: KeptRows) -> str:
    """A moved table, as SQL has it."""
    return qualified(schema_of(k.place), k.table.name[-1])


def address(place: str) -> str:
    """A place's name in SQL."""
    return qualified(SCHEMA, place)


class Places:
    """`text` runs a statement, as in `Rows`."""

    def __init__(self, text: Callable[[str], list[tuple[object, ...]]]) -> None:
        self._text = text

    def make(self, kept: KeptRows, columns: Sequence[Column]) -> str:
        """An empty place for the rows of a table with these columns at the start; gives its address."""
        forms = {c.name: _form(c) for c in columns}
        keys = [forms[name] for name in kept.key] or ["text"] * 2
        parts = ["change text NOT NULL", *(f"k{n} {form}" for n, form in enumerate(keys))]
        parts += [f"v{n} {form}" for n, form in enumerate(forms.values())]
        parts += ["d text", *(f"b{n} text" for n in range(len(columns))), "a text", "r text"]
        made = address(kept.place)
        comment = literal(told(kept.table, kept.key, kept.names))
        self._text(f"CREATE TABLE {made} ({', '.join(parts)}); COMMENT ON TABLE {made} IS {comment}")
        self._show_to_nobody(made)
        return made

    def rename(self, place: str, name: str) -> None:
        """Gives a place its name."""
        self._text(f"ALTER TABLE {address(place)} RENAME TO {ident(name)}")

    def counted_changed(self, kept: KeptRows) -> KeptRows:
        """The same for a place that has only been filled, with rows that were changed: the server counted them."""
        made = literal(address(kept.place))
        ((counting, rows, size),) = self._text(
            f"SELECT current_setting('track_counts') = 'on', pg_stat_get_xact_tuples_inserted({made}::regclass),"
            f" pg_total_relation_size({made}::regclass)"
        )
        return replace(kept, changed=int(str(rows)), bytes=int(str(size))) if counting else self.counted(kept)

    def counted(self, kept: KeptRows) -> KeptRows:
        """With how much the place holds."""
        made = address(kept.place)
        ((gone, new, changed, size),) = self._text(
            "SELECT count(*) FILTER (WHERE change = 'gone'), count(*) FILTER (WHERE change = 'new'),"
            f" count(*) FILTER (WHERE change = 'changed'), pg_total_relation_size({literal(made)}::regclass) FROM {made}"
        )
        return replace(kept, gone=int(str(gone)), new=int(str(new)), changed=int(str(changed)), bytes=int(str(size)))

    def drop(self, places: Collection[str]) -> None:
        """Drops them, if they are there."""
        for place in sorted(places):
            self._text(f"DROP TABLE IF EXISTS {address(place)}")

    def _show_to_nobody(self, made: str) -> None:
        """Takes back what ALTER DEFAULT PRIVILEGES granted."""
        granted = self._text(
            "SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END"
            f" FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = {literal(made)}::regclass AND grantee <> relowner"
        )
        for (role,) in granted:
            self._text(f"REVOKE ALL ON {made} FROM {role}")


def _form(column: Column) -> str:
    """The type in the shelf. Copies have the same collation, or the server would not know which one to compare by."""
    if not column.core:
        return "text"
    return f'{column.type} COLLATE pg_catalog."C"' if column.collated else column.type
