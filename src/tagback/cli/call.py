"""How tagback was called: which database is meant, and the settings that come with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tagback.cli.measures import amount
from tagback.errors import UsageError

if TYPE_CHECKING:
    import datetime


@dataclass(frozen=True, slots=True)
class Settings:
    """What a call works with, after the configuration file. `lock_timeout`, `lock_wait`: seconds; None: the default.

    `status_within`: seconds for looking at live rows. `shelf_limit`: bytes; `shelf_retention`: the age at which what is
    kept goes; None: there is none.
    """

    url: str = ""
    target: str = ""
    changelog: str | None = None
    format: str | None = None
    lock_timeout: float | None = None
    lock_wait: float | None = None
    column_order: str = "exact"
    status_within: float = 2.0
    shelf_limit: int | None = None
    shelf_retention: datetime.timedelta | None = None

    @property
    def seconds_to_wait(self) -> float:
        """How long to wait for another deployment to end."""
        return 60.0 if self.lock_wait is None else self.lock_wait

    @property
    def command(self) -> str:
        """How the next command for this target begins, in what people are told to type."""
        return f"tagback --target {self.target}" if self.target else "tagback"


@dataclass(frozen=True, slots=True)
class Call:
    """The options before the command."""

    url: str | None
    target: str | None
    config: str | None

    def settings(
        self,
        *,
        changelog: str | None = None,
        format: str | None = None,
        lock_timeout: float | None = None,
        lock_wait: float | None = None,
        column_order: str | None = None,
        status_within: float | None = None,
        shelf_limit: str | None = None,
    ) -> Settings:
        """The configuration's settings, with what the command's own options say put over them."""
        given = {
            "changelog": changelog,
            "format": format,
            "lock_timeout": lock_timeout,
            "lock_wait": lock_wait,
            "column_order": column_order,
            "status_within": status_within,
            "shelf_limit": amount(shelf_limit) if shelf_limit is not None else None,
        }
        return replace(self._configured(), **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    def _configured(self) -> Settings:
        if self.url and self.target:
            raise UsageError("--url and --target both name a database.", hint="Give one of them.")
        names: tuple[str, ...] = ()
        found = Settings()
        if self.config is not None or os.path.exists("tagback.toml"):
            from tagback.cli.configuration import read

            configuration = read(self.config or "tagback.toml")
            if self.target is not None:
                return configuration.settings(self.target)
            names, found = configuration.names, configuration.settings(None)
        elif self.target is not None:
            raise UsageError(
                f"--target {self.target} needs a configuration file.",
                code="config",
                hint="Write tagback.toml in the current folder, or name a file with --config.",
            )
        url = self.url or os.environ.get("TAGBACK_URL", "")
        if not url:
            hint = "Give --url, set TAGBACK_URL, or name a target of tagback.toml with --target"
            raise UsageError(
                "Which database? None was named.", hint=f"{hint} ({', '.join(names)})." if names else f"{hint}."
            )
        return replace(found, url=url)
