"""Training as a recipe says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lehr.api.given import Place, recipe_value
from lehr.extras import needed_by
from lehr.launched import launched

if TYPE_CHECKING:
    from lehr.train.runs.running import TrainedRun


def train(
    recipe: Place,
    output: Place | None = None,
    *,
    data: Place | None = None,
    settings: Mapping[str, object] | None = None,
    target: str | None = None,
    quick: bool = False,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] = lambda _: None,
) -> TrainedRun:
    """Train a network as a recipe says, up to frozen integers, and write the run's folder.

    What comes back can be given wherever the folder can. In a script that torchrun has started in
    several processes, all of them call it, and train one network together; `report` then reports
    in each of them.

    Args:
        recipe: the name of one that comes along, or a TOML file.
        output: the folder to write; runs/NAME if None.
        data: the folder with the data set; that of LEHR_DATA if None.
        settings: keys of the recipe that are changed, as {"train.epochs": 5}; numbers of numpy are
            taken exactly as they are.
        target: train in the arithmetic, and under the limits, of this target.
        quick: train for a quarter of the epochs, with schedules to match.
        resume: whether to go on after the last epoch that an interrupted training kept.
        report: called with the metrics of every epoch.

    Raises:
        UsageError: naming the key, its value and what it may be; when there is no such recipe, data
            set or target; when the folder holds something else than a run.
        NotMappable: when the network does not fit the integers that the recipe asks for.
        FileRefused: when a file of the data set is damaged, or the folder cannot be written.
        ToolMissing: when torch is not installed.

    >>> import lehr
    >>> run = lehr.train("tiny.toml", "run", settings={"train.epochs": 1})
    >>> sorted(run.accuracy)
    ['integer', 'phase A']
    >>> lehr.export(run).compared.equal
    True
    """
    from lehr.train.recipefile import load

    changes = tuple((key, recipe_value(key, value)) for key, value in (settings or {}).items())
    wanted = load(str(recipe), changes)  # a mistake in it is said before torch is imported
    with needed_by("lehr.train"):
        from lehr.train.data import load_dataset
        from lehr.train.for_target import for_target, target_of
        from lehr.train.processes import joined
        from lehr.train.runs.quick import quick as quickened
        from lehr.train.runs.running import kept_progress, train_run
    with joined(launched(), wanted.train.device):
        chip = target_of(wanted, target)
        samples = load_dataset(wanted.data, None if data is None else Path(data))
        if chip is not None:
            wanted = for_target(wanted, chip, samples)
        if quick:
            wanted = quickened(wanted, len(samples.train))
        folder = Path("runs") / wanted.name if output is None else Path(output)
        folder.parent.mkdir(parents=True, exist_ok=True)
        kept = kept_progress(folder, wanted, resume)
        return train_run(wanted, samples, folder, kept, report)
