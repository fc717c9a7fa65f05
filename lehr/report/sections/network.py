"""The network: nodes, edges, and how much each layer fires."""

from __future__ import annotations

from lehr import plot
from lehr.errors import UsageError
from lehr.network import INPUT, Network
from lehr.plot.style import svg
from lehr.report.gather import Gathered
from lehr.report.section import Finding, Picture, Section, plural
from lehr.shown import Table, shape_text

CAPTION = (
    "Layers of neurons are coloured by spikes per neuron and step: the paler, the sparser, and the "
    "cheaper on a machine that works by event. Good: every layer fires, and none in every step."
)
SILENT, BUSY = 1e-4, 0.5


def section(of: Gathered) -> Section:
    """Return the graph."""
    facts, net = of.facts, of.network
    lacking = facts.lacking.get("network", "")
    if net is None:
        return Section("network", "Network", CAPTION, lacking=lacking)
    rates = {each.name: each.rate for each in facts.layers if each.rate is not None}
    label = f"Graph of {plural(len(net.nodes), 'node')} from {shape_text(net.input.shape)} " + (
        "to " + shape_text(net.shapes[net.output])
    )
    pictures = []
    try:
        pictures.append(Picture(svg(plot.network(net, rates), "network", label), label + "."))
    except UsageError as error:  # too deep for a picture; the table has it all
        lacking = f"No picture: {error}."
    rows = [
        (INPUT, "", "", shape_text(net.input.shape), ""),
        *(
            (
                name,
                type(net.nodes[name]).__name__,
                ", ".join(net.sources(name)),
                shape_text(net.shapes[name]),
                _rate(net, rates, name),
            )
            for name in net.order
        ),
    ]
    table = Table("Nodes", ("node", "type", "hears", "shape", "rate"), rows)
    return Section(
        "network", "Network", CAPTION, _findings(rates), pictures, (table,), lacking, "side"
    )


def _rate(net: Network, rates: dict[str, float], name: str) -> str:
    """Return the rate of a node as a table has it."""
    if name in net.neurons and net.neurons[name].integrates:
        return "does not fire"
    return f"{rates[name]:.4f}" if name in rates else ""


def _findings(rates: dict[str, float]) -> list[Finding]:
    findings = []
    for name, rate in rates.items():
        if rate < SILENT:
            findings.append(
                Finding("bad", f"{name} hardly fires: {rate:.5f} spikes a neuron and step.")
            )
        elif rate > BUSY:
            text = f"{name} fires in more than every other step: {rate:.4f}; sparser is cheaper."
            findings.append(Finding("watch", text))
    if rates and not findings:
        least, most = min(rates.values()), max(rates.values())
        text = f"{least:.4f} to {most:.4f} spikes a neuron and step"
        findings.append(Finding("good", f"Every layer that can fire does, sparsely: {text}."))
    return findings
