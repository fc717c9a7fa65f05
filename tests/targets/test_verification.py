"""Artefacts of strangers: nothing in their folder is run, whatever it holds, and verifying ends."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hard_networks import HARD
from processes import Children
from strategies import small_network

from lehr.artifact import sha256, to_json
from lehr.errors import FileRefused, LehrError, NotBitExact, UsageError
from lehr.targets import golden, registry
from lehr.targets.build import build, verify
from lehr.targets.c.compiler import missing
from lehr.targets.verification import verify_here

needs_compiler = pytest.mark.skipif(missing("make") is not None, reason=str(missing("make")))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an artefact in C."""
    folder = tmp_path_factory.mktemp("built") / "c"
    net, x = small_network()
    build(net, registry.get("c"), x[:3]).plan.write(folder)
    return folder


@pytest.fixture
def out(built: Path, tmp_path: Path) -> Path:
    """Return a copy of it that may be changed."""
    return Path(shutil.copytree(built, tmp_path / "out"))


def fit_manifest(folder: Path, **facts: Any) -> None:
    """Make the manifest tell the files as they are, and some facts."""
    manifest = json.loads((folder / "manifest.json").read_bytes()) | facts
    manifest["files"] = {name: sha256((folder / name).read_bytes()) for name in manifest["files"]}
    (folder / "manifest.json").write_bytes(to_json(manifest))


@pytest.mark.slow
# -------------------------------------------------------------------- nothing of it is run
def test_changed_code_is_named_and_not_run(out: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    main, makefile = out / "main.c", out / "Makefile"
    makefile.write_text(f"{makefile.read_text()}\n$(shell touch {mark})\n")
    main.write_text(
        f'#include <stdlib.h>\n__attribute__((constructor)) static void run(void) {{ system("touch {mark}"); }}\n{main.read_text()}'
    )
    with pytest.raises(
        FileRefused,
        match=r"^Makefile, main\.c changed since the artefact was built; build it again$",
    ):
        verify_here(out)
    fit_manifest(out)
    message = r"out was not built by lehr \S+ from its model\.nir: Makefile, main\.c would be others; build the artefact again$"
    with pytest.raises(FileRefused, match=message):
        verify_here(out)
    fit_manifest(out, lehr="9.9")
    with pytest.raises(
        FileRefused,
        match=r"was built by lehr 9\.9, whose Makefile, main\.c differ from those of lehr \S+; build the",
    ):
        verify_here(out)
    fit_manifest(out, files={})
    with pytest.raises(FileRefused, match=r"Makefile, main\.c differ"):
        verify(out)
    assert not mark.exists()


@pytest.mark.slow
@needs_compiler
def test_files_beside_the_artefact_take_no_part(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    for name in ("GNUmakefile", "makefile", "Makefile.local", "config.mk"):
        (out / name).write_text(f"$(shell touch {mark})\n%:\n\ttouch {mark}\n")
    for name in (
        "sitecustomize.py",
        "usercustomize.py",
        "conftest.py",
        "lehr.py",
        "numpy.py",
        "json.py",
        "cc",
        "make",
        "lehr_main",
    ):
        (out / name).write_text(
            f"#!{sys.executable}\nimport pathlib; pathlib.Path({str(mark)!r}).touch()\n"
        )
        (out / name).chmod(0o755)
    (out / "stdint.h").write_text("#error taken\n")
    monkeypatch.chdir(out)
    verified = verify(Path())
    verified.require()
    assert verified.samples == 3
    assert verified.comparison.values > 0
    assert not mark.exists()


@pytest.mark.slow
@needs_compiler
def test_links_to_the_same_files_are_taken(out: Path, built: Path) -> None:
    for name in ("main.c", "model.nir", "golden/input.u8", "manifest.json"):
        (out / name).unlink()
        (out / name).symlink_to(built / name)
    verify_here(out, 1).require()


@pytest.mark.slow
@needs_compiler
def test_a_changed_report_is_named_afterwards(out: Path) -> None:
    (out / "MODEL_CARD.md").write_text("# Better\n")
    verified = verify_here(out, 1)
    assert verified.comparison.equal
    assert verified.changed == ("MODEL_CARD.md",)
    with pytest.raises(
        FileRefused, match=r"^MODEL_CARD\.md changed since the artefact was built; build it again$"
    ):
        verified.require()


# -------------------------------------------------------------------- hostile contents
def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [os.mkfifo, _device], ids=["pipe", "device"])
@pytest.mark.parametrize(
    "name",
    ["main.c", "golden/golden.json", "golden/input.u8", "report/widths.json", "manifest.json"],
)
def test_what_is_no_file_is_named(out: Path, name: str, put: Callable[[Path], None]) -> None:
    (out / name).unlink()
    put(out / name)
    with pytest.raises(
        FileRefused, match=rf"{name} is a (pipe|device), no regular file; build the artefact again$"
    ):
        verify_here(out)


@pytest.mark.parametrize("put", [os.mkfifo, _device], ids=["pipe", "device"])
def test_a_network_that_is_no_file_is_refused(out: Path, put: Callable[[Path], None]) -> None:
    (out / "model.nir").unlink()
    put(out / "model.nir")
    with pytest.raises(LehrError, match=r"model\.nir is"):
        verify_here(out)


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"target": "no\x1b[2J"}, "is not a manifest of schema"),
        (
            {"target": ["c"]},
            r"was built for target \['c'\], which is not registered here; install the package that brings it",
        ),
        ({"target": "toaster"}, "was built for target 'toaster', which is not registered here"),
        ({"options": 5}, "options are 5, which target c does not take"),
        (
            {"options": {"device": {"a": 1}}},
            "options are {'device': {'a': 1}}, which target c does not take",
        ),
        ({"options": {"lanes": "4"}}, "options are {'lanes': '4'}, which target c does not take"),
        ({"options": {"rate": "much"}}, "rate is 'much'; use a number from 0 to 100"),
        ({"options": {"rate": "100"}}, "was not built by lehr .* from its model.nir: "),
        ({"products": 5}, "is not a manifest of schema"),
        ({"products": [5]}, "is not a manifest of schema"),
    ],
)
def test_a_manifest_that_makes_no_sense(facts: dict[str, Any], reason: str, tmp_path: Path) -> None:
    build(HARD["recurrent"]()[0], registry.get("c"), options={"rate": "0"}, samples=1).plan.write(
        tmp_path / "out"
    )
    fit_manifest(tmp_path / "out", **facts)
    with pytest.raises(FileRefused, match=reason):
        verify_here(tmp_path / "out")


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '{"samples": 1e400, "steps": 3}',
            r"is no JSON as lehr writes it \(1e400 is more than a double holds\)",
        ),
        ('{"samples": -1, "steps": 3}', "tells samples and steps of -1 and 3"),
        ('{"samples": true, "steps": 3}', "tells samples and steps of True and 3"),
        ('{"samples": 3}', "tells samples and steps of 3 and None"),
        ("[3]", "tells samples and steps of None and None"),
        ("[" * 100_000, "nests deeper than 64 levels"),
        (
            '{"samples": 2, "steps": 3}',
            r"input\.u8 has [\d,]+ bytes, [\d,]+ are due by golden\.json",
        ),
        (
            '{"samples": 1000000000000, "steps": 1000000000000}',
            r"samples take [\d,]+ bytes, the limit is 2,147,483,648; give fewer with -n",
        ),
    ],
    ids=lambda value: value[:20],
)
def test_golden_vectors_that_make_no_sense(out: Path, text: str, reason: str) -> None:
    (out / "golden" / "golden.json").write_text(text)
    with pytest.raises(FileRefused, match=reason):
        verify_here(out)


def test_a_golden_vector_that_was_changed_is_named(out: Path) -> None:
    path = next((out / "golden").glob("00_*.membrane.i32"))
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        FileRefused,
        match=rf"^golden/{path.name} changed since the artefact was built; build it again$",
    ):
        verify_here(out)
    fit_manifest(out)
    with pytest.raises(
        NotBitExact, match="^the golden vectors against the reference simulator: 1 of "
    ):
        verify_here(out)


def test_golden_vectors_may_be_more_than_memory_holds(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = small_network()
    monkeypatch.setattr(golden, "LARGEST", x[0].nbytes * 1000)
    whole, _ = golden.read_golden(net, out)
    assert np.array_equal(whole, golden.per_step(net, x[:3]))
    monkeypatch.setattr(golden, "LARGEST", 10)
    with pytest.raises(
        FileRefused,
        match=r"golden: 3 samples take [\d,]+ bytes, the limit is 10; give fewer with -n$",
    ):
        golden.read_golden(net, out)


@pytest.mark.slow
# -------------------------------------------------------------------- time
@needs_compiler
def test_a_tool_that_never_ends_is_ended(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    slow = tmp_path / "cc"
    slow.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nsleep 999\n")
    slow.chmod(0o755)
    monkeypatch.setenv("CC", str(slow))
    with pytest.raises(
        NotBitExact,
        match=r"out is not verified after 5 s; give it longer with --timeout SECONDS, or run fewer samples with -n$",
    ):
        verify(out, timeout=5)
    assert not children()


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e8])
def test_a_timeout_that_is_none(timeout: float, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^a timeout of {timeout:g} s is none; give seconds above 0, up to 10,000,000$".replace(
            "+", r"\+"
        ),
    ):
        verify(tmp_path, timeout=timeout)


def test_no_samples_verify_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^0 samples verify nothing; give at least 1$"):
        verify(tmp_path, 0)


@pytest.mark.slow
@needs_compiler
def test_a_process_that_is_killed_is_no_answer(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    fatal = tmp_path / "cc"  # the parent of make, the parent of this, is the process that verifies
    fatal.write_text("#!/bin/sh\nkill -9 $(cut -d' ' -f4 /proc/$PPID/stat)\nsleep 999\n")
    fatal.chmod(0o755)
    monkeypatch.setenv("CC", str(fatal))
    with pytest.raises(
        NotBitExact,
        match=r"out is not verified, as the process that does it ended with SIGKILL, as happens when memory runs",
    ):
        verify(out)
    assert not children()


def test_what_verifying_refuses_is_refused_as_ever(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"holds no manifest\.json; give a folder that 'lehr build' made$"
    ):
        verify(tmp_path)
