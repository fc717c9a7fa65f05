"""Recognize digits in one layer of neurons that update by event, as tinyODIN computes them.

    python examples/digits_by_event.py model.nir in.npz

Its integers are chosen by what they do there: lehr has no training for updates by event. The
weights begin as those of a logistic regression on the pixels; their scale in 4 bits and the
threshold are those with which the event network itself is right most often on the training samples.
A pixel of c is c events.
"""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression

from lehr import nirfile
from lehr.arithmetic import Arithmetic
from lehr.network import INPUT, OUTPUT, Flatten, Input, Linear, Network, Neuron
from lehr.simulate.engines import ENGINES
from lehr.train.data.digits import load_digits

STEPS = 8
MACHINE = Arithmetic(
    reset="zero", reset_timing="same_step", fires="ge", state_bits=12, update="event"
)


def networks(weights: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Iterator[Network]:
    """Networks with the same weights in other units, and with other thresholds."""
    for share, threshold in product((1.0, 0.7, 0.5), (200, 400, 800)):
        integers = np.clip(np.rint(weights * 7 / (share * np.abs(weights).max())), -7, 7).astype(
            np.int8
        )
        lif = Neuron(np.full(10, threshold, np.int32), np.zeros(10, np.int32), MACHINE)
        nodes = {"flat": Flatten(), "fc": Linear(integers, "int4"), "out": lif}
        yield Network(
            nodes, tuple(pairwise((INPUT, *nodes, OUTPUT))), Input((1, 8, 8), "u8"), STEPS
        )


def main(model: Path, samples: Path) -> None:
    """Write MODEL (.nir) and the test samples, SAMPLES (.npz)."""
    (images, labels), (_, cut) = load_digits()
    x = np.rint(images / (255 / 16)).astype(np.uint8)  # 0..16 again
    line = LogisticRegression(C=0.01, max_iter=1000, fit_intercept=False).fit(
        x[:cut].reshape(cut, -1), labels[:cut]
    )
    print(
        f"float, without neurons: {line.score(x[cut:].reshape(-1, 64), labels[cut:]):.4f} of "
        f"{len(x) - cut} test samples"
    )
    candidates = [
        (ENGINES["fast"](net, 1)(x[:cut], ()).accuracy(labels[:cut]), net)
        for net in networks(line.coef_)
    ]
    trained, net = max(candidates, key=lambda each: each[0])
    result = ENGINES["fast"](net, 1)(x[cut:], ())
    print(
        f"event network in integers: {trained:.4f} of the training samples, "
        f"{result.accuracy(labels[cut:]):.4f} of the test samples"
    )
    print(
        f"spikes per neuron and step: {result.rates['out']:.3f}; threshold "
        f"{net.neurons['out'].threshold[0]}"
    )
    nirfile.write(net, model)
    np.savez(samples, input=x[cut:], labels=labels[cut:])


if __name__ == "__main__":
    typer.run(main)
