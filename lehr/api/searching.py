"""Searches of a recipe's keys and of builds' options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lehr.api.given import Place, recipe_value
from lehr.errors import UsageError
from lehr.extras import needed_by
from lehr.workers.asked import workers_of

if TYPE_CHECKING:
    from lehr import searches
    from lehr.searches import Searched
    from lehr.train.search.trial import Job


def search(
    recipe: Place,
    space: Place | Mapping[str, Any] | None = None,
    output: Place | None = None,
    *,
    data: Place | None = None,
    settings: Mapping[str, object] | None = None,
    trials: int | None = None,
    storage: str | None = None,
    report: Callable[[searches.Trial, dict[str, Any]], None] = lambda _, __: None,
    ended: Callable[[searches.Trial], None] = lambda _: None,
    workers: int | str = 1,
) -> Searched:
    """Search keys of a recipe and options of builds for the best networks, by Optuna.

    The same call goes on with a search that was interrupted.

    Args:
        recipe: the name of one that comes along, or a TOML file.
        space: what varies and what is wanted, as a TOML file or as its table; `[search]` of the
            recipe if None.
        output: the search's folder; searches/NAME if None.
        data: the folder with the data set; that of LEHR_DATA if None.
        settings: keys of the recipe that are changed, as {"train.epochs": 5}.
        trials: how many in all; as the space says if None.
        storage: the URL of Optuna's database; SQLite in the folder if None.
        report: called with a trial and the metrics of its epoch, after every epoch.
        ended: called with every trial that has ended.
        workers: over which trials are spread: a number of processes, "ray" for a cluster of Ray
            that is running here, or its address, "ray://HOST:PORT".

    Returns:
        The trials and, as `front`, those that no other beats, the best in the first objective
        first; the run of each is in the search's folder.

    Raises:
        UsageError: when the space names no key, target, option or measure; when the folder holds
            something else, or a search of another recipe or space.
        FileRefused: when a file is damaged, or the folder cannot be written.
        ToolMissing: when Optuna or torch is not installed, or the cluster does not answer.
        WorkerLost: when a trial has ended three workers.

    >>> import lehr
    >>> space = {"trials": 1, "keys": {"train.lr": {"low": 1e-2, "high": 2e-2}}}
    >>> searched = lehr.search("tiny.toml", space, "study", settings={"train.epochs": 1})
    >>> [trial.folder for trial in searched.front]
    ['trial-0000']
    >>> lehr.export("study/trial-0000").compared.equal
    True
    """
    from lehr.train.recipefile import parse, text_of

    with needed_by("lehr.search"):
        from lehr.train.search.setting import Setting
        from lehr.train.search.space import read_space, space_of
        from lehr.train.search.study import Watch
        from lehr.train.search.study import search as run
    team, source = workers_of(workers), str(recipe)
    text = text_of(source)
    changes = tuple((key, recipe_value(key, value)) for key, value in (settings or {}).items())
    base = parse(text, source, changes)
    wanted = (
        base.search
        if space is None
        else space_of(space, "the space")
        if isinstance(space, Mapping)
        else read_space(Path(space))
    )
    if wanted is None:
        raise UsageError(f"recipe {source} has no [search]; give what varies as the space")
    if trials is not None:
        wanted = space_of({**wanted.model_dump(), "trials": trials}, "the space")
    folder = Path("searches") / base.name if output is None else Path(output)
    folder.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def shown(trial: searches.Trial, job: Job) -> Iterator[Callable[[dict[str, Any]], None]]:
        del job
        yield lambda entry: report(trial, entry)

    setting = Setting(text, source, changes, wanted, None if data is None else Path(data))
    with nullcontext() if team is None else team:
        return run(setting, folder, storage, Watch(shown, ended), team)
