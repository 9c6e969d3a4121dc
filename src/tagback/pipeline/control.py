"""The control database: runs, their steps, what they changed, and what people said. SQLite by default, PostgreSQL by URL.

Every write of a runner says whose it is: one that lost its run to another can't write to it any more.
"""

from __future__ import annotations

import datetime
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

from tagback.engines import connect
from tagback.engines.session import Session, StatementError, Value
from tagback.engines.url import parse
from tagback.errors import UnreachableError, UsageError
from tagback.pipeline.processes import began, identity, is_here
from tagback.pipeline.records import Answer, Change, ChangeState, Child, Run, RunState, StepRecord, StepState

DEFAULT = "sqlite:///.tagback/runs.db"
RUN_TAKEN = "run_taken"
"""The code of errors that say that another runner has the run."""
HEARTBEAT = 5.0
"""Seconds between two signs of life of a runner."""
SILENT = 30.0
"""Seconds without one after which another host's runner counts as gone."""

_TABLES = {
    "run": """CREATE TABLE {run} (
        id TEXT NOT NULL PRIMARY KEY, pipeline TEXT NOT NULL, file TEXT NOT NULL, document TEXT NOT NULL,
        variables TEXT NOT NULL, state TEXT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL,
        initiator TEXT NOT NULL, runner TEXT NOT NULL, heartbeat TEXT NOT NULL, report TEXT NOT NULL)""",
    "run_step": """CREATE TABLE {run_step} (
        run TEXT NOT NULL, path TEXT NOT NULL, position BIGINT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
        attempts BIGINT NOT NULL, started TEXT NOT NULL, ended TEXT NOT NULL, outputs TEXT NOT NULL,
        intent TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (run, path))""",
    "run_change": """CREATE TABLE {run_change} (
        run TEXT NOT NULL, path TEXT NOT NULL, position BIGINT NOT NULL, target TEXT NOT NULL, tag_before TEXT NOT NULL,
        state TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (run, path))""",
    "run_answer": """CREATE TABLE {run_answer} (
        run TEXT NOT NULL, path TEXT NOT NULL, who TEXT NOT NULL, verdict TEXT NOT NULL, comment TEXT NOT NULL,
        said TEXT NOT NULL, PRIMARY KEY (run, path, who))""",
    "run_retry": """CREATE TABLE {run_retry} (
        run TEXT NOT NULL, path TEXT NOT NULL, strategy TEXT NOT NULL, used BIGINT NOT NULL,
        PRIMARY KEY (run, path, strategy))""",
    "run_child": """CREATE TABLE {run_child} (
        run TEXT NOT NULL PRIMARY KEY, parent TEXT NOT NULL, path TEXT NOT NULL, root TEXT NOT NULL)""",
    "run_chained": """CREATE TABLE {run_chained} (
        run TEXT NOT NULL, steps TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (run, steps))""",
}
_NEWEST = "run_chained"
_MINE = "(runner = ? OR id IN (SELECT c.run FROM {run_child} c JOIN {run} r ON r.id = c.root WHERE r.runner = ?))"
_RUN = "id, pipeline, file, document, variables, state, started, ended, initiator, runner, report"


class Control:
    """The open control database. Calls may come from several threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._turn = threading.RLock()
        self._runner = ""
        with self._writing():
            if not self._there(_NEWEST):
                for name, table in _TABLES.items():
                    if not self._there(name):
                        session.execute(table)

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Self:
        """Connects. `create`: an SQLite file is made, with its folder, if it isn't there; else UsageError."""
        if parse(url).scheme in ("mysql", "mariadb"):
            raise UsageError(
                "MariaDB and MySQL can't be a control database.",
                code="control",
                hint="It is an SQLite file, sqlite:///runs.db, or in PostgreSQL, postgresql://user@host/database.",
            )
        if url.startswith("sqlite:///"):
            name = url.removeprefix("sqlite:///")
            if not name.startswith("/"):  # the folder that it is relative to may be left
                url = f"sqlite:///{quote(str(Path.cwd()))}/{name}"
            path = Path(unquote(name.partition("?")[0])).absolute()
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif not path.exists():
                raise UsageError(
                    f"There are no runs: {path} does not exist.",
                    code="no_runs",
                    hint="--file names the pipeline's file, --control the database that keeps its runs.",
                )
        return cls(connect(url, create=create))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    # ------------------------------------------------------------------ runs

    def begin_run(
        self, run: Run, chained_by: tuple[str, str] | None = None, chains: Mapping[str, str] | None = None
    ) -> None:
        """A new run, driven by this process.

        `chained_by`: the run and the path of the step that it is a part of. `chains`: the text of what it chains, as
        `check_chain` gives it.
        """
        if chained_by is None:
            self._runner = run.runner
        with self._writing():
            if chained_by is not None:
                parent, path = chained_by
                self._make_sure(parent)
                root = self._root(parent)
                self._session.execute(
                    "INSERT INTO {run_child} (run, parent, path, root) VALUES (?, ?, ?, ?)",
                    (run.id, parent, path, root),
                )
            self._session.execute(
                f"INSERT INTO {{run}} ({_RUN}, heartbeat) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    run.id, run.pipeline, run.file, run.document, _text(run.variables), run.state.value, run.started,
                    run.ended, run.initiator, self._runner, _text(run.report), now(),
                ),
            )  # fmt: skip
            for steps, document in (chains or {}).items():
                self._session.execute(
                    "INSERT INTO {run_chained} (run, steps, document) VALUES (?, ?, ?)", (run.id, steps, document)
                )

    def take_over(self, run: Run, runner: str) -> None:
        """Makes this process the one that drives the run; UnreachableError while another one is alive."""
        with self._writing():
            ((there, heartbeat),) = self._session.execute("SELECT runner, heartbeat FROM {run} WHERE id = ?", (run.id,))
            if _alive(str(there), str(heartbeat)):
                raise UnreachableError(
                    f"Run {run.id} is being driven by another runner: {_told(str(there))}.",
                    code=RUN_TAKEN,
                    hint="Wait for it, or end that process: what it was doing is decided by `pipeline resume`.",
                )
            self._session.execute(
                "UPDATE {run} SET runner = ?, heartbeat = ?, state = ? WHERE id = ? AND runner = ?",
                (runner, now(), RunState.RUNNING.value, run.id, str(there)),
            )
            ((found,),) = self._session.execute("SELECT runner FROM {run} WHERE id = ?", (run.id,))
            if found != runner:
                raise taken_over(run.id)
        self._runner = runner

    def beat(self, run: str) -> None:
        """A sign of life."""
        self._write(run, "UPDATE {run} SET heartbeat = ? WHERE id = ? AND runner = ?", (now(), run, self._runner))

    def set_state(
        self, run: str, state: RunState, report: Mapping[str, Any] | None = None, *, over: bool = False
    ) -> None:
        """How the run stands now; `over`: nothing goes on in it, and nobody drives it any more."""
        ended, runner = (now(), "") if over else ("", self._runner)
        values = [state.value, ended, runner] + ([_text(report)] if report is not None else [])
        more = ", report = ?" if report is not None else ""
        sql = f"UPDATE {{run}} SET state = ?, ended = ?, runner = ?{more} WHERE id = ? AND {_MINE}"
        self._write(run, sql, (*values, run, self._runner, self._runner))

    def run(self, id: str) -> Run:
        """One run, by its id or the beginning of it; UsageError if there is none."""
        found = [r for r in self.runs() if r.id == id] or [r for r in self.runs() if r.id.startswith(id)]
        if len(found) != 1:
            raise UsageError(
                f"There is no run {id!r}." if not found else f"{id!r} is the beginning of {len(found)} runs.",
                code="unknown_run",
                hint="`tagback pipeline list` shows them.",
            )
        return found[0]

    def runs(self) -> list[Run]:
        """All of them, the newest first."""
        with self._reading():
            rows = self._session.execute(f"SELECT {_RUN} FROM {{run}} ORDER BY started DESC, id DESC")
        return [_run(row) for row in rows]

    def children(self, run: str) -> list[Child]:
        """The runs that steps of this one chained, in the order in which they began."""
        with self._reading():
            rows = self._session.execute(
                f"SELECT c.path, {_RUN.replace('id,', 'r.id,', 1)} FROM {{run_child}} c JOIN {{run}} r ON r.id = c.run"
                " WHERE c.parent = ? ORDER BY r.started, r.id",
                (run,),
            )
        return [Child(str(path), _run(row)) for path, *row in rows]

    def chained_text(self, run: str, path: str) -> str | None:
        """The text of what a step chains, as it was when all of it began; an older version of this kept none."""
        with self._reading():
            steps, root = [_step_name(path)], run
            while above := self._session.execute("SELECT parent, path FROM {run_child} WHERE run = ?", (root,)):
                root = str(above[0][0])
                steps.insert(0, _step_name(str(above[0][1])))
            rows = self._session.execute(
                "SELECT document FROM {run_chained} WHERE run = ? AND steps = ?", (root, "/".join(steps))
            )
        return str(rows[0][0]) if rows else None

    def roots(self) -> dict[str, str]:
        """Of each run that another one chained, the one that all of it belongs to."""
        with self._reading():
            rows = self._session.execute("SELECT run, root FROM {run_child}")
        return {str(run): str(root) for run, root in rows}

    def _root(self, run: str) -> str:
        """The run that chained the one that … chained this one."""
        rows = self._session.execute("SELECT root FROM {run_child} WHERE run = ?", (run,))
        return str(rows[0][0]) if rows else run

    # ------------------------------------------------------------------ steps

    def steps(self, run: str) -> dict[str, StepRecord]:
        """All that were begun, by path, in the order in which they were."""
        with self._reading():
            rows = self._session.execute(
                "SELECT path, kind, state, attempts, started, ended, outputs, intent, error FROM {run_step}"
                " WHERE run = ? ORDER BY position",
                (run,),
            )
        return {
            str(path): StepRecord(
                str(path), str(kind), StepState(str(state)), int(str(attempts)), str(started), str(ended),
                _value(outputs), _value(intent), _value(error),
            )
            for path, kind, state, attempts, started, ended, outputs, intent, error in rows
        }  # fmt: skip

    def set_step(self, run: str, step: StepRecord) -> None:
        """Writes how a step stands."""
        with self._writing():
            self._make_sure(run)
            there = self._session.execute("SELECT 1 FROM {run_step} WHERE run = ? AND path = ?", (run, step.path))
            values = (
                step.kind, step.state.value, step.attempts, step.started, step.ended, _text(step.outputs),
                _text(step.intent), _text(step.error), run, step.path,
            )  # fmt: skip
            if there:
                self._session.execute(
                    "UPDATE {run_step} SET kind = ?, state = ?, attempts = ?, started = ?, ended = ?, outputs = ?,"
                    " intent = ?, error = ? WHERE run = ? AND path = ?",
                    values,
                )
            else:
                ((position,),) = self._session.execute("SELECT count(*) FROM {run_step} WHERE run = ?", (run,))
                self._session.execute(
                    "INSERT INTO {run_step} (kind, state, attempts, started, ended, outputs, intent, error, run, path,"
                    " position) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*values, int(str(position)) + 1),
                )

    def retries(self, run: str) -> dict[tuple[str, str], int]:
        """How often each strategy was used, by a step's path and the strategy's place."""
        with self._reading():
            rows = self._session.execute("SELECT path, strategy, used FROM {run_retry} WHERE run = ?", (run,))
        return {(str(path), str(strategy)): int(str(used)) for path, strategy, used in rows}

    def set_retries(self, run: str, path: str, used: Mapping[str, int]) -> None:
        """Writes how often strategies were used at a step; what isn't named was not."""
        with self._writing():
            self._make_sure(run)
            self._session.execute("DELETE FROM {run_retry} WHERE run = ? AND path = ?", (run, path))
            for strategy, count in used.items():
                self._session.execute(
                    "INSERT INTO {run_retry} (run, path, strategy, used) VALUES (?, ?, ?, ?)",
                    (run, path, strategy, count),
                )

    # ------------------------------------------------------------------ what was changed

    def changes(self, run: str) -> list[Change]:
        """The steps that changed a database, in the order in which they did."""
        with self._reading():
            rows = self._session.execute(
                "SELECT path, position, target, tag_before, state, detail FROM {run_change} WHERE run = ? ORDER BY position",
                (run,),
            )
        return [
            Change(str(path), int(str(n)), str(target), str(tag), ChangeState(str(state)), str(detail))
            for path, n, target, tag, state, detail in rows
        ]

    def add_change(self, run: str, path: str, target: str, tag_before: str) -> None:
        """Notes that a step is about to change a database which stands at that tag; only its first attempt counts."""
        with self._writing():
            self._make_sure(run)
            if self._session.execute("SELECT 1 FROM {run_change} WHERE run = ? AND path = ?", (run, path)):
                self._set_change(run, path, ChangeState.CHANGING, "")
                return
            root = self._root(run)
            ((count,),) = self._session.execute(  # one order for a run with all that it chains
                "SELECT count(*) FROM {run_change} WHERE run = ? OR run IN (SELECT run FROM {run_child} WHERE root = ?)",
                (root, root),
            )
            self._session.execute(
                "INSERT INTO {run_change} (run, path, position, target, tag_before, state, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (run, path, int(str(count)) + 1, target, tag_before, ChangeState.CHANGING.value, ""),
            )

    def set_change(self, run: str, path: str, state: ChangeState, detail: str = "") -> None:
        """How what a step changed stands."""
        with self._writing():
            self._make_sure(run)
            self._set_change(run, path, state, detail)

    def _set_change(self, run: str, path: str, state: ChangeState, detail: str) -> None:
        self._session.execute(
            "UPDATE {run_change} SET state = ?, detail = ? WHERE run = ? AND path = ?", (state.value, detail, run, path)
        )

    # ------------------------------------------------------------------ people

    def answers(self, run: str, path: str) -> list[Answer]:
        """What people said to a step."""
        with self._reading():
            rows = self._session.execute(
                "SELECT who, verdict, comment, said FROM {run_answer} WHERE run = ? AND path = ? ORDER BY said",
                (run, path),
            )
        return [Answer(*(str(v) for v in row)) for row in rows]

    def answer(self, run: str, path: str, answer: Answer) -> None:
        """Notes what somebody says; what the same person said before is replaced."""
        with self._writing():
            self._session.execute(
                "DELETE FROM {run_answer} WHERE run = ? AND path = ? AND who = ?", (run, path, answer.who)
            )
            self._session.execute(
                "INSERT INTO {run_answer} (run, path, who, verdict, comment, said) VALUES (?, ?, ?, ?, ?, ?)",
                (run, path, answer.who, answer.verdict, answer.comment, answer.at),
            )

    def forget_answers(self, run: str, path: str) -> None:
        """What was said to an attempt that is over doesn't count for the next one."""
        self._write(run, "DELETE FROM {run_answer} WHERE run = ? AND path = ?", (run, path))

    # ------------------------------------------------------------------

    def _there(self, table: str) -> bool:
        self._session.savepoint()
        try:
            self._session.execute(f"SELECT count(*) FROM {{{table}}}")
        except StatementError as e:
            if e.lost:
                raise
            self._session.rollback_to_savepoint()
            return False
        self._session.release_savepoint()
        return True

    def _write(self, run: str, sql: str, values: Sequence[Value]) -> None:
        with self._writing():
            self._make_sure(run)
            self._session.execute(sql, values)

    def _make_sure(self, run: str) -> None:
        """A run that another one chained is its root's runner's, also when it is over."""
        ((runner,),) = self._session.execute("SELECT runner FROM {run} WHERE id = ?", (self._root(run),))
        if runner != self._runner:
            raise taken_over(run)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._turn:
            self._session.begin()
            try:
                yield
                self._session.commit()
            except BaseException:
                self._session.rollback()
                raise

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._turn:
            self._session.begin_reading()
            try:
                yield
            finally:
                self._session.rollback()


def _step_name(path: str) -> str:
    """As the file has it."""
    return path.rpartition("/")[2].partition("[")[0]


def now() -> str:
    """The present: ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat()


def this_runner() -> str:
    """What identifies this process among all that ever drove a run."""
    return json.dumps({**identity(os.getpid()), "at": now()})


def _alive(runner: str, heartbeat: str) -> bool:
    if not runner:
        return False
    known = json.loads(runner)
    if is_here(known):
        return bool(began(known["pid"]) == known["began"])
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(heartbeat)
    return age.total_seconds() < SILENT


def _told(runner: str) -> str:
    known = json.loads(runner)
    return f"process {known['pid']} on {known['host']}"


def taken_over(run: str) -> UnreachableError:
    """The error of a runner whose run is somebody else's now."""
    return UnreachableError(
        f"Run {run} was taken over by another runner; this one stops.",
        code=RUN_TAKEN,
        hint="Nothing more is done here.",
    )


def _run(row: Sequence[object]) -> Run:
    id, pipeline, file, document, variables, state, started, ended, initiator, runner, report = row
    return Run(
        str(id), str(pipeline), str(file), str(document), _value(variables), RunState(str(state)), str(started),
        str(ended), str(initiator), str(runner), _value(report),
    )  # fmt: skip


def _text(value: object) -> str:
    return json.dumps(value, default=str)


def _value(text: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(str(text))
    return found
