"""An fpga artefact from a start to the end: its sums, its layers, its streams, and that it ends.

All of it is shown clock by clock of the artefact's Verilog, with memories, lanes and the circuit of
the neuron taken out: whatever they give, the claims hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from lehr.prove.obligations import Obligation
from lehr.prove.solver import z3
from lehr.prove.subject import Subject
from lehr.prove.verilog.boxes import with_boxes
from lehr.prove.verilog.circuit import Claim
from lehr.prove.verilog.control import serial, streams
from lehr.prove.verilog.control.fresh import GHOSTS as OF_BEFORE
from lehr.prove.verilog.control.fresh import Fresh
from lehr.prove.verilog.control.layer_plan import Layer, plan
from lehr.prove.verilog.control.order import TAGS, Order
from lehr.prove.verilog.control.progress import Progress
from lehr.prove.verilog.control.walk import Walk
from lehr.prove.verilog.control.words import GHOSTS, INSIDE, Words
from lehr.prove.verilog.engines import Engine, engine_of
from lehr.prove.verilog.faults import faults
from lehr.prove.verilog.induction import At, Induction, Term
from lehr.prove.verilog.questions import lacks
from lehr.prove.verilog.yosys import circuits

RESET = "the module was reset before the first clock"
EVENTS = "the host sends the last event of every frame, and takes what comes out"
Both = Callable[[At, At], Iterator[Term]]


@dataclass(frozen=True)
class Shown:
    """What is claimed of a module, and where the fault is that must be seen.

    Attributes:
        of: the file that the claim names.
        sentence: what is claimed.
        assumptions: each a sentence.
        induction: how it is shown.
        file, near: of the fault, and a word of its line.
    """

    of: str
    sentence: str
    assumptions: Sequence[str]
    induction: Induction
    file: str
    near: str


def prove(subject: Subject, timeout: float) -> Iterator[Obligation]:
    """Yield what is shown of each engine, of a chain of them, and of the streams.

    Raises:
        FileRefused: when the Verilog is not as lehr writes it.
    """
    engines = [engine_of(subject, name) for name in subject.net.neurons]
    layers: dict[str, list[Engine]] = {}
    for engine in engines:
        layers.setdefault(engine.tag, []).append(engine)
    for first, *others in layers.values():
        yield from _engine(first, 1 + len(others), timeout)
    folder = engines[0].folder
    if len(layers) > 1 or "" not in layers:
        files = with_boxes(folder, "lehr_core", {"lehr_core"})
        yield from _each(files, "lehr_core", [_chain()], timeout)
    files = with_boxes(folder, "lehr_top", {"lehr_core"})
    yield from _each(files, "lehr_top", list(_top()), timeout)
    if (subject.options or {}).get("front") == "uart":
        files = with_boxes(folder, "lehr_uart", {"lehr_top"})
        yield from _each(files, "lehr_uart", [_serial()], timeout, memories=True)


def _each(
    files: Mapping[str, str],
    top: str,
    all_shown: Sequence[Shown],
    timeout: float,
    *,
    memories: bool = False,
) -> Iterator[Obligation]:
    """Yield what came of each claim about a module."""
    variants, names, first = [files], [""], [1]
    for shown in all_shown:
        lines = files[shown.file].splitlines()
        near = [f for f in faults(files[shown.file]) if shown.near in lines[f.line - 1]]
        variants += [{**files, shown.file: fault.text} for fault in near[:2]]
        names += [fault.what for fault in near[:2]]
        first.append(len(variants))
    reason = lacks()
    made = [] if reason else circuits(variants, top, timeout, memories=memories)
    for shown, (begin, end) in zip(all_shown, pairwise(first), strict=True):
        claim = Claim(
            "control", shown.of, shown.sentence, shown.assumptions, shown.induction.differs
        )
        if reason:
            yield claim.missing(reason)
        else:
            faulty = zip(names[begin:end], made[begin:end], strict=True)
            yield claim.shown(made[0], faulty, timeout)


# ---------------------------------------------------------------- an engine
def _engine(engine: Engine, layers: int, timeout: float) -> Iterator[Obligation]:
    order, reason = Order(engine, layers), lacks()
    walk = Walk(order)
    progress = Progress(walk)
    held = Induction(
        order.claims,
        order.holds,
        moves=order.moves,
        ghosts=TAGS,
        met=lambda at: {"sums are taken": at.on("sums.take"), "an event": at.on("sums.hit_4")},
        shown=("control.state", "sums.marks", "neurons.left", "neurons.silent"),
    )
    ends = Induction(
        progress.claims,
        lambda at: (*order.holds(at), *walk.holds(at), *progress.holds(at)),
        moves=lambda now, then: (*order.moves(now, then), *walk.moves(now, then)),
        ghosts=TAGS,
        met=lambda at: {"it works": z3.And(at.on("busy"), z3.Not(progress.waits(at)))},
        shown=("control.state", "control.step", "control.layer", "control.feed"),
    )
    file = engine.file("lehr_core")
    all_shown = [
        Shown(
            file,
            "every event is in the sums of its chunk, which are kept until the neurons have begun "
            "with them all; and a layer is opened when no neuron is on its way",
            (RESET,),
            held,
            engine.file("lehr_neurons"),
            "soon =",
        ),
        Shown(
            file,
            "after `start` comes `done`, once, after as many steps as were asked for: what is left "
            "to do is a number that sinks in every clock in which no neighbour is waited for",
            (RESET, EVENTS),
            ends,
            engine.file("lehr_control"),
            "step <= step",
        ),
        Shown(
            file,
            "a neuron and the end of a step that go out stay, unchanged, until they are taken, "
            "and none is lost or doubled",
            (RESET,),
            Induction(
                streams.beats,
                met=lambda at: {"it waits": _waits(at), "one": at.on("emits")},
                shown=("out_valid", "out_ready"),
            ),
            file,
            "emits =",
        ),
    ]
    if engine.file("lehr_maps") in order.files:
        all_shown.append(_frames(order))
        spikes = " spike_ram (" in order.files[engine.file("lehr_maps")]
        # places of a window beyond the map are looked at, and nothing comes of it
        maxima = "closing" in order.files[engine.file("lehr_control")]
        if spikes and not maxima and not reason:
            layers_of = plan(order, progress.swept, timeout)
            all_shown += [_words(progress, layers_of), _begins(progress, layers_of)]
    yield from _each(order.files, engine.module("lehr_core"), all_shown, timeout)


def _frames(order: Order) -> Shown:
    file = order.engine.file("lehr_core")

    def holds(at: At) -> Iterator[Term]:
        yield from order.holds(at)
        loading = order.is_in(at, "OPEN", "CLEAR", "LOAD")
        held = at.on("control.held") if at.has("control.held") else z3.BoolVal(False)
        yield from streams.closed_holds(at, loading, order.is_in(at, "IDLE"), held)
        yield z3.Implies(at.on("done"), at("closed") == 1)

    return Shown(
        file,
        "no event is taken but between `start` and the last one of the last frame, and `done` "
        "comes after it",
        (RESET,),
        Induction(
            streams.frames,
            holds,
            moves=lambda now, then: (*order.moves(now, then), *streams.closed_moves(now, then)),
            ghosts={**TAGS, "closed": 1},
            met=lambda at: {"an event": z3.And(at.on("in_valid"), at.on("in_ready"))},
            shown=("control.state", "in_valid", "in_ready"),
        ),
        order.engine.file("lehr_control"),
        "last_frame =",
    )


def _words(progress: Progress, layers: Sequence[Layer]) -> Shown:
    walk, order = progress.walk, progress.order
    words = Words(order, layers)

    def holds(at: At) -> Iterator[Term]:
        yield from order.holds(at)
        yield from walk.holds(at)
        yield from progress.holds(at)
        yield from words.holds(at)

    def moves(now: At, then: At) -> Iterator[Term]:
        yield from order.moves(now, then)
        yield from walk.moves(now, then)
        yield from words.moves(now, then)

    def claims(now: At, then: At) -> Iterator[Term]:
        yield from words.claims(now, then)
        yield from walk.claims(now, then)

    own_read = "maps.spike_ram.read_address"
    return Shown(
        order.engine.file("lehr_core"),
        "a word of spikes, and a state, is read as it was written in the step that is asked for, "
        "of this inference; a chunk looks at no word twice",
        (RESET, INSIDE),
        Induction(
            claims,
            holds,
            words.assumed,
            moves,
            {**TAGS, **GHOSTS},
            met=lambda at: {
                "it is read": z3.And(at.on("maps.spike_ram.read"), at.wide(own_read) == at("word")),
                "a state is read": z3.And(at.on("issue"), z3.Not(at.on("first_step"))),
            },
            shown=("control.layer", "control.step", "word", "written in", "neuron", "updated in"),
        ),
        order.engine.file("lehr_neurons"),
        "write_at <=",
    )


def _begins(progress: Progress, layers: Sequence[Layer]) -> Shown:
    order = progress.order
    words, fresh = Words(order, layers), Fresh(order, layers, progress.swept)

    def holds(at: At) -> Iterator[Term]:
        yield from order.holds(at)
        yield from progress.holds(at)
        yield from words.summed(at)
        yield from words.updated(at)
        yield from fresh.holds(at)

    def moves(now: At, then: At) -> Iterator[Term]:
        yield from order.moves(now, then)
        yield from words.moves(now, then)
        yield from fresh.moves(now, then)

    return Shown(
        order.engine.file("lehr_core"),
        "an inference begins as the first one: registers that count are 0, others are set with "
        "each layer; pixels that are read are of this frame or swept, kept sums and scores of "
        "this inference",
        (RESET,),
        Induction(
            fresh.claims,
            holds,
            moves=moves,
            ghosts={**TAGS, **GHOSTS, **OF_BEFORE},
            met=lambda at: {"one begins": at.on("begins"), "a layer opens": at.on("opens_layer")},
            shown=("control.state", "control.step", "control.layer", "pixel", "sum"),
        ),
        order.engine.file("lehr_control"),
        "step <= 16",
    )


# ---------------------------------------------------------------- streams
def _waits(at: At) -> Term:
    """Return whether something goes out that nobody takes."""
    return z3.And(at.on("out_valid"), z3.Not(at.on("out_ready")))


def _chain() -> Shown:
    return Shown(
        "lehr_core.v",
        "what goes out of the chain is what the engine whose turn it is gives up, once; it stays, "
        "unchanged, until it is taken",
        (RESET, streams.HELD),
        Induction(
            streams.chain,
            streams.chain_holds,
            moves=lambda now, then: (
                *streams.chain_moves(now, then),
                *streams.chain_assumed(now, then),
            ),
            ghosts={"turn known": 1},
            met=lambda at: {"it waits": _waits(at)},
            shown=("turn", "valid", "ready", "at_end"),
        ),
        "lehr_core.v",
        "turn <=",
    )


def _top() -> Iterator[Shown]:
    of = partial(Shown, "lehr_top.v")
    yield of(
        "every byte that is taken is in the head or in one event, in its order; an event stays, "
        "unchanged, until the engine takes it, once",
        (RESET, streams.STARTS, streams.ENDS),
        Induction(
            streams.top_in,
            streams.top_holds,
            moves=streams.top_assumed,
            met=lambda at: {"an event waits": z3.And(at.on("full"), z3.Not(at.on("event_ready")))},
            shown=("head", "filled", "closed", "running"),
        ),
        "lehr_top.v",
        "filled <=",
    )
    yield of(
        "every beat of the engine is one message, and the status follows the last one; a byte "
        "stays, unchanged, until it is taken, and none is lost or doubled",
        (RESET, streams.HELD, streams.STARTS, streams.ENDS),
        Induction(
            streams.top_out,
            streams.top_holds,
            moves=streams.top_assumed,
            met=lambda at: {"a byte waits": z3.And(at.on("out_valid"), z3.Not(at.on("out_ready")))},
            shown=("left", "part", "finishing"),
        ),
        "lehr_top.v",
        "left <=",
    )


def _serial() -> Shown:
    def claims(now: At, then: At) -> Iterator[Term]:
        yield from serial.bytes_in(now, then)
        yield from serial.bytes_out(now, then)

    return Shown(
        "lehr_uart.v",
        "the bytes that wait never are more than there is room for, and come to the engine in "
        "their order, each once; none is taken to be sent before the last one has left",
        (serial.HOST,),
        Induction(
            claims,
            serial.holds,
            serial.assumed,
            serial.moves,
            serial.GHOSTS,
            met=lambda at: {"one comes late": z3.And(at.on("rts_n"), at.on("got"))},
            shown=("put", "taken", "more"),
        ),
        "lehr_uart.v",
        "rts_n =",
    )
