"""The model card, in Markdown: the network, its accuracy, its data, and what makes it again."""

from __future__ import annotations

from collections.abc import Sequence

from lehr.report.facts import Facts
from lehr.report.markdown import escaped, table
from lehr.report.section import Section, plural

KEYS = ("verdict", "search", "accuracy", "network", "layers", "classes", "costs", "again")
"""The sections whose tables a card has."""
_LONG = 30
"""Rows of a table that a card has, at most."""


def card(facts: Facts, sections: Sequence[Section]) -> str:
    """Return the card of what a report says."""
    named = {section.key: section for section in sections}
    parts = [f"# Model card: {escaped(facts.title)}\n", f"{data(facts)}\n"]
    for section in [named[key] for key in KEYS if key in named]:
        parts += [f"## {escaped(section.title)}\n"]
        parts += [f"- {escaped(finding.text)}\n" for finding in section.findings]
        parts += [table(each) for each in section.tables if len(each.rows) <= _LONG]
        parts += [f"{escaped(section.lacking)}\n"] if section.lacking else []
    return "\n".join(parts)


def data(facts: Facts) -> str:
    """Return what the network was trained on and what its numbers are of, in sentences."""
    sentences = []
    if recipe := facts.recipe:
        named = recipe.get("data", "data that it does not name")
        about = recipe.get("description", "")
        sentences.append(
            f"Trained on {escaped(named)} by recipe {escaped(recipe.get('recipe', 'unknown'))}"
            + (f" ({escaped(about)})" if about else "")
            + "."
        )
    if inputs := facts.inputs:
        labelled = "with labels" if inputs.labelled else "without labels"
        file = f" in {escaped(inputs.name)}" if inputs.name else ""
        sentences.append(
            f"Its rates, spikes and membranes are of {plural(inputs.samples, 'sample')}{file} "
            f"({escaped(inputs.origin)}, {labelled}), {plural(inputs.steps, 'step')} each."
        )
    return " ".join(sentences) or "Nothing is known of its data; give samples with -i IN.npz."
