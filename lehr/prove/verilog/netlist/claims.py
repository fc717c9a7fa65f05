"""The netlist that is placed of an fpga artefact against its Verilog: every flip-flop and clock.

What a flip-flop holds after a clock is compared with what the Verilog's register of its name does,
whatever all of them held before, and whatever comes in and memories give: as they agree after a
reset, they do after any number of clocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lehr.errors import NotBitExact, UsageError
from lehr.prove.obligations import Obligation
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import emptied
from lehr.prove.verilog.circuit import Claim
from lehr.prove.verilog.engines import Engine
from lehr.prove.verilog.netlist.agreement import AGREED, GIVEN, Agreement
from lehr.prove.verilog.netlist.placed import Design, Placed, place, read_design
from lehr.prove.verilog.questions import Questions, Undecided, lacks
from lehr.prove.verilog.sums.images import read_words
from lehr.prove.verilog.yosys import WAY_OUT, TimeIsUp, circuits
from lehr.reading import read_text
from lehr.targets.fpga.devices import DEVICES, ICE40, Device
from lehr.targets.verilog import lacking, missing

_IMAGE = re.compile(r'\.IMAGE\("(\w+\.mem)"\)\) (\w+) \(')
_BYTES = 1 << 26
_EMPTIED = {"lehr_ram": "", "lehr_ram2": "", "lehr_rom": "DEPTH <= 256"}
"""Modules of memories that may give anything, and the condition on which each is as it is."""
PATIENCE = 30
"""How many times as long as a question synthesis and placement may take."""


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of the neurons, the lanes, all else, and a reset.

    Raises:
        UsageError: for a device of whose cells there are no rules.
        FileRefused: when the Verilog is not as lehr writes it.
    """
    assert subject.folder is not None
    name = (subject.options or {}).get("device", "generic")
    if DEVICES[name].family is not ICE40:
        known = " or ".join(key for key, each in DEVICES.items() if each.family is ICE40)
        raise UsageError(
            f"{subject.folder} was built for device {name}, and proofs of a netlist are about "
            f"those of the iCE40; build it with --option device={known}"
        )
    design = read_design(subject.folder)
    whole = Claim(
        "netlist",
        f"{design.top}.v",
        f"what is placed for {name} agrees with the Verilog",
        (AGREED, GIVEN),
        lambda _, __: None,
    )
    if reason := _lacks():
        yield whole.missing(reason)
        return
    try:
        agreement = _agreement(design, DEVICES[name], PATIENCE * timeout)
    except TimeIsUp:
        reason = f"the time was not enough to place it: {PATIENCE * timeout:g} s for a tool"
        yield whole.said("undecided", Questions(timeout), reason=reason)
        return
    except (NotBitExact, Undecided) as error:
        yield whole.said("undecided", Questions(timeout), reason=str(error))
        return
    yield from agreement.shown(name, timeout)


def _lacks() -> str:
    return lacks() or next(
        (lacking(tool) for tool in ("yosys", ICE40.nextpnr) if missing(tool)), ""
    )


def _agreement(design: Design, device: Device, seconds: float) -> Agreement:
    texts = design.texts()
    for name, unless in _EMPTIED.items():
        texts[f"{name}.v"] = emptied(texts[f"{name}.v"], unless)
    images = {name: read_text(design.folder / name, _BYTES, WAY_OUT) for name in design.images}
    (circuit,) = circuits([texts], design.top, seconds, memories=True, images=images)
    placed = place(design, device, seconds)
    return Agreement(circuit, placed, {*_EMPTIED}, _words(design, placed))


def _words(design: Design, placed: Placed) -> dict[str, list[int]]:
    """Return the words of memories with an image, by the path of their instance."""
    images = {
        (name.removesuffix(".v"), instance): image
        for name, text in design.texts().items()
        for image, instance in _IMAGE.findall(text)
    }
    words = {}
    for path in placed.modules:
        above, _, instance = path.rpartition(".")
        if image := images.get((placed.modules.get(above, design.top), instance)):
            words[path] = read_words(Engine(design.folder, "", "", 0, 0), image)
    return words
