"""The machine's own account: what was recorded where, which table and column is which, and the story so far."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tagback.deploy.apply import ApplyOptions
from tagback.deploy.rollback import RollbackOptions
from tagback.deploy.target import Target
from tagback.errors import TagbackError
from tagback.ledger.history import History, read_history
from tagback.ledger.store import Ledger
from tests.stateful.database import Database
from tests.stateful.model import Place
from tests.stateful.sketch import Change, Identities, Sketch
from tests.support.folders import fast_place
from tests.support.oracle import State, differences

T = TypeVar("T")
_MOVING = re.compile(r"now\(|serial|identity|nextval")
TAGS = ("r1", "r2", "v 3", "größe", "it's")


@dataclass(frozen=True, slots=True)
class Moment:
    """A state one may want back. `drifts` and `writes` count what others had done to the database until then.

    The state's schema is empty where nobody could look at it.
    """

    state: State
    sketch: Sketch
    identities: Identities
    drifts: int
    writes: int

    @property
    def place(self) -> Place:
        """For the model."""
        return Place(self.state.rows, self.sketch, self.identities)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What is taken back as one: a deployment, or a changeset of a granular one. `sure`: its ends are known exactly."""

    deployment: int
    began: Moment
    ended: Moment
    sure: bool


@dataclass(frozen=True, slots=True)
class Effective:
    """A changeset in effect, and its stage; `recorded`: its end is a place to return to."""

    file: Path
    deployment: int
    stage: Stage
    reversible: bool
    recorded: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """Changesets that were taken back together and could be deployed again: where they began and ended.

    `left`: as it was when they were taken back; `returned`: as it was afterwards. `sure`: both ends are known exactly.
    `whole`: they went back as one.
    """

    files: tuple[Path, ...]
    began: Moment
    ended: Moment
    left: Moment
    returned: Moment
    sure: bool
    whole: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A changeset that isn't deployed yet. `after` is what trying it showed; `sure`: it would show the same again."""

    file: Path
    after: Moment
    sure: bool


class Account(RuleBasedStateMachine):
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
        self.tags: dict[str, tuple[int, Moment]] = {}
        self.undone: Undone | None = None
        self.attested: State | None = None
        self.identities = Identities()
        self.drifting = False  # somebody changes the schema outside tagback
        self.drifts = 0
        self.drift_undone = False  # then a tag may name what somebody did by hand and a way back took away
        self.writes = 0
        self.number = 0
        self.statements: dict[Path, Change] = {}  # of each changeset
        self.now = self.database.state()

    def teardown(self) -> None:
        self.target.close()
        self.database.close()
        shutil.rmtree(self.folder)

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
                    self.statements[file] = Change(tuple(sql))
                    after = trial.state()
                    known = State({}, trial.rows()) if after is None else after
                    moment = Moment(known, trial.sketch(), identities.copy(), self.drifts, self.writes)
                    written.append(
                        Written(file, moment, after is not None or not _moves(file.read_text(), moment.sketch))
                    )
                    self.story.append(f"-- {file.name}\n{file.read_text().rstrip()}")
            return written, trial.holds() and all(w.sure for w in written)

    def _made(self, files: tuple[Path, ...]) -> Place | None:
        """What these changesets make of today's rows by themselves; None where they fail, or not twice the same."""
        with self.database.trial() as trial:
            works = all(trial.works(self.statements[file]) for file in files)
            place = Place(trial.rows(), trial.sketch(), self.identities)
            moves = any(_moves(repr(self.statements[file]), place.sketch) for file in files)
            return place if works and not moves else None

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

    def _moment(self) -> Moment:
        return Moment(self.now, self.database.sketch(), self.identities.copy(), self.drifts, self.writes)

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

    def _unchanged(self, before: Moment, what: str, *, ledger: bool = True) -> None:
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


def said(options: ApplyOptions | RollbackOptions) -> str:
    """The options that aren't the usual ones."""
    usual = type(options)()
    given = {f.name: getattr(options, f.name) for f in fields(options)}
    return ", ".join(f"{name}={value!s}" for name, value in given.items() if value != getattr(usual, name))


def _moves(sql: str, sketch: Sketch) -> bool:
    """Whether there may be values that are others each time: times, and numbers of sequences."""
    return any(_MOVING.search(text) for text in (sql, *(c.default for t in sketch.tables.values() for c in t)))
