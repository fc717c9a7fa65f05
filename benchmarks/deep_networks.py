"""VGG-11 and ResNet-19 as users of snnTorch write them, for images of 3x32x32.

A call runs one time step; neurons keep their states. Weights are signs, as in networks that are
trained binarized. `lehr export benchmarks/deep_networks.py:vgg11` takes the one that
`write_trained` has put into the current folder.

Sources of the layers and their widths:
    VGG-11: Simonyan & Zisserman 2015, arXiv:1409.1556, Table 1, column A, with batch norm; one
        classifier of 512 to 10 in place of three, as is usual for images of 32x32.
    ResNet-19: Zheng, Wu, Deng, Hu & Li 2021, "Going deeper with directly-trained larger spiking
        neural networks", arXiv:2011.05280: 128, 256 and 512 channels in 3, 3 and 2 blocks, then
        256 and 10 neurons.
    Spikes are added behind the neurons of a block, SEW-ADD: Fang, Yu, Chen, Huang, Masquelier &
        Tian 2021, "Deep residual learning in spiking neural networks", arXiv:2102.04159.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import snntorch as snn
import torch
from snntorch import utils
from torch import Tensor, nn
from torch.nn import functional

STEPS = 4
VGG = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
RESNET = ((128, 3, 1), (256, 3, 2), (512, 2, 2))
"""Channels, blocks, and stride of the first of them."""


class SignConv2d(nn.Conv2d):
    """Convolution with the signs of its weights, and no bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Run it."""
        return functional.conv2d(input, torch.sign(self.weight), None, self.stride, self.padding)


class SignLinear(nn.Linear):
    """Dense layer with the signs of its weights, and no bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Run it."""
        return functional.linear(input, torch.sign(self.weight))


def leaky() -> Any:
    """Return neurons."""
    return snn.Leaky(beta=0.5, threshold=1.0, init_hidden=True)


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """Return a convolution, its batch norm and its neurons."""
    return [SignConv2d(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs), leaky()]


def dense(inputs: int, outputs: int) -> list[nn.Module]:
    """Return a dense layer, its batch norm and its neurons."""
    return [SignLinear(inputs, outputs), nn.BatchNorm1d(outputs), leaky()]


def make_vgg11(share: int = 1) -> nn.Module:
    """Return an untrained VGG-11 with 1/share of the channels, and classes for 10."""
    layers, before = list[nn.Module](), 3
    for channels in VGG:
        if isinstance(channels, str):
            layers.append(nn.MaxPool2d(2))
        else:
            layers += convolution(before, channels // share)
            before = channels // share
    return nn.Sequential(*layers, nn.Flatten(), *dense(before, 10))


class Block(nn.Module):
    """Two convolutions, and the sum of their spikes and those that came."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(*convolution(inputs, outputs, stride=stride))
        self.second = nn.Sequential(*convolution(outputs, outputs))
        self.down: nn.Module = nn.Identity()
        if inputs != outputs:
            self.down = nn.Sequential(*convolution(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Run one step."""
        added: Tensor = self.second(self.first(x)) + self.down(x)
        return added


def make_resnet19(share: int = 1) -> nn.Module:
    """Return an untrained ResNet-19 with 1/share of the channels, and classes for 10."""
    before = RESNET[0][0] // share
    layers = convolution(3, before)
    for channels, blocks, stride in RESNET:
        for number in range(blocks):
            layers.append(Block(before, channels // share, 1 if number else stride))
            before = channels // share
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *dense(before, 256 // share), *dense(256 // share, 10))


MADE: Mapping[str, Any] = {"vgg11": make_vgg11, "resnet19": make_resnet19}
"""The networks by the name of the function that loads them."""


def images(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw images of 3x32x32: coarse squares, and fine noise on them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
    noise = rng.integers(-32, 33, (count, 3, 32, 32))
    drawn: npt.NDArray[np.uint8] = np.clip(coarse + noise, 0, 255).astype(np.uint8)
    return drawn


def trained(name: str, share: int = 1, seed: int = 1) -> nn.Module:
    """Return a network with random weights, and batch norm that has seen two batches.

    It fires in every layer, as a trained one does.
    """
    torch.manual_seed(seed)
    model: nn.Module = MADE[name](share)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None  # the mean of all that it has seen
    with torch.no_grad():
        for batch in range(2):
            utils.reset(model)
            x = torch.from_numpy(images(4, 100 + batch)).float() / 255
            for _ in range(STEPS):
                model(x)
    return model.eval()


def write_trained(name: str, folder: Path) -> int:
    """Put a trained network's state into a folder, and return how many parameters it has."""
    model = trained(name)
    torch.save(model.state_dict(), folder / f"{name}.pt")
    return sum(values.numel() for values in model.parameters())


def vgg11() -> nn.Module:
    """Return the trained VGG-11 of the current folder."""
    return _loaded("vgg11")


def resnet19() -> nn.Module:
    """Return the trained ResNet-19 of the current folder."""
    return _loaded("resnet19")


def _loaded(name: str) -> nn.Module:
    model: nn.Module = MADE[name]()
    model.load_state_dict(torch.load(f"{name}.pt"))
    return model
