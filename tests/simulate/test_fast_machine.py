"""Machine code that is kept, and never missed.

It is loaded without numba, and compiled again where it is damaged or of other kernels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import Lehr

from lehr import ownership
from lehr.errors import FileRefused
from lehr.simulate.fast import calls, machine

KINDS = (np.dtype(np.int32),)
SCRIPT = """
import sys
import numpy as np
from lehr.simulate.fast.engine import Engine
from lehr.simulate.fast.calls import copy
into = np.full(64, 5, np.int32)
copy(np.arange(64, dtype=np.int32), np.zeros(0, np.int32), into, np.array((1, 1, 64, 3, 64)), np.array((0, 1, 0, 0, 1, 0)))
print(into[:4].tolist(), "numba" in sys.modules)
"""


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """List the kernels compiled so far, with an empty folder to keep them in.

    Their code is their name.
    """
    done: list[str] = []

    def module_code(file: str, name: str, kinds: object, label: str) -> bytes:
        done.append(name)
        return name.encode()

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine, "_compiled", module_code)
    machine.folder.cache_clear()
    yield done
    machine.folder.cache_clear()


def code(name: str) -> bytes:
    return machine.object_file("scatter", name, KINDS, "int32")


def test_a_kernel_is_compiled_once(compiled: list[str], tmp_path: Path) -> None:
    assert [code("copy"), code("copy"), code("scatter")] == [b"copy", b"copy", b"scatter"]
    assert compiled == ["copy", "scatter"]
    assert len(list(tmp_path.rglob("*.o"))) == 2


def test_damaged_code_is_compiled_again(compiled: list[str], tmp_path: Path) -> None:
    code("copy")
    (file,) = tmp_path.rglob("*.o")
    whole = file.read_bytes()
    for damaged in (
        b"",
        whole[:-1],
        whole[:-1] + bytes([whole[-1] ^ 1]),
        bytes([whole[0] ^ 1]) + whole[1:],
    ):
        file.write_bytes(damaged)
        assert code("copy") == b"copy"
        assert file.read_bytes() == whole
    assert compiled == ["copy"] * 5


def test_code_of_another_name_is_compiled_again(compiled: list[str], tmp_path: Path) -> None:
    code("copy")
    (file,) = tmp_path.rglob("*.o")
    code("scatter")
    other = next(path for path in tmp_path.rglob("*.o") if path != file)
    other.write_bytes(file.read_bytes())
    assert code("scatter") == b"scatter"
    assert compiled == ["copy", "scatter", "scatter"]


def test_code_of_another_user_is_not_run(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.getuid() in ownership.owners()
    code("copy")
    monkeypatch.setattr(ownership, "owners", lambda: frozenset((os.getuid() + 1,)))
    assert code("copy") == b"copy"
    assert compiled == ["copy"] * 2


WRITABLE = [0o664, 0o646, 0o666]


@pytest.mark.parametrize("mode", WRITABLE)
def test_code_that_others_can_write_is_not_run_and_is_replaced(
    compiled: list[str], tmp_path: Path, mode: int
) -> None:
    code("copy")
    (file,) = tmp_path.rglob("*.o")
    file.chmod(mode)
    assert [code("copy"), code("copy")] == [b"copy"] * 2
    assert compiled == ["copy"] * 2
    assert file.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
def test_code_in_a_folder_that_others_can_write_is_not_run(
    compiled: list[str], tmp_path: Path, mode: int
) -> None:
    code("copy")
    (file,) = tmp_path.rglob("*.o")
    for folder in (file.parent, tmp_path):
        folder.chmod(mode)
        if (
            folder == file.parent or not mode & 0o1000
        ):  # above, the sticky bit keeps others from moving what is not theirs
            assert code("copy") == b"copy"
            assert len(compiled) == 2, folder
            machine.folder.cache_clear()
            assert machine.folder() is None
            machine.folder.cache_clear()
        else:
            assert machine.folder() == file.parent
        folder.chmod(0o755)
        assert code("copy") == b"copy"
        assert compiled.pop() == "copy"
        compiled[:] = ["copy"]


def test_doctor_tells_where_code_is_kept(compiled: list[str], tmp_path: Path, lehr: Lehr) -> None:
    assert f"machine code of the engine 'fast' is kept in {tmp_path}/lehr\n" in lehr("doctor").out
    (tmp_path / "lehr").chmod(0o777)
    machine.folder.cache_clear()
    ran = lehr("doctor")
    message = "is kept nowhere, so that each run compiles it; set NUMBA_CACHE_DIR to a folder that only you can write to\n"
    assert message in ran.out
    assert ran.code == 0


def test_code_is_kept_in_another_folder_where_the_first_is_open(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "open" / "machine.py"))
    monkeypatch.setattr(machine, "kernels_digest", lambda: b"")
    monkeypatch.setattr(ownership, "owners", lambda: frozenset((0, os.getuid())))
    assert [code("copy"), code("copy")] == [b"copy"] * 2
    assert compiled == ["copy"]
    assert [path.parent for path in tmp_path.rglob("*.o")] == [tmp_path / "cache" / "lehr"]


def test_what_is_kept_is_safe_whatever_the_umask(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a" / "b"))
    before = os.umask(0)
    try:
        code("copy")
    finally:
        os.umask(before)
    written = sorted((tmp_path / "a").rglob("*"))
    assert [path.name for path in written][:2] == ["b", "lehr"]
    assert all(path.stat().st_mode & 0o022 == 0 for path in (tmp_path / "a", *written))
    assert code("copy") == b"copy"
    assert compiled == ["copy"]


def test_a_link_is_followed_before_rights_are_asked(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open" / "lehr").mkdir(parents=True)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to("open")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "link"))
    assert machine.folder() is None
    assert code("copy") == b"copy"


def test_above_the_users_home_no_rights_are_asked(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "homes" / "me"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(home / "cache"))
    home.mkdir(parents=True)
    home.parent.chmod(0o775)
    assert machine.folder() is None
    machine.folder.cache_clear()
    monkeypatch.setenv("HOME", str(home))
    assert machine.folder() == home / "cache" / "lehr"
    machine.folder.cache_clear()
    home.chmod(0o775)
    assert machine.folder() is None


def test_code_of_other_kernels_is_compiled_again(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code("copy")
    monkeypatch.setattr(machine, "kernels_digest", lambda: b"a kernel has changed")
    code("copy")
    assert compiled == ["copy"] * 2


def test_code_of_another_processor_is_kept_beside_it(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code("copy")
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    code("copy")
    monkeypatch.delenv("NUMBA_CPU_NAME")
    code("copy")
    assert compiled == ["copy"] * 2
    assert len(list(tmp_path.rglob("*.o"))) == 2


def test_code_that_cannot_be_kept_is_compiled_all_the_same(
    compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, mode: int) -> None:
        raise FileRefused(f"{path} cannot be written")

    monkeypatch.setattr(machine, "write_bytes", full)
    assert code("copy") == b"copy"
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))  # no folder can be made there
    machine.folder.cache_clear()
    assert code("copy") == b"copy"
    assert machine.folder() is None
    assert compiled == ["copy"] * 2


def test_a_user_without_a_home_compiles_each_time(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    machine.folder.cache_clear()
    assert [code("copy"), code("copy")] == [b"copy", b"copy"]
    assert machine.folder() is None
    assert compiled == ["copy"] * 2


def test_what_numba_compiles_counts_in_the_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All files of kernels/ do, and no other file of the engine has anything to do with numba."""
    others = [
        path
        for path in Path(machine.__file__).parent.rglob("*.py")
        if path.parent != machine.KERNELS
    ]
    compiling = (
        "import numba",
        "from numba",
        "kernels.compiled import",
        "kernels.vector import",
        "kernels.lanes import",
    )
    assert len(others) > 10
    assert not [
        path.name
        for path in others
        if any(
            f"\n{line}" in path.read_text() or f".{line}" in path.read_text() for line in compiling
        )
    ]
    monkeypatch.setattr(machine, "KERNELS", shutil.copytree(machine.KERNELS, tmp_path / "kernels"))
    digest_of = machine.kernels_digest.__wrapped__
    digests = {digest_of()}
    for path in (tmp_path / "kernels").glob("*.py"):
        path.write_text(path.read_text() + "#")
        digests.add(digest_of())
    assert len(digests) == len(list(machine.KERNELS.glob("*.py"))) + 1 > 10


def test_code_that_is_kept_runs_without_numba() -> None:
    calls.copy(
        *(np.zeros(0, kind) for kind in (np.int32,) * 3),
        np.zeros(5, np.int64),
        np.zeros(6, np.int64),
    )
    printed = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    ).stdout
    assert printed.split("\n")[0] == "[5, 6, 7, 5] False"
