"""Running a plan: samples in chunks over threads, steps in blocks.

What flows between layers stays in the cache so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import UsageError
from lehr.network import Network
from lehr.simulate.fast import calls
from lehr.simulate.fast.kernels.layout import EDGE, PackSizes
from lehr.simulate.fast.plans.buffers import Buffer, aligned
from lehr.simulate.fast.plans.ops import Worker, run_stages
from lehr.simulate.fast.plans.plan import Plan, plan
from lehr.simulate.result import LEAST, Recorder, Result, check_input, input_events

Images = npt.NDArray[np.uint8]
SAMPLES, LOOPING_SAMPLES = 16, 64
"""Samples that a kernel takes at once, at most.

Where it is called for every step, they are so many that a call from Python costs little.
"""
BLOCK_BYTES = 1 << 20
"""What a block of steps of a chunk of samples may take between layers."""
LEAST_STEPS, GOOD_STEPS, MOST_STEPS = 8, 32, 4096
"""Steps of a block: the least, how many are worth fewer samples in a chunk, and the most."""


def simulate(
    net: Network,
    x: Images,
    *,
    trace: Iterable[str] = (),
    steps: int | None = None,
    threads: int = 1,
) -> Result:
    """Run a network on every sample of `x`, as exactly as `lehr.simulate.reference.simulate`.

    Args:
        net: the network.
        x: uint8 `[N, *shape]`, held for all steps, or `[N, T, *shape]`, one slice per step.
        trace: names of neuron layers whose spikes and membranes are kept.
        steps: how many steps to run; the network's own number (or T) if None.
        threads: how many samples' chunks are computed at the same time; the result does not depend
            on it.

    Raises:
        FileRefused: when `x` has the wrong type or shape, or values that the network's input does
            not take.
        UsageError: when `trace` names no neuron layer, or no step or no thread is asked for.
        NotMappable: when there is no rule for a node or a statement, a neuron fires more than 255
            times in a step, or its membrane is beyond 32 bits.
    """
    return Engine(net, threads).run(x, trace=trace, steps=steps)


class Engine:
    """The fast engine for one network, whose plan and memory it keeps from run to run.

    Raises:
        UsageError: when no thread is asked for.
    """

    def __init__(self, net: Network, threads: int = 1) -> None:
        if threads < 1:
            raise UsageError(f"{threads} threads were asked for; ask for at least 1")
        self.net, self.threads = net, threads
        self._plans: dict[tuple[bool, int], Plan] = {}
        self._idle: tuple[tuple[bool, int, int, int, frozenset[str]], list[Machine]] | None = None

    def plan_for(self, held: bool, steps: int) -> Plan:
        """Return the plan of a run of so many steps, whose input is held for all of them or not."""
        if (held, steps) not in self._plans:
            self._plans[held, steps] = plan(self.net, held, steps)
        return self._plans[held, steps]

    def run(self, x: Images, *, trace: Iterable[str] = (), steps: int | None = None) -> Result:
        """Run the network on every sample of `x`, as `simulate` tells."""
        held, steps = check_input(self.net, x, steps)
        recorder = Recorder(self.net, len(x), steps, trace)
        made, x = self.plan_for(held, steps), np.ascontiguousarray(x)
        size = min(-(-len(x) // self.threads), _samples(made))
        count = min(self.threads, -(-len(x) // size))
        key = (held, steps, size, count, recorder.membranes)
        idle, self._idle = (
            self._idle,
            None,
        )  # so that another run at the same time has machines of its own
        own = (
            idle[1]
            if idle and idle[0] == key
            else [Machine(made, size, steps, recorder.membranes) for _ in range(count)]
        )
        machines: SimpleQueue[Machine] = SimpleQueue()
        for machine in own:
            machine.count_anew()
            machines.put(machine)

        def chunk(start: int) -> None:
            machine = machines.get()
            try:
                machine.begin(min(size, len(x) - start))
                for first, block in machine.blocks(x[start : start + size], steps):
                    machine.run(block)
                    record_steps(recorder, machine, start, first)
                record_output(recorder, machine, start)
            finally:
                machines.put(machine)

        starts = range(0, len(x), size)
        if self.threads == 1:
            for start in starts:
                chunk(start)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(chunk, starts))
        while not machines.empty():
            record_totals(recorder, machines.get())
        self._idle = key, own
        return recorder.result()


def _samples(made: Plan) -> int:
    """Return how many samples a chunk has."""
    return (
        LOOPING_SAMPLES
        if made.loops
        else max(1, min(SAMPLES, BLOCK_BYTES // (GOOD_STEPS * _step_bytes(made))))
    )


def _step_bytes(made: Plan) -> int:
    """Return the bytes that one step of one sample takes between layers."""
    return sum(
        buffer.row * np.dtype(buffer.dtype).itemsize for buffer in made.buffers if not buffer.held
    )


def record_steps(recorder: Recorder, machine: Machine, start: int, first: int) -> None:
    """Record the block that a machine ran: samples from `start` on, steps from `first` on."""
    if not recorder.membranes:
        return
    recorder.add_steps(
        start,
        first,
        {n: machine.spikes(n) for n in recorder.traced},
        {n: machine.membranes(n) for n in recorder.membranes},
    )


def record_output(recorder: Recorder, machine: Machine, start: int) -> None:
    """Record the output's counts of the samples from `start` on, once they have run."""
    recorder.add_counts(start, machine.totals(machine.plan.net.output, 0))


def record_totals(recorder: Recorder, machine: Machine) -> None:
    """Record what a machine has counted since it was last told to count anew."""
    recorder.add_events(machine.events())
    recorder.add_saturations({n: int(lost.sum()) for n, lost in machine.worker.saturations.items()})
    for name in machine.plan.net.neurons:
        lowest, highest = int(machine.totals(name, 1).min()), int(machine.totals(name, 2).max())
        recorder.add_totals(name, machine.totals(name, 0), lowest, highest)


class Machine:
    """One worker of a plan: its memory, and what it does with it.

    Attributes:
        plan: what it runs.
        worker: its memory.
        block: the most steps that it runs at once.
        steps: how many of the present block are valid.
    """

    def __init__(self, made: Plan, samples: int, steps: int, kept: Iterable[str]) -> None:
        self.plan = made
        self.block = self._block(made, samples, steps)
        self.worker = worker = Worker(samples, self.block)
        worker.arrays = {buffer: buffer.room(samples, self.block) for buffer in made.buffers}
        for name, (dtype, together, each) in made.states.items():
            row = made.row(name)
            worker.states[name] = aligned(together + samples * each, dtype)
            worker.totals[name] = np.zeros(
                (samples if name == made.net.output else 1, 3, row), np.int64
            )
            worker.saturations[name] = np.zeros(samples, np.int64)
            worker.membranes[name] = np.zeros(
                (samples, self.block, row) if name in kept else 0, np.int32
            )
        self.steps = self.ran = 0
        self._recent, self._events = (
            aligned(made.input.size, np.uint8),
            np.zeros(made.input.shape, np.int64),
        )
        past = [(array, buffer.past) for buffer, array in worker.arrays.items() if buffer.past]
        self._past = [(array[:, :kept], array, kept) for array, kept in past]
        self._begun = [*worker.states.values(), *(kept for kept, _, _ in self._past)]
        self._begun.append(worker.totals[made.net.output][:, 0])
        self.count_anew()

    @staticmethod
    def _block(made: Plan, samples: int, steps: int) -> int:
        return max(
            1,
            min(
                steps,
                max(LEAST_STEPS, min(MOST_STEPS, BLOCK_BYTES // (_step_bytes(made) * samples))),
            ),
        )

    def begin(self, samples: int) -> None:
        """Start `samples` new samples: every state is 0, and so are the output's counts."""
        self.worker.count, self.ran = samples, 0
        for state in self._begun:
            state.fill(0)

    def count_anew(self) -> None:
        """Forget what was counted; the states stay as they are."""
        self._events[:] = 0
        for totals in self.worker.totals.values():
            totals[:, 0], totals[:, 1], totals[:, 2] = 0, -LEAST - 1, LEAST
        for saturations in self.worker.saturations.values():
            saturations[:] = 0

    def blocks(self, x: Images, steps: int) -> Iterator[tuple[int, int]]:
        """Load one block of contiguous inputs after another, run between them.

        Yields the first step and the number of steps of each.
        """
        if self.plan.held:
            self.load(x[:, None], 0, 1, 0)
            for op in self.plan.before:
                op.run(self.worker, 0, 1)
        for first in range(0, steps, self.block):
            block = min(self.block, steps - first)
            if not self.plan.held:
                self.load(x, first, block, min(self.plan.input.past, 1))
            yield first, block
            self.pass_on()

    def load(self, x: Images, first: int, steps: int, slot: int) -> None:
        """Put steps of contiguous inputs `[samples, steps, *shape]` into slots.

        They are those from `first` on, and go into the slots from `slot` on.
        """
        buffer, array = self.plan.input, self.worker.arrays[self.plan.input]
        channels, places = x.shape[2], math.prod(x.shape[3:])
        if not buffer.bits:
            part = x[:, first : first + steps]
            flat = part.reshape(len(x), steps, channels, places).swapaxes(2, 3)
            array[: len(x), slot : slot + steps, : buffer.size] = flat.reshape(
                len(x), steps, buffer.size
            )
            self._events += input_events(part, held=False, steps=steps)
            return
        each = channels * places
        if places == 1:  # no maps: in one row
            channels, places = 1, channels
        sizes = np.array(PackSizes(len(x), steps, channels, places, buffer.row))
        rows = np.array((first * each, x.shape[1] * each, each, slot, buffer.slots(self.block), 1))
        calls.pack(
            x.reshape(-1),
            array.reshape(-1),
            self._recent,
            self._events.reshape(-1),
            EDGE,
            sizes,
            rows,
        )

    def run(self, steps: int) -> None:
        """Run the block that was loaded; `spikes` and `membranes` are of it until the next one."""
        self.steps, self.ran = steps, self.ran + steps
        run_stages(self.plan.stages, self.worker, steps)

    def pass_on(self) -> None:
        """Keep, of the block that was run, what later steps need."""
        for kept, array, past in self._past:
            kept[:] = array[:, self.steps : self.steps + past]

    # ---------------------------------------------------------------- what came out
    def spikes(self, name: str) -> npt.NDArray[np.uint8]:
        """Spikes or counts of a layer in the block, `[samples, steps, *shape]`."""
        buffer = self.plan.spikes[name]
        rows = self.worker.arrays[buffer][: self.worker.count, 1 : 1 + self.steps]
        if buffer.bits:
            rows = np.unpackbits(
                np.ascontiguousarray(rows).view(np.uint8), axis=-1, bitorder="little"
            )
        return shaped(rows, buffer)

    def membranes(self, name: str) -> npt.NDArray[np.int32]:
        """Membranes of a layer that is kept, in the block, `[samples, steps, *shape]`."""
        return shaped(
            self.worker.membranes[name][: self.worker.count, : self.steps], self.plan.spikes[name]
        )

    def events(self) -> Int64:
        """How often each element of the input was not 0 since events were last counted anew."""
        return np.asarray(self._events * self.ran, np.int64) if self.plan.held else self._events

    def totals(self, name: str, which: int) -> Int64:
        """Return one statistic of each neuron since the last count, `[samples, *shape]`.

        It is the number of spikes (0), or the lowest (1) or highest membrane (2).

        Spikes of the output are those of the present samples; other layers' are of all samples
        together, `[1, *shape]`.
        """
        totals = self.worker.totals[name]
        return shaped(
            totals[: self.worker.count if which == 0 else None, which], self.plan.spikes[name]
        )


def shaped(rows: npt.NDArray[Any], buffer: Buffer) -> npt.NDArray[Any]:
    """Rows of elements, channels last and padded, as values of the node's own shape."""
    channels, *rest = buffer.shape
    lead = rows.shape[:-1]
    return np.moveaxis(rows[..., : buffer.size].reshape(*lead, *rest, channels), -1, len(lead))
