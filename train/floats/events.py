"""Weights summed up over spikes: what a convolution or a fully connected layer makes of its input.

Where the inputs are few spikes, `lehr.train.floats.event_kernels` adds up the weights of each; any
other input is multiplied by torch. For integer weights both are the same sums to the last bit.
"""

from __future__ import annotations

from functools import cache
from itertools import product, starmap
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from lehr.nodes import Pair
from lehr.train.floats import event_kernels as kernels
from lehr.train.floats.event_kernels import Ints, Window
from lehr.train.floats.input_kernels import LANES, Pooling, of_inputs
from lehr.train.floats.lif import room
from lehr.train.floats.pooling import pooled_kernel

Events = tuple[Ints, Ints]
"""Spikes, and where those of each place end, as `event_kernels.listed` fills them."""

DENSEST = 0.3
"""Share of inputs that spike from which on dense products are as fast, with one thread.

Those are shared out over threads; events are not.
"""

NARROWEST = 16
"""Output channels, as many as the smallest vector has lanes: fewer would leave it half empty."""

FEW_THREADS = 2
"""Up to which torch's gradient of the inputs of a pooled convolution takes longer than the loop."""

FEWEST = 256
"""Rows from which on it is worth while to lay out the weights anew."""


class Pool(NamedTuple):
    """Windows that the outputs of a convolution are summed up over, in rows and columns."""

    window: Pair = (1, 1)
    stride: Pair = (1, 1)


def convolved(
    x: Tensor,
    kernel: Tensor,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    pool: Pool = Pool(),  # noqa: B008
) -> Tensor:
    """Return what `torch.nn.functional.conv2d` and a sum over windows do, of integer weights.

    Args:
        x: `[N, in, H, W]`.
        kernel: `[out, in / groups, height, width]`; not dilated where there are windows.
        stride: of the kernel, in rows and columns, as are padding and dilation.
        padding: with zeros, on all sides.
        dilation: of the kernel.
        groups: of channels.
        pool: the windows.
    """
    steps = (stride[0] * pool.stride[0], stride[1] * pool.stride[1])
    if groups == 1 and dilation == (1, 1):
        shapes = (x.shape[2:], kernel.shape[2:], pool.window, stride, padding, steps)
        (high, out_y), (wide, out_x) = starmap(_extent, zip(*shapes, strict=True))
        sizes = (x.shape[1], x.shape[2], x.shape[3], high, wide)
        window = Window(*sizes, *steps, *padding, out_y, out_x)
        listed = _listed(x, window, len(kernel))
        if listed is not None:
            return _summed(x, kernel, listed, Pooling(*pool.window, *stride), window)
        if pool.window != (1, 1) and x.is_cpu and torch.get_num_threads() <= FEW_THREADS:
            product_of: Tensor = _Multiplied.apply(
                x, kernel, Pooling(*pool.window, *stride), window
            )  # type: ignore[no-untyped-call]
            return product_of
    whole = kernel if pool.window == (1, 1) else pooled_kernel(kernel, pool.window, stride)
    return functional.conv2d(x, whole, None, steps, padding, dilation, groups)


def _extent(size: int, side: int, window: int, by: int, padding: int, step: int) -> tuple[int, int]:
    """Return how large a pooled kernel is along an axis, and how many places it goes to."""
    whole = side + (window - 1) * by
    return whole, (size + 2 * padding - whole) // step + 1


def connected(x: Tensor, weight: Tensor) -> Tensor:
    """Return what `torch.nn.functional.linear` does, for weights `[out, in]` that are integers."""
    window = Window(x.shape[1], 1, 1, 1, 1, 1, 1, 0, 0, 1, 1)
    listed = _listed(x, window, len(weight))
    if listed is None:
        return functional.linear(x, weight)
    kernel = weight[..., None, None]
    return _summed(x[..., None, None], kernel, listed, Pooling(1, 1, 1, 1), window).flatten(1)


@cache
def _keys(channels: int, high: int, wide: int) -> tuple[Ints, Ints]:
    """Return place and key of every input of an image, as `event_kernels.listed` takes them."""
    channel, place = np.divmod(np.arange(channels * high * wide, dtype=np.int32), high * wide)
    return place, place % wide * channels + channel


def _listed(x: Tensor, window: Window, width: int) -> Events | None:
    """Return the spikes of inputs `[N, ...]`.

    None where dense products are better, or no others are possible.
    """
    if not x.is_cpu or width < NARROWEST or len(x) < FEWEST:
        return None
    place, key = _keys(window.channels, window.high, window.wide)
    rows = x.detach().contiguous().view(len(x), len(key)).numpy()
    events = np.empty(int(rows.size * DENSEST / torch.get_num_threads()), np.int32)
    ends = np.empty((len(rows), window.high * window.wide + 1), np.int32)
    count = kernels.listed(rows, place, key, events, ends)
    return None if count < 0 else (events[:count].copy(), ends)


def _summed(x: Tensor, kernel: Tensor, listed: Events, pooling: Pooling, window: Window) -> Tensor:
    summed: Tensor = _Summed.apply(x, kernel, listed, pooling, window)  # type: ignore[no-untyped-call]
    return summed


def _lanes(width: int) -> tuple[int, ...]:
    """Return what stands for 16, 32 or 64 lanes: as many as the output channels fill."""
    return (0,) * min(2, (width // NARROWEST).bit_length() - 1)


def _blocks(taps: Tensor, lanes: int) -> Tensor:
    """Return `[blocks, ..., lanes]` for `[..., channels]`, padded with zeros."""
    padded = functional.pad(taps, (0, -taps.shape[-1] % lanes))
    return padded.view(*taps.shape[:-1], -1, lanes).movedim(-2, 0).contiguous()


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, kernel: Tensor, listed: Events, pooling: Pooling, window: Window
    ) -> Tensor:
        lanes = _lanes(len(kernel))
        whole = pooled_kernel(kernel, pooling[:2], pooling[2:])
        blocks = _blocks(whole.permute(2, 3, 1, 0).flatten(0, 2), 16 << len(lanes))
        out = room(x, (len(x), len(kernel), window.out_y * window.out_x))
        kernels.forward(*listed, blocks.numpy(), out.numpy(), lanes, window)
        ctx.listed, ctx.pooling, ctx.window = listed, pooling, window
        ctx.save_for_backward(kernel)
        return out.view(*out.shape[:2], window.out_y, window.out_x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        given = (grad.contiguous(), kernel, ctx.pooling, ctx.window)
        return (
            _of_inputs(*given) if ctx.needs_input_grad[0] else None,
            _of_kernel(ctx.listed, *given) if ctx.needs_input_grad[1] else None,
            None,
            None,
            None,
        )


class _Multiplied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, pooling: Pooling, window: Window) -> Tensor:
        ctx.pooling, ctx.window = pooling, window
        ctx.save_for_backward(x, kernel)
        return functional.conv2d(
            x, pooled_kernel(kernel, pooling[:2], pooling[2:]), None, *_places(window)
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        grad, of_kernel, w = grad.contiguous(), None, ctx.window
        if ctx.needs_input_grad[1]:
            size = (*kernel.shape[:2], w.kernel_y, w.kernel_x)
            whole = conv2d_weight(x, size, grad, *_places(w))
            of_kernel = _unpooled(whole, kernel, ctx.pooling)
        of_x = _of_inputs(grad, kernel, ctx.pooling, w) if ctx.needs_input_grad[0] else None
        return of_x, of_kernel, None, None


def _places(w: Window) -> tuple[Pair, Pair]:
    """Return stride and padding as torch takes them."""
    return (w.step_y, w.step_x), (w.pad_y, w.pad_x)


def _of_inputs(grad: Tensor, kernel: Tensor, pooling: Pooling, w: Window) -> Tensor:
    """Return the gradient of the inputs."""
    size = (len(grad), w.channels, w.high, w.wide)
    if size[2:] == (1, 1):
        return (grad.flatten(1) @ kernel.flatten(1)).view(size)
    if pooling[:2] == (1, 1):
        of_x: Tensor = conv2d_input(size, kernel, grad, *_places(w))
        return of_x
    into = room(grad, (*size[:2], w.high * w.wide))
    blocks = _blocks(kernel.permute(2, 3, 0, 1), LANES)
    of_inputs(grad.flatten(2).numpy(), blocks.numpy(), into.numpy(), pooling, w)
    return into.view(size)


def _of_kernel(listed: Events, grad: Tensor, kernel: Tensor, pooling: Pooling, w: Window) -> Tensor:
    """Return the gradient of the kernel without pooling."""
    lanes, taps = _lanes(len(kernel)), w.kernel_y * w.kernel_x * w.channels
    lane = 16 << len(lanes)
    into = grad.new_zeros(-(-len(kernel) // lane), taps, lane)
    kernels.backward(*listed, grad.flatten(2).numpy(), into.numpy(), lanes, w)
    each = into.movedim(0, 1).reshape(w.kernel_y, w.kernel_x, w.channels, -1)[..., : len(kernel)]
    return _unpooled(each.permute(3, 2, 0, 1), kernel, pooling)


def _unpooled(whole: Tensor, kernel: Tensor, pooling: Pooling) -> Tensor:
    """Return the gradient of a kernel for that of the pooled one."""
    high, wide, step_y, step_x = pooling
    rows, columns = kernel.shape[2:]
    offsets = product(range(0, high * step_y, step_y), range(0, wide * step_x, step_x))
    return torch.stack([whole[:, :, y : y + rows, x : x + columns] for y, x in offsets]).sum(0)
