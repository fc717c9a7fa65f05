"""Data sets for commands that read them: fetched first, where the user asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from lehr.download import Bar
    from lehr.train.data import Dataset
    from lehr.train.recipe import DataRecipe


def read_data(recipe: DataRecipe, folder: Path | None, download: bool) -> Dataset:
    """Read the data set that a recipe names from `folder`; with `download`, fetch there what is missing, with a bar on stderr."""
    from lehr.train.data import load_dataset

    if download:
        from lehr.train.data.download import download as fetch

        with transfers() as bar:
            fetch(recipe.name, folder, bar)
    return load_dataset(recipe, folder)


@contextmanager
def transfers() -> Iterator[Callable[[str], Bar]]:
    """Show a bar on stderr for each file that is fetched; yield what makes one by its name."""
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    from lehr.cli.console import bar

    with bar(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as shown:
        yield lambda name: _Bar(shown, name)


class _Bar:
    """A transfer's bar, driven as tqdm's are."""

    def __init__(self, shown: Progress, name: str) -> None:
        self._shown = shown
        self._task: TaskID = shown.add_task(name, total=None)
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes of the file; 0 where the server does not tell."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._shown.update(self._task, total=value or None)

    def update(self, n: int) -> None:
        """So many bytes more."""
        self._shown.advance(self._task, n)

    def reset(self) -> None:
        """From 0 again."""
        self._shown.update(self._task, completed=0)

    def close(self) -> None:
        """It has arrived."""
        self._shown.remove_task(self._task)
