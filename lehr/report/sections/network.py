"""The network: nodes, edges, and how much each layer fires."""

from __future__ import annotations

from lehr import plot
from lehr.errors import UsageError
from lehr.network import INPUT
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
    facts, net, ran = of.facts, of.network, of.ran
    lacking = facts.lacking.get("network", "")
    if net is None:
        return Section("network", "Network", CAPTION, lacking=lacking)
    rates = {} if ran is None else ran.all.rates
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
                f"{rates[name]:.4f}" if name in rates else "",
            )
            for name in net.order
        ),
    ]
    table = Table("Nodes", ("node", "type", "hears", "shape", "rate"), rows)
    return Section(
        "network", "Network", CAPTION, _findings(rates), pictures, (table,), lacking, "side"
    )


def _findings(rates: dict[str, float]) -> list[Finding]:
    found = []
    for name, rate in rates.items():
        if rate < SILENT:
            found.append(
                Finding("bad", f"{name} hardly fires: {rate:.5f} spikes a neuron and step.")
            )
        elif rate > BUSY:
            text = f"{name} fires in more than every other step: {rate:.4f}; sparser is cheaper."
            found.append(Finding("watch", text))
    if rates and not found:
        least, most = min(rates.values()), max(rates.values())
        found.append(
            Finding(
                "good",
                f"Every layer fires, sparsely: {least:.4f} to {most:.4f} spikes a neuron and step.",
            )
        )
    return found
