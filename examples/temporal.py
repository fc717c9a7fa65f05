"""The temporal task of Eshraghian & Lu 2022: thresholds of 1 are too coarse for it, thresholds of 50 are dead, annealed ones learn.

python examples/temporal.py [SEED]

A fixed Poisson input drives a binarized 100-1000-1 network, whose output membrane is to rise along a ramp that crosses the threshold at
step 75, and to be 0 afterwards. The loss is the mean square distance from the ramp, printed in squares of the ramp's top.
"""

import sys
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lehr.train import lif
from lehr.train.anneal import Annealer
from lehr.train.layers import QuantizedLinear
from lehr.train.quantize import Signs
from lehr.train.rates import firing_rates
from lehr.train.recipe import Training, nearest_dyadic
from lehr.train.threshold import Threshold

INPUTS, HIDDEN, STEPS, SPIKE = 100, 1000, 100, 75
BETA, SLOPE = float(nearest_dyadic(0.15)), 5.0
TOP = 1.1  # of the ramp, in thresholds
TRAINING = Training(epochs=1, batch_size=1, lr=1e-3, optimizer="sgd", momentum=0.9)
ARMS = {
    "threshold 1": Threshold(start=1.0),
    "threshold 50": Threshold(start=50.0),
    "annealed, 5 to 50": Threshold(start=5.0, final=50.0, rate=5e-3),
}


class Net(nn.Module):
    """Two layers of binarized weights, a bias per neuron and one threshold a layer."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.weights = nn.ModuleList([QuantizedLinear(Signs(), INPUTS, HIDDEN), QuantizedLinear(Signs(), HIDDEN, 1)])
        self.biases = nn.ParameterList([torch.zeros(HIDDEN), torch.zeros(1)])
        self.thresholds = [torch.tensor(start), torch.tensor(start)]
        for weight in self.weights.parameters():
            nn.init.uniform_(weight, -((1.5 / sum(weight.shape)) ** 0.5), (1.5 / sum(weight.shape)) ** 0.5)  # the paper's own

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Spikes of both layers and the output's membrane, each [T, 1, neurons], for input spikes [T, 1, 100]."""
        spikes, membrane = [], x
        for weight, bias, threshold in zip(self.weights, self.biases, self.thresholds, strict=True):
            x, membrane = lif.scan(weight(x), threshold, bias, lif.float_rule(BETA, SLOPE, x.dtype), STEPS)
            spikes.append(x)
        return spikes, membrane


@dataclass
class History:
    """By iteration: the loss, the hidden layer's firing rate, and the steps at which the output fired."""

    loss: list[float] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)
    fired: list[list[int]] = field(default_factory=list)

    def timed(self) -> int:
        """Iterations after which the output fired once alone, within 5 steps of where the ramp peaks."""
        return sum(len(steps) == 1 and abs(steps[0] - SPIKE) <= 5 for steps in self.fired)


def train(told: Threshold, seed: int = 0, iterations: int = 1000) -> History:
    """Train one arm."""
    torch.manual_seed(seed)
    x = torch.bernoulli(torch.rand(STEPS, 1, INPUTS))
    net, history = Net(told.start), History()
    top = TOP * (told.final or told.start)
    step = torch.arange(STEPS)
    ramp = torch.where(step <= SPIKE, top * step / SPIKE, 0.0).view(STEPS, 1, 1)
    optimizer = torch.optim.SGD(net.parameters(), TRAINING.lr, TRAINING.momentum)
    annealer = Annealer(net.thresholds, [told, told], TRAINING, iterations, outputs=1)
    for _ in range(iterations):
        optimizer.zero_grad()
        spikes, membrane = net(x)
        loss = nn.functional.mse_loss(membrane, ramp)
        loss.backward()
        optimizer.step()
        rates = firing_rates(spikes)
        annealer.step(rates)
        history.loss.append(float(loss.detach()) / top**2)
        history.hidden.append(rates[0])
        history.fired.append(spikes[-1].detach().flatten().nonzero().flatten().tolist())
    return history


if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    for arm, told in ARMS.items():
        history = train(told, seed)
        print(f"{arm}: lowest loss {min(history.loss):.3f}, last {history.loss[-1]:.3f}, hidden rate {history.hidden[-1]:.4f}")
        print(f"  one spike within 5 steps of {SPIKE} in {history.timed()} iterations of {len(history.fired)}")
        for iteration in (100, 500, 1000):
            print(f"  iteration {iteration}: output fires at {history.fired[iteration - 1] or 'no step'}")
