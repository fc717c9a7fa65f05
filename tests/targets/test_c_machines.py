"""Target c on microcontrollers: bare metal in QEMU, bytes by every compiler, too small memories."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from c_code import of_lines
from commands import Lehr
from hard_networks import HARD
from machine_networks import machine_network
from strategies import Images, small_network

from lehr import nirfile
from lehr.errors import NotBitExact, NotMappable, UsageError
from lehr.machines import MACHINES
from lehr.network import Network
from lehr.targets.build import build
from lehr.targets.c import C, devices
from lehr.targets.c.compiler import missing as no_compiler
from lehr.targets.c.devices import DEVICES, STACK, Device, need
from lehr.targets.c.figures import COMPILERS, missing
from lehr.targets.c.layout import Layout
from lehr.targets.c.render import tables
from lehr.targets.golden import golden_plan

NO_CORTEX_M = no_compiler("make") or missing("arm-none-eabi-gcc", "qemu-system-arm")
UNLIKE = (
    "knot",
    "knot by event",
    "two states, wide",
    "all kinds of weights, recurrent",
    "membrane_max_argmax_lowest",
    "narrow",
)
"""Networks with little in common: all arithmetics are compared on this machine (test_c.py)."""
on_cortex_m = pytest.mark.skipif(NO_CORTEX_M is not None, reason=str(NO_CORTEX_M))


NETWORKS: dict[str, Callable[[], tuple[Network, Images]]] = {
    **HARD,
    **{name: partial(machine_network, name, spatial=True, per_neuron=True) for name in MACHINES},
}


def artefact(folder: Path, name: str) -> Path:
    """Build the artefact of a hard network or of a machine's, with golden vectors."""
    net, x = NETWORKS[name]()
    (C().plan(net, {}) | golden_plan(net, x)).write(folder)
    return folder


def make(folder: Path, goal: str) -> tuple[int, list[str]]:
    """Exit status and output lines of make."""
    done = subprocess.run(
        ["make", "-s", goal], cwd=folder, capture_output=True, text=True, timeout=600
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.slow
# -------------------------------------------------------------------- in QEMU
@on_cortex_m
def test_a_cortex_m_replays_the_golden_vectors_and_sees_one_unit(tmp_path: Path) -> None:
    folder = artefact(tmp_path / "out", "small")
    status, lines = make(folder, "check-cortex-m")
    assert (status, lines[0], lines[-1]) == (
        0,
        "every spike and membrane of 3 layers is equal in 8 steps of 6 samples",
        "PASS",
    )
    weights = folder / "lehr_weights.h"
    changed, count = re.subn(
        r"(threshold_out\[\d+\] = {\s+)(\d+)",
        lambda m: f"{m[1]}{int(m[2]) + 1}",
        weights.read_text(),
    )
    assert count == 1
    weights.write_text(changed)
    status, lines = make(folder, "check-cortex-m")
    assert status != 0
    assert re.match(
        r"out: (spike|membrane) of neuron \d+ at step \d+ of sample \d+ is -?\d+, expected -?\d+$",
        lines[0],
    )
    assert "FAIL" in lines


@on_cortex_m
@pytest.mark.slow
@pytest.mark.parametrize("name", [*UNLIKE, *MACHINES])
def test_a_cortex_m_is_exact_on_hard_networks(name: str, tmp_path: Path) -> None:
    status, lines = make(artefact(tmp_path / "out", name), "check-cortex-m")
    assert (status, lines[-1]) == (0, "PASS"), lines
    assert lines[-2].endswith(" bytes of stack in a step")
    assert 0 < int(lines[-2].split()[0]) <= STACK


COUNTED = """
#include "host.h"
static void __attribute__((noinline)) deep(void)
{
    volatile uint8_t taken[400];
    for (size_t i = 0; i < sizeof taken; i++)
        taken[i] = 0;
}
int lehr_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    host_start();
    __asm__ volatile("mov r3, #1000\\n1: subs r3, #1\\nbne 1b" ::: "r3", "cc");
    const uint64_t loop = host_stop();
    host_start();
    const uint64_t nothing = host_stop();
    host_print(loop > nothing + 1995 && loop < nothing + 2007 ? "2001\\n" : "another number\\n", 0);
    const size_t shallow = host_stack();
    host_start();
    deep();
    (void)host_stop();
    host_print(shallow < 64 && host_stack() >= 400 && host_stack() < 464 ? "400\\n" : "another stack\\n", 0);
    return 0;
}
"""


@on_cortex_m
def test_instructions_and_stack_are_counted_right(tmp_path: Path) -> None:
    """A loop of 2,001 instructions, to a tick of 2.5, and an array of 400 bytes."""
    folder = artefact(tmp_path / "out", "small")
    (folder / "main.c").write_text(COUNTED)
    assert make(folder, "check-cortex-m") == (0, ["2001", "400"])


@pytest.mark.slow
# -------------------------------------------------------------------- figures
def test_figures_of_installed_tools(tmp_path: Path) -> None:
    if why := no_compiler("make"):
        pytest.skip(why)
    net, _ = small_network()
    measured = {figure.name: figure for figure in C().measure(artefact(tmp_path / "out", "small"))}
    estimate = {
        figure.name: figure.value
        for figure in C().estimate(net, dict.fromkeys(net.neurons, 0.1)).figures
    }
    for machine in (
        "native",
        *(machine for machine, tool in COMPILERS.items() if missing(tool) is None),
    ):
        assert estimate["flash"] < measured[f"flash on {machine}"].value
    if NO_CORTEX_M is None:
        instructions = measured["instructions on cortex-m4"]
        neuron_updates = net.steps * sum(int(np.prod(net.shapes[name])) for name in net.neurons)
        assert 5 * neuron_updates < instructions.value < 200 * neuron_updates
        assert "arm-none-eabi-gcc" in instructions.source
        assert "QEMU" in instructions.source
        assert 0 < measured["stack on cortex-m4"].value <= STACK


@pytest.mark.slow
def test_figures_are_part_of_the_artefact(lehr: Lehr, tmp_path: Path) -> None:
    if why := no_compiler("make"):
        pytest.skip(why)
    net, _ = small_network()
    (tmp_path / "model.nir").write_bytes(nirfile.to_bytes(net))
    ran = lehr(
        "build",
        tmp_path / "model.nir",
        "--target",
        "c",
        "-o",
        tmp_path / "out",
        "-n",
        2,
        "--measure",
        "--json",
    )
    assert ran.code == 0, ran.err
    assert "flash on native" in {figure["name"] for figure in ran.facts["measured"]}
    assert "| flash on native | " in (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "report/measured.json" in ran.facts["files"]
    reported = lehr("report", tmp_path / "out", "--json").facts
    assert "flash on native" in {row["figure"] for row in reported["measured at the build"]}
    assert "RAM" in {row["figure"] for row in reported["estimate"]}


def test_a_target_that_measures_nothing_says_so(lehr: Lehr, tmp_path: Path) -> None:
    net, _ = small_network()
    (tmp_path / "model.nir").write_bytes(nirfile.to_bytes(net))
    ran = lehr(
        "build",
        tmp_path / "model.nir",
        "--target",
        "onnx",
        "-o",
        tmp_path / "out",
        "-n",
        1,
        "--measure",
    )
    assert (ran.code, (tmp_path / "out").exists()) == (2, False)
    assert "target onnx has no tool here that could measure it; leave --measure out" in ran.err


@pytest.mark.slow
def test_a_network_that_fails_on_the_cortex_m_is_not_measured(tmp_path: Path) -> None:
    if NO_CORTEX_M:
        pytest.skip(NO_CORTEX_M)
    folder = artefact(tmp_path / "out", "small")
    golden = folder / "golden" / "02_out.membrane.i32"
    golden.write_bytes(bytes([golden.read_bytes()[0] ^ 1]) + golden.read_bytes()[1:])
    with pytest.raises(
        NotBitExact,
        match=r"^the C code does not run on a Cortex-M4: out: membrane of neuron 0 at step 0 of sample 0 is ",
    ):
        C().measure(folder)


# -------------------------------------------------------------------- memories
def code_bytes(folder: Path) -> dict[str, int]:
    """Code of the library, without its tables, by machine."""
    tabled = re.findall(
        r"static const u?int(\d+)_t \w+\[(\d+)\]", (folder / "lehr_weights.h").read_text()
    )
    constants = sum(int(bits) // 8 * int(count) for bits, count in tabled)
    status, lines = make(folder, "sizes")
    assert status == 0, lines
    return {
        machine: int(text) + int(data) - constants
        for machine, text, data, _ in map(str.split, lines)
    }


@pytest.mark.slow
def test_the_code_of_a_long_update_is_smaller_than_its_bound(tmp_path: Path) -> None:
    if why := no_compiler("make"):
        pytest.skip(why)
    wide = "leak v multiply 40503 16 nearest_even; add v input 16; bound v -2147483648 2147483647 saturate; leak a dash 0 3; add a v 1 times fired"
    lines = f"{'; '.join([wide + '; bound a -99999999 99999999 saturate'] * 10)}; fire fired v gt threshold 255; subtract v threshold 0 times fired"
    net, x = of_lines(lines, 1 << 20)
    (C().plan(net, {}) | golden_plan(net, x)).write(tmp_path / "out")
    layout = Layout(net)
    assert len(net.neurons["out"].program.all) > 60
    assert [update.bits for update in layout.updates] == [64]
    bound = need(layout, tables(layout)).flash["code"]
    for machine, code in code_bytes(tmp_path / "out").items():
        assert machine == "native" or code <= bound, (machine, code, bound)


@pytest.mark.slow
def test_the_code_is_smaller_than_its_bound(tmp_path: Path) -> None:
    if why := no_compiler("make"):
        pytest.skip(why)
    for name in (*UNLIKE, *MACHINES):
        folder = artefact(tmp_path / name.replace(" ", "_"), name)
        layout = Layout(NETWORKS[name]()[0])
        bound = need(layout, tables(layout)).flash["code"]
        for machine, code in code_bytes(folder).items():
            assert machine == "native" or code <= bound, (name, machine, code, bound)


def test_what_does_not_fit_is_refused_with_what_there_is() -> None:
    net, _ = small_network()
    layout = Layout(net)
    needed = need(layout, tables(layout))
    assert 0 <= layout.memory.bytes + STACK - sum(needed.ram.values()) < 8  # padding
    with pytest.raises(NotMappable) as error:
        C().plan(net, {"ram": "1"})
    ram = sum(needed.ram.values())
    assert re.fullmatch(
        rf"the network does not fit the memory told: it needs [\d,]+ of 2,147,483,648 bytes of flash \(weights [\d,]+, parameters"
        rf" [\d,]+, code [\d,]+\) and {ram:,} of 1,024 bytes of RAM \(.*membranes [\d,]+.*stack 512\); use device=stm32f103c8",
        str(error.value),
    )


@pytest.mark.parametrize("name", DEVICES)
def test_devices_are_limits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = small_network()
    assert C().plan(net, {"device": name}).files
    monkeypatch.setattr(devices, "DEVICES", {name: Device(64, 64)})
    with pytest.raises(
        NotMappable,
        match=rf"^the network does not fit {name}: it needs .*; use a larger device, or a smaller network$",
    ):
        C().plan(net, {"device": name})


def test_the_command_ends_with_3(lehr: Lehr, tmp_path: Path) -> None:
    net: Network = small_network()[0]
    (tmp_path / "model.nir").write_bytes(nirfile.to_bytes(net))
    ran = lehr(
        "build",
        tmp_path / "model.nir",
        "--target",
        "c",
        "-o",
        tmp_path / "out",
        "--option",
        "flash=1",
        "-n",
        1,
    )
    assert (ran.code, (tmp_path / "out").exists()) == (3, False)
    assert "of 1,024 bytes of flash (weights " in ran.err


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            {"device": "z80"},
            "device is 'z80'; use one of stm32f103c8, samd21g18, gd32vf103cb, nrf52832, nrf52840, "
            "generic",
        ),
        ({"ram": "0"}, "ram is '0'; use a whole number of KiB from 1 to 2,097,152"),
        (
            {"ram": "000000001999999999"},
            "ram is '000000001999999999'; use a whole number of KiB from 1 to 2,097,152",
        ),
        ({"flash": "32k"}, "flash is '32k'; use a whole number of KiB from 1 to 2,097,152"),
    ],
)
def test_values_that_options_do_not_take(option: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        C().plan(small_network()[0], option)
    assert str(error.value) == message


def test_names_are_mapped_and_the_manifest_tells_how() -> None:
    net, x = HARD["knot"]()
    built = build(net, C(), x[:1])
    assert json.loads(built.plan.files["manifest.json"])["names"] == {
        "flat.again": "flat_again",
        "fc-out": "fc_out",
    }
    assert "LEHR_LAYER_second" in built.plan.files["lehr_model.h"].decode()
    assert "step_fc_out(lehr_state *s)" in built.plan.files["lehr_model.c"].decode()
