"""`import tagback`: the same use-cases for programs, loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tagback


def test_a_program_deploys_goes_back_and_verifies(target_url: str, tmp_path: Path) -> None:
    seen: list[object] = []
    (tmp_path / "001_a.sql").write_text("create table a (id integer primary key);")
    with tagback.open(target_url, create=True, listen=seen.append) as target:
        empty = target.tag("empty")
        applied = target.apply(tmp_path, tagback.ApplyOptions(tag="r1"))
        assert applied.changesets == ("001_a",)
        assert target.status(tmp_path).pending == ()
        back = target.rollback(tagback.RollbackOptions(to="empty"))
        assert back.verified
        assert back.fingerprint_after == empty.fingerprint
        assert target.verify().equal
        assert [d.kind for d in target.history()] == ["apply", "rollback"]
    assert tagback.events.ChangesetDone in [type(e) for e in seen]


def test_errors_are_of_one_family(target_url: str) -> None:
    with tagback.open(target_url, create=True) as target, pytest.raises(tagback.TagbackError) as caught:
        target.rollback(tagback.RollbackOptions(to="nowhere"))
    assert caught.value.code == "unknown_tag"
    assert isinstance(caught.value, tagback.errors.UsageError)


def test_every_public_name_is_there() -> None:
    for name in tagback.__all__:
        assert getattr(tagback, name) is not None
        assert name in dir(tagback)
    with pytest.raises(AttributeError):
        _ = tagback.nonsense


def test_importing_loads_nothing_else() -> None:
    script = "import sys, tagback; print([m for m in sys.modules if m.startswith(('tagback.', 'msgspec', 'click'))])"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
