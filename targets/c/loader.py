"""A network in C, compiled by this machine's compiler and called from Python on numpy arrays."""

from __future__ import annotations

import ctypes
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr.arithmetic import Int64
from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.network import Network
from lehr.simulate.result import Membranes, Recorder, Result, Spikes, check_input, input_events
from lehr.targets.c.compiler import call, compiler, require
from lehr.targets.c.render import LIBRARY, TEMPLATES
from lehr.targets.c.target import C
from lehr.targets.replanned import replan

BRIDGE = "bridge.c"
Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Step:
    """Spikes and membranes of a step, of every neuron layer by its name, `[*shape]`."""

    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, Membranes]


def load(source: Path | Network) -> Model:
    """Compile the C library of a network and load it.

    Of a folder, which may be anybody's, what is compiled is what lehr itself makes of the network
    and the options in it; the folder's own code must be that, byte for byte.

    Args:
        source: a folder that `lehr build --target c` wrote, or a network.

    Raises:
        ToolMissing: when there is no C compiler, or what it makes does not load.
        NotMappable: when the network does not map to C.
        UsageError: when the folder is no artefact of target c.
        FileRefused: when the folder is no whole artefact, or its C code is not what lehr makes of
            its network.
        NotBitExact: when the code does not compile.
    """
    require()
    if isinstance(source, Network):
        C().require_mappable(source)
        net, files = source, C().plan(source, {}).files
    else:
        again = replan(source)
        if again.target.name != C.name:
            raise UsageError(
                f"{source} was built for target {again.target.name}; give a folder that 'lehr "
                "build --target c' made"
            )
        net, files = again.net, again.plan.files
    with tempfile.TemporaryDirectory(prefix="lehr-c-") as scratch:
        work = Path(scratch)
        for name in LIBRARY:
            (work / name).write_bytes(files[name])
        shutil.copyfile(TEMPLATES / BRIDGE, work / BRIDGE)
        built = work / "model.so"
        call(
            [
                *compiler(),
                "-std=c99",
                "-O2",
                "-shared",
                "-fPIC",
                "-o",
                str(built),
                "lehr_model.c",
                BRIDGE,
            ],
            work,
            "does not compile",
        )
        try:
            library = ctypes.CDLL(str(built))  # the file may go once it is mapped
        except OSError as error:
            raise ToolMissing(
                f"what {compiler()[0]} made does not load ({error}); let TMPDIR be where programs "
                "may run"
            ) from None
    return Model(net, library)


class Model:
    """Compiled network and a state of it.

    Methods are those of `lehr_model.h`; arrays go in and come out.

    Attributes:
        net: the network.
    """

    def __init__(self, net: Network, library: ctypes.CDLL) -> None:
        self.net = net
        self._library = library
        for name in ("bridge_state_bytes", "bridge_event_bytes", "lehr_prediction"):
            getattr(library, name).restype = ctypes.c_size_t
        library.lehr_score.restype = ctypes.c_int64
        # of int64, so that it is aligned
        self._memory = np.zeros(-(-library.bridge_state_bytes() // 8), np.int64)
        self._state = ctypes.c_void_p(self._memory.ctypes.data)
        self._sizes = np.array([math.prod(net.shapes[name]) for name in net.neurons], np.uintp)
        self._call("lehr_init")

    def instance(self) -> Model:
        """Another state of the same library, at its start: the two run side by side."""
        return Model(self.net, self._library)

    @property
    def state_bytes(self) -> int:
        """Size of the state on this machine."""
        return int(self._library.bridge_state_bytes())

    def reset(self) -> None:
        """Forget membranes, spikes, delay lines and scores."""
        self._call("lehr_reset")

    def step(self, x: Images) -> Step:
        """Compute a step with input `x`, uint8 `[*shape]`.

        Raises:
            FileRefused: when `x` is no input of one step.
        """
        if x.shape != self.net.input.shape:
            raise FileRefused(
                f"input has shape {list(x.shape)}, a step takes {list(self.net.input.shape)}; "
                "reshape it, or call run"
            )
        check_input(self.net, x[None])
        self._call("lehr_step", _pointer(np.ascontiguousarray(x)))
        return self._read()

    def step_events(self, index: npt.ArrayLike, value: npt.ArrayLike = 1) -> Step:
        """Compute a step with the inputs that are not 0: flat indices, ascending, and values.

        Raises:
            UsageError: when they are no integers, not ascending, out of range, or have values that
                the network does not take.
        """
        indices, values = np.asarray(index).reshape(-1), np.asarray(value).reshape(-1)
        if values.size not in (1, indices.size):
            raise UsageError(
                f"events have {indices.size:,} indices and {values.size:,} values; give one value "
                "for each, or for all"
            )
        for what, array in (("indices", indices), ("values", values)):
            if array.size and array.dtype.kind not in "iu":
                raise UsageError(
                    f"{what} of events have dtype {array.dtype}; convert them to integers"
                )
        size, highest = math.prod(self.net.input.shape), self.net.input.highest
        inside = bool(
            ((indices >= 0) & (indices < size) & (values >= 1) & (values <= highest)).all()
        )
        wide = np.uint16 if self._library.bridge_event_bytes() == 4 else np.uint32
        events = np.zeros(
            indices.size, np.dtype([("index", wide), ("value", np.uint8)], align=True)
        )
        if inside:
            events["index"], events["value"] = indices, values
        if not inside or not self._call(
            "lehr_step_events", _pointer(events), ctypes.c_size_t(indices.size)
        ):
            raise UsageError(
                f"events are no ascending indices below {size:,} with values from 1 to {highest}; "
                "sort them and drop doubles"
            )
        return self._read()

    def step_held(self) -> Step:
        """Compute a step with the input of the step before."""
        self._call("lehr_step_held")
        return self._read()

    @property
    def scores(self) -> Int64:
        """Scores that output neurons have gathered since the reset, int64 `[classes]`.

        They are spikes, or what the readout makes of the membrane.
        """
        classes = math.prod(self.net.shapes[self.net.output])
        return np.array(
            [self._call("lehr_score", ctypes.c_size_t(i)) for i in range(classes)], np.int64
        )

    @property
    def prediction(self) -> int:
        """The output neuron with the highest score, the lowest of them at a tie."""
        return int(self._call("lehr_prediction"))

    def run(self, x: Images, steps: int | None = None, trace: Iterable[str] = ()) -> Result:
        """Run samples one after another, each from a reset on.

        The result is the one of `lehr.simulate.simulate`, computed in C.

        Args:
            x: uint8 `[N, *shape]`, held for all steps, or `[N, T, *shape]`.
            steps: how many, if not all.
            trace: neuron layers whose spikes and membranes are kept.

        Raises:
            FileRefused: when `x` is no input of the network.
            UsageError: when a traced name is no neuron layer.
        """
        held, steps = check_input(self.net, x, steps)
        recorder = Recorder(self.net, len(x), steps, trace)
        recorder.add_events(input_events(x, held=held, steps=steps))
        for sample, given in enumerate(np.ascontiguousarray(x)):
            self.reset()
            outputs = self._outputs((steps,))
            self._call(
                "bridge_run",
                _pointer(given),
                int(held),
                ctypes.c_size_t(steps),
                *self._arrays(outputs),
            )
            spikes = {name: array[None] for name, array in outputs.spikes.items()}
            recorder.add_steps(
                sample, 0, spikes, {name: array[None] for name, array in outputs.membranes.items()}
            )
            counts = {name: fired.sum(axis=1, dtype=np.int64) for name, fired in spikes.items()}
            recorder.add_counts(sample, counts[self.net.output])
            for name, membranes in outputs.membranes.items():
                recorder.add_totals(name, counts[name], int(membranes.min()), int(membranes.max()))
        return recorder.result()

    def _call(self, name: str, *arguments: Any) -> Any:
        function: Callable[..., Any] = getattr(self._library, name)
        return function(self._state, *arguments)

    def _outputs(self, lead: tuple[int, ...]) -> Step:
        """Arrays for what steps do, with `lead` axes before the neurons'."""
        shapes = {name: (*lead, *self.net.shapes[name]) for name in self.net.neurons}
        return Step(
            {name: np.zeros(shape, np.uint8) for name, shape in shapes.items()},
            {name: np.zeros(shape, np.int32) for name, shape in shapes.items()},
        )

    def _arrays(self, outputs: Step) -> tuple[Any, ...]:
        """Return the sizes of layers and the arrays of `outputs`, as the bridge takes them."""
        pointers = ctypes.c_void_p * len(self._sizes)
        spikes, membranes = (
            pointers(*(a.ctypes.data for a in arrays.values()))
            for arrays in (outputs.spikes, outputs.membranes)
        )
        return _pointer(self._sizes), spikes, membranes

    def _read(self) -> Step:
        outputs = self._outputs(())
        self._call("bridge_read", *self._arrays(outputs))
        return outputs


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
