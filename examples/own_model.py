"""Binarize a model of one's own, written with snnTorch, and anneal its thresholds in training.

python examples/own_model.py [EPOCHS]
"""

from typing import Annotated

import snntorch as snn
import torch
import typer
from sklearn.datasets import load_digits
from snntorch import surrogate
from torch import Tensor, nn

from lehr.train import Threshold, ThresholdAnnealer, binarize

STEPS, BATCH = 10, 64


class Net(nn.Module):
    """A convolution, a hidden layer, an output; nothing in it knows of lehr."""

    def __init__(self) -> None:
        super().__init__()
        gradient = surrogate.fast_sigmoid(slope=2)
        self.conv, self.pool, self.norm1 = (
            nn.Conv2d(1, 32, 3, padding=1),
            nn.AvgPool2d(2),
            nn.BatchNorm2d(32),
        )
        self.lif1 = snn.Leaky(beta=0.75, spike_grad=gradient)
        self.fc, self.norm2 = nn.Linear(512, 10), nn.BatchNorm1d(10)
        self.lif2 = snn.Leaky(beta=0.75, spike_grad=gradient)

    def forward(self, x: Tensor) -> Tensor:
        """Output spikes [T, N, 10] for images [N, 1, 8, 8], held for all steps."""
        mem1, mem2, spikes = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        current = self.norm1(self.pool(self.conv(x)))
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(current, mem1)
            spk2, mem2 = self.lif2(self.norm2(self.fc(spk1.flatten(1))), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


def accuracy(net: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Return the share of images whose own class fires most."""
    net.eval()
    with torch.no_grad():
        return float((net(x).sum(0).argmax(1) == labels).float().mean())


def train(
    net: nn.Module,
    x: Tensor,
    labels: Tensor,
    epochs: int,
    annealer: ThresholdAnnealer | None,
) -> None:
    """Train in the usual loop.

    Binarized weights ask for the annealer's step after the optimizer's, and for nothing else.
    """
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        net.train()
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            rates = net(x[batch]).mean(0)
            wanted = 0.2 + 0.6 * nn.functional.one_hot(labels[batch], 10)
            nn.functional.mse_loss(rates, wanted).backward()
            optimizer.step()
            if annealer:
                annealer.step()
        cosine.step()


def main(epochs: Annotated[int, typer.Argument()] = 10) -> None:
    """Train for some epochs and print the accuracies before and after."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # with another number, sums come out in another order
    images, targets = load_digits(return_X_y=True)
    x, labels = (
        torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16,
        torch.tensor(targets),
    )
    x, labels, test_x, test_labels = x[:1497], labels[:1497], x[1497:], labels[1497:]

    model = Net()
    train(model, x, labels, epochs, None)
    print(f"float weights: {accuracy(model, test_x, test_labels):.1%}")

    net = binarize(model, thresholds=Threshold(start=0.5, schedule="linear", final=1.0))
    print(f"binarized, not yet trained: {accuracy(net, test_x, test_labels):.1%}")
    annealer = ThresholdAnnealer(net, batches=epochs * -(-len(x) // BATCH))
    train(net, x, labels, epochs, annealer)
    print(f"binarized and annealed: {accuracy(net, test_x, test_labels):.1%}")
    print(f"firing rates in the last batch: {annealer.rates}")


if __name__ == "__main__":
    typer.run(main)
