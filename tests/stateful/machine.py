"""Random histories: deployments, failures, tags, writes, changes by hand and ways back, each step checked by the oracle.

The machine keeps its own account of what was recorded where, and of which table and column is which. It never asks
tagback what the right answer is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.drift import OnDrift
from tagback.deploy.results import Applied, RolledBack
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import Exit, RefusedError, TagbackError
from tagback.ledger.history import History, read_history
from tagback.ledger.store import Ledger
from tests.stateful.database import Database
from tests.stateful.sketch import Identities, Sketch
from tests.support.folders import fast_place
from tests.support.oracle import State, differences, row_differences, schema_differences

T = TypeVar("T")
TAGS = ("r1", "r2", "v 3", "größe", "it's")


@dataclass(frozen=True, slots=True)
class Place:
    """A state one may want back. `drifts` and `writes` count what others had done to the database until then."""

    state: State
    sketch: Sketch
    identities: Identities
    drifts: int
    writes: int


@dataclass(frozen=True, slots=True)
class Effective:
    """A changeset in effect; `before` is where its deployment began, `after` its own end, if that was recorded."""

    file: Path
    deployment: int
    before: Place
    after: Place | None
    reversible: bool
    recorded: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """Changesets that were taken back together and could be deployed again: where they began and ended."""

    files: tuple[Path, ...]
    before: Place
    after: Place


@dataclass(frozen=True, slots=True)
class Written:
    """A changeset that isn't deployed yet. `after` is what trying it showed, where that can be seen."""

    file: Path
    identities: Identities
    sketch: Sketch
    after: State | None


class Histories(RuleBasedStateMachine):
    """Subclasses name the database."""

    make: ClassVar[Callable[[Path], Database]]
    outcomes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tagback-stateful-", dir=fast_place()))
        self.changelog = self.folder / "changelog"
        self.changelog.mkdir()
        self.database = type(self).make(self.folder)
        self.target = Target.open(self.database.url, create=True)
        self.story: list[str] = []
        self.stack: list[Effective] = []
        self.tags: dict[str, tuple[int, Place]] = {}
        self.undone: Undone | None = None
        self.attested: State | None = None
        self.identities = Identities()
        self.drifts = 0
        self.parted: set[int] = set()  # deployments taken back in part
        self.drift_undone = False  # then a tag may name what somebody did by hand and a way back took away
        self.writes = 0
        self.number = 0
        self.now = self.database.state()

    def teardown(self) -> None:
        self.target.close()
        self.database.close()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ forth

    @rule(data=st.data(), granular=st.booleans(), tagged=st.booleans())
    def deploy(self, data: st.DataObject, granular: bool, tagged: bool) -> None:
        """Some changesets that work by themselves."""
        self._forget_undone()
        written, holds = self._write_changesets(data)
        if not written:
            self._count("nothing to deploy")
            return
        before = self._place()
        tag = self._free_tag(data) if tagged else None
        options = ApplyOptions(tag=tag, granular=granular)
        done = self._try(f"apply {_said(options)}", lambda: self.target.apply(self.changelog, options))
        reversible = True
        if isinstance(done, RefusedError) and done.code == "irreversible":
            self._unchanged(before, "refused")
            self._count("apply refused: irreversible")
            if not data.draw(st.booleans(), label="allowed"):
                self._remove([w.file for w in written])
                return
            reversible = False
            options = replace(options, allow_irreversible=True)
            done = self._try("apply, irreversible allowed", lambda: self.target.apply(self.changelog, options))
        if isinstance(done, TagbackError):
            self._unchanged(before, "failed")
            self._remove([w.file for w in written])
            self._must(not holds, f"apply failed: {done.code}: {done}\n{done.hint}")
            self._count("apply failed: broken foreign keys")
            return
        self._deployed(done, before, written, granular=granular, reversible=reversible)

    @rule(data=st.data(), granular=st.booleans(), tagged=st.booleans())
    def deploy_more(self, data: st.DataObject, granular: bool, tagged: bool) -> None:
        """The same once more, so that it is done more often than the rest."""
        self.deploy(data, granular, tagged)

    def _deployed(
        self, done: Applied, before: Place, written: list[Written], *, granular: bool, reversible: bool
    ) -> None:
        self._look()
        self.identities = written[-1].identities.copy()
        last = self._place()
        expected = written[-1].after
        if expected is not None:
            self._equal(schema_differences(expected.schema, self.now.schema), "apply made another schema than the SQL")
        assert done.deployment is not None
        for n, w in enumerate(written, 1):
            if n == len(written):
                after: Place | None = last
            elif granular and w.after is not None:
                after = Place(w.after, w.sketch, w.identities, self.drifts, self.writes)
            else:
                after = None
            recorded = granular or n == len(written)
            free = reversible or (granular and done.verdicts[n - 1].reversibility != "irreversible")
            self.stack.append(Effective(w.file, done.deployment, before, after, free, recorded))
        self.tags[done.tag] = (len(self.stack), last)
        self.attested = self.now
        self._count(f"applied: {done.reversibility}")

    @rule(data=st.data(), granular=st.booleans())
    def deploy_with_a_mistake(self, data: st.DataObject, granular: bool) -> None:
        """Some changesets, and a statement in the middle that the server refuses."""
        self._forget_undone()
        written, _ = self._write_changesets(data)
        mistake = data.draw(self.database.mistakes(self.database.sketch()), label="mistake")
        spoiled = written[data.draw(st.integers(0, len(written) - 1))].file if written else self._new_file()
        text = spoiled.read_text() if spoiled.exists() else ""
        spoiled.write_text(f"{text}{mistake};\n")
        before = self._place()
        options = ApplyOptions(granular=granular, allow_irreversible=True)
        failure = self._try(f"apply with {mistake}", lambda: self.target.apply(self.changelog, options))
        self._must(isinstance(failure, TagbackError), "a mistake was deployed")
        assert isinstance(failure, TagbackError)
        self._must(failure.exit_code is Exit.FAILED, f"exit {failure.exit_code}: {failure}")
        self._must(failure.location is not None, "the failure has no location")
        self._unchanged(before, "failed")
        self._remove([w.file for w in written] + [spoiled])
        self._count("apply failed as it should")

    @precondition(lambda self: self.undone is not None)
    @rule(data=st.data())
    def redo(self, data: st.DataObject) -> None:
        """What was taken back is deployed again."""
        assert self.undone is not None
        undone = self.undone
        before = self._place()
        options = ApplyOptions(allow_irreversible=True)
        done = self._try("apply again", lambda: self.target.apply(self.changelog, options))
        same = not schema_differences(undone.before.state.schema, self.now.schema)
        same = same and undone.before.drifts == undone.after.drifts
        if isinstance(done, TagbackError):
            self._unchanged(before, "failed")
            self._must(not same or self.writes > undone.before.writes, f"what was undone can't be redone: {done}")
            self._count(f"redo failed: {done.code}")
            return
        self._look()
        if same:
            self._equal(schema_differences(undone.after.state.schema, self.now.schema), "redo made another schema")
            self.identities = undone.after.identities.copy()
        self._see()
        assert done.deployment is not None
        place = self._place()
        reversible = done.reversibility != "irreversible"
        for n, file in enumerate(undone.files, 1):
            last = n == len(undone.files)
            self.stack.append(Effective(file, done.deployment, before, place if last else None, reversible, last))
        self.tags[done.tag] = (len(self.stack), place)
        self.attested = self.now
        self.undone = None
        self._count("redone")

    @rule(data=st.data())
    def tag(self, data: st.DataObject) -> None:
        """The present state gets a name."""
        name = self._free_tag(data)
        done = self._try(f"tag {name}", lambda: self.target.tag(name))
        self._must(not isinstance(done, TagbackError), f"tag: {done}")
        place = self._place()
        self._unchanged(place, "tagged", ledger=False)
        self.tags[name] = (len(self.stack), place)
        self.attested = self.now
        self._count("tagged")

    # ------------------------------------------------------------------ by others

    @precondition(lambda self: bool(self.now.rows))
    @rule(data=st.data())
    def application_writes(self, data: st.DataObject) -> None:
        """Rows come, change and go."""
        done = 0
        sketch = self.database.sketch()
        for _ in range(data.draw(st.integers(1, 3))):
            change = data.draw(self.database.writes(sketch), label="write")
            if self.database.write(change):
                self.story.append(f"-- the application: {change!r};")
                done += 1
        was = self.now
        if done:
            self.now = State(was.schema, self.database.rows())
        if row_differences(was.rows, self.now.rows):
            self.writes += 1
        self._count("written by the application")

    @rule(data=st.data())
    def changed_by_hand(self, data: st.DataObject) -> None:
        """Somebody changes the schema outside tagback."""
        change = data.draw(self.database.changes(self.database.sketch()), label="by hand")
        if not self.database.write(change):
            return
        self.story.append(f"-- by hand: {change!r};")
        was = self.now
        self._look()
        # Nobody recorded what was renamed by hand: what has a name is what had it.
        self._see()
        if schema_differences(was.schema, self.now.schema):
            self.drifts += 1
        if row_differences(was.rows, self.now.rows):
            self.writes += 1
        self._count("changed by hand")

    # ------------------------------------------------------------------ back

    @precondition(lambda self: bool(self.tags))
    @rule(data=st.data(), on_drift=st.sampled_from(OnDrift), dry_run=st.booleans())
    def back_to_a_tag(self, data: st.DataObject, on_drift: OnDrift, dry_run: bool) -> None:
        """To a state with a name."""
        name = data.draw(st.sampled_from(sorted(self.tags)), label="tag")
        depth, place = self.tags[name]
        self._back(RollbackOptions(to=name, on_drift=on_drift, dry_run=dry_run), depth, place)

    @precondition(lambda self: bool(self.stack))
    @rule(data=st.data(), on_drift=st.sampled_from(OnDrift), by_count=st.booleans())
    def back_over_some(self, data: st.DataObject, on_drift: OnDrift, by_count: bool) -> None:
        """Over so many changesets, or to one of them."""
        depth = data.draw(st.integers(0, len(self.stack) - 1), label="changesets left")
        if by_count or depth == 0:
            options = RollbackOptions(count=len(self.stack) - depth, on_drift=on_drift)
        else:
            options = RollbackOptions(to_changeset=self.stack[depth - 1].file.stem, on_drift=on_drift)
        self._back(options, depth, self._recorded(depth))

    @precondition(lambda self: bool(self.stack))
    @rule(data=st.data(), on_drift=st.sampled_from(OnDrift))
    def back_to_a_deployment(self, data: st.DataObject, on_drift: OnDrift) -> None:
        """To the end of a deployment."""
        deployment = data.draw(st.sampled_from(sorted({e.deployment for e in self.stack})), label="deployment")
        depth = max(n for n, e in enumerate(self.stack, 1) if e.deployment == deployment)
        if depth < len(self.stack):
            self._back(RollbackOptions(deployment=deployment, on_drift=on_drift), depth, self._recorded(depth))

    def _recorded(self, depth: int) -> Place | None:
        return self.stack[depth - 1].after if depth else self.stack[0].before

    def _back(self, options: RollbackOptions, depth: int, place: Place | None) -> None:
        before = self._place()
        gone = self.stack[depth:]
        done = self._try(f"rollback {_said(options)}", lambda: self.target.rollback(options))
        if isinstance(done, TagbackError):
            self._unchanged(before, "not rolled back")
            self._must(isinstance(done, RefusedError), f"rollback failed: {done.code}: {done}\n{done.hint}")
            self._refused(done.code, f"{done}\n{done.hint}", depth, place)
            return
        self._must(done.verified, "not verified, and not an error")
        self._must(all(e.reversible for e in gone), "an irreversible deployment was undone without a word")
        if options.dry_run:
            self._unchanged(before, "dry run")
            self._count("dry run of a way back")
            return
        self._look()
        if place is not None:
            self._returned(done, options, before, place)
            self.drift_undone = self.drift_undone or place.drifts != self.drifts
        self._must(len(done.changesets) == len(gone), f"undone: {done.changesets}, not {[e.file.stem for e in gone]}")
        if done.receipt is not None:  # otherwise nothing was undone, and nothing is recorded
            self._cut(depth, place, before)

    def _returned(self, done: RolledBack, options: RollbackOptions, before: Place, place: Place) -> None:
        wrong = schema_differences(place.state.schema, self.now.schema)
        if options.on_drift is OnDrift.KEEP and done.kept_drift:
            # What was changed by hand, and nothing else, may differ; and it is as it was a moment ago.
            wrong = [w for w in wrong if not self._is_drift(w, before)]
            self._count("rolled back, what was changed by hand kept")
        else:
            self._count("rolled back exactly" + (" over changes by hand" if place.drifts != self.drifts else ""))
        self._equal(wrong, "verified, and the schema is another")
        if place.drifts == self.drifts and place.writes == self.writes:
            self._equal(row_differences(place.state.rows, self.now.rows), "verified, and rows are others")
        else:
            self._equal(self._rows_after_writes(before, place), "rows written since are not as they were")

    def _is_drift(self, line: str, before: Place) -> bool:
        name = line.partition(":\n")[0].partition(": missing: ")[0].partition(": left behind: ")[0]
        now, then = self.now.schema.get(name, ""), before.state.schema.get(name, "")
        # Where its columns are in their table isn't the index's own.
        return now.partition("\nindex_xinfo")[0] == then.partition("\nindex_xinfo")[0]

    def _rows_after_writes(self, before: Place, place: Place) -> list[str]:
        wrong = []
        there = set(before.state.rows)
        for table, rows in self.now.rows.items():
            if table not in place.state.rows:
                continue
            pair = before.identities.pairs(place.identities, table, there)
            if pair is None:
                wrong += [f"{table} was gone and has rows: {dict(rows.values)}"] if rows.values else []
                continue
            name, columns = pair
            source = before.state.rows[name]
            types_then = {c.name: c.type for c in place.sketch.tables[table]}
            types_now = {c.name: c.type for c in before.sketch.tables[name]}
            same = [
                (then, now)
                for then, now in columns.items()
                if then in rows.columns and now in source.columns and types_then[then] == types_now[now]
            ]
            a, b = source.only(tuple(now for _, now in same)), rows.only(tuple(then for then, _ in same))
            if a != b:
                wrong.append(f"rows of {table}: missing {dict(a - b)}, too many {dict(b - a)}, columns {same}")
        return wrong

    def _refused(self, code: str, said: str, depth: int, place: Place | None) -> None:
        """A refusal must have its reason."""
        gone = self.stack[depth:]
        inside = 0 < depth < len(self.stack) and not self.stack[depth - 1].recorded
        drifted = place is None or place.drifts != self.drifts or self.drift_undone
        reasons = {
            "not_granular": inside,
            "irreversible": drifted or any(not e.reversible for e in gone),
            "drift": drifted,
            # What a deployment left in its own tables is recognised only as long as nothing else renames or alters them.
            "data_loss": drifted
            or (place is not None and place.writes != self.writes)
            or len({e.deployment for e in gone} | self.parted) > 1,
            "constraint": drifted or (place is not None and place.writes != self.writes),
        }
        self._must(reasons.get(code, False), f"refused without reason: {code}: {said}")
        self._count(f"rollback refused: {code}")

    def _cut(self, depth: int, place: Place | None, before: Place) -> None:
        gone = self.stack[depth:]
        self.parted |= {e.deployment for e in self.stack[:depth]} & {e.deployment for e in gone}
        self.identities = place.identities.copy() if place is not None else self.identities
        self._see()
        if gone:
            self._forget_undone()
            whole = depth == 0 or self.stack[depth - 1].deployment != gone[0].deployment
            start = gone[0].before if whole else place or self._place()
            self.undone = Undone(tuple(e.file for e in gone), start, gone[-1].after or before)
        del self.stack[depth:]
        self.tags = {name: (d, p) for name, (d, p) in self.tags.items() if d <= depth}
        self.attested = self.now

    # ------------------------------------------------------------------ looking

    @rule(opened_again=st.booleans())
    def verify(self, opened_again: bool) -> None:
        """Is the schema the attested one? And what does another process say?"""
        if opened_again:
            self.target.close()
            self.target = Target.open(self.database.url)
        if self.attested is None:
            self._unchanged(self._place(), "opened again", ledger=False)
            self._count("opened again")
            return
        found = self._try("verify", self.target.verify)
        self._must(not isinstance(found, TagbackError), f"verify: {found}")
        assert not isinstance(found, TagbackError)
        differs = schema_differences(self.attested.schema, self.now.schema)
        self._must(found.equal != bool(differs), f"verify says equal: {found.equal}; the oracle: {differs}")
        self._unchanged(self._place(), "verified", ledger=False)
        self._count("verified" if found.equal else "verified: drift seen")

    # ------------------------------------------------------------------ writing changesets

    def _write_changesets(self, data: st.DataObject) -> tuple[list[Written], bool]:
        written = []
        identities = self.identities.copy()
        with self.database.trial() as trial:
            for _ in range(data.draw(st.integers(1, 3), label="changesets")):
                sql: list[str] = []
                for _ in range(data.draw(st.integers(1, 4), label="statements")):
                    change = data.draw(self.database.changes(trial.sketch()), label="change")
                    if trial.works(change):
                        sql += change.sql
                        identities.follow(change, trial.sketch())
                if sql:
                    file = self._new_file()
                    file.write_text("".join(f"{s};\n" for s in sql))
                    written.append(Written(file, identities.copy(), trial.sketch(), trial.state()))
                    self.story.append(f"-- {file.name}\n{file.read_text().rstrip()}")
            return written, trial.holds()

    def _new_file(self) -> Path:
        self.number += 1
        return self.changelog / f"{self.number:04}_change.sql"

    def _forget_undone(self) -> None:
        """The files of what was undone are gone, as with an older release."""
        if self.undone is not None:
            self._remove(self.undone.files)
            self.undone = None

    def _remove(self, files: list[Path] | tuple[Path, ...]) -> None:
        for file in files:
            file.unlink(missing_ok=True)

    def _free_tag(self, data: st.DataObject) -> str:
        free = [t for t in TAGS if t not in self.tags] or [f"more {self.number} {len(self.tags)}"]
        return data.draw(st.sampled_from(free), label="tag")

    # ------------------------------------------------------------------ checking

    def _try(self, what: str, call: Callable[[], T]) -> T | TagbackError:
        self.story.append(f"-- {what}")
        self.ledger = self._ledger()
        try:
            return call()
        except TagbackError as e:
            self.story.append(f"--   {e.code}: {e}")
            return e
        except Exception as e:
            raise AssertionError(self._told(f"a bare {type(e).__name__}: {e}")) from e

    def _place(self) -> Place:
        return Place(self.now, self.database.sketch(), self.identities.copy(), self.drifts, self.writes)

    def _see(self) -> None:
        self.identities.see(self.database.sketch())

    def _look(self) -> None:
        self.now = self.database.state()

    def _ledger(self) -> History:
        session = self.target.session
        session.begin_reading()
        try:
            return read_history(Ledger(session))
        finally:
            session.rollback()

    def _unchanged(self, before: Place, what: str, *, ledger: bool = True) -> None:
        self._equal(differences(before.state, self.database.state()), f"{what}, and the database is another")
        if ledger:
            self._must(self._ledger() == self.ledger, f"{what}, and the ledger is another")

    def _equal(self, found: list[str], what: str) -> None:
        self._must(not found, what + ":\n  " + "\n  ".join(found))

    def _must(self, holds: bool, problem: str) -> None:
        if not holds:
            raise AssertionError(self._told(problem))

    def _told(self, problem: str) -> str:
        return f"{problem}\n\nWhat happened:\n" + "\n".join(self.story)

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1


def _said(options: ApplyOptions | RollbackOptions) -> str:
    """The options that aren't the usual ones."""
    usual = type(options)()
    given = {f.name: getattr(options, f.name) for f in fields(options)}
    return ", ".join(f"{name}={value!s}" for name, value in given.items() if value != getattr(usual, name))
