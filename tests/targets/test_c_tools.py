"""Target c refuses what it cannot do, names what is missing, and counts its costs right.

It leaves the artefact alone.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from strategies import Images, delayed_network, small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact, ToolMissing, UsageError
from lehr.network import (
    INPUT,
    OUTPUT,
    Conv2d,
    Delay,
    Flatten,
    Input,
    Linear,
    Network,
    Neuron,
    SumPool2d,
)
from lehr.nodes import Node
from lehr.targets.c import C, load
from lehr.targets.c.compiler import compiler
from lehr.targets.c.memory import smallest_type
from lehr.targets.c.runner import CRunner

MISSING = CRunner().missing()
needs_compiler = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Images]:
    """Build the artefact of a small network, and inputs for it."""
    net, x = small_network()
    C().plan(net, {}).write(tmp_path / "out")
    return tmp_path / "out", x


# -------------------------------------------------------------------- tools
def test_a_missing_compiler_is_named(
    small: tuple[Path, Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    message = "cc is not on this machine; install a C compiler and make (Debian: apt install gcc make), or set CC"
    assert CRunner().missing() == message
    with pytest.raises(ToolMissing) as error:
        CRunner().run(*small)
    assert str(error.value) == message
    monkeypatch.setenv("CC", "no-such-cc -m32")
    assert CRunner().missing() == message.replace("cc is", "no-such-cc is", 1)


@needs_compiler
def test_make_is_a_tool_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cc").write_text("#!/bin/sh\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert str(CRunner().missing()).startswith("make is not on this machine; install")


@needs_compiler
def test_the_compiler_of_the_environment_is_used(
    small: tuple[Path, Images], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "my-cc"
    compiler.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec cc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    CRunner().run(*small)
    assert (tmp_path / "used").exists()


@needs_compiler
def test_the_artefact_is_not_written_to(small: tuple[Path, Images]) -> None:
    folder, x = small
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    CRunner().run(folder, x)
    assert {
        path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()
    } == before


@pytest.mark.slow
@needs_compiler
def test_code_that_does_not_compile_or_run_is_an_error(small: tuple[Path, Images]) -> None:
    folder, x = small
    main = (folder / "main.c").read_text()
    (folder / "main.c").write_text(f"{main}\nint broken = ;\n")
    with pytest.raises(
        NotBitExact,
        match=r"^the C code does not compile: main\.c:\d+:\d+: error: expected expression .*; build the artefact again$",
    ):
        CRunner().run(folder, x)
    (folder / "main.c").write_text(
        '#include "host.h"\nint lehr_main(int argc, char **argv)\n{\n    (void)argv;\n    return 3 + 0 * argc;\n}\n'
    )
    with pytest.raises(
        NotBitExact, match=r"^the C code does not run: exit status 3; build the artefact again$"
    ):
        CRunner().run(folder, x)


@needs_compiler
@pytest.mark.parametrize("written", [None, 7])
def test_code_that_writes_too_little_is_an_error(
    small: tuple[Path, Images], written: int | None
) -> None:
    folder, x = small
    write = (
        ""
        if written is None
        else f'FILE *f = fopen("output", "wb"); fwrite("1234567", 1, {written}, f); fclose(f);'
    )
    (folder / "main.c").write_text(
        f'#include <stdio.h>\n#include "host.h"\nint lehr_main(int argc, char **argv) {{ {write} return !argc && !argv; }}\n'
    )
    with pytest.raises(
        NotBitExact,
        match=rf"^the C code writes {written or 0} bytes of results, not [\d,]+; build the artefact again$",
    ):
        CRunner().run(folder, x)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"input": [1], "steps": "many", "layers": []}',
        '{"input": [1], "steps": 1, "layers": {"a": 1}}',
        '{"input": [1], "steps": 1, "layers": [{"layer": "x", "shape": [1000000000]}]}',
        '{"input": [1], "steps": 1, "layers": [{"layer": "x", "shape": ["a"]}]}',
    ],
)
@needs_compiler
def test_a_description_of_no_network_is_refused(small: tuple[Path, Images], text: str) -> None:
    folder, x = small
    (folder / "lehr_model.json").write_text(text)
    with pytest.raises(
        FileRefused,
        match=r"lehr_model\.json describes no network \(.*\); give a whole artefact of target c, or build it again$",
    ):
        CRunner().run(folder, x)


@needs_compiler
def test_a_damaged_artefact_and_a_wrong_input_are_refused(small: tuple[Path, Images]) -> None:
    folder, x = small
    with pytest.raises(
        FileRefused,
        match=r"^input is uint8 \[6, 10, 10\], the artefact takes uint8 \[N, 1, 10, 10\] or \[N, T, 1, 10, 10\]; reshape or convert it$",
    ):
        CRunner().run(folder, x[:, 0])
    for name in ("lehr_model.json", "Makefile"):
        (folder / name).rename(folder / "away")
        with pytest.raises(
            FileRefused,
            match=rf"{name} cannot be read: No such file or directory; give a whole artefact of target c",
        ):
            CRunner().run(folder, x)
        (folder / "away").rename(folder / name)


@pytest.mark.slow
@needs_compiler
def test_bytes_of_a_network_that_takes_spikes_count_as_0_or_1(tmp_path: Path) -> None:
    net, x = delayed_network()
    C().plan(net, {}).write(tmp_path)
    share = x.reshape(-1, *net.input.shape).mean(axis=1)
    assert share.min() < 0.5 < share.max(), (
        "steps are not given in both ways, as events and as they are"
    )
    expected, got = CRunner().run(tmp_path, x), CRunner().run(tmp_path, 9 * x)
    assert all(
        np.array_equal(expected.membranes[name], got.membranes[name]) for name in expected.membranes
    )


@needs_compiler
@pytest.mark.parametrize("command", ["", " "])
def test_an_empty_compiler_is_the_usual_one(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", command)
    assert compiler() == ["cc"]


def test_a_compiler_that_is_no_command_or_no_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "'gcc")
    with pytest.raises(UsageError) as error:
        CRunner().missing()
    assert str(error.value) == 'CC is "\'gcc", which a shell does not take; close its quotes'
    fake = tmp_path / "fake-cc"
    fake.write_bytes(b"\0\0")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    with pytest.raises(
        ToolMissing,
        match=r"^.*fake-cc does not start: Exec format error; call it by hand to see why$",
    ):
        load(small_network()[0])
    fake.write_text(
        '#!/bin/sh\nfor last; do [ "$before" = -o ] && : > "$last"; before=$last; done\n'
    )
    with pytest.raises(
        ToolMissing,
        match=r"^what .*fake-cc made does not load \(.*\); let TMPDIR be where programs may run$",
    ):
        load(small_network()[0])


# -------------------------------------------------------------------- limits
@pytest.mark.parametrize(
    ("low", "high", "c_type"),
    [
        (-(2**7), 2**7 - 1, "int8_t"),
        (-(2**7) - 1, 0, "int16_t"),
        (0, 2**7, "int16_t"),
        (-(2**15), 2**15 - 1, "int16_t"),
        (-(2**15) - 1, 0, "int32_t"),
        (0, 2**15, "int32_t"),
        (-(2**31), 2**31 - 1, "int32_t"),
        (-(2**31) - 1, 0, "int64_t"),
    ],
)
def test_types_are_as_small_as_their_bounds_allow(low: int, high: int, c_type: str) -> None:
    assert smallest_type(low, high) == c_type


def chain(input_shape: tuple[int, ...], **nodes: Node) -> Network:
    """Return a network of `nodes` one after another."""
    names = [INPUT, *nodes, OUTPUT]
    return Network(nodes, tuple(pairwise(names)), Input(input_shape, "u8"), steps=4)


def neuron(channels: int) -> Neuron:
    return Neuron(np.ones(channels, np.int32), np.zeros(channels, np.int32), Arithmetic())


def test_sums_beyond_int32_do_not_map() -> None:
    first, again = SumPool2d((64, 64), (64, 64)), SumPool2d((64, 64), (64, 64), (32, 32))
    net = chain((1, 64, 64), first=first, again=again, out=neuron(1))
    assert [*map(str, C().check(net))] == [
        "again: its sums reach 4,278,190,080, more than a 32-bit accumulator holds; use a smaller "
        "fan-in"
    ]
    half = SumPool2d((50, 40), (64, 64), (32, 32))
    edges = (
        (INPUT, "first"),
        ("first", "a"),
        ("first", "b"),
        ("a", "out"),
        ("b", "out"),
        ("out", OUTPUT),
    )
    net = Network(
        {"first": first, "a": half, "b": half, "out": neuron(1)}, edges, net.input, net.steps
    )
    message = "out: its sums reach 4,177,920,000, more than a 32-bit accumulator holds; use a smaller fan-in"
    assert [*map(str, C().check(net))] == [message]


def test_a_state_beyond_2_gib_does_not_map() -> None:
    net = chain((20_000,), late=Delay(65_536), out=neuron(20_000))
    (problem,) = C().check(net)
    assert str(problem).startswith("late: it takes 2,621,440,000 of 2,62")
    assert str(problem).endswith(
        " bytes of state, an object in C holds 2,147,483,647; shorten its delay or make it smaller"
    )


# -------------------------------------------------------------------- costs
def test_synaptic_operations_are_pairs_of_values_and_outputs() -> None:
    rng = np.random.default_rng(7)
    weight = rng.choice(np.array([-1, 1], np.int8), (6, 2, 3, 2))
    conv = Conv2d(weight, stride=(2, 1), padding=(2, 1), dilation=(1, 3), groups=2)
    pool = SumPool2d((3, 2), (2, 2), (1, 0))
    net = chain(
        (4, 7, 9),
        conv=conv,
        first=neuron(6),
        pool=pool,
        flat=Flatten(),
        fc=Linear(np.ones((5, 72), np.int8)),
        out=neuron(5),
    )
    ones = np.ones((1, 4, 7, 9), np.int64)
    dense = Conv2d(np.abs(weight), conv.stride, conv.padding, conv.dilation, conv.groups)
    in_conv = int(dense.sums(ones).sum())
    in_pool = int(pool.sums(np.ones((1, *net.shapes["first"]), np.int64)).sum())
    assert _additions(net, 0.0) == in_conv
    assert _additions(net, 1.0) == in_conv + in_pool + 5 * 72
    assert in_conv < _additions(net, 0.01) < in_conv + in_pool


def _additions(net: Network, rate: float) -> float:
    figures = {
        figure.name: figure
        for figure in C().estimate(net, dict.fromkeys(net.neurons, rate)).figures
    }
    assert all(figure.unit and figure.source for figure in figures.values())
    return figures["synaptic operations"].value
