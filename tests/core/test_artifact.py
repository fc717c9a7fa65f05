"""Builds are data: safe names, one digest, one archive, a manifest that shows what changed."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from budgets import budget
from hypothesis import given
from hypothesis import strategies as st

from lehr.artifact import (
    SCHEMA,
    BuildPlan,
    changed_files,
    check_replaceable,
    read_manifest,
    sha256,
    to_json,
)
from lehr.errors import FileRefused, UsageError

PLAN = BuildPlan({"src/net.c": b"int x;\n", "README.md": b"# net\n"})
SHA = "7c725f30854a46033dd94f728ac6b08caf10845993cd3ed48e40079cdb0a76a6"
HOSTILE = [
    "", "/etc/passwd", "../x", "a/../x", "a/./x", "a//b", "a/", ".hidden", "a\\b", "C:x", "a b", "a\n", "a\x00b", "é", "-rf", "a;id",
    "x" * 129,
]  # fmt: skip


def written(tmp_path: Path) -> Path:
    PLAN.with_manifest({}).write(tmp_path / "out")
    return tmp_path / "out"


# -------------------------------------------------------------------- names and digests
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_not_safe_is_refused(name: str) -> None:
    with pytest.raises(FileRefused) as caught:
        BuildPlan({"ok": b"", name: b""})
    assert (
        str(caught.value)
        == f"file name {name!r} is not safe; use letters, digits, '_', '-', '.' and '/' between folders"
    )


@budget(25, 166)
@given(st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9_./\\-]{1,12}", fullmatch=True))
def test_a_name_that_is_taken_stays_inside_its_folder(name: str) -> None:
    try:
        BuildPlan({name: b""})
    except FileRefused:
        return
    place = Path("/base") / name
    assert place.is_relative_to("/base")
    assert ".." not in place.parts
    assert name.isascii()


def test_names_that_one_file_system_takes_for_the_same_are_refused() -> None:
    with pytest.raises(
        FileRefused, match=r"^file names 'NET\.c' and 'net\.c' differ in case only; rename one$"
    ):
        BuildPlan({"net.c": b"", "NET.c": b""})


def test_a_file_cannot_be_a_folder_too() -> None:
    with pytest.raises(
        FileRefused, match=r"^file name 'net' is a folder of other files, too; rename one$"
    ):
        BuildPlan({"net": b"", "net/weights.c": b""})


def test_a_name_planned_twice_is_refused() -> None:
    assert dict((PLAN | BuildPlan({"z": b"1"})).files) == {**PLAN.files, "z": b"1"}
    with pytest.raises(
        FileRefused, match=r"^README\.md is planned twice; give one of them another name$"
    ):
        _ = PLAN | BuildPlan({"README.md": b"# net\n"})


def test_the_digest_tells_names_and_contents_apart() -> None:
    assert BuildPlan(dict(reversed(list(PLAN.files.items())))).digest == PLAN.digest
    plans = [
        {},
        {"a": b""},
        {"b": b""},
        {"a": b"b"},
        {"ab": b""},
        {"a": b"", "b": b""},
        {"a": b"1:b:0:"},
        {"a": b"", "b": b"\n"},
    ]
    assert len({BuildPlan(files).digest for files in plans}) == len(plans)


def test_json_has_one_form() -> None:
    assert to_json({"b": [1], "a": {"d": 1, "c": None}}) == to_json(
        {"a": {"c": None, "d": 1}, "b": [1]}
    )
    assert to_json({}) == b"{}\n"


@pytest.mark.slow
# -------------------------------------------------------------------- archive
def test_an_archive_has_the_same_bytes_at_another_time(tmp_path: Path) -> None:
    PLAN.archive(tmp_path / "a.zip")
    time.sleep(2.1)  # a zip file keeps times in steps of two seconds
    BuildPlan(dict(reversed(list(PLAN.files.items())))).archive(tmp_path / "b.zip")
    data = (tmp_path / "a.zip").read_bytes()
    assert data == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == PLAN.files
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o644}


# -------------------------------------------------------------------- manifest and folder
def test_the_manifest_tells_each_file_and_every_change(tmp_path: Path) -> None:
    out = tmp_path / "out"
    PLAN.with_manifest({"target": "c", "network": "abc"}).write(out)
    assert json.loads((out / "manifest.json").read_bytes()) == {
        "schema": "lehr-artifact/1", "target": "c", "network": "abc",
        "files": {"src/net.c": sha256(b"int x;\n"), "README.md": sha256(b"# net\n")},
    }  # fmt: skip
    assert read_manifest(out)["files"]["src/net.c"] == SHA
    assert changed_files(out) == []
    (out / "src" / "net.c").write_bytes(b"int y;\n")
    (out / "README.md").unlink()
    assert sorted(changed_files(out)) == ["README.md", "src/net.c"]


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{",
        "[]",
        "3",
        '"manifest"',
        "\xff",
        "[" * 100_000,
        {"schema": SCHEMA},
        {"schema": "lehr-artifact/2", "files": {}},
        {"schema": SCHEMA, "files": ["README.md"]},
        {"schema": SCHEMA, "files": [3]},
        {"schema": SCHEMA, "files": 3},
        {"schema": SCHEMA, "files": {"../../etc/passwd": SHA}},
        {"schema": SCHEMA, "files": {"/etc/passwd": SHA}},
    ],
)
def test_a_manifest_that_is_none_is_refused(manifest: Any, tmp_path: Path) -> None:
    out = written(tmp_path)
    (out / "manifest.json").write_bytes(
        manifest.encode("latin-1") if isinstance(manifest, str) else to_json(manifest)
    )
    for reader in (read_manifest, changed_files):
        with pytest.raises(FileRefused) as caught:
            reader(out)
        assert (
            str(caught.value)
            == f"{out}/manifest.json is not a manifest of schema lehr-artifact/1; build the artefact again"
        )


def test_a_folder_that_lehr_did_not_build_has_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_manifest(tmp_path)
    assert (
        str(caught.value)
        == f"{tmp_path} holds no manifest.json; give a folder that 'lehr build' made"
    )


def test_only_what_lehr_wrote_is_replaced(tmp_path: Path) -> None:
    foreign, out, plan = tmp_path / "thesis", written(tmp_path), PLAN.with_manifest({"again": 1})
    foreign.mkdir()
    plan.write(foreign)  # an empty folder is nobody's
    plan.write(out)
    assert read_manifest(out)["again"] == 1
    others = tmp_path / "web"
    others.mkdir()
    (others / "manifest.json").write_text('{"name": "an app"}')
    for name in ("notes.txt", "more.md"):
        (out / name).touch()
    (foreign / "manifest.json").unlink()
    (tmp_path / "file").touch()
    for place, message in (
        (
            foreign,
            "is not empty and was not made by lehr (no manifest.json); choose another output "
            "folder or empty it",
        ),
        (tmp_path / "file", "is a file; choose another output folder"),
        (
            out,
            "holds more.md and 1 more, which lehr did not write there; choose another output "
            "folder",
        ),
        (
            others,
            "holds manifest.json, which lehr did not write there; choose another output folder",
        ),
    ):
        with pytest.raises(UsageError) as caught:
            plan.write(place)
        assert str(caught.value) == f"{place} {message}"
    with pytest.raises(UsageError) as caught:
        plan.write(tmp_path / "missing" / "out")
    assert (
        str(caught.value)
        == f"{tmp_path}/missing is not a folder; make it first or choose another output folder"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "out", "thesis", "web"]
    assert sorted(p.name for p in foreign.iterdir()) == ["README.md", "src"]


def test_products_of_the_makefile_are_dropped(tmp_path: Path) -> None:
    out = tmp_path / "out"
    PLAN.with_manifest({"products": ["main", "*.o"]}).write(out)
    for name in ("main", "src/net.o"):
        (out / name).touch()
    PLAN.with_manifest({}).write(out)
    assert changed_files(out) == []
    assert not (out / "main").exists()
    (out / "src" / "net.o").touch()  # this build tells of no products
    with pytest.raises(UsageError, match=r"out holds src/net\.o, which lehr did not write there"):
        PLAN.write(out)


def test_a_folder_that_never_stays_the_same_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr("lehr.artifact._why_irreplaceable", gone)
    with pytest.raises(
        UsageError, match="out changes while it is looked at; choose another output folder$"
    ):
        check_replaceable(tmp_path / "out")
