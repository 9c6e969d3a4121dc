"""Ways back, and what the model and the oracle say about each: what came of it, or why it was refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace

from tagback.deploy.drift import OnDrift
from tagback.deploy.results import RolledBack
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.errors import Exit, RefusedError, TagbackError
from tests.stateful.account import Account, Moment, Stage, Undone, said
from tests.stateful.model import ANY, NULL, Expected, Outcome, go_back, shelved_nothing, today, wrong
from tests.support.oracle import row_differences, schema_differences

_NAME = re.compile(r'"((?:[^"]|"")*)"|([^.]+)')


Way = tuple[tuple[Stage, Outcome], ...]
"""The legs of a way back, the newest stage's first, and what each must lead to."""


class Returning(Account):
    """The machine's account with ways back."""

    def _back(self, options: RollbackOptions, depth: int, place: Moment | None) -> None:
        before = self._moment()
        gone = self.stack[depth:]
        stages = list(dict.fromkeys(e.stage for e in reversed(gone)))
        done = self._try(f"rollback {said(options)}", lambda: self.target.rollback(options))
        expected = self._expected(stages, before, place, options.on_conflict)
        if isinstance(done, TagbackError):
            self._unchanged(before, "not rolled back")
            self._must(isinstance(done, RefusedError), f"rollback failed: {done.code}: {done}\n{done.hint}")
            self._must(done.exit_code is Exit.REFUSED, f"exit {done.exit_code}: {done}")
            self._refused(done.code, f"{done}\n{done.hint}", depth, place, expected)
            return
        self._must(done.verified, "not verified, and not an error")
        self._must(all(e.reversible for e in gone), "an irreversible deployment was undone without a word")
        if expected is not None:
            self._conflicts(done, expected, options)
        if options.dry_run:
            self._unchanged(before, "dry run")
            self._count("dry run of a way back")
            return
        self._look()
        if place is not None:
            self._returned(done, options, before, place, expected)
            self.drift_undone = self.drift_undone or place.drifts != self.drifts
        self._must(len(done.changesets) == len(gone), f"undone: {done.changesets}, not {[e.file.stem for e in gone]}")
        if done.receipt is not None:  # otherwise nothing was undone, and nothing is recorded
            self._cut(depth, place, before)

    # ------------------------------------------------------------------ rows

    def _expected(
        self, stages: Sequence[Stage], before: Moment, place: Moment | None, on_conflict: OnConflict
    ) -> list[Way] | None:
        """What the legs of each possible way lead to; None where the ends of the stages aren't known."""
        if place is None or place.drifts != self.drifts or self.drift_undone or not all(s.sure for s in stages):
            return None
        restore = on_conflict is OnConflict.RESTORE
        ways = []
        for legs in self._ways(stages):
            tables = today(before.place)
            outcomes = []
            for leg in legs:
                outcomes.append(
                    go_back(self.database.values, leg.began.place, leg.ended.place, tables, restore=restore)
                )
                tables = outcomes[-1].tables
            ways.append(tuple(zip(legs, outcomes, strict=True)))
        return ways

    def _ways(self, stages: Sequence[Stage]) -> list[list[Stage]]:
        """Stage by stage; or in one leg over those that shelved nothing, in one deployment or if none shelved a thing."""
        quiet = {s: shelved_nothing(self.database.values, s.began.place, s.ended.place) for s in stages}
        ways = [list(stages)]
        together: list[Stage] = []
        for stage in stages:
            last = together[-1] if together else None
            if last is not None and quiet[stage] and quiet.get(last, True) and last.deployment == stage.deployment:
                together[-1] = Stage(stage.deployment, stage.began, last.ended, sure=True)
            else:
                together.append(stage)
        if len(together) < len(stages):
            ways.append(together)
        if len(together) > 1 and all(quiet.values()):
            ways.append([Stage(stages[-1].deployment, stages[-1].began, stages[0].ended, sure=True)])
        return ways

    def _conflicts(self, done: RolledBack, ways: Sequence[Way], options: RollbackOptions) -> None:
        """Whether all that is in conflict was told, and nothing else."""
        self._must(len(done.conflicts) == done.conflicts_total, f"{done.conflicts_total} conflicts in {done.conflicts}")
        if options.on_conflict is OnConflict.FAIL:
            self._must(not done.conflicts_total, f"conflicts, and no refusal: {done.conflicts}")
        told = {(_parts(c.table), c.key, c.column) for c in done.conflicts}
        if told:
            self._count(f"conflicts: {options.on_conflict}")
        self._must(len(told) == len(done.conflicts), f"conflicts told twice: {done.conflicts}")
        problems = [_untrue(told, way) for way in ways]
        self._must(not all(problems), problems[0])

    def _returned(
        self,
        done: RolledBack,
        options: RollbackOptions,
        before: Moment,
        place: Moment,
        ways: Sequence[Way] | None,
    ) -> None:
        exact = "rolled back exactly"
        if place.state.schema:
            differs = schema_differences(place.state.schema, self.now.schema)
            if options.on_drift is OnDrift.KEEP and done.kept_drift:
                # What was changed by hand, and nothing else, may differ; and it is as it was a moment ago.
                differs = [w for w in differs if not self._is_drift(w, before)]
                self._equal(self._lost_by_hand(place, before), "what was changed by hand lost values")
                exact = "rolled back, what was changed by hand kept"
            elif place.drifts != self.drifts:
                exact += " over changes by hand"
            self._equal(differs, "verified, and the schema is another")
        self._count(exact)
        if ways is None:
            return
        reported = Counter(c.table for c in done.conflicts)
        found = {name: reported[path] for name in self.now.rows for path in reported if _parts(path) == _parts(name)}
        problems = [
            wrong(way[-1][1], self.now.rows, found) if way else row_differences(before.state.rows, self.now.rows)
            for way in ways
        ]
        if all(problems):
            self._equal(problems[0], "verified, and rows are others")
        if any(_vague(t) for way in ways if way for t in way[-1][1].tables.values()):
            self._count("… with rows that can't all be told")

    def _lost_by_hand(self, place: Moment, before: Moment) -> list[str]:
        """Values in columns that somebody added by hand, of rows that were there and are."""
        lines = []
        for table, columns in place.sketch.tables.items():
            was, now = before.state.rows.get(table), self.now.rows.get(table)
            if was is None or now is None:
                continue
            key = tuple(c.name for c in columns if c.tells)
            added = tuple(c for c in now.columns if c in was.columns and c not in {c.name for c in columns})
            if key and added and set(key) <= set(was.columns) & set(now.columns):
                then, today = ({row[: len(key)]: row for row in r.only((*key, *added))} for r in (was, now))
                lines += [f"{table}: {then[k]}, now {row}" for k, row in today.items() if then.get(k, row) != row]
        return lines

    def _is_drift(self, line: str, before: Moment) -> bool:
        name = line.partition(":\n")[0].partition(": missing: ")[0].partition(": left behind: ")[0]
        now, then = self.now.schema.get(name, ""), before.state.schema.get(name, "")
        # Where its columns are in their table isn't the index's own.
        return now.partition("\nindex_xinfo")[0] == then.partition("\nindex_xinfo")[0]

    # ------------------------------------------------------------------ refusals

    def _refused(
        self,
        code: str,
        told: str,
        depth: int,
        place: Moment | None,
        ways: Sequence[Way] | None,
    ) -> None:
        """A refusal must have its reason."""
        gone = self.stack[depth:]
        inside = 0 < depth < len(self.stack) and not self.stack[depth - 1].recorded
        drifted = place is None or place.drifts != self.drifts or self.drift_undone
        outcomes = [outcome for way in ways or () for _, outcome in way]
        reasons = {
            "not_granular": inside,
            "irreversible": drifted or any(not e.reversible for e in gone),
            "drift": drifted,
            "conflict": drifted or ways is None or any(o.sure or o.maybe or o.untold for o in outcomes),
            "data_loss": drifted or ways is None or any(self._narrows([leg for leg, _ in way]) for way in ways),
            "constraint": drifted or ways is None or not all(self._fits(way) for way in ways),
        }
        self._must(reasons.get(code, False), f"refused without reason: {code}: {told}")
        self._count(f"rollback refused: {code}")

    def _fits(self, way: Way) -> bool:
        """Whether what the model expects has room in the schema at the end of each leg, as far as can be told."""
        for stage, outcome in way:
            for table, columns in stage.began.sketch.tables.items():
                expected = outcome.tables.get(table)
                if expected is not None and any(_is_null(expected, c.name) for c in columns if c.not_null):
                    return False
            if not self.database.fits(stage.began.state.schema, outcome.tables):
                return False
        return True

    def _narrows(self, stages: Sequence[Stage]) -> bool:
        """Whether a column goes back to another type and somebody wrote since."""
        if not stages or (self.writes == stages[0].ended.writes and len(stages) == 1):
            return False
        for stage in stages:
            for table, columns in stage.began.sketch.tables.items():
                values = self.database.values
                pair = stage.ended.identities.pairs(
                    stage.began.identities, table, values.fold, first_names=values.first_names
                )
                if pair is not None:
                    types = {c.name: c.type for c in stage.ended.sketch.tables[pair[0]]}
                    if any(c.name in pair[1] and types[pair[1][c.name]] != c.type for c in columns):
                        return True
        return False

    # ------------------------------------------------------------------ what is in effect then

    def _cut(self, depth: int, place: Moment | None, before: Moment) -> None:
        gone = self.stack[depth:]
        self._part({e.stage for e in self.stack[:depth]} & {e.stage for e in gone})
        self.identities = place.identities.copy() if place is not None else self.identities
        self._see()
        if gone:
            self._forget_undone()
            files = tuple(e.file for e in gone)
            stages = {e.stage for e in gone}
            began, ended, sure = gone[0].stage.began, gone[-1].stage.ended, all(s.sure for s in stages)
            self.undone = Undone(files, began, ended, before, self._moment(), sure, whole=len(stages) == 1)
        del self.stack[depth:]
        self.tags = {name: (d, p) for name, (d, p) in self.tags.items() if d <= depth}
        self.attested = self.now

    def _part(self, stages: Set[Stage]) -> None:
        """What was taken back as far as a place inside of a stage ends otherwise than it was seen to."""
        parts = {s: replace(s, ended=self._moment(), sure=False) for s in stages}
        self.stack = [replace(e, stage=parts.get(e.stage, e.stage)) for e in self.stack]


def _untrue(told: Set[tuple[tuple[str, ...], str, str]], way: Way) -> str:
    """What is wrong about the conflicts that were told, if anything is. They bear the names at the end of the way."""
    sure: set[tuple[tuple[str, ...], str, str]] = set()
    maybe: set[tuple[tuple[str, ...], str, str]] = set()
    untold: set[tuple[str, ...]] = set()
    for n, (_, outcome) in enumerate(way, 1):
        for found, all_of_them in ((outcome.sure, sure), (outcome.maybe, maybe)):
            for table, key, column in found:
                there, name = _at_the_end(table, column, way[n:])
                all_of_them.add((_parts(there), key, name))
        untold |= {_parts(_at_the_end(table, "", way[n:])[0]) for table in outcome.untold}
    odd = sorted(c for c in told - sure - maybe if c[0] not in untold)
    missing = sorted(c for c in sure - told if c[0] not in untold)
    return (f"conflicts that are none: {odd}; " if odd else "") + (f"conflicts not told: {missing}" if missing else "")


def _at_the_end(table: str, column: str, way: Way) -> tuple[str, str]:
    for stage, _ in way:
        table, column = stage.ended.identities.known_as(stage.began.identities, table, column)
    return table, column


def _vague(t: Expected) -> bool:
    return t.guessed or bool(t.loose) or any(ANY in row for row in t.values)


def _is_null(expected: Expected, column: str) -> bool:
    if expected.guessed or column not in expected.columns:
        return False
    n = expected.columns.index(column)
    return any(row[n] == NULL for row in expected.values)


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a table's name, with or without quotes."""
    return tuple(a.replace('""', '"') or b for a, b in _NAME.findall(name))
