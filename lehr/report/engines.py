"""The comparison that a report of a run or a model makes itself: the engine that ran the samples, with the definition."""

from __future__ import annotations

from dataclasses import asdict

from lehr.network import Network
from lehr.report.facts import Verdict
from lehr.report.inputs import Ran
from lehr.simulate.compare import compare
from lehr.simulate.reference import simulate


def compare_engines(network: Network, ran: Ran) -> Verdict:
    """Run the samples that are shown by the reference simulator, too, and compare every spike and membrane."""
    if ran.engine == "reference":
        return Verdict(
            "", "Nothing was compared: the reference simulator alone computes this network."
        )
    numbers = sorted(sample.number for sample in ran.shown)
    x = ran.given.taken(numbers)
    order = [numbers.index(sample.number) for sample in ran.shown]
    expected = simulate(network, x[order], trace=network.neurons).trace
    compared = compare(expected, ran.traced.trace)
    return Verdict(
        "PASS" if compared.equal else "FAIL",
        f"{str(compared)[0].upper()}{str(compared)[1:]}.",
        0 if compared.equal else 4,
        f"the {ran.engine} engine with the reference simulator, which is the definition",
        len(ran.shown),
        compared.values,
        compared.membranes,
        compared.spikes,
        None if compared.first is None else asdict(compared.first),
    )
