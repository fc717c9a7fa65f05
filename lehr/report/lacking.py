"""Sentences for what a source cannot say, and what to give to know it: one a section."""

from __future__ import annotations

from lehr.report.artefacts import Artefact, Run
from lehr.report.inputs import Ran
from lehr.report.runs import Training

_RUN = "How it was trained is not in a network; report on the run that 'lehr train' wrote."
_TESTED = (
    "The run does not say how many test samples there were, so no interval is given; train it "
    "with this lehr, or give test samples with -i IN.npz."
)
_LABELS = "No sample has a label; give samples with labels with -i IN.npz."
_NO_TOOL = "The artefact's own accuracy is not known: it did not run here, or shows no classes."
_GOLDEN = (
    "The artefact's own accuracy is not known: its golden inputs have no labels; give the file "
    "that it was built with by -i."
)
_SAMPLES = "Rates, spikes and membranes are those of samples; give some with -i IN.npz."
_FLOAT = "A float baseline has no integer network; report on an annealed or binarized run."
_TARGET = (
    "Resources, latency and energy are a target's; 'lehr build' the network for one, and report "
    "on that folder."
)
_MEASURE = (
    "Nothing was measured at the build; build with --measure where the target's tools are "
    "installed."
)


def lacking(
    training: Training | None, artefact: Artefact | None, outcome: Run, ran: Ran | None
) -> dict[str, str]:
    """Return a sentence for each section in which something is left out."""
    labelled = ran is not None and ran.given.labels is not None
    return {
        **({"training": _RUN} if training is None else {}),
        **_of_accuracy(training, artefact, outcome, labelled=labelled),
        **({} if labelled else {"classes": _LABELS}),
        **_of_samples(training, ran),
        **_of_costs(artefact),
    }


def _of_accuracy(
    training: Training | None, artefact: Artefact | None, outcome: Run, *, labelled: bool
) -> dict[str, str]:
    sentence = ""
    if training is not None:
        sentence = "" if training.state.get("tested") else _TESTED
    elif not labelled:
        sentence = _LABELS
    elif artefact is not None:
        sentence = _GOLDEN if outcome.predictions else _NO_TOOL
    return {"accuracy": sentence} if sentence else {}


def _of_samples(training: Training | None, ran: Ran | None) -> dict[str, str]:
    if ran is not None:
        return {}
    is_float = training is not None and training.network is None
    sentence = _FLOAT if is_float else _SAMPLES
    names = ("network", "layers", "rasters", "membranes", "distributions")
    return dict.fromkeys(names, sentence)


def _of_costs(artefact: Artefact | None) -> dict[str, str]:
    if artefact is None:
        return {"costs": _TARGET}
    measured = any(each.origin == "measured" for each in artefact.costs)
    return {} if measured else {"costs": _MEASURE}
