"""A network of Brevitas on MNIST, from training to a C program, with its accuracy at each station.

It needs Brevitas, a C compiler and make, and MNIST's four official .gz files in a folder.

python examples/brevitas_mnist.py data/mnist -o out --train-count 10000 --test-count 1000

Weights have 4 bits and one scale an output. All stations see the same test images; the last two
agree on every one of them.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import brevitas.nn as qnn  # pyright: ignore[reportMissingImports]  # comes with no extra
import numpy as np
import snntorch as snn
import torch
import typer
from brevitas.quant import Int8WeightPerChannelFloat  # pyright: ignore[reportMissingImports]
from snntorch import surrogate
from torch import Tensor, nn

import lehr

STEPS, BATCH = 8, 64


class Weights(Int8WeightPerChannelFloat):  # type: ignore[misc]
    """Integers from -7 to 7, with a scale for each output."""

    bit_width = 4


def quantized(inputs: int, outputs: int) -> Any:
    """Return a layer with weights of 4 bits."""
    return qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=Weights)


def floating(inputs: int, outputs: int) -> Any:
    """Return the same layer with real weights."""
    return nn.Linear(inputs, outputs, bias=False)


def network(linear: Callable[[int, int], Any]) -> nn.Sequential:
    """Return one time step of two layers and their neurons, which keep their state."""
    neuron: Any = {"beta": 0.5, "spike_grad": surrogate.atan(), "init_hidden": True}
    first, second = linear(28 * 28, 128), linear(128, 10)
    return nn.Sequential(nn.Flatten(), first, snn.Leaky(**neuron), second, snn.Leaky(**neuron))


def rates(net: nn.Sequential, images: Tensor) -> Tensor:
    """Return how often each output fires in a step, while an image is held."""
    for layer in net:
        if isinstance(layer, snn.Leaky):
            layer.reset_mem()
    return torch.stack([net(images) for _ in range(STEPS)]).mean(0)


def train(net: nn.Sequential, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Train by a surrogate gradient."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(10 * rates(net, images[batch]), labels[batch])
            loss.backward()
            optimizer.step()


def accuracy(net: nn.Sequential, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that the most frequent output names."""
    with torch.no_grad():
        decided = rates(net.eval(), images).argmax(1)
    return float((decided == labels).double().mean())


def mnist(folder: Path, part: str, count: int) -> tuple[Any, Any]:
    """Read the first images, uint8 `[N, 28, 28]`, and their labels."""
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels[:count], np.frombuffer(labels, np.uint8, offset=8)[:count].astype(np.int64)


def main(
    folder: Path,
    output: Annotated[Path, typer.Option("-o", "--output")],
    train_count: int = 10_000,
    test_count: int = 1_000,
    epochs: int = 3,
) -> None:
    """Train on the images in FOLDER, and print the accuracy of each station on the test images."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # with another number, sums come out in another order
    x, y = mnist(folder, "train", train_count)
    seen, named = torch.tensor(x).float() / 255, torch.tensor(y)
    x, y = mnist(folder, "t10k", test_count)
    images, labels = torch.tensor(x).float() / 255, torch.tensor(y)

    real = network(floating)
    train(real, seen, named, epochs)
    print(f"float weights        {accuracy(real, images, labels):.2%}")

    net = network(quantized)
    for layer in (1, 3):
        net.get_submodule(str(layer)).load_state_dict(real[layer].state_dict(), strict=False)
    train(net, seen, named, 1)
    print(f"Brevitas, 4 bits     {accuracy(net, images, labels):.2%}")

    exported = lehr.export(net, None, x, steps=STEPS, full_scale=255, error=0.001)
    result = lehr.simulate(exported, x)
    differ = sum(exported.differ.values())
    print(f"integer network      {result.accuracy(y):.2%}", end="   ")
    print(f"{differ:,} of {exported.values:,} spikes differ from Brevitas' in double precision")

    lehr.build(exported, "c", output, x=x)
    lehr.verify(output).require()
    program = lehr.simulate(exported, x, engine="c")
    print(f"C program            {program.accuracy(y):.2%}", end="   ")
    print(f"{int((program.counts != result.counts).sum())} of {result.counts.size} counts differ")


if __name__ == "__main__":
    typer.run(main)
