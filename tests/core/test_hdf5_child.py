"""The process that reads an HDF5 file: each of its ends is one sentence.

No answer of it is believed.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from processes import Children

from lehr import hdf5
from lehr.errors import FileRefused
from lehr.hdf5 import GRAPH, Limits, read_tree
from lehr.hdf5child import send, send_refusal
from lehr.hdf5limits import MAX_DEPTH
from lehr.hdf5wire import Declared, receive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.nir", "w") as file:
        file["node/w"] = np.arange(6)
    return tmp_path / "a.nir"


ENDS = {
    "killed by a signal": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "made the HDF5 library fail (SIGSEGV); export it again",
    ),
    "aborted": ("import os; os.abort()", "made the HDF5 library fail (SIGABRT); export it again"),
    "killed from outside": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "its reader was killed, as happens when memory runs out; free memory or give a smaller "
        "graph",
    ),
    "processor time": (
        "from lehr.hdf5child import confine; from lehr.hdf5limits import "
        "Limits\nconfine(Limits(seconds=1))\nwhile True: pass",
        "takes more than 1 s to read; export it again",
    ),
    "waits for ever": (
        "import time; time.sleep(1000)",
        "takes more than 1 s to read; export it again",
    ),
    "does not start": (
        "import no_such_module",
        "cannot be read, as its reader does not start (ModuleNotFoundError: No module named "
        "'no_such_module'); install lehr again",
    ),
    "says nothing": (
        "pass",
        "made its reader answer with what is no tree of numbers and text; export it again",
    ),
    "says something else": (
        "import sys, time; sys.stdout.write('hello\\n'); sys.stdout.flush(); time.sleep(1000)",
        "made its reader answer with what is no tree of numbers and text; export it again",
    ),
    "stops half way": (
        """print('{"kind": "group", "at": "node"}', flush=True)""",
        "made its reader answer with what is no tree of numbers and text; export it again",
    ),
    "fills the error stream": (
        "import sys; sys.stderr.write('x' * (1 << 20)); print(flush=True)",
        "takes more than 1 s to read; export it again",
    ),
    "refuses with control characters": (
        """print('{"kind": "refused", "message": "\\\\u001b[2Jgone"}', flush=True)""",
        "?[2Jgone",
    ),
}


@pytest.mark.few(5)
@pytest.mark.parametrize("case", ENDS)
def test_each_end_of_the_reader_is_one_sentence(
    case: str, path: Path, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    program, message = ENDS[case]
    monkeypatch.setattr(
        hdf5,
        "_START",
        "import sys; sys.path[:] = {path!r}\n" + program.replace("{", "{{").replace("}", "}}"),
    )
    monkeypatch.setattr(hdf5, "_PATIENCE", 3)
    files, threads = set(path.parent.iterdir()), threading.active_count()
    start = time.monotonic()
    with pytest.raises(FileRefused) as caught:
        read_tree(path, GRAPH._replace(seconds=1))
    assert str(caught.value) == f"{path}: {message}"
    assert time.monotonic() - start < 10
    assert set(path.parent.iterdir()) == files
    assert threading.active_count() <= threads
    assert not children()


def test_an_interrupt_ends_the_reader(
    path: Path, monkeypatch: pytest.MonkeyPatch, children: Children
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hdf5, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_tree(path)
    assert not children()


CONFINED = """
import sys
from lehr.hdf5child import confine
from lehr.hdf5limits import Limits
confine(Limits(file_bytes=0, unpacked_bytes=1 << 20))
"""
DENIED = {
    "memory": ("bytearray(2 << 30)", "MemoryError"),
    "a file to write": (
        "f = open('x', 'wb', buffering=0); f.write(b'1')",
        "OSError: [Errno 27] File too large",
    ),
    "more memory again": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 40,) * 2); bytearray(2 << "
        "30)",
        "ValueError: not allowed to raise maximum limit",
    ),
}


@pytest.mark.parametrize("case", DENIED)
def test_the_reader_is_confined(case: str, tmp_path: Path) -> None:
    program, message = DENIED[case]
    if case == "more memory again":
        program = "import os; os.setuid(65534) if os.getuid() == 0 else None\n" + program
    ran = subprocess.run(
        [sys.executable, "-c", CONFINED + program], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert message in ran.stderr.splitlines()[-1]


def test_a_reader_opens_no_second_file(path: Path) -> None:
    """Numbers in another file, which the walk would refuse, are out of reach as well."""
    secret = path.with_name("secret")
    secret.write_bytes(b"do not read me..")
    with h5py.File(path, "a") as file:
        file.create_dataset("x", (2,), "f8", external=[(str(secret), 0, 16)])
    program = (
        "import sys, lehr.hdf5walk as walk, lehr.hdf5child as child, lehr.libhdf5 as lib; from "
        "lehr.hdf5 import library\n"
        "lib.Library.storage = lambda *_: lib.Storage()\n"
        "child.send(walk.walk(0, library(), walk.Limits()), sys.stdout.buffer)"
    )
    with path.open("rb") as file:
        ran = subprocess.run(
            [sys.executable, "-c", program], stdin=file, capture_output=True, text=True
        )
    assert ran.returncode == 1
    assert "Damaged: " in ran.stderr.splitlines()[-1]
    assert "do not" not in ran.stdout


def test_limits_below_ours_are_kept() -> None:
    """A machine whose limits are lower already is no reason to fail."""
    program = (
        "import resource as r; r.setrlimit(r.RLIMIT_CPU, (3, 3))"
        + CONFINED
        + "assert r.getrlimit(r.RLIMIT_CPU) == (3, 3)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert resource.getrlimit(resource.RLIMIT_CPU) != (3, 3)


def test_the_folder_one_is_in_and_the_environment_import_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path.parent / "h5py.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("PYTHONPATH", str(path.parent))
    monkeypatch.syspath_prepend("")
    assert read_tree(Path("a.nir"))["node"]["w"].tolist() == [0, 1, 2, 3, 4, 5]


# ---------------------------------------------------------------- the frames
def numbers(at: str, array: Any) -> tuple[dict[str, Any], list[bytes]]:
    return {"at": at, "kind": "numbers", "dtype": array.dtype.str, "shape": array.shape}, [
        array.tobytes()
    ]


def rows(at: str, *lengths: int) -> tuple[dict[str, Any], list[bytes]]:
    head = {"at": at, "kind": "rows", "dtype": "<f2", "rows": len(lengths), "numbers": sum(lengths)}
    return head, [
        np.array(lengths, "<i8").tobytes(),
        *(np.arange(length, dtype="<f2").tobytes() for length in lengths),
    ]


def text(at: str, shape: tuple[int, ...], texts: bytes) -> tuple[dict[str, Any], list[bytes]]:
    return {"at": at, "kind": "text", "shape": shape, "bytes": len(texts)}, [texts]


FRAMES: list[tuple[dict[str, Any], list[bytes]]] = [
    ({"at": "node", "kind": "group"}, []),
    numbers("node/w", np.arange(6, dtype=">i2").reshape(2, 3)),
    numbers("node/scalar", np.array(2.5)),
    numbers("node/nothing", np.zeros((0, 3), np.int8)),
    numbers("node/yes", np.array([True, False])),
    text("node/names", (1, 2), '["a", "ü"]'.encode()),
    text("node/name", (), b'["b"]'),
    rows("node/rows", 2, 0, 1),
    rows("node/no_rows"),
]


def sent() -> bytes:
    stream = io.BytesIO()
    send(FRAMES, stream)
    return stream.getvalue()


def test_what_is_sent_arrives() -> None:
    node = receive(io.BytesIO(sent()), GRAPH)["node"]
    assert node["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (node["scalar"], type(node["scalar"])) == (2.5, np.float64)
    assert node["nothing"].shape == (0, 3)
    assert node["yes"].tolist() == [True, False]
    assert (node["names"], node["name"]) == ([["a", "ü"]], "b")
    assert [row.tolist() for row in node["rows"]] == [[0, 1], [], [0]]
    assert node["no_rows"] == []


def test_an_answer_cut_short_is_none() -> None:
    whole = sent()
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"."):
            receive(io.BytesIO(whole[:size]), GRAPH)


def test_a_refusal_arrives() -> None:
    stream = io.BytesIO()
    send_refusal("x" * 10_000, stream)
    with pytest.raises(FileRefused, match="^x{4096}$"):
        receive(io.BytesIO(stream.getvalue()), GRAPH)


ARRAY = {"at": "x", "kind": "numbers", "dtype": "|u1", "shape": [1]}
LIES: dict[str, tuple[dict[str, Any], bytes]] = {
    "no frame": ({}, b""),
    "of an unknown kind": ({"at": "x", "kind": "code"}, b""),
    "objects": (ARRAY | {"dtype": "|O8"}, bytes(8)),
    "a structure": (ARRAY | {"dtype": "i4,f8"}, bytes(12)),
    "times": (ARRAY | {"dtype": "<M8"}, bytes(8)),
    "a terabyte": (ARRAY | {"shape": [1 << 40]}, b""),
    "an overflowing shape": (ARRAY | {"shape": [1 << 33, 1 << 33]}, b""),
    "an empty shape that overflows": (ARRAY | {"shape": [0, 1 << 70]}, b""),
    "a negative shape": (ARRAY | {"shape": [-1]}, b""),
    "a shape of truth": (ARRAY | {"shape": [True]}, b"1"),
    "too many axes": (ARRAY | {"shape": [1] * 100}, b"1"),
    "no place": (ARRAY | {"at": ""}, b"1"),
    "a place above": (ARRAY | {"at": ".."}, b"1"),
    "a place in nothing": (ARRAY | {"at": "y/x"}, b"1"),
    "a deep place": (ARRAY | {"at": "x/" * (MAX_DEPTH + 1) + "x"}, b"1"),
    "text that is code": ({"at": "x", "kind": "text", "shape": [], "bytes": 4}, b"1234"),
    "text in text": ({"at": "x", "kind": "text", "shape": [1], "bytes": 7}, b'[["x"]]'),
    "text without end": (
        {"at": "x", "kind": "text", "shape": [], "bytes": 100_000},
        b"[" * 100_000,
    ),
    "text of another shape": ({"at": "x", "kind": "text", "shape": [2], "bytes": 5}, b'["x"]'),
    "text of no bytes": ({"at": "x", "kind": "text", "shape": [], "bytes": -5}, b""),
    "long text": (
        {"at": "x", "kind": "text", "shape": [1], "bytes": 5004},
        b'["' + b"x" * 5000 + b'"]',
    ),
    "negative rows": (
        {"at": "x", "kind": "rows", "dtype": "|u1", "rows": 2, "numbers": 1},
        np.array([-1, 2]).tobytes() + b"1",
    ),
    "rows that overflow": (
        {"at": "x", "kind": "rows", "dtype": "|u1", "rows": 2, "numbers": 0},
        np.array([1 << 63 - 1] * 2).tobytes(),
    ),
    "rows of another sum": (
        {"at": "x", "kind": "rows", "dtype": "|u1", "rows": 1, "numbers": 2},
        np.array([1]).tobytes() + b"12",
    ),
    "an array that was not read, unasked": (ARRAY | {"kind": "declared"}, b""),
    "many rows": ({"at": "x", "kind": "rows", "dtype": "|u1", "rows": 1 << 40, "numbers": 0}, b""),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lie_is_not_believed(case: str) -> None:
    head, payload = LIES[case]
    lie = json.dumps(head).encode() + b"\n" + payload + b'{"kind": "end"}\n'
    with pytest.raises((ValueError, RecursionError)):
        receive(io.BytesIO(lie), Limits(unpacked_bytes=1 << 20))


def test_an_array_may_be_declared_in_place_of_read() -> None:
    stream, limits = io.BytesIO(), Limits(array_bytes=8)
    send(
        [
            ({"at": "w", "kind": "declared", "dtype": "<f8", "shape": (1 << 20, 1 << 30)}, []),
            numbers("v", np.arange(3)),
        ],
        stream,
    )
    tree = receive(io.BytesIO(stream.getvalue()), limits)
    assert tree["w"] == Declared("<f8", (1 << 20, 1 << 30))
    assert tree["w"].nbytes == 1 << 53
    assert tree["v"].tolist() == [0, 1, 2]
    for wrong in ({"shape": [-1]}, {"dtype": "|O8"}):
        lie = json.dumps(ARRAY | {"kind": "declared"} | wrong).encode() + b"\n"
        with pytest.raises(ValueError, match="an array that is none"):
            receive(io.BytesIO(lie), limits)


def test_an_endless_answer_ends() -> None:
    once = json.dumps(ARRAY).encode() + b"\n1"
    with pytest.raises(ValueError, match="a place sent twice"):
        receive(io.BytesIO(once * 2), GRAPH)
    many = b"".join(
        json.dumps({"at": f"g{i}", "kind": "group"}).encode() + b"\n" for i in range(51)
    )
    with pytest.raises(ValueError, match="more objects than allowed"):
        receive(io.BytesIO(many), Limits(objects=50))
    with pytest.raises(ValueError, match="a frame cut short"):
        receive(io.BytesIO(b" " * (1 << 20)), GRAPH)
