"""Plain SQL that shows a person what is kept of a table, under the table's own names."""

from __future__ import annotations

from collections.abc import Callable

from tagback.engines.session import KeptRows

_CHANGE, _DIFFERS = "change", "columns changed"


def compared(kept: KeptRows, place: str, quoted: Callable[[str], str]) -> str:
    """The SELECT for a place that was compared, which `place` names in SQL.

    `change` says what was done to the row: gone, new or changed. Of a row that was changed the values are those from before,
    of the columns that changed; `columns changed` has a 1 for each of these, in the order of the table's columns. A
    table whose own columns bear these names gets the shelf's with an underscore.
    """
    keys = {name: f"k{n}" for n, name in enumerate(kept.key)}
    chosen = [(keys.get(c.name, f"v{n}"), c.name) for n, c in enumerate(kept.columns)]
    chosen.sort(key=lambda pair: pair[1] not in keys)
    chosen = [("change", _free(kept, _CHANGE)), *chosen]
    if kept.changed:
        chosen.append(("d", _free(kept, _DIFFERS)))
    return f"SELECT {', '.join(f'{column} AS {quoted(name)}' for column, name in chosen)} FROM {place}"


def _free(kept: KeptRows, name: str) -> str:
    taken = {c.casefold() for c in kept.names}
    while name in taken:
        name += "_"
    return name
