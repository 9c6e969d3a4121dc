"""Temporary folders of servers: removed at the end, and by the next run if the last one was killed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.support.folders import NEWBORN, PREFIX, disk_place, remove_leftovers, temporary_folder


def age(folder: Path) -> None:
    past = time.time() - 2 * NEWBORN
    os.utime(folder, (past, past))


def test_a_folder_is_removed_at_its_end_with_all_in_it(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        (folder / "data").mkdir()
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_run_is_left_alone(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        age(folder)
        remove_leftovers(tmp_path)
        assert folder.is_dir()


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (f"{PREFIX}killed", f"{PREFIX}just-made", "somebody-elses"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "owner.lock").touch()
        if name != f"{PREFIX}just-made":
            age(tmp_path / name)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["somebody-elses", f"{PREFIX}just-made"]


def test_sockets_have_room_in_the_place_for_servers() -> None:
    assert len(str(disk_place() / f"{PREFIX}12345678" / ".s.PGSQL.65535.lock")) < 107
