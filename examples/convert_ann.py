"""Convert an artificial neural network with ReLUs to a spiking one, with `lehr convert`.

Run as a script, this writes the images to calibrate on and those to test on.

python examples/convert_ann.py train.npz test.npz
lehr convert examples/convert_ann.py:trained --calibrate train.npz -i test.npz \
    --full-scale 16 -o spiking.nir
"""

from pathlib import Path

import numpy as np
import torch
import typer
from sklearn.datasets import load_digits
from torch import nn

TRAIN, BATCH, EPOCHS = 1497, 64, 12


def trained() -> nn.Module:
    """Return a small convolutional network, trained on 1,497 digits for some seconds."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # with another number, sums come out in another order
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )
    images, labels = (torch.tensor(each[:TRAIN]) for each in load_digits(return_X_y=True))
    images = images.reshape(-1, 1, 8, 8).float() / 16
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
    return net


def main(train: Path, test: Path) -> None:
    """Write the images to calibrate on into TRAIN, and those to test on into TEST (.npz)."""
    digits, classes = load_digits(return_X_y=True)
    images = digits.reshape(-1, 1, 8, 8).astype(np.uint8)
    np.savez(train, input=images[:TRAIN], labels=classes[:TRAIN])
    np.savez(test, input=images[TRAIN:], labels=classes[TRAIN:])


if __name__ == "__main__":
    typer.run(main)
