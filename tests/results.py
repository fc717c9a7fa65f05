"""The comparison of everything that a simulation returns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lehr.simulate import Result, compare


def require_same(expected: Result, got: Result) -> None:
    """Require that two results are the same.

    Compared are traced spikes and membranes, counts, scores, predictions, events and the statistics
    of every layer.
    """
    compare(expected.trace, got.trace).require_equal("against the reference")
    assert np.array_equal(expected.counts, got.counts)
    assert np.array_equal(expected.scores, got.scores)
    assert np.array_equal(expected.prediction, got.prediction)
    assert np.array_equal(expected.events, got.events)
    assert expected.layers.keys() == got.layers.keys()
    for name, layer in expected.layers.items():
        same = got.layers[name]
        assert np.array_equal(layer.spikes, same.spikes)
        assert replace(layer, spikes=0) == replace(same, spikes=0)  # type: ignore[arg-type]
