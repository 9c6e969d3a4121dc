"""Images: of a large table only the rows that statements seem to choose, as they were before these run.

What a condition means doesn't matter in the end. With the file the same, no row inserted, an image for each row that was
written, and as many images without their row as rows were deleted, the images have all that was touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tagback.catalog import ObjectId
from tagback.engines.postgres.columns import as_it_lies, kept_form
from tagback.engines.postgres.copies import Copy
from tagback.engines.postgres.rows import Rows
from tagback.engines.postgres.sqltext import literal, qualified
from tagback.engines.session import StatementError

_SAVEPOINT = "tagback_images"


class Images:
    """`text` and `attempt` run a statement, as in `Rows`; `theirs` runs one under the user's settings.

    `undo` goes back to a savepoint that was set with these.
    """

    def __init__(
        self,
        text: Callable[[str], list[tuple[object, ...]]],
        attempt: Callable[[str], list[tuple[object, ...]] | StatementError],
        theirs: Callable[[str], list[tuple[object, ...]]],
        undo: Callable[[str], None],
        rows: Rows,
    ) -> None:
        self._text = text
        self._attempt = attempt
        self._theirs = theirs
        self._undo = undo
        self._rows = rows

    def taken(self, table: ObjectId, chosen: Sequence[str]) -> Copy | None:
        """The rows that these queries' FROM choose; None where they can't be told, or are most of the table."""
        copy = replace(self._rows.uncopied(table), images=True)
        source = f"ONLY {qualified(*table.name)}"
        if not copy.key or table in self._rows.kept_before:
            return None
        ((rows,),) = self._text(
            f"SELECT CASE WHEN reltuples < 0 THEN (SELECT count(*) FROM {source}) ELSE reltuples::bigint END"
            f" FROM pg_class WHERE oid = {literal(qualified(*table.name))}::regclass"
        )
        # Where they are is asked as the user would, what is in them in the one form that values are kept in.
        places = f"{copy.name}_places"
        queries = " UNION ".join(f"SELECT ctid FROM {one}" for one in chosen)
        if not self._asked(f"CREATE TEMP TABLE {places} (a) ON COMMIT DROP AS {queries}"):
            return None
        names = ", ".join(f"c{n}" for n in range(len(copy.columns)))
        values = ", ".join(map(as_it_lies, copy.columns))
        found = self._attempt(f"SELECT count(*) FROM pg_temp.{places}")
        few = not isinstance(found, StatementError) and 2 * int(str(found[0][0])) <= int(str(rows))
        if few:
            self._rows.read_whole(
                table,
                f"CREATE TEMP TABLE {copy.name} ({names}) ON COMMIT DROP AS SELECT {values} FROM {source}"
                f" WHERE ctid = ANY (ARRAY(SELECT a FROM pg_temp.{places}))",
            )
        self._theirs(f"DROP TABLE pg_temp.{places}")
        return copy if few else None

    def complete(self, table: ObjectId, copy: Copy) -> bool:
        """Whether nothing happened to the table but to rows that there are images of."""
        written, now = self._rows.written(table), self._rows.shape(table)
        today = self._rows.described([table])[table]
        if (
            written is None
            or written[0]
            or now.file == 0
            or now.file != copy.shape.file
            or set(copy.key) not in map(set, today.keys)
            or any(now.columns.get(c.name) != copy.shape.columns[c.name] for c in copy.columns)
            or not (all(c.core for c in copy.columns) or self._rows.types_stand())
        ):
            return False
        columns = {c.name: c for c in copy.columns}
        rows = ", ".join(f"{kept_form(columns[c])} AS k{n}" for n, c in enumerate(copy.key))
        images = ", ".join(f"{copy.values[c]} AS k{n}" for n, c in enumerate(copy.key))
        same = " AND ".join(f"s.k{n} = n.k{n}" for n in range(len(copy.key)))
        there = f"(SELECT {images} FROM pg_temp.{copy.name}) s"
        row = f"SELECT {rows}, age(xmin) <= (SELECT age({literal(copy.since)}::xid)) AS here FROM ONLY {qualified(*table.name)}"
        ((changed, gone),) = self._text(
            "SELECT count(*) FILTER (WHERE n.here), count(*) FILTER (WHERE n.here IS NULL)"
            f" FROM {there} LEFT JOIN ({row}) n ON {same}"
        )
        if int(str(gone)) != written[2]:
            return False
        # As many as there were updates: each of them was of another row that there is an image of.
        if int(str(changed)) == written[1]:
            return True
        return self._text(
            f"SELECT count(*) FROM ({row}) n WHERE n.here AND NOT EXISTS (SELECT FROM {there} WHERE {same})"
        ) == [(0,)]

    def _asked(self, sql: str) -> bool:
        """Runs it under the user's settings; whether it could be run."""
        self._theirs(f"SAVEPOINT {_SAVEPOINT}")
        try:
            self._theirs(sql)
            done = True
        except StatementError as error:
            if error.lost or error.retryable:
                raise
            self._undo(_SAVEPOINT)
            done = False
        self._theirs(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return done
