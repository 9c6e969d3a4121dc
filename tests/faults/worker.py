"""A process that tries faults, with a PostgreSQL server of its own."""

from __future__ import annotations

import contextlib
import tempfile
from multiprocessing import util
from pathlib import Path

from tests.faults.campaign import Campaign, Row
from tests.faults.ground import Ground, PostgresGround, SqliteGround
from tests.faults.injection import How
from tests.faults.scenarios import scenario
from tests.support.folders import fast_place
from tests.support.postgres import running_server
from tools import postgres_programs

_grounds: dict[str, Ground] = {}
_stack = contextlib.ExitStack()


def begin() -> None:
    """A worker begins: what it starts is ended with it."""
    util.Finalize(None, _stack.close, exitpriority=10)


def one_row(engine: str, name: str, how: str, stride: int) -> Row:
    """One line of the table."""
    with tempfile.TemporaryDirectory(prefix="tagback-faults-", dir=fast_place()) as folder:
        ground = SqliteGround(Path(folder)) if engine == "sqlite" else _postgres()
        campaign = Campaign(ground, scenario(name), Path(folder) / "changelog")
        try:
            # Other faults begin at other places.
            return campaign.row(How[how], stride, offset=list(How).index(How[how]))
        finally:
            campaign.close()


def _postgres() -> Ground:
    """This worker's server, started on first use."""
    if "postgresql" not in _grounds:
        ground = PostgresGround(_stack.enter_context(running_server(postgres_programs.find())))
        _stack.callback(ground.close)
        _grounds["postgresql"] = ground
    return _grounds["postgresql"]
