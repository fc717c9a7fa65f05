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
from lehr.simulate.fast.intake import Intake
from lehr.simulate.fast.plans.buffers import Buffer, aligned
from lehr.simulate.fast.plans.ops import MOST_CALLS, Keep, Worker, works
from lehr.simulate.fast.plans.plan import Plan, plan
from lehr.simulate.result import LEAST, Recorder, Result, check_shape, check_values

Images = npt.NDArray[np.uint8]
SAMPLES = 32
"""Samples that a kernel takes at once, at most."""
BLOCK_BYTES = 2 << 20
"""The most bytes that a block of steps of a chunk of samples takes between layers.

From half a MiB to 4 MiB speed was the same within 5 %, on 512 KiB of second cache and 32 of third.
"""
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
        """Run the network on every sample of `x`, as `simulate` says."""
        held, steps = check_shape(self.net, x.shape, x.dtype, steps)
        recorder = Recorder(self.net, len(x), steps, trace)
        if not held and steps < x.shape[1]:
            check_values(self.net, x)  # those of steps that run are checked when they are put in
        planned, x = self.plan_for(held, steps), np.ascontiguousarray(x[:, None] if held else x)
        size = min(-(-len(x) // self.threads), _samples(planned))
        count = min(self.threads, -(-len(x) // size))
        key = (held, steps, size, count, recorder.membranes)
        idle, self._idle = (
            self._idle,
            None,
        )  # so that another run at the same time has machines of its own
        own = (
            idle[1]
            if idle and idle[0] == key
            else [Machine(planned, size, steps, recorder.membranes) for _ in range(count)]
        )
        machines: SimpleQueue[Machine] = SimpleQueue()
        for machine in own:
            machine.count_anew()
            machines.put(machine)

        def chunk(start: int) -> None:
            machine = machines.get()
            try:
                machine.begin(min(size, len(x) - start))
                for first in machine.run(x, steps, start, apart=bool(recorder.membranes)):
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
            machine = machines.get()
            machine.end()
            record_totals(recorder, machine)
        self._idle = key, own
        return recorder.result()


def _samples(planned: Plan) -> int:
    """Return how many samples a chunk has."""
    return max(1, min(SAMPLES, BLOCK_BYTES // (GOOD_STEPS * _step_bytes(planned))))


def _step_bytes(planned: Plan) -> int:
    """Return the bytes that one step of one sample takes between layers."""
    return sum(
        buffer.row * np.dtype(buffer.dtype).itemsize
        for buffer in planned.buffers
        if not buffer.held
    )


def record_steps(recorder: Recorder, machine: Machine, start: int, first: int) -> None:
    """Record the block that a machine ran: samples from `start` on, steps from `first` on.

    Nothing is to be recorded where no layer's membranes are.
    """
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
    recorder.add_counts(start, machine.totals(machine.plan.net.output))


def record_totals(recorder: Recorder, machine: Machine) -> None:
    """Record what a machine has counted since it was last told to count anew."""
    recorder.add_events(machine.events())
    recorder.add_saturations(machine.saturations())
    for name in machine.plan.net.neurons:
        recorder.add_totals(name, machine.totals(name), *machine.extremes(name))


BLOCKS, MOST_CHAINS = 16, 64
"""Blocks that are run without a way back into Python; how many such runs a machine remembers."""


class Machine:
    """One worker of a plan: its memory, and what it does with it.

    Attributes:
        plan: what it runs.
        worker: its memory.
        block: the most steps that it runs at once.
        steps: of the block that was run last.
        ran: steps that the present samples have run.
    """

    def __init__(self, planned: Plan, samples: int, steps: int, kept: Iterable[str]) -> None:
        self.plan = planned
        self.block = self._block(planned, samples, steps)
        self.worker = worker = Worker(samples, self.block)
        worker.arrays = {buffer: buffer.room(samples, self.block) for buffer in planned.buffers}
        rooms = {
            name: (samples if name == planned.net.output else 1, 3, planned.row(name))
            for name in planned.states
        }
        self._counted = np.zeros(sum(map(math.prod, rooms.values())), np.int64)
        self._lost = np.zeros((len(rooms), samples), np.int64)
        first = 0
        for place, (name, (dtype, together, each)) in enumerate(planned.states.items()):
            row, last = planned.row(name), first + math.prod(rooms[name])
            worker.states[name] = aligned(together + samples * each, dtype)
            worker.totals[name] = totals = self._counted[first:last].reshape(rooms[name])
            totals[:, 1], totals[:, 2] = -LEAST - 1, LEAST
            worker.saturations[name], first = self._lost[place], last
            worker.membranes[name] = np.zeros(
                (samples, self.block, row) if name in kept else 0, np.int32
            )
        self._not_counted = self._counted.copy()
        self._totals = {
            name: shaped(totals[:, 0], planned.spikes[name])
            for name, totals in worker.totals.items()
        }
        self._reached = {
            name: (totals[:, 1, :size], totals[:, 2, :size])
            for name, totals in worker.totals.items()
            for size in [planned.spikes[name].size]
        }
        self.steps = self.ran = 0
        self._intake = Intake(planned.net, planned.input, worker.arrays[planned.input])
        self._keeping = [Keep(buffer) for buffer in planned.buffers if buffer.past]
        past = [worker.arrays[keep.into][:, : keep.into.past] for keep in self._keeping]
        self._begun = [*worker.states.values(), *past, worker.totals[planned.net.output][:, 0]]
        self._chains: dict[tuple[Any, ...], calls.Chain] = {}
        self._ops = [*planned.before, *(op for stage in planned.stages for op in stage.ops)]
        self.count_anew()

    @staticmethod
    def _block(planned: Plan, samples: int, steps: int) -> int:
        fitting = BLOCK_BYTES // (_step_bytes(planned) * samples)
        looping = sum(len(stage.ops) for stage in planned.stages if stage.loops)
        most = MOST_CALLS // (4 * looping) if looping else MOST_STEPS  # all are remembered
        return max(1, min(steps, max(LEAST_STEPS, min(fitting, most, MOST_STEPS))))

    def begin(self, samples: int) -> None:
        """Start `samples` new samples: every state is 0, and so are the output's counts."""
        self.worker.count, self.ran, self.steps = samples, 0, 0
        for state in self._begun:
            state.fill(0)

    def count_anew(self) -> None:
        """Forget what was counted; the states stay as they are."""
        self._intake.events.fill(0)
        self._lost.fill(0)
        np.copyto(self._counted, self._not_counted)

    def run(self, x: Images, steps: int, start: int = 0, *, apart: bool) -> Iterator[int]:
        """Run steps of inputs.

        Args:
            x: contiguous inputs `[N, steps, *shape]`, of one step if they are held.
            steps: to run.
            start: the first sample.
            apart: whether `spikes` and `membranes` are read of every block.

        Yields:
            The first step of each block that was run, or of some together; `spikes` and
            `membranes` are those of the last one until the next is run.

        Raises:
            FileRefused: when there are values that the network's input does not take.
            NotMappable: when a neuron fires more than 255 times in a step.
        """
        self._intake.begin(x, start)
        first = 0
        while first < steps:
            left = -(-(steps - first) // self.block)
            blocks = [self.block] * (1 if apart else min(left, BLOCKS))
            blocks[-1] = min(self.block, steps - first - self.block * (len(blocks) - 1))
            self._chain(tuple(blocks))()
            self._intake.refuse()
            for op in self._ops:
                op.refuse(self.worker)
            self.steps, self.ran = blocks[-1], self.ran + sum(blocks)
            yield first
            first += sum(blocks)

    def end(self) -> None:
        """Let go of the inputs that were run."""
        self._intake.end()

    def _chain(self, blocks: tuple[int, ...]) -> calls.Chain:
        """Return what runs blocks of so many steps."""
        key = (self.ran == 0, self.steps, blocks, self.worker.count)
        if key not in self._chains:
            if len(self._chains) >= MOST_CHAINS:
                self._chains.clear()
            self._chains[key] = calls.Chain(list(self._calls(blocks)))
        return self._chains[key]

    def _calls(self, blocks: tuple[int, ...]) -> Iterator[calls.Call]:
        worker, held, before = self.worker, self.plan.held, self.steps
        if held and self.ran == 0:
            yield self._intake.work(worker.count, 1)
            for op in self.plan.before:
                yield from op.work(worker, 0, 1).calls
        for steps in blocks:
            if before:
                for keep in self._keeping:
                    yield from keep.work(worker, 0, before).calls
            if not held:
                yield self._intake.work(worker.count, steps)
            yield from works(self.plan.stages, worker, steps)
            before = steps

    # ---------------------------------------------------------------- what came out
    def spikes(self, name: str) -> npt.NDArray[np.uint8]:
        """Spikes or counts of a layer in the block, `[samples, steps, *shape]`."""
        buffer = self.plan.spikes[name]
        steps = slice(buffer.present, buffer.present + self.steps)
        rows = self.worker.arrays[buffer][: self.worker.count, steps]
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
        """Return how often each element of the input was not 0 since the last counting anew."""
        events = self._intake.events
        return events * self.ran if self.plan.held else events

    def totals(self, name: str) -> Int64:
        """Return how often each neuron spiked since the last count, `[samples, *shape]`.

        Spikes of the output are those of the present samples; other layers' are of all samples
        together, `[1, *shape]`.
        """
        return self._totals[name][: self.worker.count]

    def extremes(self, name: str) -> tuple[int, int]:
        """Return the lowest and the highest membrane of a layer since the last count."""
        lowest, highest = self._reached[name]
        return int(lowest.min()), int(highest.max())

    def saturations(self) -> dict[str, int]:
        """Return how often each layer saturated since the last count."""
        return dict(zip(self.worker.saturations, self._lost.sum(axis=1).tolist(), strict=True))


def shaped(rows: npt.NDArray[Any], buffer: Buffer) -> npt.NDArray[Any]:
    """Rows of elements, channels last and padded, as values of the node's own shape."""
    channels, *rest = buffer.shape
    lead, last = rows.ndim - 1, rows.ndim - 1 + len(rest)
    values = rows[..., : buffer.size].reshape(*rows.shape[:-1], *rest, channels)
    return values.transpose(*range(lead), last, *range(lead, last))
