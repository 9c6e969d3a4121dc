"""The outermost frame: runs a command, writes its answer or its error, and gives the exit status. Nothing escapes it."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TextIO

import click

from tagback.cli.answer import Answer, envelope
from tagback.cli.front import front
from tagback.cli.page import Page
from tagback.errors import Exit, TagbackError, UsageError

_PASSWORD = re.compile(r"(\w+://[^\s:/@]*):[^\s/]+@")
_PASSWORD_OPTION = re.compile(r"(password=)[^\s&'\";]+", re.I)


def run(arguments: list[str]) -> int:
    """Runs one command. With --json among the arguments every outcome is one JSON object, bad usage too."""
    as_json = "--json" in _own(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        answer = _answer(arguments)
        if answer is None:
            _flush()
            return Exit.DONE
    except TagbackError as e:
        answer = Answer({}, lambda page: None, e)
    return _write(answer, as_json)


def _own(arguments: list[str]) -> list[str]:
    """The arguments before `--`: what follows belongs to somebody else."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _answer(arguments: list[str]) -> Answer | None:
    """The command's answer; None when click has said all there is (--help, --version). Every failure is a TagbackError."""
    try:
        found = front.main(arguments, prog_name="tagback", standalone_mode=False)
        return found if isinstance(found, Answer) else None
    except TagbackError:
        raise
    except click.exceptions.NoArgsIsHelpError as e:
        raise UsageError("No command was given.", hint=e.format_message()) from None
    except click.UsageError as e:
        path = e.ctx.command_path if e.ctx else "tagback"
        raise UsageError(e.format_message(), hint=f"`{path} --help` shows what is possible.") from None
    except click.ClickException as e:
        raise UsageError(e.format_message()) from None
    except (KeyboardInterrupt, click.Abort):
        page = Page(sys.stderr)
        page.write("\n" if page.terminal else "")  # the question, or the ^C, stands there
        raise TagbackError(
            "Interrupted; nothing was touched.", code="interrupted", exit_code=Exit.INTERRUPTED
        ) from None
    except BrokenPipeError:
        _discard_output()
        return None
    except Exception as e:  # the last resort: a person gets a sentence, not a traceback
        raise _unexpected(e) from e


def _unexpected(e: Exception) -> TagbackError:
    text = " ".join(str(e).split())
    return TagbackError(
        f"Unexpected {type(e).__name__}{': ' if text else ''}{text}",
        code="internal",
        hint="What was begun was rolled back. This is a defect of tagback; please report it with what"
        " TAGBACK_DEBUG=1 adds to this message.",
    )


def _write(answer: Answer, as_json: bool) -> int:
    """Writes to the streams. When they are gone the exit status still says how the database stands."""
    try:
        if as_json:
            body = json.dumps(envelope(answer.fields, answer.error), indent=2 if _is_terminal(sys.stdout) else None)
            Page(sys.stdout).write(_without_passwords(body) + "\n" if answer.error else body + "\n")
        else:
            answer.show(Page(sys.stdout))
        _flush()
        if answer.error is not None:
            _tell(answer.error, as_json)
    except BrokenPipeError:
        _discard_output()
    except OSError as e:
        _discard_output()
        Page(sys.stderr).line("The output can't be written: ", str(e))
    return int(answer.exit_code)


def _tell(error: TagbackError, as_json: bool) -> None:
    """The error for people: what, where, and what to do."""
    page = Page(sys.stderr)
    if not as_json:
        place = f"{error.location}: " if error.location else ""
        page.line(("error: ", "bad"), place, _without_passwords(error.message))
        for line in _without_passwords(error.hint).splitlines():
            page.line("  ", (line, "dim"))
    if os.environ.get("TAGBACK_DEBUG"):
        import traceback

        page.write(_without_passwords("".join(traceback.format_exception(error))))
    page.flush()


def _without_passwords(text: str) -> str:
    """The text with what looks like a password in a URL or a connection string blotted out."""
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _discard_output() -> None:
    """Points standard output to nowhere, so that the interpreter's last flush doesn't complain either."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        return
