"""What can't be read is refused with its place, exit status 2, and never a traceback."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagback.changelog import Dialect, read_changelog
from tagback.changelog.directives import directives
from tagback.errors import ChangelogError

# files -> what the message holds, and the end of the location
CASES: dict[str, tuple[dict[str, bytes], str, str]] = {
    "latin-1": ({"1_a.sql": b"SELECT 1;\r\n-- caf\xc3\xa9 \xe9\n"}, "byte 0xe9", "1_a.sql:2:9"),
    "cut character": ({"1_a.sql": b"\xef\xbb\xbfSELECT '\xe2\x82"}, "not UTF-8", "1_a.sql:1:9"),
    "utf-16": ({"1_a.sql": "\ufeffSELECT 1;".encode("utf-16-le")}, "UTF-16", "1_a.sql:1:4"),
    "binary": ({"1_a.sql": b"SELECT 1;\nSEL\0ECT"}, "binary", "1_a.sql:2:4"),
    "empty": ({"1_a.sql": b""}, "1_a.sql is empty", "1_a.sql:1:1"),
    "blank": ({"1_a.sql": b"\xef\xbb\xbf \r\n\t\n"}, "1_a.sql is empty", "1_a.sql:1:1"),
    "blank up": ({"1_a.up.sql": b"\n"}, "1_a.up.sql is empty", "1_a.up.sql:1:1"),
    "blank marked": ({"1_a.sql": b"\n", "2_b.sql": b"-- migrate:up\nSELECT 1;"}, "no `-- migrate:up`", "1_a.sql:1:1"),
    "nothing": ({}, "is empty", ""),
    "nothing that counts": ({"notes.txt": b"x"}, "has no changesets", ""),
    "same version": ({"1_a.sql": b"x", "01_b.sql": b"x"}, "version 1: 1_a.sql and 01_b.sql", "01_b.sql:1:1"),
    "same version of folders": ({"1_a/up.sql": b"x", "1_b/up.sql": b"x"}, "1_a/up.sql and 1_b/up.sql", "1_b/up.sql:1:1"),
    "same version in flyway": ({"V1__a.sql": b"x", "V1.0__b.sql": b"x"}, "V1__a.sql and V1.0__b.sql", "V1.0__b.sql:1:1"),
    "same repeatable": ({"R__a_b.sql": b"x", "R__a b.sql": b"x"}, "R__a_b.sql", "R__a_b.sql:1:1"),
    "no version": ({"1_a.sql": b"x", "users.sql": b"x"}, "users.sql has no version", "users.sql"),
    "mixed names": ({"1_a.sql": b"x", "2_b.up.sql": b"x"}, "one format", "1_a.sql"),
    "mixed folders": ({"1_a.sql": b"x", "2_b/up.sql": b"x"}, "one format", "1_a.sql"),
    "mixed flyway": ({"V1__a.sql": b"x", "V2_b.sql": b"x"}, "one format", "V2_b.sql"),
    "mixed marks": ({"1_a.sql": b"-- migrate:up\nx", "2_b.sql": b"-- +goose Up\nx"}, "one format", "1_a.sql"),
    "mark missing": ({"1_a.sql": b"-- migrate:up\nx", "2_b.sql": b"x"}, "2_b.sql has no `--", "2_b.sql:1:1"),
    "only a way down": ({"1_a.sql": b"x\n-- migrate:down\nx"}, "has no `-- migrate:up`", "1_a.sql:1:1"),
    "mark twice": ({"1_a.sql": b"-- migrate:up\nx\n-- migrate:up\n"}, "twice", "1_a.sql:3:1"),
    "down first": ({"1_a.sql": b"\n-- migrate:down\nx\n-- migrate:up\nx"}, "way down before", "1_a.sql:2:1"),
    "before the mark": ({"1_a.sql": b"-- a\n  SELECT 1;\n-- +goose Up\nx"}, "SQL before", "1_a.sql:2:3"),
    "option": ({"1_a.sql": b"-- migrate:up transaction:maybe\nx"}, "'transaction:maybe'", "1_a.sql:1:15"),
    "open block": ({"1_a.sql": b"-- +goose Up\n-- +goose StatementBegin\nx"}, "without its partner", "1_a.sql:2:1"),
    "closed block": ({"1_a.sql": b"-- +goose Up\nx\n-- +goose StatementEnd"}, "without its partner", "1_a.sql:3:1"),
    "annotation": ({"1_a.sql": b"-- +goose Up\r\n-- +goose ENVSUB ON\r\nx"}, "ENVSUB ON", "1_a.sql:2:1"),
    "metadata key": (
        {"1_a/up.sql": b"x", "1_a/metadata.toml": b"# a\n run_in_tx = 1"},
        "unknown key 'run_in_tx'", "1_a/metadata.toml:2:2",
    ),
    "metadata type": (
        {"1_a/up.sql": b"x", "1_a/metadata.toml": b'run_in_transaction = "no"'},
        "must be true or false", "1_a/metadata.toml:1:1",
    ),
    "metadata syntax": ({"1_a/up.sql": b"x", "1_a/metadata.toml": b"a = 1\nb"}, "is not TOML", "1_a/metadata.toml:2:2"),
    "metadata bytes": ({"1_a/up.sql": b"x", "1_a/metadata.toml": b"# \xff"}, "not UTF-8", "1_a/metadata.toml:1:3"),
    "conf key": ({"V1__a.sql": b"x", "V1__a.sql.conf": b"#\nshouldExecute=no"}, "not supported", "V1__a.sql.conf:2:1"),
    "folder without up": ({"1_a/up.sql": b"x", "2_b/down.sql": b"x"}, "2_b has no up.sql", "2_b"),
    "up.sql is a folder": ({"1_a/up.sql/x": b"x"}, "not a regular file", "1_a/up.sql"),
    "liquibase": ({"db.changelog-master.xml": b"<x/>"}, "XML, YAML and JSON", "db.changelog-master.xml"),
    "liquibase with sql": ({"db.changelog.yaml": b"x", "1_a.sql": b"x"}, "XML, YAML and JSON", "db.changelog.yaml"),
    "directive": ({"1_a.sql": b"SELECT 1;\n  -- tagback: no-keeep\n"}, "unknown directive", "1_a.sql:2:3"),
    "directive's argument": ({"1_a.sql": b"-- tagback: no-keep t\nx"}, "takes no argument", "1_a.sql:1:1"),
    "directive's missing argument": ({"1_a.sql": b"-- tagback: back\nx"}, "needs an argument", "1_a.sql:1:1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_changelog_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    files, message, place = CASES[case]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ChangelogError) as caught:
        read_changelog(tmp_path)
    assert message in caught.value.message
    assert str(caught.value.location) == str(tmp_path / place)
    assert caught.value.exit_code == 2


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChangelogError, match="nowhere does not exist"):
        read_changelog(tmp_path / "nowhere")


def test_unknown_format_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ChangelogError, match="no changelog format 'liquibase'") as caught:
        read_changelog(tmp_path, "liquibase")
    assert "golang-migrate" in caught.value.hint


@pytest.mark.parametrize("form", ["migrate", "goose"])
def test_forced_format_wants_its_mark(form: str, tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("SELECT 1;")
    with pytest.raises(ChangelogError, match=r"1_a\.sql has no `-- ") as caught:
        read_changelog(tmp_path, form)
    assert str(caught.value.location).endswith("1_a.sql:1:1")


@pytest.mark.parametrize("form", ["flyway", "golang-migrate"])
def test_forced_format_wants_its_names(form: str, tmp_path: Path) -> None:
    (tmp_path / "1.5_a.up.sql").write_text("SELECT 1;")
    with pytest.raises(ChangelogError, match="is not a name of"):
        read_changelog(tmp_path, form)


def test_plain_by_name_takes_marked_files_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("-- migrate:up\nSELECT 1;")
    assert read_changelog(tmp_path, "plain").changesets[0].text == "-- migrate:up\nSELECT 1;"


@pytest.mark.parametrize("where", ["file", "up.sql", "folder", "itself"])
def test_link_loops_are_told(where: str, tmp_path: Path) -> None:
    path = tmp_path / "changes"
    if where == "itself":
        path.symlink_to(path)
    else:
        (path / "1_a").mkdir(parents=True)
        loop = {"file": path / "2_b.sql", "up.sql": path / "1_a" / "up.sql", "folder": path / "2_b"}[where]
        loop.symlink_to(loop)
    with pytest.raises(ChangelogError, match="link that leads back to itself"):
        read_changelog(path)


def test_flyway_folder_that_links_to_its_parent_is_a_loop(tmp_path: Path) -> None:
    (tmp_path / "V1__a.sql").write_text("SELECT 1;")
    (tmp_path / "more").symlink_to(tmp_path)
    with pytest.raises(ChangelogError, match="link that leads back to itself"):
        read_changelog(tmp_path)


def test_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").symlink_to(tmp_path / "gone.sql")
    with pytest.raises(ChangelogError, match=r"1_a\.sql is a link to nothing"):
        read_changelog(tmp_path)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1_a.sql")
    with pytest.raises(ChangelogError, match="not a regular file"):
        read_changelog(tmp_path)


@pytest.fixture
def somebody_s_folder() -> Iterator[Path]:
    """A folder for tests of permissions; they run as another user where this one is root, to whom all is readable."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "changes").mkdir()
        (folder / "changes" / "1_a.sql").write_text("SELECT 1;")
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in (folder / "changes", folder / "changes" / "1_a.sql"):
                path.chmod(0o700)


@pytest.fixture(params=["changes/1_a.sql", "changes"])
def closed(request: pytest.FixtureRequest, somebody_s_folder: Path) -> Path:
    path = somebody_s_folder / request.param
    user = os.geteuid()
    os.seteuid(os.getuid())
    path.chmod(0)
    os.seteuid(user)
    return somebody_s_folder / "changes"


def test_unreadable_file_or_folder_is_told(closed: Path) -> None:
    with pytest.raises(ChangelogError, match="can't be read: Permission denied") as caught:
        read_changelog(closed)
    assert "permissions" in caught.value.hint
    assert caught.value.location
    assert caught.value.location.file.startswith(str(closed))


def test_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/1_\xff.sql")).write_text("SELECT 1;")
    with pytest.raises(ChangelogError, match="is not UTF-8"):
        read_changelog(tmp_path)


def test_directives_come_with_argument_and_line(tmp_path: Path) -> None:
    text = "-- migrate:up\n-- tagback: back full_name = first || ' ' || last\nSELECT 1; -- tagback: no-keep\n"
    (tmp_path / "1_a.sql").write_text(text)
    (changeset,) = read_changelog(tmp_path).changesets
    expected = [("back", "full_name = first || ' ' || last", 2), ("no-keep", "", 3)]
    assert directives(changeset) == expected
    assert directives(changeset, Dialect.POSTGRES) == expected


def test_directive_in_a_string_is_none_to_who_knows_the_dialect(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("INSERT INTO notes VALUES ('x\n-- tagback: no-keep\n');\n-- tagback: no-keep\n")
    (changeset,) = read_changelog(tmp_path).changesets
    assert [directive.line for directive in directives(changeset, Dialect.SQLITE)] == [4]
