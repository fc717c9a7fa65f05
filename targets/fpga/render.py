"""Templates and memory images: the text of the artefact."""

from __future__ import annotations

from pathlib import Path

from lehr.artifact import to_json
from lehr.network import INPUT, Network
from lehr.targets.fpga.cost import use, worst_clocks
from lehr.targets.fpga.design import Design, pad, stream_widths
from lehr.targets.fpga.devices import DEVICES, constraints
from lehr.targets.fpga.engines import Plan
from lehr.targets.fpga.machine import Machine, bits
from lehr.targets.fpga.projections import volume
from lehr.targets.golden import stem
from lehr.targets.templates import environment
from lehr.targets.verilog import lacking

TEMPLATES = Path(__file__).parent / "templates"
SHARED = ("lehr_ram", "lehr_ram2", "lehr_rom", "lehr_table")
"""Modules that all engines use."""
FRONTS = {"bytes": ("lehr_top",), "uart": ("lehr_top", "lehr_uart")}
"""The modules around the engines by what a host speaks to, the one at the top last."""
BENCH = "lehr_tb.v"
DESCRIPTION = "lehr_fpga.json"


def identifiers(net: Network) -> dict[str, str]:
    """Return a name for each node that Verilog takes."""
    return {
        name: f"{'layer' if name in net.neurons else 'node'}_{i}"
        for i, name in enumerate(net.order)
    }


def parts(machine: Machine) -> tuple[str, ...]:
    """Return the modules of an engine."""
    maps, readout = (
        "lehr_link" if machine.linked else "lehr_maps",
        ("lehr_readout",) if machine.classes else (),
    )
    scan = (
        "lehr_lane",
        "lehr_program",
        "lehr_control",
        "lehr_scan",
        maps,
        "lehr_events",
        "lehr_sums",
    )
    return (*scan, "lehr_neuron", "lehr_neurons", *readout, "lehr_core")


def render(plan: Plan, options: dict[str, str | int]) -> dict[str, bytes]:
    """Return all files of the artefact."""
    net, whole, device, front = (
        plan.net,
        plan.whole,
        DEVICES[str(options["device"])],
        str(options["front"]),
    )
    designs = [Design(engine) for engine in plan.engines]
    used = use(plan, device)
    files: dict[str, bytes] = {}
    for design in designs:
        templates = environment(TEMPLATES, **design.names(used))
        for part in parts(design.machine):
            files[f"{part}{design.engine.tag}.v"] = (
                templates.get_template(f"{part}.v.j2").render().encode()
            )
    images = {
        f"{design.engine.prefix}{image.name}.mem": image.text
        for design in designs
        for image in design.tables.images
    }
    pins = device.pins
    chained = plan.arrangement == "layers"
    core = [
        *(f"{name}.v" for name in SHARED),
        *files,
        *(["lehr_core.v"] if chained else []),
        *(f"{name}.v" for name in FRONTS[front]),
    ]
    groups = {
        *core,
        *(f"{part}_*.v" for design in designs if chained for part in parts(design.machine)),
    }
    around = environment(
        TEMPLATES,
        net=net,
        machine=whole,
        designs=designs,
        chained=chained,
        holds=whole.holds,
        classes=whole.classes,
        w=stream_widths(whole),
        pad=pad,
        bits=bits,
        written=lambda name: next(
            (shown for shown in (name, name.replace(".v", "_*.v")) if shown in groups), None
        ),
        stem=lambda name: stem(net, name).partition("/")[2],
        input_volume=volume(net.shapes[INPUT]),
        patience=100_000 + 2 * worst_clocks(plan),
        options=options,
        lacking=lacking,
        device=device,
        family=device.family,
        pins=pins,
        top=FRONTS[front][-1],
        core=core,
        bench=BENCH,
        images=list(images),
    )
    for name in (
        *(name for name in core if name not in files),
        BENCH,
        "Makefile",
        "README.md",
        "lehr.f",
    ):
        template = "lehr_engines.v" if name == "lehr_core.v" else name
        files[name] = around.get_template(f"{template}.j2").render().encode()
    if pins:
        files[pins] = constraints(device, front, int(options["clock"]))
    w = stream_widths(whole)
    description = {
        "input": list(net.input.shape),
        "steps": net.steps,
        "layers": [
            {"layer": layer.name, "shape": list(net.shapes[layer.name])} for layer in whole.layers
        ],
        "membrane_bytes": w["membrane_bytes"],
        "modules": core,
        "images": list(images),
        "status_bytes": 15
        + 12 * (len(designs) if chained else 0)
        + whole.classes * w["score_bytes"],
        "neurons": whole.neurons,
        "identifiers": identifiers(net),
        "options": options,
    }
    return {**files, **images, DESCRIPTION: to_json(description)}
