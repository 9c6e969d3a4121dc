"""Puts nodes in an order that respects what must come before what."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar


class Orderable(Protocol):
    def __hash__(self) -> int: ...


N = TypeVar("N", bound=Orderable)


class CycleError(Exception):
    """Some nodes wait for each other; `nodes` are those that are left."""

    def __init__(self, nodes: Sequence[object]) -> None:
        super().__init__(f"{len(nodes)} steps wait for each other")
        self.nodes = nodes


def in_order(nodes: Iterable[N], before: Mapping[N, Iterable[N]], rank: Callable[[N], tuple[object, ...]]) -> list[N]:
    """A topological order; among nodes that are free to go, the one with the smallest rank goes first.

    `before[x]` are the nodes that must precede x; names that aren't nodes are ignored. CycleError if there is none.
    """
    all_nodes = list(nodes)
    present = set(all_nodes)
    waits: dict[N, int] = {}
    followers: dict[N, list[N]] = {n: [] for n in all_nodes}
    for n in all_nodes:
        first = {p for p in before.get(n, ()) if p in present and p != n}
        waits[n] = len(first)
        for p in first:
            followers[p].append(n)
    ready = [(rank(n), i, n) for i, n in enumerate(all_nodes) if waits[n] == 0]
    heapq.heapify(ready)
    ordered: list[N] = []
    position = len(all_nodes)
    while ready:
        n = heapq.heappop(ready)[2]
        ordered.append(n)
        for f in followers[n]:
            waits[f] -= 1
            if waits[f] == 0:
                position += 1
                heapq.heappush(ready, (rank(f), position, f))
    if len(ordered) < len(all_nodes):
        done = set(ordered)
        raise CycleError([n for n in all_nodes if n not in done])
    return ordered


def reaches(start: N, goal: N, needs: Callable[[N], Iterable[N]]) -> bool:
    """Whether one needs the other, by however many between them."""
    queue, seen = [start], {start}
    while queue:
        for needed in needs(queue.pop()):
            if needed == goal:
                return True
            if needed not in seen:
                seen.add(needed)
                queue.append(needed)
    return False
