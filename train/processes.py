"""The processes that train one network together, each with its part of every batch.

All of them have the whole network and the same random numbers. A process runs its part of a batch;
the outputs of all parts are put together, so that every process has the loss of the whole batch,
whatever that does with its samples. The gradients of the parts are added up, and every process
takes the same step: nothing but the order of float sums is another than in one process.

torch's DistributedDataParallel is not used. It takes the mean of the processes' gradients, which
with parts of different sizes is that of no batch, it wants the forward pass to go through its own
wrapper, and it buckets the parameters that learn once for all; here delays learn in every fourth
batch, and until they are whole.

One process, which no launcher has started, is alone: nothing here does anything then.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lehr.errors import ToolMissing, UsageError
from lehr.launched import ADDRESS, Ended, Launched

Result = TypeVar("Result")
_MEETINGS = itertools.count()


@contextmanager
def joined(process: Launched, device: str) -> Iterator[None]:
    """Let this process train together with the others that a launcher has started.

    Args:
        process: this one.
        device: on which it trains, as a recipe has it.

    Raises:
        UsageError: when the processes cannot meet, or there are fewer GPUs than processes here.
        ToolMissing: when torch is built without what they meet by.
        Ended: when another process is ended.
    """
    if process.count == 1 or _have_met():
        yield
        return
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        _take_gpu(process.local_rank)
    _meet(process, "cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        with process.ended_in_words():
            yield
    except BaseException:
        # while the others wait for this process: once it is gone, each of them fails as well
        process.fail()
        raise
    dist.destroy_process_group()


def _take_gpu(number: int) -> None:
    """Let this process have the GPU of its number on this machine."""
    if number >= (there := torch.cuda.device_count()):
        raise UsageError(
            f"this machine has {there} GPUs for {number + 1} processes or more; start as many as "
            "there are GPUs, or set train.device to cpu"
        )
    torch.cuda.set_device(number)


def _meet(process: Launched, backend: str) -> None:
    if not dist.is_available():
        raise ToolMissing(
            "this torch is built without torch.distributed; train in one process, or install "
            "another torch"
        )
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    try:
        shared, _, _ = next(rendezvous("env://"))
        # a script may train more than once, and what is left of a meeting is none of the next
        process.store = PrefixStore(f"lehr/{next(_MEETINGS)}", shared)
        dist.init_process_group(
            backend, store=process.store, rank=process.rank, world_size=process.count
        )
    except (RuntimeError, ValueError) as error:
        where = ":".join(os.environ[name] for name in ADDRESS)
        raise UsageError(
            f"the {process.count} processes of this training do not meet at {where} "
            f"({str(error).splitlines()[0]}); start all of them with torchrun"
        ) from None


def count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _have_met() else 1


def _have_met() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Return the number of this one, from 0."""
    return dist.get_rank() if _have_met() else 0


def first() -> bool:
    """Whether this process is the one that writes files."""
    return rank() == 0


@dataclass(frozen=True)
class Part:
    """The samples of a batch that this process computes.

    Attributes:
        sizes: how many samples each process has, which differ by one at most; some have none where
            there are more processes than samples.
    """

    sizes: tuple[int, ...]

    @classmethod
    def of(cls, samples: int) -> Part:
        """Divide a batch of so many samples among all processes."""
        each, more = divmod(samples, count())
        return cls(tuple(each + (number < more) for number in range(count())))

    @property
    def mine(self) -> slice:
        """Those of this process."""
        start = sum(self.sizes[: rank()])
        return slice(start, start + self.sizes[rank()])

    @property
    def samples(self) -> int:
        """How many the batch has."""
        return sum(self.sizes)

    def whole(self, mine: Tensor, dim: int = 1) -> Tensor:
        """Return the batch's values of all processes.

        Gradients reach those of this process. As every process has the same whole, and computes the
        same of it, the others' reach them there.

        Args:
            mine: those of this process, samples along `dim`.
            dim: an axis.
        """
        if len(self.sizes) == 1:
            return mine
        along = mine.detach().movedim(dim, 0)
        room = along.new_zeros(max(self.sizes), *along.shape[1:])
        room[: len(along)] = along
        parts = [
            each[:size].movedim(0, dim)
            for each, size in zip(gathered(room), self.sizes, strict=True)
        ]
        parts[rank()] = mine
        return torch.cat(parts, dim)

    def mean(self, mine: Tensor) -> Tensor:
        """Return the mean of the batch's values of all processes, a scalar, likewise.

        Args:
            mine: those of this process, `[T, N, ...]`.
        """
        if len(self.sizes) == 1:
            return mine.mean()
        one_each = Part((1,) * len(self.sizes))
        values = len(mine) * self.samples * mine.shape[2:].numel()
        return one_each.whole(mine.sum()[None], 0).sum() / values


def gathered(mine: Tensor) -> list[Tensor]:
    """Return the tensors of all processes, which have one shape, in the processes' order."""
    parts = [torch.empty_like(mine, memory_format=torch.contiguous_format) for _ in range(count())]
    _together(lambda: dist.all_gather(parts, mine.contiguous()))
    return parts


def summed(mine: Tensor) -> Tensor:
    """Return the sum of the tensors of all processes, the same bits in each."""
    if count() == 1:
        return mine
    whole = mine.detach().clone(memory_format=torch.contiguous_format)
    _together(lambda: dist.all_reduce(whole))
    return whole


def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up the gradients of all processes, in place."""
    if count() == 1:
        return
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    whole = summed(torch.cat([grad.flatten() for grad in grads]))
    for grad, each in zip(grads, whole.split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(each.view_as(grad))


def once(value: Tensor) -> Tensor:
    """Return what every process computes of the same weights; its gradient is added up once."""
    if count() > 1 and value.requires_grad:
        value.register_hook(lambda gradient: gradient / count())
    return value


def of_first(value: float) -> float:
    """Return the first process's value, by which all decide alike."""
    return float(summed(torch.tensor(value if first() else 0.0, dtype=torch.float64)))


def dealt(batches: int) -> range:
    """Return which of so many batches this process evaluates: all of it where it is alone."""
    return range(rank(), batches, count())


def others_than_first(digest: bytes) -> list[int]:
    """Return the processes that have another digest, of the same length, than the first one."""
    if count() == 1:
        return []
    first_one, *others = gathered(torch.frombuffer(bytearray(digest), dtype=torch.uint8))
    return [number for number, each in enumerate(others, start=1) if not each.equal(first_one)]


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """Let the first process do something, and then the others, which find it done."""
    if not first():
        wait_for_all()
    yield
    if first():
        wait_for_all()


def wait_for_all() -> None:
    """Wait until all processes are here."""
    if count() > 1:
        summed(torch.zeros(1))


def _together(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except RuntimeError as error:  # what gloo and NCCL raise where a process is gone
        raise Ended from error
