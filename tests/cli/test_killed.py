"""Commands that are killed before any step of theirs leave the old or the new, whole.

The same command then works, and cleans up.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from commands import Lehr, Ran
from killed import RENAMES, STEPS, killed_before

from lehr import atomic, nirfile
from lehr.export.checkpoint import load_run
from lehr.leftovers import recover
from lehr.npz import npz_bytes
from lehr.samples import open_samples
from lehr.simulate import simulate
from lehr.simulate.partial import partial_arrays
from lehr.simulate.pieces import Traced
from lehr.train.runs import progress

Tree = dict[str, str]
SMALL = ("train.epochs=2", "data.train_samples=64", "data.test_samples=16")


def tree(path: Path) -> Tree | None:
    """Return the sha256 of every file at a path; None if there is nothing."""
    recover(path)
    if not path.exists():
        return None
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }


@pytest.fixture(params=["exchange", "renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Replace folders by the exchange of this system, or as a system without one does."""
    if request.param == "renames":
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    return str(request.param)


class Case:
    """A command that replaces something at `out`."""

    def __init__(
        self,
        folder: Path,
        lehr: Lehr,
        command: tuple[object, ...],
        prepare: Callable[[Path], object],
        again: str = "",
    ) -> None:
        self.out, self.lehr, self.command, self.prepare, self.again = (
            folder / "work" / "out",
            lehr,
            command,
            prepare,
            again,
        )
        self.restore()
        self.old = tree(self.out)
        assert self.run().code == 0
        self.new = tree(self.out)
        assert self.new not in (None, self.old)

    def run(self) -> Ran:
        """Run the command here."""
        return self.lehr(*self.command, "-o", self.out)

    def restore(self) -> None:
        """Put everything back as it was before."""
        shutil.rmtree(self.out.parent, ignore_errors=True)
        self.out.parent.mkdir()
        self.prepare(self.out)

    def kill(self, step: int, kinds: Collection[str]) -> bool:
        """Kill the command before a step, if it has as many, and run it once more."""
        self.restore()
        killed = killed_before(step, self.run, kinds)
        left = tree(self.out)
        assert left in (self.old, self.new), step
        ran = self.run()
        if left == self.new and self.again:
            assert (ran.code, self.again in ran.err) == (2, True)
        else:
            assert ran.code == 0, ran.err
        assert tree(self.out) == self.new
        assert list(self.out.parent.iterdir()) == [self.out], step
        return killed


@pytest.fixture
def export(line: Path, lehr: Lehr, tmp_path: Path) -> Case:
    return Case(tmp_path, lehr, ("export", line / "run"), lambda out: out.write_bytes(b"before"))


@pytest.fixture
def build(line: Path, lehr: Lehr, tmp_path: Path) -> Case:
    command = ("build", line / "model.nir", "--target", "c")
    assert lehr(*command, "-n", 2, "-o", tmp_path / "old").code == 0
    return Case(
        tmp_path, lehr, (*command, "-n", 1), lambda out: shutil.copytree(tmp_path / "old", out)
    )


@pytest.fixture
def resume(line: Path, lehr: Lehr, tmp_path: Path) -> Case:
    net, samples, what = nirfile.read(line / "model.nir"), open_samples(line / "in.npz"), Traced()
    left = npz_bytes(partial_arrays(net, simulate(net, samples.whole()[:30]), samples, what))
    command = ("simulate", line / "model.nir", "-i", line / "in.npz", "--resume")
    return Case(tmp_path, lehr, command, lambda out: out.write_bytes(left), "is a finished result")


@pytest.fixture
def train(line: Path, lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Return a case in which every epoch is kept, and the run takes the place of another."""
    monkeypatch.setattr(progress, "SHARE", 1)
    sets = [word for each in SMALL for word in ("--set", each)]
    command = ("train", line / "tiny.toml", *sets, "--resume")
    return Case(tmp_path, lehr, command, lambda out: shutil.copytree(line / "run", out))


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name", ["export", "build", pytest.param("resume", marks=pytest.mark.slow)]
)
def test_killed_before_any_rename(request: pytest.FixtureRequest, name: str) -> None:
    case, step = request.getfixturevalue(name), 0
    while case.kill(step, RENAMES):
        step += 1
    assert step > 0


@pytest.mark.slow
def test_what_reads_first_after_a_kill_finds_the_old_build(
    build: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    build.restore()
    assert killed_before(1, build.run, ["os.rename"])
    assert not build.out.exists()
    ran = build.lehr("report", build.out)
    assert ran.code == 0, ran.err
    assert tree(build.out) == build.old


@pytest.mark.slow
def test_killed_between_the_renames_of_its_progress_training_goes_on(
    train: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
    train.restore()
    # three for the second epoch, after one for the first
    assert killed_before(5, train.run, ["os.rename"])
    kept = progress.progress_folder(train.out)
    assert not kept.exists()
    assert tree(train.out) == train.old
    ran = train.lehr(*train.command[:-1], "-o", train.out)
    assert ran.code == 2
    assert (
        "out.unfinished holds epoch 2 of phase A of an unfinished run; add --resume to go on, or "
        "remove it" in ran.err
    )
    assert train.run().code == 0
    assert tree(train.out) == train.new
    assert list(train.out.parent.iterdir()) == [train.out]


@pytest.mark.slow
def test_killed_when_the_run_is_written_and_its_progress_still_there(train: Case) -> None:
    train.restore()
    assert killed_before(5, train.run, RENAMES)  # one for each of four epochs, one for the run
    assert tree(train.out) == train.new
    assert progress.progress_folder(train.out).is_dir()
    assert load_run(train.out).stated
    assert train.run().code == 0
    assert tree(train.out) == train.new
    assert list(train.out.parent.iterdir()) == [train.out]


@pytest.mark.slow
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("name", "every"), [("export", 1), ("build", 3), ("resume", 1), ("train", 23)]
)
def test_killed_before_any_step(request: pytest.FixtureRequest, name: str, every: int) -> None:
    case, step = request.getfixturevalue(name), 0
    while case.kill(step, STEPS):
        step += every
    assert step > 4


@pytest.mark.slow
@pytest.mark.usefixtures("way")
def test_training_killed_before_any_rename(train: Case) -> None:
    step = 0
    while train.kill(step, RENAMES):
        step += 1
    assert step > 5
