"""Refusals to binarize: all at once, by name, with a way out; what is skipped stays as it is."""

from __future__ import annotations

from typing import Any, cast

import pytest
import snntorch as snn
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from lehr.errors import UsageError
from lehr.train import Threshold, ThresholdAnnealer, binarize

ANNEALED = Threshold(start=0.5, schedule="linear", final=1.0)


def plain() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 4),
        snn.Leaky(beta=0.5, init_hidden=True),
        nn.Linear(4, 2),
        snn.Leaky(beta=0.5, init_hidden=True),
    )


class Hidden(nn.Module):
    """Everything that cannot be binarized, beside what can."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif, self.good = nn.Linear(4, 4), snn.Leaky(beta=0.5), snn.Leaky(beta=0.5)
        self.conv = nn.Conv1d(1, 1, 3)
        self.rec = snn.Alpha(alpha=0.75, beta=0.5)
        self.learnt = snn.Leaky(beta=0.5, learn_threshold=True)
        self.lazy = nn.LazyLinear(3)
        self.normed = parametrizations.weight_norm(nn.Linear(2, 2))
        self.pruned = prune.l1_unstructured(nn.Linear(2, 2), "weight", 1)
        self.scale = nn.Parameter(torch.ones(1))
        self.drop, self.batch = nn.Dropout(), nn.BatchNorm1d(4)
        self.register_buffer("codes", torch.ones(1))
        self.plain = nn.Sequential()
        self.plain.layers, self.plain.seen = [nn.Linear(2, 2)], [self.fc]  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.good(self.fc(x))[0])


def test_all_that_cannot_be_binarized_is_named_at_once() -> None:
    schedules = {"good": ANNEALED, "learnt": ANNEALED}
    with pytest.raises(UsageError) as error:
        binarize(Hidden(), thresholds=schedules)
    computed = "its weight is computed from others (parametrization, weight norm, pruning, or binarized already); remove that before"
    assert str(error.value) == (
        "the model cannot be binarized: "
        "model (Hidden): its scale, codes would stay float; compute with Linear and Conv2d. "
        "lif (Leaky): it has no schedule; name it in thresholds. "
        "conv (Conv1d): its weight, bias would stay float; compute with Linear and Conv2d. "
        "rec (Alpha): it is a neuron without annealing; use snntorch's Leaky, RLeaky, Synaptic or "
        "RSynaptic. "
        "learnt (Leaky): its threshold is learnt, which annealing would overwrite; build it "
        "without learn_threshold. "
        "lazy (LazyLinear): it has no weights yet; run the model once before. "
        f"normed (ParametrizedLinear): {computed}. "
        f"pruned (Linear): {computed}. "
        "plain (Sequential): its layers hides weights from torch; make it an nn.ModuleList, "
        "nn.ModuleDict or nn.Parameter. "
        'To leave them as they are: skip=["scale", "codes", "lif", "conv", "rec", "learnt", "lazy", "normed", "pruned", "plain"]'
    )


def test_what_is_skipped_stays_with_all_that_is_in_it() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Linear(4, 3), snn.RLeaky(beta=0.5, linear_features=3)),
        nn.Linear(3, 2),
        snn.Leaky(beta=0.5),
    )
    net = binarize(model, thresholds=ANNEALED, skip=["0"])
    kept, swapped = cast(Any, net[0])[0].weight, cast(Any, net[1]).weight
    assert torch.equal(kept, cast(Any, model[0])[0].weight)
    assert set(swapped.unique().tolist()) <= {-1.0, 1.0}


def test_the_skip_that_the_error_tells_is_enough() -> None:
    names = ["scale", "codes", "lif", "conv", "rec", "learnt", "lazy", "normed", "pruned", "plain"]
    net = binarize(Hidden(), thresholds={"good": ANNEALED}, skip=names)
    assert set(net.fc.weight.unique().tolist()) <= {-1.0, 1.0}
    assert torch.equal(net.scale, torch.ones(1))
    with pytest.raises(UsageError, match="model \\(Hidden\\): its codes would stay float"):
        binarize(
            Hidden(),
            thresholds={"good": ANNEALED},
            skip=[name for name in names if name != "codes"],
        )


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            plain,
            {"skip": ["lif3"]},
            "skip: 'lif3' is nothing that it can name in this model; there are 0, 1, 2, 3",
        ),
        (
            plain,
            {"thresholds": {"0": ANNEALED}},
            "thresholds: '0' is nothing that it can name in this model; there are 1, 3",
        ),
        (
            plain,
            {"skip": ["0", "2"]},
            "model: it has no Linear or Conv2d to binarize; add one, or skip less",
        ),
        (
            lambda: nn.Linear(2, 2),
            {},
            "model: it has no neuron to anneal, which are snntorch's Leaky, RLeaky, Synaptic or "
            "RSynaptic; add one, or skip less",
        ),
    ],
)
def test_names_that_are_none_and_models_without_work_are_refused(
    model: Any, options: Any, message: str
) -> None:
    with pytest.raises(UsageError) as error:
        binarize(model(), **{"thresholds": ANNEALED, **options})
    assert str(error.value) == message


def test_a_model_that_keeps_its_graph_is_refused() -> None:
    model = plain()
    cast(Any, model).recorded = [model(torch.rand(2, 3))]
    with pytest.raises(
        UsageError,
        match="^model: it cannot be copied, perhaps for tensors that its last run left; binarize it before it runs$",
    ):
        binarize(model, thresholds=ANNEALED)


@pytest.mark.parametrize(
    ("schedule", "numbers", "message"),
    [
        (
            "linear",
            (0, 1),
            "batches: 0; an annealer needs 1 or more, epochs times batches of an epoch",
        ),
        ("linear", (9, 3), "cycles: 3; a schedule named 'restarts' needs 2 or more, all others 1"),
        (
            "restarts",
            (9, 1),
            "cycles: 1; a schedule named 'restarts' needs 2 or more, all others 1",
        ),
    ],
)
def test_annealers_that_do_not_go_with_the_schedules_are_refused(
    schedule: Any, numbers: tuple[int, int], message: str
) -> None:
    net = binarize(plain(), thresholds=Threshold(start=0.5, schedule=schedule, final=1.0))
    with pytest.raises(UsageError) as error:
        ThresholdAnnealer(net, *numbers)
    assert str(error.value) == message
    with pytest.raises(
        UsageError, match="^model: it has no annealed neurons; make it with lehr.train.binarize$"
    ):
        ThresholdAnnealer(plain(), 1)
