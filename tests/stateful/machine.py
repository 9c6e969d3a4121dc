"""Random histories: deployments, failures, tags, writes, changes by hand and ways back, each step checked by the oracle.

The machine keeps its own account of what was recorded where, and of which table and column is which. It never asks
tagback what the right answer is.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from hypothesis.strategies import SearchStrategy

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.drift import OnDrift
from tagback.deploy.results import Applied
from tagback.deploy.rollback import OnConflict, RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import Exit, RefusedError, TagbackError
from tests.stateful.account import Effective, Moment, Stage, Written, said
from tests.stateful.redoing import Story, redo_differences
from tests.stateful.returns import Returning
from tests.stateful.sketch import Change
from tests.support.oracle import State, row_differences, schema_differences

REAL = ("not managed yet", "can't be kept")
"""Why a deployment may be irreversible."""


class Histories(Returning):
    """Subclasses name the database."""

    @initialize(data=st.data(), drifting=st.integers(0, 3))
    def begin(self, data: st.DataObject, drifting: int) -> None:
        """There are tables with rows already; and in most histories nobody changes the schema outside tagback any more:
        then the model can say more."""
        self.drifting = drifting == 3
        for _ in range(data.draw(st.integers(0, 2), label="tables")):
            self._by_operator(data, self.database.tables(self.database.sketch()))
        for _ in range(data.draw(st.integers(1, 4), label="inserts") if self.database.sketch().tables else 0):
            self._by_operator(data, self.database.writes(self.database.sketch(), ("insert",)))
        self._look()
        self._see()

    def _by_operator(self, data: st.DataObject, changes: SearchStrategy[Change]) -> None:
        change = data.draw(changes, label="before")
        if self.database.write(change):
            self.story.append(f"-- before: {change!r};")

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        """One thing after another; what moves rows more often than the rest."""
        choices = {
            self.deploy: 6,
            self.application_writes: 5 if self.now.rows else 0,
            self.back_over_some: 3 if self.stack else 0,
            self.back_to_a_tag: 3 if self.tags else 0,
            self.back_to_a_deployment: 1 if self.stack else 0,
            self.redo: 4 if self.undone is not None else 0,
            self.tag: 1,
            self.verify: 1,
            self.deploy_with_a_mistake: 1,
            self.changed_by_hand: 2 if self.drifting else 0,
        }
        data.draw(st.sampled_from([c for c, weight in choices.items() for _ in range(weight)]), label="step")(data)

    # ------------------------------------------------------------------ forth

    def deploy(self, data: st.DataObject) -> None:
        """Some changesets that work by themselves."""
        granular, tagged = data.draw(st.booleans(), label="granular"), data.draw(st.booleans(), label="tagged")
        self._forget_undone()
        written, holds = self._write_changesets(data)
        if not written:
            self._count("nothing to deploy")
            return
        before = self._moment()
        tag = self._free_tag(data) if tagged else None
        options = ApplyOptions(tag=tag, granular=granular)
        done = self._try(f"apply {said(options)}", lambda: self.target.apply(self.changelog, options))
        reversible = True
        if isinstance(done, RefusedError) and done.code == "irreversible":
            self._unchanged(before, "refused")
            reason = str(done)
            self._must(any(real in reason for real in REAL), f"irreversible without reason: {reason}")
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

    def _deployed(
        self, done: Applied, before: Moment, written: list[Written], *, granular: bool, reversible: bool
    ) -> None:
        self._look()
        self.identities = written[-1].after.identities.copy()
        last = self._moment()
        expected = written[-1].after.state
        if expected.schema:
            self._equal(schema_differences(expected.schema, self.now.schema), "apply made another schema than the SQL")
        assert done.deployment is not None
        sure = not granular or all(w.sure for w in written)
        stage = Stage(done.deployment, before, written[0].after if granular and len(written) > 1 else last, sure)
        for n, w in enumerate(written, 1):
            ended = w.after if n < len(written) else last
            if granular and n > 1:
                stage = Stage(done.deployment, stage.ended, ended, sure)
            recorded = granular or n == len(written)
            free = reversible or (granular and done.verdicts[n - 1].reversibility != "irreversible")
            self.stack.append(Effective(w.file, done.deployment, stage, free, recorded))
        self.tags[done.tag] = (len(self.stack), last)
        self.attested = self.now
        self._count(f"applied: {done.reversibility}")

    def deploy_with_a_mistake(self, data: st.DataObject) -> None:
        """Some changesets, and a statement in the middle that the server refuses."""
        granular = data.draw(st.booleans(), label="granular")
        self._forget_undone()
        written, _ = self._write_changesets(data)
        mistake = data.draw(self.database.mistakes(self.database.sketch()), label="mistake")
        spoiled = written[data.draw(st.integers(0, len(written) - 1))].file if written else self._new_file()
        text = spoiled.read_text() if spoiled.exists() else ""
        spoiled.write_text(f"{text}{mistake};\n")
        before = self._moment()
        options = ApplyOptions(granular=granular, allow_irreversible=True)
        failure = self._try(f"apply with {mistake}", lambda: self.target.apply(self.changelog, options))
        self._must(isinstance(failure, TagbackError), "a mistake was deployed")
        assert isinstance(failure, TagbackError)
        self._must(failure.exit_code is Exit.FAILED, f"exit {failure.exit_code}: {failure}")
        self._must(failure.location is not None, "the failure has no location")
        self._unchanged(before, "failed")
        self._remove([w.file for w in written] + [spoiled])
        self._count("apply failed as it should")

    def redo(self, data: st.DataObject) -> None:
        """What was taken back is deployed again."""
        assert self.undone is not None
        undone = self.undone
        before = self._moment()
        made = self._made(undone.files) if undone.sure else None
        options = ApplyOptions(allow_irreversible=True)
        done = self._try("apply again", lambda: self.target.apply(self.changelog, options))
        same = undone.began.drifts == self.drifts and not self.drift_undone
        same = same and not schema_differences(undone.returned.state.schema, before.state.schema)
        if isinstance(done, TagbackError):
            self._unchanged(before, "failed")
            self._must(not same or self.writes > undone.began.writes, f"what was undone can't be redone: {done}")
            self._count(f"redo failed: {done.code}")
            return
        self._look()
        if same:
            if undone.ended.state.schema:
                found = schema_differences(undone.ended.state.schema, self.now.schema)
                self._equal(found, "redo made another schema")
            self.identities = undone.ended.identities.copy()
            if self.writes == undone.returned.writes:
                found = row_differences(undone.left.state.rows, self.now.rows)
                self._equal(found, "redone at once, and rows are others than before the way back")
                self._count("redone exactly")
            elif made is not None and not done.notes:
                began, ended, left = undone.began.place, undone.ended.place, undone.left.place
                story = Story(began, ended, left, undone.returned.place, before.place, made, undone.whole)
                self._equal(redo_differences(self.database.values, story, self.now.rows), "redone, and rows are others")
                self._count("redone row by row")
        self._see()
        assert done.deployment is not None
        place = self._moment()
        # Where what was taken back in several legs is put again in as many, the ends in between aren't known. And what
        # somebody did by hand may have other names now.
        stage = Stage(done.deployment, before, place, sure=same and len(done.verdicts) < 2)
        reversible = done.reversibility != "irreversible"
        for n, file in enumerate(undone.files, 1):
            self.stack.append(Effective(file, done.deployment, stage, reversible, n == len(undone.files)))
        self.tags[done.tag] = (len(self.stack), place)
        self.attested = self.now
        self.undone = None
        self._count("redone")

    def tag(self, data: st.DataObject) -> None:
        """The present state gets a name."""
        name = self._free_tag(data)
        done = self._try(f"tag {name}", lambda: self.target.tag(name))
        self._must(not isinstance(done, TagbackError), f"tag: {done}")
        place = self._moment()
        self._unchanged(place, "tagged", ledger=False)
        self.tags[name] = (len(self.stack), place)
        self.attested = self.now
        self._count("tagged")

    # ------------------------------------------------------------------ by others

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

    def back_to_a_tag(self, data: st.DataObject) -> None:
        """To a state with a name."""
        name = data.draw(st.sampled_from(sorted(self.tags)), label="tag")
        depth, place = self.tags[name]
        options = replace(self._options(data), to=name, dry_run=data.draw(st.integers(0, 3), label="dry") == 3)
        self._back(options, depth, place)

    def back_over_some(self, data: st.DataObject) -> None:
        """Over so many changesets, or to one of them."""
        depth = data.draw(st.integers(0, len(self.stack) - 1), label="changesets left")
        options = self._options(data)
        if depth == 0 or data.draw(st.booleans(), label="by count"):
            options = replace(options, count=len(self.stack) - depth)
        else:
            options = replace(options, to_changeset=self.stack[depth - 1].file.stem)
        self._back(options, depth, self._recorded(depth))

    def back_to_a_deployment(self, data: st.DataObject) -> None:
        """To the end of a deployment."""
        deployment = data.draw(st.sampled_from(sorted({e.deployment for e in self.stack})), label="deployment")
        depth = max(n for n, e in enumerate(self.stack, 1) if e.deployment == deployment)
        if depth < len(self.stack):
            options = replace(self._options(data), deployment=deployment)
            self._back(options, depth, self._recorded(depth))

    def _options(self, data: st.DataObject) -> RollbackOptions:
        on_drift = data.draw(st.sampled_from(OnDrift), label="on drift") if self.drifting else OnDrift.REFUSE
        return RollbackOptions(
            on_conflict=data.draw(st.sampled_from(OnConflict), label="on conflict"), on_drift=on_drift
        )

    def _recorded(self, depth: int) -> Moment | None:
        if not depth:
            return self.stack[0].stage.began
        return self.stack[depth - 1].stage.ended if self.stack[depth - 1].recorded else None

    # ------------------------------------------------------------------ looking

    def verify(self, data: st.DataObject) -> None:
        """Is the schema the attested one? And what does another process say?"""
        opened_again = data.draw(st.booleans(), label="opened again")
        if opened_again:
            self.target.close()
            self.target = Target.open(self.database.url)
        if self.attested is None:
            self._unchanged(self._moment(), "opened again", ledger=False)
            self._count("opened again")
            return
        found = self._try("verify", self.target.verify)
        self._must(not isinstance(found, TagbackError), f"verify: {found}")
        assert not isinstance(found, TagbackError)
        differs = schema_differences(self.attested.schema, self.now.schema)
        self._must(found.equal != bool(differs), f"verify says equal: {found.equal}; the oracle: {differs}")
        self._unchanged(self._moment(), "verified", ledger=False)
        self._count("verified" if found.equal else "verified: drift seen")
