"""Kernels that come compiled with a wheel: nothing of numba is there when they run."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
import pytest
from archives import ran_from
from commands import Lehr
from hard_networks import HARD
from kernels import KERNELS, needed
from strategies import small_network

from lehr.errors import ToolMissing
from lehr.simulate import compare, simulate
from lehr.simulate.fast import calls, engine, machine, shipped, shipping


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of the kernels of one network."""
    path = tmp_path_factory.mktemp("few") / "kernels.zip"
    assert shipping.write(path, needed(*HARD["small"]())) > 3
    return path


LINKERS: list[Any] = []
"""They outlive what they have linked."""


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the kernels that are loaded, and what the archive said; keep machine code apart."""
    for kernel in KERNELS:
        monkeypatch.setattr(kernel, "ready", {})
    LINKERS.append(llvm.create_lljit_compiler(machine.target_machine()))
    monkeypatch.setattr(machine, "_linker", lambda: LINKERS[-1])
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    caches = (machine.folder, shipped.about_archive)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.slow
def test_shipped_kernels_run_without_numba_and_are_exact(few: Path, tmp_path: Path) -> None:
    assert ran_from(few, tmp_path, "small") == "False"
    assert ran_from(tmp_path / "none.zip", tmp_path / "other", "small") == "True"


@pytest.mark.slow
def test_processes_write_the_same_archive_to_the_byte(few: Path, tmp_path: Path) -> None:
    wanted = list(needed(*HARD["small"]()))
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    for path in (first, second):
        assert shipping.write(path, wanted, 2) == len(wanted) > 3
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive, zipfile.ZipFile(few) as alone:
        assert archive.namelist() == alone.namelist()


def test_every_kernel_that_networks_ask_for_is_shipped() -> None:
    """All that the networks of this process have asked for, the hard ones among them."""
    known = {(kernel.name, kinds) for kernel, kinds in shipping.combinations()}
    assert len(known) == len(list(shipping.combinations())) > 70
    for name in HARD:
        net, x = HARD[name]()
        engine.simulate(net, x[:1])
    asked = {(kernel.name, kinds) for kernel in KERNELS for kinds in kernel.ready}
    assert len(asked) > 20
    assert not asked - known


def test_a_machine_without_numba_is_told_which_kernel_is_missing(
    few: Path, fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped, "ARCHIVE", few)
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    net, x = small_network()
    expected = simulate(net, x, trace=net.neurons)
    compare(expected.trace, engine.simulate(net, x, trace=net.neurons).trace).require_equal("small")
    with pytest.raises(ToolMissing) as refused:
        calls.maxima(
            np.zeros(0, np.uint8),
            *(np.zeros(0, np.int32) for _ in range(3)),
            np.zeros(6, np.int64),
            np.zeros(6, np.int64),
        )
    assert str(refused.value) == (
        "the fast engine has no kernel maxima for uint8,int32,int32,int32,int64,int64: it did not "
        "come with this installation; pip install numba, which compiles it here"
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"llvm": 14},
            "the kernels that came with this installation are of LLVM 14, and llvmlite "
            f"{llvmlite.__version__} is of LLVM {llvm.llvm_version_info[0]}",
        ),
        ({"kernels": "00"}, "the kernels' source is not what the compiled ones came from"),
        (None, "no compiled kernels came with this installation"),
    ],
)
def test_an_archive_that_does_not_fit_is_left_alone(
    few: Path,
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    lehr: Lehr,
    changed: dict[str, object] | None,
    reason: str,
) -> None:
    other = tmp_path / "kernels.zip"
    if changed is not None:
        with zipfile.ZipFile(few) as source, zipfile.ZipFile(other, "w") as into:
            for name in source.namelist():
                data = source.read(name)
                if name == shipped.ABOUT:
                    data = json.dumps({**json.loads(data), **changed}).encode()
                into.writestr(name, data)
    monkeypatch.setattr(shipped, "ARCHIVE", other)
    digest = machine.kernels_digest()
    assert shipped.bitcode("copy", "", digest) is None
    assert reason in shipped.reason(digest)
    assert f"kernels of the engine 'fast': {shipped.reason(digest)}; numba compiles them\n" in (
        lehr("doctor").out
    )
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="pip install numba, which compiles it here$"):
        engine.simulate(*small_network())


@pytest.mark.parametrize("kept", [0, 40, -10, "about"])
def test_a_damaged_archive_is_told(
    few: Path, fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: int | str
) -> None:
    other = tmp_path / "kernels.zip"
    if isinstance(kept, int):
        other.write_bytes(few.read_bytes()[:kept])
    else:
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr(shipped.ABOUT, "[")
    monkeypatch.setattr(shipped, "ARCHIVE", other)
    assert shipped.reason(machine.kernels_digest()) == f"{other} is damaged; install lehr again"
    net, x = small_network()
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="is damaged; install lehr again; pip install numba"):
        engine.simulate(net, x)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emits code for x86-64")
@pytest.mark.parametrize("processor", ["znver4", "icelake-server"])
def test_shipped_kernels_use_avx_512_where_it_is(
    few: Path, monkeypatch: pytest.MonkeyPatch, processor: str
) -> None:
    monkeypatch.setenv("NUMBA_CPU_NAME", processor)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    assembly = ""
    with zipfile.ZipFile(few) as archive:
        for name in archive.namelist():
            if name != shipped.ABOUT:
                assembly += machine.target_machine().emit_assembly(
                    llvm.parse_bitcode(archive.read(name))
                )
    assert "%zmm" in assembly
    assert "vpternlog" in assembly
    assert "vpopcntq" in assembly
