"""The facts of a report, as plain data that JSON holds.

They are numbers, texts, and what is not known, with what to give to know it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from lehr.plot.shares import Share

Kind = Literal["run", "model", "artefact", "search"]
Word = Literal["PASS", "FAIL", ""]
TRAINED = ("float weights", "binarized", "annealed and binarized")
"""Stations of the line before there are integers, by a run's arm."""
SCHEMA = 1
"""Of `Facts.to_json`; another number means that a name in it has another meaning, or is gone."""


@dataclass(frozen=True)
class NetworkFacts:
    """A network in a few numbers; its digest is that of all of them."""

    digest: str
    input: Sequence[int]
    kind: str
    steps: int
    readout: str
    classes: int
    neurons: int
    weights: int


@dataclass(frozen=True)
class Verdict:
    """Comparison by the command that wrote the report, and its outcome.

    Attributes:
        word: PASS or FAIL of what was compared; empty where nothing was.
        sentence: the same in words, or why nothing was compared.
        exit_code: what the command ends with.
        compared: what with what; empty where nothing was.
        samples, values: how many were compared.
        membranes, spikes: how many of them differ.
        first: the first difference, as `lehr.simulate.compare.Difference` has it.
        misjudged: samples that the machine itself decided otherwise.
        membranes_shown: whether membranes were compared; a tool may not show them.
    """

    word: Word
    sentence: str
    exit_code: int = 0
    compared: str = ""
    samples: int = 0
    values: int = 0
    membranes: int = 0
    spikes: int = 0
    first: Mapping[str, Any] | None = None
    misjudged: int = 0
    membranes_shown: bool = True


@dataclass(frozen=True)
class Accuracy:
    """An accuracy, and of what.

    Attributes:
        arm: the run, model or artefact that it is of.
        station: where on the line: float weights, integer, a target.
        share: of samples that are classified right.
        samples: how many there were; 0 where nobody wrote it down.
        of: which samples, in words.
        low, high: of the 95 % interval; as `share` where the number of samples is not known.
    """

    arm: str
    station: str
    share: float
    samples: int
    of: str
    low: float
    high: float

    def by_chance(self, classes: int) -> str:
        """Say that the interval has the share in it that who guesses has; empty if it has not."""
        if not self.samples or classes < 2 or self.low > 1 / classes:
            return ""
        return (
            f"at chance level: {100 * self.share:.2f} % of {self.samples:,} samples are right "
            f"({self.station}; {self.of}), with 95 % confidence {100 * self.low:.2f} to "
            f"{100 * self.high:.2f} %, and who guesses among {classes} classes has "
            f"{100 / classes:.2f} %"
        )

    @classmethod
    def counted(cls, arm: str, station: str, share: float, samples: int, of: str) -> Accuracy:
        """Return the accuracy with its interval."""
        low, high = Share(round(share * samples), samples).interval if samples else (share, share)
        return cls(arm, station, share, samples, of, low, high)


def headline(own: Sequence[Accuracy]) -> Accuracy | None:
    """Return the accuracy that speaks for its source: of its integers, of most samples."""
    integer = [each for each in own if each.station not in TRAINED]
    return max(
        integer or own, key=lambda each: (each.station == "integer", each.samples), default=None
    )


@dataclass(frozen=True)
class LayerFacts:
    """A node of the network.

    Attributes:
        name, type, shape: of the node and of what it puts out.
        weights: how many, their kind, and how many of them are 0.
        bits: of the membrane as the network has it.
        proven, proven_bits: what no input makes a membrane leave, and the bits for it.
        observed, observed_bits: what the inputs made of it.
        rate: spikes a neuron and step; None of neurons that integrate and cannot fire.
        dead, neurons, saturations: neurons that never fired (None where they cannot), of how many;
            how often a state left its width.
        dense, events: synaptic operations a sample, if every weight is used in every step, and if
            events alone are.
        work: share of the whole's time or, where no target tells it, of its operations by event.
    """

    name: str
    type: str
    shape: Sequence[int]
    weights: int = 0
    weight_kind: str = ""
    zero: float = 0.0
    thresholds: Sequence[int] | None = None
    bits: int | None = None
    proven: Sequence[int] | None = None
    proven_bits: int | None = None
    observed: Sequence[int] | None = None
    observed_bits: int | None = None
    rate: float | None = None
    dead: int | None = None
    neurons: int = 0
    saturations: int | None = None
    dense: float | None = None
    events: float | None = None
    work: float | None = None


@dataclass(frozen=True)
class InputFacts:
    """The samples that the numbers are of."""

    name: str
    samples: int
    steps: int
    labelled: bool
    origin: str


@dataclass(frozen=True)
class SampleFacts:
    """A sample that is shown spike by spike."""

    number: int
    label: int | None
    prediction: int

    @property
    def wrong(self) -> bool:
        """Whether it has a label, and another prediction."""
        return self.label is not None and self.label != self.prediction


@dataclass(frozen=True)
class CostFacts:
    """A number of what a target needs.

    Attributes:
        name, value, unit, source: as `lehr.targets.contract.Figure` has them, the unit without the
            limit.
        origin: `estimated`, `measured` or `of the run`.
        limit: what the device has of it, where that is known.
    """

    name: str
    value: float
    unit: str
    source: str
    origin: str
    limit: float | None = None

    @property
    def share(self) -> float | None:
        """Share of the device that it takes; None where that has no known amount."""
        return self.value / self.limit if self.limit else None


@dataclass(frozen=True)
class TableFacts:
    """A table that a target tells of its artefact."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Facts:
    """All that a report says.

    Attributes:
        kind, name: what it is of: a run, a model, an artefact, a search.
        title: what stands over a page: the name, of a file that many folders have with its folder.
        lehr: the version that wrote it.
        network: None for a float baseline, which has no integer network.
        verdict: what was compared.
        target, device: of an artefact; empty where there is none, or it names none.
        judge: what the target's artefacts are run in, in words, and whose work that is.
        warnings: what gives reason to doubt the network: those of its training, and an accuracy
            that may be chance.
        recipe: name and description of a run's recipe, and its data set.
        accuracies: in the order of the line, those of others last.
        epochs: of a run, as its metrics.jsonl has them.
        finals: the thresholds that annealing leads to, one a layer.
        layers: nodes in order of evaluation.
        inputs: None where there are none.
        samples: those that are shown spike by spike.
        confusion: how many samples of each label (row) were taken for each class (column).
        by_step: accuracy, had one stopped after each step.
        costs, tables: of an artefact.
        files: sha256 by name of what the report was made of.
        commands: that make it again.
        lacking: by section, what is not known, and what to give to know it.
        search: of a search: all that its search.json has, and the trials of its `front`.
    """

    kind: Kind
    name: str
    title: str
    lehr: str
    verdict: Verdict
    network: NetworkFacts | None = None
    target: str = ""
    device: str = ""
    judge: str = ""
    warnings: Sequence[str] = ()
    recipe: Mapping[str, str] = field(default_factory=dict)
    accuracies: Sequence[Accuracy] = ()
    epochs: Sequence[Mapping[str, Any]] = ()
    finals: Sequence[float | None] = ()
    layers: Sequence[LayerFacts] = ()
    inputs: InputFacts | None = None
    samples: Sequence[SampleFacts] = ()
    confusion: Sequence[Sequence[int]] = ()
    by_step: Sequence[float] = ()
    costs: Sequence[CostFacts] = ()
    tables: Sequence[TableFacts] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    commands: Sequence[str] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> Accuracy | None:
        """The accuracy that speaks for what is reported on."""
        return headline([each for each in self.accuracies if each.arm == self.name])

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON has them."""
        return {"schema": SCHEMA, **asdict(self)}
