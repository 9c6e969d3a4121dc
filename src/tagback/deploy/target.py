"""The library's front door: a target is opened once and asked for what the command line offers."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tagback.deploy.events import Listener, silent
from tagback.engines import connect
from tagback.engines.session import Session

if TYPE_CHECKING:
    import datetime

    from tagback.deploy.apply import ApplyOptions
    from tagback.deploy.look import Comparison, PastDeployment, Reader, Status, TagView
    from tagback.deploy.results import Applied, Recovered, RolledBack
    from tagback.deploy.rollback import RollbackOptions
    from tagback.deploy.shelf import Purged, ShelfView
    from tagback.deploy.tags import Tagged


class Target:
    """One database. Use it as a context manager; errors are `TagbackError`s.

    `listen` gets every event of every call. `lock_timeout`: seconds a statement may wait for a lock. Each use-case is
    loaded when it is first called for: whoever asks for the status shouldn't wait for the rest.
    """

    def __init__(self, session: Session, listen: Listener = silent) -> None:
        self.session = session
        self._listen = listen

    @classmethod
    def open(
        cls, url: str, *, create: bool = False, listen: Listener = silent, lock_timeout: float | None = None
    ) -> Self:
        """Connects. `create` makes a missing SQLite file. UsageError or UnreachableError when that can't be done."""
        return cls(connect(url, create=create, lock_timeout=lock_timeout), listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self.session.close()

    def apply(self, changelog: str | Path, options: ApplyOptions | None = None) -> Applied:
        """Deploys what is pending as one deployment."""
        from tagback.deploy.apply import ApplyOptions, apply

        return apply(self.session, Path(changelog), options or ApplyOptions(), self._listen)

    def rollback(self, options: RollbackOptions) -> RolledBack:
        """Brings the database back to a place, and proves it."""
        from tagback.deploy.rollback import rollback

        return rollback(self.session, options, self._listen)

    def tag(self, name: str, *, move: bool = False, lock_wait: float = 60.0) -> Tagged:
        """Marks the present state."""
        from tagback.deploy.tags import set_tag

        return set_tag(self.session, name, move=move, lock_wait=lock_wait, listen=self._listen)

    def recover(self, *, lock_wait: float = 60.0) -> Recovered:
        """Ends an interrupted deployment."""
        from tagback.deploy.recover import recover

        return recover(self.session, lock_wait, self._listen)

    def status(self, changelog: str | Path | None = None, format: str | None = None, *, within: float = 2.0) -> Status:
        """Where the database stands, and which tags can still be reached without loss. `within`: see `tags`."""
        with self._look(within) as reader:
            return reader.status(Path(changelog) if changelog is not None else None, format)

    def history(self) -> tuple[PastDeployment, ...]:
        """All deployments and rollbacks."""
        with self._look() as reader:
            return reader.past()

    def tags(self, *, within: float = 2.0) -> tuple[TagView, ...]:
        """All tags that stand. Looking at live rows ends after `within` seconds; what isn't known then is said."""
        with self._look(within) as reader:
            return reader.tags()

    def verify(self, tag: str | None = None) -> Comparison:
        """Compares the live schema with the attested one, or a tag's."""
        with self._look() as reader:
            return reader.verify(tag)

    def diff(self, a: str, b: str) -> Comparison:
        """Compares two states, each a tag or `live`."""
        with self._look() as reader:
            return reader.compare(a, b)

    def shelf(self) -> tuple[ShelfView, ...]:
        """What deployments and rollbacks kept of the rows they changed, the oldest first."""
        from tagback.deploy.shelf import list_shelf

        self.session.begin_reading()
        try:
            return list_shelf(self.session)
        finally:
            self.session.rollback()

    def purge_shelf(self, older_than: datetime.timedelta | None = None, *, lock_wait: float = 60.0) -> Purged:
        """Drops kept rows for good: those that are older, or without an age those that nothing needs any more."""
        from tagback.deploy.shelf import purge

        return purge(self.session, older_than, lock_wait, self._listen)

    def _look(self, within: float = 2.0) -> _Look:
        return _Look(self.session, within)


class _Look:
    """A reading transaction."""

    def __init__(self, session: Session, within: float) -> None:
        self._session = session
        self._within = within

    def __enter__(self) -> Reader:
        from tagback.deploy.look import Reader

        self._session.begin_reading()
        return Reader(self._session, self._within)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.rollback()
