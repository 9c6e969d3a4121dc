"""Every layout of a changelog becomes the changesets that its own tool would apply."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagback.changelog import Changelog, checksum_of, format_names, locate, read_changelog


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return folder


def ids(changelog: Changelog) -> list[str]:
    return [changeset.id for changeset in changelog.changesets]


LAYOUTS = {
    "plain": {"0001_users.sql": "SELECT 1;\n", "0002_orders.sql": "SELECT 2;\n"},
    "up-down": {
        "0001_users.up.sql": "SELECT 1;\n", "0001_users.down.sql": "DROP TABLE x;", "0002_orders.up.sql": "SELECT 2;\n",
    },
    "directory": {
        "0001_users/up.sql": "SELECT 1;\n", "0001_users/down.sql": "DROP TABLE x;", "0002_orders/up.sql": "SELECT 2;\n",
        "0002_orders/metadata.toml": "run_in_transaction = true\n",
    },
    "migrate": {
        "0001_users.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE x;\n",
        "0002_orders.sql": "-- about orders\n\n-- migrate:up\nSELECT 2;\n",
    },
    "goose": {
        "0001_users.sql": "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE x;\n",
        "0002_orders.sql": "-- +goose up\nSELECT 2;\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_told_by_its_shape_and_read_the_same_by_name(layout: str, tmp_path: Path) -> None:
    folder = written(tmp_path, LAYOUTS[layout])
    changelog = read_changelog(folder)
    assert changelog.format == layout
    assert ids(changelog) == ["0001_users", "0002_orders"]
    assert [changeset.text for changeset in changelog.changesets] == ["SELECT 1;\n", "SELECT 2;\n"]
    assert [changeset.version for changeset in changelog.changesets] == [(1,), (2,)]
    assert [changeset.description for changeset in changelog.changesets] == ["users", "orders"]
    assert all(changeset.transactional and not changeset.repeatable for changeset in changelog.changesets)
    assert changelog.notes == ()
    assert read_changelog(folder, layout) == changelog


def test_golang_migrate_is_up_down_by_name(tmp_path: Path) -> None:
    changelog = read_changelog(written(tmp_path, LAYOUTS["up-down"]), "golang-migrate")
    assert (changelog.format, ids(changelog)) == ("golang-migrate", ["0001_users", "0002_orders"])
    assert set(LAYOUTS) < set(format_names())


def test_flyway_orders_numbers_as_numbers_and_repeatables_last(tmp_path: Path) -> None:
    files = {
        "V1_10__ten.sql": "SELECT 1;", "V1.2__two_words.sql": "SELECT 1;", "R__b_view.sql": "SELECT 1;",
        "V2__x.sql": "SELECT 1;", "more/V1_9__nine.sql": "SELECT 1;", "R__a_view.sql": "SELECT 1;", 
        "U2__x.sql": "DROP TABLE x;", "V2__x.sql.conf": "# alone\nexecuteInTransaction=false\n",
    }  # fmt: skip
    changelog = read_changelog(written(tmp_path, files))
    assert changelog.format == "flyway"
    assert ids(changelog) == ["V1.2__two_words", "V1_9__nine", "V1_10__ten", "V2__x", "R__a_view", "R__b_view"]
    assert [changeset.id for changeset in changelog.changesets if changeset.repeatable] == ["R__a_view", "R__b_view"]
    assert [changeset.id for changeset in changelog.changesets if not changeset.transactional] == ["V2__x"]
    assert changelog.changesets[0].description == "two words"
    assert changelog.notes == ()


def test_flyway_tells_about_baselines_and_placeholders(tmp_path: Path) -> None:
    changelog = read_changelog(written(tmp_path, {"V1__a.sql": "SELECT 1,\n ${name};", "B1__a.sql": "SELECT 1;"}))
    assert [note.message.split(" ")[0] for note in changelog.notes] == ["B1__a.sql", "${name}"]
    assert (changelog.notes[1].location.line, changelog.notes[1].location.column) == (2, 2)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["9_a", "10_b", "1_c"], ["1_c", "9_a", "10_b"]),
        (["2024-01-31-120000_b", "2023-12-31-235959_a"], ["2023-12-31-235959_a", "2024-01-31-120000_b"]),
        (["20240131120000_b", "00000000000000_a"], ["00000000000000_a", "20240131120000_b"]),
        (["1.10.0_b", "1.9_a"], ["1.9_a", "1.10.0_b"]),
        (["001_2fa", "002-3 words é"], ["001_2fa", "002-3 words é"]),
    ],
)
def test_order_is_by_version_and_not_by_string(names: list[str], order: list[str], tmp_path: Path) -> None:
    assert ids(read_changelog(written(tmp_path, {f"{name}.sql": "SELECT 1;" for name in names}))) == order


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3], []),
        ([1, 3], ["2"]),
        ([1, 2, 5, 6, 8], ["3, 4", "7"]),
        ([10, 20, 30], []),
        ([10, 20, 40], ["30"]),
        ([0, 2, 3], ["1"]),
        ([20240101, 20240301], []),
        ([1, 100], ["2, 3, 4, 5, 6 …"]),
    ],
)
def test_gaps_are_noted_with_the_file_after_them(numbers: list[int], missing: list[str], tmp_path: Path) -> None:
    changelog = read_changelog(written(tmp_path, {f"{number:04}_a.sql": "SELECT 1;" for number in numbers}))
    assert [note.message.split(" number ")[1].split(", before")[0] for note in changelog.notes] == missing
    assert all(Path(note.location.file).exists() for note in changelog.notes)
    assert all((note.location.line, note.location.column) == (1, 1) for note in changelog.notes)


@pytest.mark.parametrize("layout", ["migrate", "goose"])
def test_place_in_a_part_is_the_place_in_the_file(layout: str, tmp_path: Path) -> None:
    mark = {"migrate": "-- migrate:up", "goose": "-- +goose Up"}[layout]
    folder = written(tmp_path, {"1_a.sql": f"\ufeff-- head\r\n\r\n{mark}\r\nSELECT 1;\r\n  SELECT 2;\r\n"})
    (changeset,) = read_changelog(folder).changesets
    assert changeset.text == "SELECT 1;\r\n  SELECT 2;\r\n"
    assert changeset.first_line == 4
    assert str(locate(changeset, changeset.text.index("SELECT 2"))) == f"{folder / '1_a.sql'}:5:3"


@pytest.mark.parametrize(
    "files",
    [
        {"1_a.sql": "-- migrate:up transaction:false\nSELECT 1;"},
        {"1_a.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;"},
        {"1_a.sql": "-- +goose Up\n-- +goose NO TRANSACTION\nSELECT 1;"},
        {"1_a/up.sql": "SELECT 1;", "1_a/metadata.toml": "run_in_transaction = false"},
        {"V1__a.sql": "SELECT 1;", "V1__a.sql.conf": "executeInTransaction=false"},
        {"1_a.sql": "-- no-transaction\nSELECT 1;"},
        {"1_a.sql": "-- about\n\n--  No-Transaction  \nSELECT 1;"},
        {"1_a.up.sql": "-- disable-transaction\r\nSELECT 1;"},
        {"1_a.sql": "-- postgres-migrations disable-transaction\nSELECT 1;"},
        {"1_a.sql": "-- atlas:txmode none\n\nSELECT 1;"},
        {"1_a.sql": "-- transactional: false\nSELECT 1;"},
        {"1_a.sql": "--! no-transaction\nSELECT 1;"},
        {"1_a.sql": "---- tern: disable-tx ----\nSELECT 1;"},
        {"1_a.sql": "-- tagback: no-transaction\nSELECT 1;"},
    ],
)
def test_every_spelling_of_no_transaction_is_heard(files: dict[str, str], tmp_path: Path) -> None:
    (changeset,) = read_changelog(written(tmp_path, files)).changesets
    assert changeset.transactional is False


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1;\n-- no-transaction\n",
        "-- no-transaction needed here\nSELECT 1;",
        "-- migrate:up transaction:true\nSELECT 1;",
    ],
)
def test_no_other_comment_turns_the_transaction_off(text: str, tmp_path: Path) -> None:
    (changeset,) = read_changelog(written(tmp_path, {"1_a.sql": text})).changesets
    assert changeset.transactional is True


def test_a_single_file_is_a_changelog(tmp_path: Path) -> None:
    folder = written(tmp_path, {"schema.sql": "SELECT 1;", "2_b.up.sql": "SELECT 2;", "3_c/up.sql": "SELECT 3;"})
    assert ids(read_changelog(folder / "schema.sql")) == ["schema"]
    assert ids(read_changelog(folder / "2_b.up.sql")) == ["2_b"]
    assert ids(read_changelog(folder / "3_c" / "up.sql")) == ["3_c"]


def test_what_does_not_belong_is_left_out_and_told_unless_it_never_could(tmp_path: Path) -> None:
    files = {
        "1_a.sql": "SELECT 1;", "README.md": "x", ".2_hidden.sql": "x", "1_a.sql~": "x", "#1_a.sql#": "x",
        ".#1_a.sql": "x", "1_a.sql.orig": "x", "seed.py": "x", "old/0_z.sql": "x",
    }  # fmt: skip
    changelog = read_changelog(written(tmp_path, files))
    assert ids(changelog) == ["1_a"]
    assert sorted(note.message.split(" ")[0] for note in changelog.notes) == ["old", "seed.py"]


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    target = written(tmp_path / "elsewhere", {"a.sql": "SELECT 1;", "b/up.sql": "SELECT 2;"})
    plain, folders = tmp_path / "plain", tmp_path / "folders"
    (folders / "1_a").mkdir(parents=True)
    plain.mkdir()
    (plain / "1_a.sql").symlink_to(target / "a.sql")
    (folders / "1_a" / "up.sql").symlink_to(target / "a.sql")
    (folders / "2_b").symlink_to(target / "b")
    assert ids(read_changelog(plain)) == ["1_a"]
    assert ids(read_changelog(folders)) == ["1_a", "2_b"]


def test_a_folder_whose_up_is_blank_does_nothing_and_says_so(tmp_path: Path) -> None:
    changelog = read_changelog(written(tmp_path, {"1_a/up.sql": "", "2_b/up.sql": "SELECT 1;"}))
    assert ids(changelog) == ["1_a", "2_b"]
    assert "1_a does nothing" in changelog.notes[0].message


def test_checksum_ignores_what_editors_and_git_change() -> None:
    plain = checksum_of("SELECT 1;\n  SELECT 2;")
    for same in ("SELECT 1;\r\n  SELECT 2;\r\n", "SELECT 1;\r  SELECT 2;\r", "\ufeffSELECT 1; \t\n  SELECT 2;\n\n \n"):
        assert checksum_of(same) == plain
    for other in (
        "SELECT 1;\nSELECT 2;",
        "SELECT 1;\n\n  SELECT 2;",
        "SELECT 1;   SELECT 2;",
        "\nSELECT 1;\n  SELECT 2;",
    ):
        assert checksum_of(other) != plain


@given(lines=st.lists(st.text(alphabet="ab \t;'-", max_size=6), max_size=6), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_checksum_depends_on_the_lines_alone(lines: list[str], end: str) -> None:
    trimmed = [line.rstrip() for line in lines]
    assert checksum_of(end.join(lines)) == checksum_of("\n".join(trimmed) + "\n\n")


def test_checksum_of_a_marked_part_ignores_the_way_down(tmp_path: Path) -> None:
    (one,) = read_changelog(
        written(tmp_path / "a", {"1_a.sql": "-- migrate:up\nSELECT 1;\n\n-- migrate:down\nx"})
    ).changesets
    (two,) = read_changelog(written(tmp_path / "b", {"1_a.sql": "-- migrate:up\nSELECT 1;\n"})).changesets
    assert one.checksum == two.checksum == checksum_of("SELECT 1;")


def test_long_runs_of_spaces_take_no_time() -> None:
    text = " " * 1_000_000 + "x" + " " * 1_000_000
    assert checksum_of(text) == checksum_of(text.rstrip())
    assert checksum_of(text) != checksum_of(text.lstrip())
