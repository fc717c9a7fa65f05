"""Machine code of kernels: what it is made of, where it is kept, and how it is loaded.

LLVM makes it of the intermediate code that comes with the wheel, see `lehr.simulate.fast.shipped`,
and where that has none for a kernel, numba compiles the kernel's source.

A file holds one kernel for one combination of types, one processor and one LLVM, as an object
file, behind a digest of it, of its name and of the kernels' source. What does not fit its digest,
because it is damaged or a kernel has changed, is made again and replaced.
A digest keeps nobody out: code is run only from files and folders that nobody can write to but
those whose Python code is run as well.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from lehr import ownership
from lehr.atomic import write_bytes
from lehr.errors import FileRefused, ToolMissing
from lehr.simulate.fast import shipped

KERNELS = Path(__file__).with_name("kernels")
"""The folder of the files that kernels are made of: all of them, so that none is forgotten."""
C_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
"""Takes the address of 64-bit words, and gives up Python's lock while it runs.

They are, of each array that the kernel takes, the address of its elements and their number.
"""


class Code:
    """Machine code of a function, which is there as long as this is.

    Attributes:
        name: of the function.
        address: of its first instruction.
        run: what calls it, see C_FUNCTION.
    """

    def __init__(self, object_file: bytes, name: str, label: str) -> None:
        builder = llvm.JITLibraryBuilder().add_object_img(object_file).add_current_process()
        self._library = builder.export_symbol(name).link(_linker(), label)
        self.name, self.address = name, int(self._library[name])
        self.run: Callable[[int], None] = C_FUNCTION(self.address)


def function(file: str, name: str, kinds: tuple[Any, ...]) -> Code:
    """Return a kernel for arguments of some kinds.

    Args:
        file: of the folder of kernels, in which this one stands.
        name: of the kernel.
        kinds: of each argument the dtype of its elements, or the length of a tuple.
    """
    label = label_of(kinds)
    return Code(object_file(file, name, kinds, label), name, f"{name} {label}")


@cache
def one_after_another() -> Code:
    """Return what calls functions one after another.

    It is given the address of 64-bit words: how many functions there are, and of each its address
    and that of the words that it is given.
    """
    word, pointer, name = ir.IntType(64), ir.IntType(8).as_pointer(), "one_after_another"
    made = ir.Module(name)
    kind = ir.FunctionType(ir.VoidType(), [pointer])
    whole = ir.Function(made, kind, name)
    entry, loop, end = (whole.append_basic_block() for _ in range(3))
    builder = ir.IRBuilder(entry)
    words, one = builder.bitcast(whole.args[0], word.as_pointer()), ir.Constant(word, 1)
    count = builder.shl(builder.load(words), one)
    builder.cbranch(builder.icmp_unsigned("==", count, ir.Constant(word, 0)), end, loop)
    builder.position_at_end(loop)
    at = builder.phi(word)
    next_one = builder.add(at, one)
    function_of, given = (builder.load(builder.gep(words, [i])) for i in (at, next_one))
    called = builder.inttoptr(function_of, kind.as_pointer())
    builder.call(called, [builder.inttoptr(given, pointer)])
    after = builder.add(next_one, one)
    at.add_incoming(one, entry)
    at.add_incoming(after, loop)
    builder.cbranch(builder.icmp_unsigned(">", after, count), end, loop)
    builder.position_at_end(end)
    builder.ret_void()
    return Code(bytes(target_machine().emit_object(llvm.parse_assembly(str(made)))), name, name)


def label_of(kinds: tuple[Any, ...]) -> str:
    """Return the types of a kernel's arguments as a word."""
    return ",".join(map(str, kinds))


def object_file(file: str, name: str, kinds: tuple[Any, ...], label: str) -> bytes:
    """Return the object file of a kernel: from where it is kept, or compiled and kept now."""
    place = folder()
    if place is None or not ownership.only_ours(
        place
    ):  # its rights may have changed since it was chosen
        return _compiled(file, name, kinds, label)
    path = (
        place
        / f"{name}-{_digest(repr((label, *processor(), *_installed())).encode()).hex()[:16]}.o"
    )
    known = kernels_digest() + path.name.encode()
    with suppress(OSError), path.open("rb") as stream:
        data = stream.read() if ownership.is_ours(os.fstat(stream.fileno())) else b""
        digest, code = data[:32], data[32:]
        if digest == _digest(known, code):
            return code
    code = _compiled(file, name, kinds, label)
    with suppress(FileRefused):  # what a full disk does not take is compiled again next time
        write_bytes(path, _digest(known, code) + code, mode=0o644)
    return code


def _compiled(file: str, name: str, kinds: tuple[Any, ...], label: str) -> bytes:
    code = shipped.bitcode(name, label, kernels_digest())
    if code is None:
        return bytes(target_machine().emit_object(module(file, name, kinds, label)))
    return emitted(code, target_machine())


def emitted(code: bytes, target: llvm.TargetMachine) -> bytes:
    """Return the object file of intermediate code for a processor, whichever it was compiled for.

    Nothing in it is of one kind of processor but the names of the processor and of its layout of
    data, and these agree, for the types of kernels, on all of 64 bits that put low bytes first.
    """
    parsed = llvm.parse_bitcode(code)
    parsed.triple, parsed.data_layout = target.triple, str(target.target_data)
    return bytes(target.emit_object(parsed))


@cache
def _say_that_it_takes_a_while() -> None:
    """Tell, once in a process, who listens to lehr's log: the command line does."""
    kept = "once" if folder() else "nothing keeps them for the next run: see 'lehr doctor'"
    logging.getLogger("lehr").info("compiling kernels (%s)", kept)


def module(file: str, name: str, kinds: tuple[Any, ...], label: str) -> llvm.ModuleRef:
    """Return a kernel in LLVM's intermediate code, its function `name` as C_FUNCTION says.

    Raises:
        ToolMissing: when numba is not installed.
    """
    if find_spec("numba") is None:
        none = shipped.reason(kernels_digest()) or "it did not come with this installation"
        raise ToolMissing(
            f"the fast engine has no kernel {name} for {label}: {none}; "
            "pip install numba, which compiles it here"
        )
    _say_that_it_takes_a_while()
    compiled = importlib.import_module("lehr.simulate.fast.kernels.compiled")
    return compiled.module(
        getattr(importlib.import_module(f"lehr.simulate.fast.kernels.{file}"), name), name, kinds
    )


# -------------------------------------------------------------------- the processor
def processor() -> tuple[str, str]:
    """Return name and features of the processor, as LLVM calls them.

    numba's variables override them.
    """
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = "" if name == "generic" else _features()
    return name or llvm.get_host_cpu_name(), features


def counts_bits() -> bool:
    """Return whether the processor counts the bits of words of a vector in one instruction."""
    return {"+avx512vpopcntdq", "+avx512vl"} <= set(processor()[1].split(","))


@cache
def _features() -> str:
    return str(llvm.get_host_cpu_features().flatten())


def target_machine() -> llvm.TargetMachine:
    """Return what makes machine code for the processor, as numba sets it up."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = processor()
    relocation = "static" if platform.machine() in ("x86_64", "AMD64") else "default"
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=name, features=features, opt=3, reloc=relocation, codemodel="jitdefault", jit=True
    )


@cache
def _linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(target_machine())


# -------------------------------------------------------------------- where it is kept
@cache
def folder() -> Path | None:
    """Return the first place that only we can write to; None where there is none."""
    for named in _places():
        with suppress(OSError):
            place = named.resolve()  # no link is left in it that could be led elsewhere
            missing_ones = [each for each in (place, *place.parents) if not each.exists()]
            for missing in reversed(missing_ones):
                missing.mkdir(0o755, exist_ok=True)
            if os.access(place, os.W_OK) and ownership.only_ours(place):
                return place
    return None


def _places() -> Iterator[Path]:
    """NUMBA_CACHE_DIR, or else the folder beside this file and the one in the user's home."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given) / "lehr"
        return
    yield Path(__file__).with_name("__pycache__")
    home = ownership.home()
    if given := os.environ.get("XDG_CACHE_HOME"):
        yield Path(given) / "lehr"
    elif home is not None:
        yield home / ".cache" / "lehr"


@cache
def kernels_digest() -> bytes:
    """Return a digest of the kernels' files."""
    return _digest(*(path.read_bytes() for path in sorted(KERNELS.glob("*.py"))))


@cache
def _installed() -> tuple[object, ...]:
    """Name what machine code depends on besides the processor: LLVM, and who made the code.

    numba is not imported to be asked its version, and importlib.metadata takes longer than all of
    this.
    """
    numba = find_spec("numba")
    made_by = (shipped.ARCHIVE, Path(numba.origin) if numba and numba.origin else Path())
    return llvmlite.__version__, *(
        path.stat().st_mtime_ns if path.is_file() else None for path in made_by
    )


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
