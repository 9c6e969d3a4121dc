"""What waits for the commit: deferred constraints and constraint triggers, which are code like any other."""

from __future__ import annotations

from collections.abc import Callable

_DEFERRED = """
    SELECT string_agg(name, ', ') FROM (
        SELECT format('%I.%I', nspname, conname) AS name
        FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace
        WHERE conname IN (SELECT conname FROM pg_constraint WHERE condeferred) AND has_schema_privilege(n.oid, 'USAGE')
        GROUP BY nspname, conname HAVING bool_and(condeferred)) deferred"""


def settle(run: Callable[[str], object], ask: Callable[[str], list[tuple[object, ...]]]) -> None:
    """Runs what waits now, as the commit would; `run` has the user's settings in force, `ask` tagback's.

    Afterwards constraints are deferred as in a new transaction, for more statements may come. SET CONSTRAINTS takes
    names: those that constraints share which aren't all deferred are left out.
    """
    run("SET CONSTRAINTS ALL IMMEDIATE")
    ((names,),) = ask(_DEFERRED)
    if names:
        run(f"SET CONSTRAINTS {names} DEFERRED")
