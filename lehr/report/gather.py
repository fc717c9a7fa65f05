"""Everything that a report is made of: the facts, and what its pictures are drawn of."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lehr
from lehr import nirfile
from lehr.artifact import MANIFEST, read_manifest
from lehr.errors import UsageError
from lehr.folders import require_marked
from lehr.leftovers import recover
from lehr.network import Network
from lehr.plot.classes import accuracy_by_step, confusions
from lehr.plot.history import History
from lehr.reading import sha256_of
from lehr.report.artefacts import NOT_ASKED, Artefact, Run, read_artefact, run_artefact
from lehr.report.commands import commands
from lehr.report.costs import cost
from lehr.report.engines import compare_engines
from lehr.report.facts import (
    Accuracy,
    CostFacts,
    Facts,
    Kind,
    LayerFacts,
    TableFacts,
    Verdict,
    headline,
)
from lehr.report.inputs import Asked, Given, Ran, labels_of_golden, run
from lehr.report.lacking import lacking
from lehr.report.nodes import layer_facts, network_facts
from lehr.report.runs import Training, read_training
from lehr.runstate import SAMPLES_FILE, STATE
from lehr.samples import Samples, open_samples
from lehr.searches import FILE as SEARCH
from lehr.searches import Searched, read_search
from lehr.targets.replanned import MODEL
from lehr.targets.verification import Around

_AGAIN = "give another file"


class Source(NamedTuple):
    """Source of a report: a run, a model's file, a built folder, or a search."""

    kind: Kind
    path: Path

    @property
    def title(self) -> str:
        """Its name; of a `model.nir`, as every model of the zoo is called, with its folder's."""
        folder = self.path.parent.name
        return f"{folder}/{MODEL}" if folder and self.path.name == MODEL else self.path.name


@dataclass(frozen=True)
class Gathered:
    """Everything that a page is made of.

    Attributes:
        facts: what it says.
        network: None for a float baseline.
        ran: what the network makes of the samples; None where there are none.
        history: the epochs of a run.
        around: the neuron that differs first, of an artefact that is not exact.
        work: of what the share of a layer's work is one.
        searched: what a search has found; None of anything else.
    """

    facts: Facts
    network: Network | None = None
    ran: Ran | None = None
    history: History | None = None
    around: Around | None = None
    work: str = ""
    searched: Searched | None = None


def source_at(path: Path) -> Source:
    """Tell a run, a model, a built folder and a search apart.

    Raises:
        UsageError: when it is none, naming those that are in it.
    """
    recover(path)
    if (path / MANIFEST).exists():
        return Source("artefact", path)
    if (path / STATE).exists():
        return Source("run", path)
    if (path / SEARCH).exists():
        return Source("search", path)
    if not path.exists():
        raise UsageError(
            f"{path}: no such file or folder; give a run, a model (.nir), or what 'lehr build' made"
        )
    if not path.is_dir():
        return Source("model", path)
    if any(path.glob(f"*/{STATE}")) and not any(path.glob(f"*/{MANIFEST}")):
        require_marked(path, STATE, "lehr train")
    require_marked(path, MANIFEST, "lehr build")
    raise AssertionError


def gather(
    source: Source, asked: Given | Asked | None, beside: Sequence[Source] = (), *, verify: bool
) -> Gathered:
    """Collect everything for a report.

    Args:
        source: what it is of.
        asked: samples; the run's own, or the golden ones, if None.
        beside: other runs and artefacts, whose accuracies stand beside.
        verify: whether artefacts are run in their own tools.

    Raises:
        UsageError: when a source is none.
        FileRefused: when a file is damaged, or the samples are not what the network takes.
    """
    if source.kind == "search":
        return _of_search(source, asked, beside)
    training = read_training(source.path) if source.kind == "run" else None
    artefact = read_artefact(source.path) if source.kind == "artefact" else None
    network, stated = _network(source, training, artefact)
    given = Given.asked(asked, network) if network is not None else None
    outcome = NOT_ASKED
    if artefact and verify:
        outcome = run_artefact(artefact.folder)
    samples = given or _own(training, artefact)
    ran = None if network is None or samples is None else run(network, samples)
    verdict = outcome.verdict if artefact else _by_engines(network, ran)
    costs: list[CostFacts] = list(artefact.costs) if artefact else []
    if outcome.verified is not None:
        costs += [cost(figure, "of the run") for figure in outcome.verified.figures]
    layers, work = _layers(network, ran, costs)
    labelled = ran is not None and ran.given.labels is not None
    accuracies = [
        *_accuracies(source, training, artefact, outcome, ran, samples),
        *_beside(beside, source.path.name, network, samples, verify=verify),
    ]
    name, others = source.path.name, [other.path for other in beside]
    lines, unnamed = commands(name, training, artefact, given, others)
    facts = Facts(
        kind=source.kind,
        name=source.path.name,
        title=source.title,
        lehr=lehr.__version__,
        verdict=verdict,
        network=None if network is None else network_facts(network),
        target=artefact.target if artefact else "",
        device=artefact.device if artefact else "",
        judge=artefact.judge if artefact else "",
        warnings=_warnings(source, training, network, accuracies),
        recipe=training.about if training else {},
        accuracies=tuple(accuracies),
        epochs=tuple(training.history.entries) if training else (),
        finals=tuple(training.history.finals) if training else (),
        layers=layers,
        inputs=ran.facts(network) if ran and network else None,
        samples=ran.shown if ran else (),
        confusion=_confusion(ran) if ran and labelled else (),
        by_step=_by_step(ran) if ran and labelled else (),
        costs=tuple(costs),
        tables=_tables(artefact),
        files=_files(source, samples),
        commands=lines,
        lacking=_lacking(
            training, artefact, outcome, ran, accuracies, "" if stated else source.path.name
        )
        | ({"again": unnamed} if unnamed else {}),
    )
    history = training.history if training else None
    return Gathered(facts, network, ran, history, outcome.around, work)


def _of_search(source: Source, asked: Given | Asked | None, beside: Sequence[Source]) -> Gathered:
    """Return what a search has found.

    Raises:
        UsageError: when samples are given, or other sources, of which it has no use.
        FileRefused: when its search.json is damaged.
    """
    if asked is not None or beside:
        raise UsageError(
            f"{source.path} is a search, which is reported without samples and others beside; "
            "leave them out, or report on the run of a trial"
        )
    searched = read_search(source.path)
    front, name = searched.front, shlex.quote(searched.name)
    facts = Facts(
        kind="search",
        name=source.path.name,
        title=source.title,
        lehr=lehr.__version__,
        verdict=Verdict("", "A search compares nothing; report on the run of a trial."),
        recipe={
            "recipe": searched.recipe,
            "objectives": ", ".join(searched.objectives),
            "sampler": f"{searched.sampler}, seed {searched.seed}",
            "pruner": searched.pruner,
            "storage": searched.storage,
        },
        files={SEARCH: sha256_of(source.path / SEARCH, _AGAIN)},
        commands=(
            *(line for trial in front for line in searched.commands(trial)),
            f"lehr report {name} -o report.html",
        ),
        search={**asdict(searched), "front": [trial.number for trial in front]},
    )
    return Gathered(facts, searched=searched)


def _lacking(
    training: Training | None,
    artefact: Artefact | None,
    outcome: Run,
    ran: Ran | None,
    accuracies: Sequence[Accuracy],
    undigested: str,
) -> dict[str, str]:
    """Return what lacks; an artefact whose own accuracy is there lacks none."""
    known = lacking(training, artefact, outcome, ran)
    if undigested:
        known["verdict"] = (
            f"{undigested} states no digest of its network, so that damage to its weights cannot "
            "be seen; compare it with its source."
        )
    if artefact and any(each.station == artefact.target for each in accuracies):
        known.pop("accuracy", None)
    return known


def _network(
    source: Source, training: Training | None, artefact: Artefact | None
) -> tuple[Network | None, bool]:
    """Return the network, and whether its source states its digest, which was right then."""
    if training is not None:
        return training.network, training.stated
    if artefact is not None:
        return artefact.network, True
    model = nirfile.open_model(source.path)
    return model.network, model.stated


def _layers(
    network: Network | None, ran: Ran | None, costs: Sequence[CostFacts]
) -> tuple[tuple[LayerFacts, ...], str]:
    if network is None:
        return (), ""
    return layer_facts(network, None if ran is None else ran.all, costs)


def _own(training: Training | None, artefact: Artefact | None) -> Given | None:
    """Return the samples that a source has of its own."""
    if training is not None:
        path = training.folder / SAMPLES_FILE
        return Given.of_file(open_samples(path), "test samples that the run keeps")
    if artefact is not None:
        return Given(artefact.golden, None, "", "golden inputs of the artefact")
    return None


def _by_engines(network: Network | None, ran: Ran | None) -> Verdict:
    if network is None:
        return Verdict("", "A float baseline has no integer network that could be compared.")
    if ran is None:
        return Verdict("", "Nothing was compared; give samples with -i.")
    return compare_engines(network, ran)


def _accuracies(
    source: Source,
    training: Training | None,
    artefact: Artefact | None,
    outcome: Run,
    ran: Ran | None,
    given: Given | None,
) -> list[Accuracy]:
    """Return the accuracies of what is reported on."""
    arm, known = source.path.name, list[Accuracy]()
    if training is not None:
        known += training.accuracies(arm)
    if ran is not None and ran.given.labels is not None:
        right = int((ran.all.prediction == ran.given.labels).sum())
        total = len(ran.given.labels)
        of = ran.given.name or ran.given.origin
        known.append(Accuracy.counted(arm, "simulator", right / total, total, of))
    if artefact is not None:
        known += _of_target(artefact, outcome, arm, given)
    return known


def _warnings(
    source: Source,
    training: Training | None,
    network: Network | None,
    accuracies: Sequence[Accuracy],
) -> tuple[str, ...]:
    """Return what gives reason to doubt the network, in sentences without a stop."""
    known = list(training.warnings) if training else []
    if network is not None:
        classes = int(np.prod(network.shapes[network.output]))
        own = [each for each in accuracies if each.arm == source.path.name]
        if best := headline(own):
            known += [best.by_chance(classes)] * bool(best.by_chance(classes))
    return tuple(known)


def _of_target(artefact: Artefact, outcome: Run, arm: str, given: Given | None) -> list[Accuracy]:
    """Return the accuracy of the artefact itself, on golden samples whose labels are known."""
    labels = labels_of_golden(artefact.network, artefact.golden, given)
    predictions = np.array(outcome.predictions, np.int64)
    if labels is None or not len(predictions):
        return []
    labels = labels[: len(predictions)]
    share = float((predictions == labels).mean())
    return [Accuracy.counted(arm, artefact.target, share, len(labels), "golden samples, run")]


def _beside(
    sources: Sequence[Source],
    arm: str,
    network: Network | None,
    given: Given | None,
    *,
    verify: bool,
) -> list[Accuracy]:
    """Return the accuracies of other runs, and of artefacts that continue this network's line.

    Raises:
        UsageError: when an artefact is of another network.
    """
    known = list[Accuracy]()
    for kind, path in sources:
        if kind == "run":
            known += read_training(path).accuracies(path.name)
        elif kind == "artefact":
            artefact = read_artefact(path)
            if network is not None and artefact.network.digest != network.digest:
                raise UsageError(
                    f"{path} was built of another network ({artefact.network.digest[:12]}, not "
                    f"{network.digest[:12]}); build it of this one"
                )
            outcome = run_artefact(path) if verify else NOT_ASKED
            known += _of_target(artefact, outcome, arm, given)
        else:
            raise UsageError(f"{path} is a model; --beside takes runs and built folders")
    return known


def _confusion(ran: Ran) -> tuple[tuple[int, ...], ...]:
    assert ran.given.labels is not None
    return tuple(map(tuple, confusions(ran.all, ran.given.labels).tolist()))


def _by_step(ran: Ran) -> tuple[float, ...]:
    assert ran.given.labels is not None
    return tuple(share.value for share in accuracy_by_step(ran.all, ran.given.labels))


def _tables(artefact: Artefact | None) -> tuple[TableFacts, ...]:
    return artefact.tables if artefact else ()


def _files(source: Source, given: Given | None) -> dict[str, str]:
    """Return the sha256 of what the report was made of, as `sha256sum` prints them, by name."""
    if source.kind == "model":
        files = {source.path.name: source.path}
    elif source.kind == "run":
        files = {path.name: path for path in sorted(source.path.iterdir()) if path.is_file()}
    else:
        names = sorted(read_manifest(source.path)["files"])
        files = {name: source.path / name for name in (MANIFEST, *names)}
    sums = {name: sha256_of(path, _AGAIN) for name, path in files.items() if path.exists()}
    if given is not None and isinstance(given.x, Samples) and given.name not in sums:
        sums[given.name] = sha256_of(given.x.path, _AGAIN)
    elif given is not None and not given.name and source.kind != "artefact":
        sums["samples given as an array"] = hashlib.sha256(
            np.asarray(given.x).tobytes()
        ).hexdigest()
    return sums
