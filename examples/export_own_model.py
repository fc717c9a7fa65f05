"""Export a snnTorch model of one's own, one time step long, with `lehr export`.

Run as a script, this writes the images to compare it on.

python examples/export_own_model.py in.npz
lehr export examples/export_own_model.py:trained -i in.npz --steps 8 --full-scale 16 -o model.nir
lehr simulate model.nir -i in.npz

Its numbers are such that integers hold them all: +-1 weights, whole thresholds, no bias, a leak
that is a small binary fraction.
"""

from pathlib import Path
from typing import Any

import numpy as np
import snntorch as snn
import torch
import typer
from sklearn.datasets import load_digits
from snntorch import surrogate
from torch import nn

from lehr.train import Threshold, ThresholdAnnealer, binarize

STEPS, BATCH, EPOCHS = 8, 64, 5


def trained() -> nn.Module:
    """Return two binarized layers, trained on 1,497 digits for a few seconds."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # with another number, sums come out in another order
    slope: Any = 0.25  # snnTorch's hint is narrower
    options = {"beta": 0.5, "spike_grad": surrogate.fast_sigmoid(slope=slope), "init_hidden": True}
    layers = (
        nn.Linear(64, 128, bias=False),
        snn.Leaky(**options),
        nn.Dropout(0.1),
        nn.Linear(128, 10, bias=False),
        snn.Leaky(**options),
    )
    hidden, output = (
        Threshold(start=1.0, schedule="linear", final=6.0),
        Threshold(start=2.0, schedule="linear", final=16.0),
    )
    net = binarize(nn.Sequential(nn.Flatten(), *layers), thresholds={"2": hidden, "5": output})

    images, labels = (torch.tensor(each[:1497]) for each in load_digits(return_X_y=True))
    annealer = ThresholdAnnealer(net, batches=EPOCHS * -(-len(images) // BATCH))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            for neuron in (module for module in net.modules() if isinstance(module, snn.Leaky)):
                neuron.reset_mem()
            rates = torch.stack([net(images[batch].float() / 16) for _ in range(STEPS)]).mean(0)
            optimizer.zero_grad()
            nn.functional.cross_entropy(10 * rates, labels[batch]).backward()
            optimizer.step()
            annealer.step()
    return net


def main(samples: Path) -> None:
    """Write the images to compare on into SAMPLES (.npz)."""
    digits, classes = load_digits(return_X_y=True)
    np.savez(samples, input=digits[1497:].reshape(-1, 8, 8).astype(np.uint8), labels=classes[1497:])


if __name__ == "__main__":
    typer.run(main)
