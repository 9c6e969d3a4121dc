"""Privileges: who may do what with an object, as the server keeps them, and the statements from one state to another."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import msgspec

from tagback.engines.postgres.sqltext import ident

_WORDS = {
    "r": "SELECT",
    "a": "INSERT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
    "X": "EXECUTE",
    "U": "USAGE",
    "C": "CREATE",
    "c": "CONNECT",
    "T": "TEMPORARY",
}


ALL_ON_TABLES = "Dadrtwx"  # before 17


class Grant(msgspec.Struct, frozen=True, omit_defaults=True, order=True):
    """What one role gave another. `privileges` are the server's letters, in order; those in `grantable` may be passed on.

    An empty grantee is PUBLIC.
    """

    grantee: str
    grantor: str
    privileges: str
    grantable: str = ""


Acl = tuple[Grant, ...]


def parse(items: Iterable[str]) -> Acl:
    """The server's `aclitem` texts, in a fixed order."""
    return tuple(sorted(_item(i) for i in items))


@functools.lru_cache(maxsize=4096)
def _item(text: str) -> Grant:
    grantee, at = _role(text, 0)
    letters, _, grantor = text[at + 1 :].partition("/")
    privileges = []
    grantable = []
    for letter, following in zip(letters, letters[1:] + " ", strict=True):
        if letter == "*":
            continue
        privileges.append(letter)
        if following == "*":
            grantable.append(letter)
    return Grant(grantee, _role(grantor, 0)[0], "".join(sorted(privileges)), "".join(sorted(grantable)))


def _role(text: str, start: int) -> tuple[str, int]:
    """A role's name, in quotes or not, and where it ends."""
    if text[start : start + 1] != '"':
        end = next((i for i in range(start, len(text)) if text[i] in "=/"), len(text))
        return text[start:end], end
    name, i = [], start + 1
    while i < len(text):
        if text[i] == '"':
            if text[i + 1 : i + 2] != '"':
                break
            i += 1
        name.append(text[i])
        i += 1
    return "".join(name), i + 1


def given_to(acl: Acl, old_owner: str, new_owner: str) -> Acl:
    """What ALTER … OWNER makes of privileges: the old owner's become the new one's."""
    merged: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for g in acl:
        key = (new_owner if g.grantee == old_owner else g.grantee, new_owner if g.grantor == old_owner else g.grantor)
        held = merged.setdefault(key, (set(), set()))
        held[0].update(g.privileges)
        held[1].update(g.grantable)
    return tuple(sorted(Grant(k[0], k[1], "".join(sorted(p)), "".join(sorted(o))) for k, (p, o) in merged.items()))


def upgraded(acl: Acl, owner: str, there: Acl) -> Acl:
    """Privileges on a table from before 17 as a dump brings them to 17 or later, where the owner has MAINTAIN too.

    So has whoever else had all, if an older pg_dump wrote GRANT ALL; a newer one names what all was (buildACLCommands in
    src/bin/pg_dump/dumputils.c). Which it was is seen from what is `there`.
    """
    has = {(g.grantee, g.grantor): g for g in there}

    def now(g: Grant) -> Grant:
        all_now = Grant(g.grantee, g.grantor, _more(g.privileges), _more(g.grantable))
        return all_now if g.grantee == owner or has.get((g.grantee, g.grantor)) == all_now else g

    return tuple(map(now, acl))


def downgraded(acl: Acl, owner: str, there: Acl) -> Acl:
    """The other way round: privileges on a table from 17 or later as there are before."""
    return tuple(Grant(g.grantee, g.grantor, g.privileges.replace("m", ""), g.grantable.replace("m", "")) for g in acl)


def _more(letters: str) -> str:
    return "".join(sorted(letters + "m")) if letters == ALL_ON_TABLES else letters


def statements(before: Acl, after: Acl, owner: str, target: str, column: str = "") -> list[str]:
    """GRANT and REVOKE from one state to the other. `target` is `TABLE "s"."t"`; `column` limits it to one column."""
    old = {(g.grantee, g.grantor): g for g in before}
    new = {(g.grantee, g.grantor): g for g in after}
    out: list[str] = []
    # What others passed on goes before what it rests on, and comes after it.
    for key in sorted(old, key=lambda k: (k[1] == owner, k)):
        had, has = old[key], new.get(key)
        gone = set(had.privileges) - set(has.privileges if has else "")
        passed_on = set(had.grantable) - set(has.grantable if has else "") - gone
        if gone:
            out += _as(had.grantor, owner, f"REVOKE {_words(gone, column)} ON {target} FROM {_name(had.grantee)}")
        if passed_on:
            words = _words(passed_on, column)
            out += _as(had.grantor, owner, f"REVOKE GRANT OPTION FOR {words} ON {target} FROM {_name(had.grantee)}")
    for key in sorted(new, key=lambda k: (k[1] != owner, k)):
        had_, want = old.get(key), new[key]
        plain = set(want.privileges) - set(want.grantable) - set(had_.privileges if had_ else "")
        option = set(want.grantable) - set(had_.grantable if had_ else "")
        if plain:
            out += _as(want.grantor, owner, f"GRANT {_words(plain, column)} ON {target} TO {_name(want.grantee)}")
        if option:
            words = _words(option, column)
            out += _as(want.grantor, owner, f"GRANT {words} ON {target} TO {_name(want.grantee)} WITH GRANT OPTION")
    return out


def revoked(before: Acl | None, after: Acl | None, owner: str) -> Acl:
    """What is taken away on the way from one state of a table's privileges to the other. None is what there is at first."""
    if before is None:
        return () if after is None else (Grant(owner, owner, ALL_ON_TABLES, ALL_ON_TABLES),)
    new = {(g.grantee, g.grantor): g for g in after or ()}
    found = []
    for g in before:
        has = new.get((g.grantee, g.grantor))
        if has is None and after is None and g.grantee == owner:
            has = Grant(g.grantee, g.grantor, g.privileges)
        gone = set(g.privileges) - set(has.privileges if has else "")
        found.append(
            Grant(g.grantee, g.grantor, "".join(gone), "".join(set(g.grantable) - set(has.grantable if has else "")))
        )
    return tuple(found)


def without(acl: Acl, revoked: Acl) -> Acl:
    """A column's privileges when these are revoked of its table."""
    gone = {(g.grantee, g.grantor): g for g in revoked}
    left = []
    for g in acl:
        less = gone.get((g.grantee, g.grantor))
        privileges = set(g.privileges) - set(less.privileges if less else "")
        grantable = (set(g.grantable) & privileges) - set(less.grantable if less else "")
        if privileges:
            left.append(Grant(g.grantee, g.grantor, "".join(sorted(privileges)), "".join(sorted(grantable))))
    return tuple(left)


def _as(grantor: str, owner: str, statement: str) -> list[str]:
    """The server records the owner as the grantor unless somebody else speaks."""
    if grantor == owner:
        return [statement]
    return [f"SET LOCAL ROLE {ident(grantor)}", statement, "RESET ROLE"]


def _words(letters: Iterable[str], column: str) -> str:
    suffix = f" ({ident(column)})" if column else ""
    return ", ".join(_WORDS[letter] + suffix for letter in sorted(letters))


def _name(role: str) -> str:
    return ident(role) if role else "PUBLIC"
