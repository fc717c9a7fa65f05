"""The Verilog that `sc-neurocore compile-nir` makes of a graph, run in Icarus Verilog.

Its neurons take a clock a step, in Q8.8; a layer sees the spikes of the layer before one clock
later, so that the last one of n layers answers n - 1 clocks after its step.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import nir
import numpy as np

ONE = 1 << 8
BENCH = """
module bench;
  reg clk = 0, rst_n = 0, en = 1;
  reg signed [{width}:0] inputs [0:{last}];
  reg signed [{width}:0] now = 0;
  wire [{spikes}:0] spike_bus;
  integer step;
  net dut(.clk(clk), .rst_n(rst_n), .en(en), .I_ext_flat(now), .spike_bus(spike_bus));
  initial begin
    $readmemh("inputs.hex", inputs);
    #1 clk = 1;
    #1 clk = 0;
    rst_n = 1;
    for (step = 0; step <= {last}; step = step + 1) begin
      now = inputs[step];
      #1 clk = 1;
      #1 $display("%b", spike_bus);
      clk = 0;
    end
    $finish;
  end
endmodule
"""


def sc_neurocore_rtl(graph: Any, dt: float) -> Any:
    """Return a run of samples `[T, *shape]` through the Verilog of a graph."""
    last = graph.nodes[next(source for source, target in graph.edges if target == "output")]
    if not hasattr(last, "v_threshold"):
        raise ValueError("the Verilog puts out spikes alone, no membranes")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "graph.nir")
        nir.write(file, graph)
        folder = compiled(file.read_bytes(), dt)
    top = Path(folder.name, "net.v").read_text()
    populations = int(re.search(r"Populations: (\d+)", top)[1])
    neurons = int(re.search(r"\[(\d+):0\] spike_bus", top)[1]) + 1
    outputs = int(np.prod(next(iter(graph.nodes["output"].output_type.values()))))

    def run(x: Any) -> Any:
        waits = populations - 1
        steps = np.concatenate(
            [x.reshape(len(x), -1), np.zeros((waits, x[0].size), x.dtype)]
        ).astype(int)
        words = ("".join(f"{value * ONE:04x}" for value in step[::-1]) for step in steps)
        Path(folder.name, "inputs.hex").write_text("\n".join(words))
        sizes = {"width": 16 * x[0].size - 1, "last": len(steps) - 1, "spikes": neurons - 1}
        Path(folder.name, "bench.v").write_text(BENCH.format(**sizes))
        if not Path(folder.name, "bench").exists():  # all samples have one length
            call(
                [
                    "iverilog",
                    "-g2012",
                    "-s",
                    "bench",
                    "-o",
                    "bench",
                    *sorted(path.name for path in Path(folder.name).glob("*.v")),
                ],
                folder,
            )
        lines = call(["vvp", "-n", "bench"], folder).split()
        return np.array([[int(bit) for bit in line[:outputs][::-1]] for line in lines[waits:]])

    return run


@cache
def compiled(file: bytes, dt: float) -> tempfile.TemporaryDirectory[str]:
    """Return a folder with the Verilog of a file, once for all samples."""
    folder = tempfile.TemporaryDirectory()
    Path(folder.name, "graph.nir").write_bytes(file)
    command = [
        str(Path(sys.executable).with_name("sc-neurocore")),
        "compile-nir",
        "graph.nir",
        "--dt",
        str(dt),
        "-o",
        ".",
    ]
    printed = call([*command, "--module-name", "net", "--interconnect", "direct"], folder)
    if failed := re.search(r"Failed to compile .*", printed):
        raise ValueError(failed[0])
    return folder


def call(command: list[str], folder: tempfile.TemporaryDirectory[str]) -> str:
    """Return what a command prints.

    Raises:
        ValueError: with its last line, if it fails.
    """
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder.name)
    if ran.returncode:
        raise ValueError((ran.stderr.strip() or ran.stdout.strip()).splitlines()[-1])
    return ran.stdout
