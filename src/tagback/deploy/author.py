"""Who deploys, from where and from which source, for the ledger."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from tagback import __version__
from tagback.ledger.records import Author


@functools.lru_cache(maxsize=8)
def author(changelog: Path | None = None) -> Author:
    """The present user; the revision is the source checkout's, from the environment or from git, else empty."""
    return Author(who=_user(), host=os.uname().nodename, tool=f"tagback {__version__}", revision=_revision(changelog))


def _user() -> str:
    try:
        return os.environ.get("TAGBACK_USER") or _login_name()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _login_name() -> str:
    import getpass

    return getpass.getuser()


def _revision(changelog: Path | None) -> str:
    for name in ("TAGBACK_REVISION", "GITHUB_SHA", "CI_COMMIT_SHA"):
        if os.environ.get(name):
            return os.environ[name]
    if changelog is None:
        return ""
    folder = changelog if changelog.is_dir() else changelog.parent
    if not any((p / ".git").exists() for p in (folder.absolute(), *folder.absolute().parents)):
        return ""
    import subprocess  # takes longer to import than most deployments take

    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
