"""The NIR paper's LIF neuron as a float graph, and its input, for `lehr quantize`.

    python examples/paper_lif.py lif.nir lif.npz
    lehr quantize lif.nir --calibrate lif.npz --dt 1e-4 -o model.nir
    lehr simulate model.nir -i lif.npz -o out.npz --trace all

One neuron (tau 2.5 ms, threshold 0.1) hears 34 spikes in 1,000 steps of 0.1 ms, and spikes in steps
460, 510, 710 and 760.
Source: J. E. Pedersen et al., "Neuromorphic intermediate representation", 2024; numbers of its
repository, paper/01_lif.
"""

from pathlib import Path

import nir
import numpy as np
import typer

# each in the first of ten steps
SPIKES = [6, 22, 27, 31, 32, 35, 37, 40, 41, *range(43, 54), *range(67, 79), 84, 85]


def main(graph: Path, samples: Path) -> None:
    """Write the neuron into GRAPH (.nir) and its input into SAMPLES (.npz)."""
    neuron = nir.LIF(
        tau=np.array([2.5e-3]), r=np.ones(1), v_leak=np.zeros(1), v_threshold=np.array([0.1])
    )
    nir.write(graph, nir.NIRGraph.from_list(nir.Affine(np.ones((1, 1)), np.zeros(1)), neuron))
    events = np.zeros((1, 1000, 1), np.uint8)
    events[0, np.array(SPIKES) * 10] = 1
    np.savez(samples, input=events)


if __name__ == "__main__":
    typer.run(main)
