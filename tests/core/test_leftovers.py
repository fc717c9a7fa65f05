"""Parts of dead writers are cleaned away, and nothing else."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

import pytest
from killed import forked, killed_before

from lehr import leftovers
from lehr.atomic import write_bytes, writing, writing_folder
from lehr.leftovers import ABANDONED, OLD, PART, new_name, recover, sweep


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def beside(out: Path) -> set[Path]:
    return {*out.parent.iterdir()} - {out}


def in_another_process(call: str, out: Path) -> None:
    """Sweep or write in another process."""
    child = forked(lambda: sweep(out) if call == "sweep" else write_bytes(out, b"another"))
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("call", ["sweep", "write"])
def test_what_a_living_writer_writes_is_left_to_it(out: Path, call: str) -> None:
    with writing(out) as part:
        in_another_process(call, out)
        sweep(out)
        part.write_bytes(b"mine")
    assert out.read_bytes() == b"mine"
    out.unlink()
    with writing_folder(out) as part:
        in_another_process("sweep", out)
        sweep(out)
        (part / "x").write_bytes(b"mine")
    assert (out / "x").read_bytes() == b"mine"
    assert not beside(out)


def test_a_writer_that_was_stopped_lives(out: Path) -> None:
    ready, tell = os.pipe()

    def write_and_stop() -> None:
        with writing(out) as part:
            part.write_bytes(b"mine")
            os.write(tell, b"x")
            os.kill(os.getpid(), signal.SIGSTOP)

    child = forked(write_and_stop)
    assert os.read(ready, 1) == b"x"
    os.waitpid(child, os.WUNTRACED)
    sweep(out)
    assert len(beside(out)) == 1
    os.kill(child, signal.SIGCONT)
    assert os.waitpid(child, 0)[1] == 0
    assert out.read_bytes() == b"mine"
    assert not beside(out)


def test_what_a_dead_writer_wrote_is_cleaned_away(out: Path) -> None:
    assert killed_before(0, lambda: write_bytes(out, b"half"), kinds=["write"])
    assert len(beside(out)) == 1
    sweep(out)
    assert not beside(out)


OTHER = "0123abcd"


@pytest.mark.parametrize("folder", [True, False])
def test_what_another_host_wrote_is_left_until_it_is_old(
    out: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "_kernel", lambda: OTHER)
        part = new_name(out, PART)
    part.mkdir() if folder else part.touch()
    sweep(out)
    assert beside(out) == {part}
    old = time.time() - ABANDONED - 60
    os.utime(part, (old, old))
    handle = os.open(part, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)  # as on systems that share locks with all hosts
    sweep(out)
    assert beside(out) == {part}
    os.close(handle)
    sweep(out)
    assert not beside(out)


def test_where_there_are_no_locks_age_decides(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with writing(out) as part:
        sweep(out)
        part.write_bytes(b"mine")
    assert out.read_bytes() == b"mine"
    left = new_name(out, PART)
    left.touch()
    sweep(out)
    assert left.exists()
    old = time.time() - ABANDONED - 60
    os.utime(left, (old, old))
    sweep(out)
    assert not beside(out)


def test_nothing_else_is_touched(out: Path) -> None:
    part = new_name(out, PART)
    names = [
        ".out.part", ".out.download.part", ".out.abc12345.old", f"{part.name}.txt", part.name.replace(".out.", ".output."),
        part.name.replace("part", "mine"), part.name.replace("-", "_"),
    ]  # fmt: skip
    mine = {out.with_name(name) for name in names}
    for path in mine:
        path.mkdir()
        (path / "thesis.tex").touch()
    link, fifo = new_name(out, PART), new_name(out, PART)
    link.symlink_to(out.with_name(names[0]))
    os.mkfifo(fifo)
    write_bytes(out, b"")
    assert beside(out) == {*mine, link, fifo}
    assert all((path / "thesis.tex").exists() for path in mine)


def test_the_newest_of_what_was_moved_away_comes_back_and_the_rest_goes(out: Path) -> None:
    for data in ("older", "newer"):
        old = new_name(out, OLD)
        (out.parent / data).mkdir()
        (out.parent / data / "x").write_text(data)
        (out.parent / data).rename(old)
        time.sleep(0.02)
    recover(out)
    assert (out / "x").read_text() == "newer"
    assert len(beside(out)) == 1
    sweep(out)
    assert (out / "x").read_text() == "newer"
    assert not beside(out)


def test_where_something_is_nothing_is_put_back(out: Path) -> None:
    old = new_name(out, OLD)
    old.mkdir()
    out.symlink_to("nowhere")
    recover(out)
    assert out.is_symlink()
    assert beside(out) == {old}


def test_a_folder_above_comes_back(out: Path) -> None:
    old = new_name(out, OLD)
    (old / "run").mkdir(parents=True)
    recover(out / "run" / "state.json")
    assert (out / "run").is_dir()
    recover(Path("nothing/here"))
    recover(Path("/"))
