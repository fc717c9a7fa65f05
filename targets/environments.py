"""Tools of others in Python environments of their own: place, version, installation, calls.

A vendor's simulator pins packages, and some need an older Python than lehr: each lives in an
environment of its own under `$LEHR_TOOLS`, or else the user's data folder. Nothing of it is
imported here; a script of lehr's runs in it, with arrays in files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lehr import ownership
from lehr.errors import LehrError, NotBitExact, ToolMissing
from lehr.npz import Archive, npz_bytes

Arrays = Mapping[str, npt.NDArray[Any]]
MARK = "lehr-installed.txt"
"""In an environment: what was installed into it, written when that was done."""
LONGEST = 3600.0
"""Seconds that a script may take, where nothing else is said."""
_LARGEST = 1 << 33
"""Bytes of an array that a script gives back: more than of any trace that fits in memory."""


@dataclass(frozen=True)
class Environment:
    """An environment with one tool.

    Attributes:
        name: as in `lehr doctor --install NAME`.
        package: the distribution whose version is told.
        python: the version of Python that it needs, as "3.10"; that which runs lehr if empty.
        steps: arguments of `pip install`, one call after another; versions are pinned in them.
    """

    name: str
    package: str
    steps: tuple[tuple[str, ...], ...]
    python: str = ""

    @property
    def folder(self) -> Path | None:
        """Folder where it is, or would be; None for a user without a home."""
        base = os.environ.get("LEHR_TOOLS")
        return (
            Path(base).absolute() / self.name
            if base
            else ownership.user_folder("XDG_DATA_HOME", ".local/share", f"tools/{self.name}")
        )

    @property
    def interpreter(self) -> Path | None:
        """Python of the environment; None where it is not installed as `steps` say.

        It is None as well where others could have put something into it.
        """
        folder = self.folder
        if (
            folder is None
            or not (folder / MARK).is_file()
            or not ownership.only_ours(folder.resolve())
        ):
            return None
        python = folder / "bin" / "python"
        return (
            python
            if python.exists() and (folder / MARK).read_text("utf-8") == self._contents
            else None
        )

    @property
    def _contents(self) -> str:
        return "".join(f"pip install {' '.join(step)}\n" for step in self.steps)

    def missing(self) -> str | None:
        """Return how to install it, in a sentence, where it is not installed; else None."""
        if self.interpreter is not None:
            return None
        return (
            f"{self.name} is not on this machine; install it with 'lehr doctor --install "
            f"{self.name}'"
        )

    def version(self) -> str:
        """Return the installed version of its package; empty where it is not installed."""
        python = self.interpreter
        if python is None:
            return ""
        return _version(python, self.package)

    def base(self) -> str | None:
        """Return the Python that the environment is made with.

        It is None where this machine has none of its version.
        """
        if not self.python or sys.version.startswith(f"{self.python}."):
            return sys.executable
        return next(pythons(self.python), None)

    def plan(self) -> list[list[str]]:
        """Return the commands that install it, in order.

        Raises:
            ToolMissing: when this machine lacks the Python that it needs, or the user has no home.
        """
        base, folder = self.base(), self.folder
        if base is None:
            raise ToolMissing(
                f"{self.name} needs Python {self.python}, which is not on this machine; install "
                "it, or put it on PATH"
            )
        if folder is None:
            raise ToolMissing(
                f"{self.name} has no place without a home; set LEHR_TOOLS to a folder that only "
                "you can write to"
            )
        pip = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ]
        return [
            [base, "-m", "venv", "--clear", str(folder)],
            *([*pip, *step] for step in self.steps),
        ]

    def install(self) -> Generator[str, None, None]:
        """Run the commands of `plan`, each of which is yielded before it runs.

        Where it is installed as `steps` say, nothing is done. What was there before is put back
        where a command fails, or nobody asks for the rest.

        Raises:
            ToolMissing: as `plan`, and with the last lines of a command that fails.
        """
        commands, folder = self.plan(), self.folder
        assert folder is not None
        if self.missing() is None:
            return
        before = folder.with_name(f"{folder.name}.before")
        # else one that was interrupted left it, and the folder is half made
        if folder.exists() and not before.exists():
            folder.rename(before)
        try:
            for command in commands:
                yield " ".join(command)
                done = subprocess.run(
                    command,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    stdin=subprocess.DEVNULL,
                    check=False,
                )
                if done.returncode:
                    lines = (done.stderr or done.stdout).strip().splitlines()[-3:]
                    raise ToolMissing(
                        f"{self.name} cannot be installed: {' '.join(lines)}; mend that, and "
                        "install it again"
                    )
            (folder / MARK).write_text(self._contents, "utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if before.exists():
                before.rename(folder)
            raise
        shutil.rmtree(before, ignore_errors=True)

    def run(
        self,
        script: Path,
        arrays: Arrays,
        failure: str,
        files: Sequence[Path] = (),
        seconds: float = LONGEST,
    ) -> dict[str, npt.NDArray[Any]]:
        """Run a script of lehr's, as `python script in.npz out.npz FILES`, in a folder of its own.

        Args:
            script: that reads `in.npz` and writes `out.npz`; it imports the tool and numpy, and
                nothing of lehr.
            arrays: what it gets.
            failure: what of the tool's work a failing script means, as in "xylosim {failure}".
            files: more arguments, absolute.
            seconds: how long it may take.

        Raises:
            ToolMissing: when it is not installed.
            NotBitExact: with the last line of its error, when it fails, takes longer, or gives
                nothing back.
        """
        python = self.interpreter
        if python is None:
            raise ToolMissing(str(self.missing()))
        with tempfile.TemporaryDirectory(prefix=f"lehr-{self.name}-") as scratch:
            work = Path(scratch)
            (work / "in.npz").write_bytes(npz_bytes(arrays))
            environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {
                "OMP_NUM_THREADS": "1"
            }
            command = [str(python), "-I", str(script), "in.npz", "out.npz", *map(str, files)]
            try:
                done = subprocess.run(
                    command,
                    cwd=work,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=seconds,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise NotBitExact(
                    f"{self.name} is not done after {seconds:g} s; run fewer samples"
                ) from None
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
                raise NotBitExact(f"{self.name} {failure}: {lines[-1]}; build the artefact again")
            try:
                with Archive(work / "out.npz") as archive:
                    return {
                        name: np.asarray(archive.read(name, _LARGEST)) for name in archive.names
                    }
            except LehrError as error:
                raise NotBitExact(
                    f"{self.name} {failure}: it gives no results ({error}); build the artefact "
                    "again"
                ) from None


@cache
def _version(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()


def pythons(version: str) -> Iterator[str]:
    """Yield the interpreters of a version on this machine: on PATH, and installed by pyenv."""
    if on_path := shutil.which(f"python{version}"):
        done = subprocess.run(
            [on_path, "-c", "import sys; print(sys.version)"],
            capture_output=True,
            text=True,
            check=False,
        )
        # a shim of pyenv is there for versions that are not chosen, and fails
        if done.stdout.startswith(f"{version}."):
            yield on_path
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    yield from (
        str(python)
        for python in sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)
    )
