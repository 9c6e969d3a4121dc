"""A shop, a release that breaks, a release that is wrong, and the way back: what `make demo` shows.

    .venv/bin/python demo/demo.py                            on SQLite, in build/demo
    .venv/bin/python demo/demo.py --url postgresql://…       on an empty PostgreSQL database

Every command is the real one, in a process of its own. What the demo claims after it is not taken from its output but
read from the database by `shop.py`. A claim that doesn't hold ends the demo with exit status 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import stage
from shop import REPRICED, Look, Shop

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FILE_URL = "sqlite:///shop.db"
SOLD_MEANWHILE = 25
NEW_PRICE = 1999


class ClaimFailed(Exception):
    """Something the demo says is not so."""


class Demo:
    """One run: the folder it happens in, the database's URL, and the shop."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.engine = "sqlite" if url.startswith("sqlite:") else "postgresql"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.chdir(folder)
        self.shop = Shop(url)
        if not self.shop.is_empty():
            raise ClaimFailed("the database is not empty: give the demo one of its own (createdb tagback_demo)")

    def run(self) -> None:
        """The four acts."""
        stage.say(
            "tagback deploys SQL changes to a database and takes them back, without down scripts: at once when a change"
            " fails, and later, to a tag, when a health check fails. Then it proves the result. See it happen:"
        )
        before = self.releases_1_and_2()
        self.release_3_breaks(before)
        self.release_3_is_wrong(before)
        self.back_to_release_2(before)

    # ------------------------------------------------------------------ the acts

    def releases_1_and_2(self) -> Look:
        stage.act(1, "A shop goes live")
        stage.command(f"export TAGBACK_URL={_without_password(self.url)}")
        self.pull("release-1")
        self.tagback("apply --changelog changelog --tag release-1")
        self.shop.open()
        opened = self.shop.look()
        stage.show("")
        stage.say(f"The shop opens: {_rows(opened)}. Then release 2, on the living tables:")
        self.pull("release-2")
        self.tagback("apply --changelog changelog --tag release-2")
        look = self.shop.look()
        stage.show("")
        self.claim(f"{look.total:,} rows, all as they were before release 2", _same_rows(look, opened))
        self.claim("the health query is content: every order has a total", self.shop.orders_without_total() == 0)
        self.claim(f"the schema that release-2 stands for: sha256 {look.schema[:16]}…", look.schema != opened.schema)
        return look

    def release_3_breaks(self, before: Look) -> None:
        stage.act(2, "Release 3 breaks half-way")
        stage.say(
            "It renames a column, makes coupons, rebuilds the largest table for a CHECK, and then wants e-mail addresses"
            " to be unique. Two customers share one."
        )
        self.pull("release-3", "release-3-first-try")
        self.tagback("apply --changelog changelog --tag release-3 --verbose", expected=1)
        look = self.shop.look()
        stage.show("")
        self.claim(f"the schema is release 2's again: sha256 {look.schema[:16]}…", look.schema == before.schema)
        self.claim(f"{look.total:,} rows, every value as before", _same_rows(look, before))

    def release_3_is_wrong(self, before: Look) -> None:
        stage.act(3, "Release 3, repaired, passes. And is wrong")
        self.pull("release-3")
        before_price = self.shop.price(1)
        self.tagback("apply --changelog changelog --tag release-3")
        old, new = before_price, self.shop.price(1)
        self.shop.sell(SOLD_MEANWHILE)
        self.shop.reprice(NEW_PRICE)
        missing = self.shop.orders_without_total()
        stage.show("")
        stage.say(
            f"It rewrote every price ({_money(old)} became {_money(new)}) and dropped a column of the customers. Both are"
            f" kept. The shop goes on: {SOLD_MEANWHILE} more orders, and somebody sets product {REPRICED} to"
            f" {_money(NEW_PRICE)}. Then the health query reports:"
        )
        stage.show(
            f"  {stage.styled('✗', 'bad')} {missing:,} orders have no total. Without a coupon the new view says NULL."
        )
        stage.say("(A transaction can't help any more: it was committed long ago.)")
        self.check("release 3 changed the schema", self.shop.schema() != before.schema)
        self.check("release 3 changed the prices", old != new)
        self.check("the wrong view makes the health query fail", missing > 0)

    def back_to_release_2(self, before: Look) -> None:
        stage.act(4, "Back to release 2")
        stage.say("The way back lies in the database. To show that nothing else is needed, the changelog is gone:")
        stage.command("rm -r changelog")
        shutil.rmtree("changelog")
        self.tagback("rollback --to release-2 --yes")
        look = self.shop.look()
        stage.show("")
        self.claim(f"the schema is release 2's, to the byte: sha256 {look.schema[:16]}…", look.schema == before.schema)
        self.claim(
            f"all {before.total:,} rows of before hold the same values, prices and dropped column included",
            look.content == before.content,
        )
        later = self.shop.later_orders()
        self.claim(
            f"the {later} orders taken meanwhile are still there, {look.total:,} rows in all",
            later == SOLD_MEANWHILE and look.rows["orders"] == before.rows["orders"] + SOLD_MEANWHILE,
        )
        self.claim(
            f"the price that was set meanwhile stands: {_money(NEW_PRICE)}, told as the one conflict",
            self.shop.price(REPRICED) == NEW_PRICE,
        )
        self.claim("the health query is content: every order has a total", self.shop.orders_without_total() == 0)
        self.tagback("verify")
        self.pull("release-1", "release-2")

    # ------------------------------------------------------------------ what they are made of

    def pull(self, *releases: str) -> None:
        """Puts a release's files into the changelog, as a `git pull` would; later ones replace earlier ones."""
        Path("changelog").mkdir(exist_ok=True)
        for release in releases:
            folder = HERE / "changelog" / release
            for source in sorted([*folder.glob("*.sql"), *(folder / self.engine).glob("*.sql")]):
                shutil.copy(source, "changelog")

    def tagback(self, arguments: str, expected: int = 0) -> None:
        """Runs the command line in a process of its own, its output going straight to the terminal."""
        stage.command(f"tagback {arguments}")
        program = Path(sys.executable).with_name("tagback")
        environment = {**os.environ, "TAGBACK_URL": self.url, "COLUMNS": str(stage.WIDTH)}
        done = subprocess.run(
            [program, *shlex.split(arguments)], env=environment, stderr=subprocess.STDOUT, check=False
        )
        self.check(f"`tagback {arguments}` ends with exit status {expected}", done.returncode == expected)

    def claim(self, text: str, holds: bool) -> None:
        """Shows a claim, and ends the demo if it doesn't hold."""
        stage.fact(text, holds)
        self.check(text, holds)

    @staticmethod
    def check(text: str, holds: bool) -> None:
        """Ends the demo if a claim doesn't hold."""
        if not holds:
            raise ClaimFailed(f"this does not hold: {text}")


def _same_rows(a: Look, b: Look) -> bool:
    return a.rows == b.rows and a.content == b.content


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"


def _rows(look: Look) -> str:
    parts = [f"{n:,} {table.replace('_', ' ')}{'' if table.endswith('s') else 's'}" for table, n in look.rows.items()]
    return f"{', '.join(parts)}: {look.total:,} rows"


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Shows what tagback is, on a shop with 100,000 rows.")
    parser.add_argument("--url", default=FILE_URL, help="an empty PostgreSQL database, instead of an SQLite file")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "demo", help="where it happens; emptied first")
    options = parser.parse_args(arguments)
    if not re.match(r"sqlite:///shop\.db$|postgres(ql)?://", options.url):
        parser.error("--url takes a postgresql:// URL; without it the demo makes an SQLite file of its own")
    started = time.monotonic()
    try:
        Demo(options.folder.resolve(), options.url).run()
    except (ClaimFailed, ConnectionError) as e:
        stage.show(f"\n{stage.styled('The demo failed', 'bad')}: {str(e).rstrip('.?')}.")
        return 1
    _farewell(options.folder.resolve(), options.url, time.monotonic() - started)
    return 0


def _farewell(folder: Path, url: str, seconds: float) -> None:
    stage.act(5, "That is tagback")
    stage.say(
        f"{seconds:.0f} seconds. The lines with a ✓ were read from the database with its own driver, not from tagback."
        " Nobody wrote a down script."
    )
    stage.show(
        "\nLook around:    " + stage.styled(f"cd {_near(folder)}; export TAGBACK_URL={_without_password(url)}", "bold")
    )
    tagback = os.path.relpath(Path(sys.executable).with_name("tagback"), folder)
    stage.show("                " + stage.styled(f"{tagback} history; {tagback} status --changelog changelog", "bold"))
    if url == FILE_URL:
        stage.show("On PostgreSQL:  " + stage.styled("make demo URL=postgresql://user@host/an_empty_database", "bold"))


def _near(folder: Path) -> str:
    found = os.path.relpath(folder, ROOT)
    return str(folder) if found.startswith("..") else found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
