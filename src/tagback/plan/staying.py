"""Whether values can be corrected in rows that stay."""

from __future__ import annotations

from collections.abc import Collection

from tagback.catalog import Catalog, ObjectId, UnmanagedObject


def exchanges(
    catalog: Catalog, table: ObjectId, columns: frozenset[ObjectId], coming: Collection[ObjectId] = ()
) -> bool:
    """Whether some key is made of these columns, or perhaps is. One that is `coming` does so when the values are there."""
    for o in catalog.objects.values():
        if o.tells_rows_apart and o.part_of == table and o.id not in coming:
            if not catalog.dependencies.get(o.id, columns).isdisjoint({table, *columns}):
                return True
        elif isinstance(o, UnmanagedObject) and not catalog.dependencies.get(o.id, columns).isdisjoint(columns):
            return True
    return False
