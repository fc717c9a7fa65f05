"""Questions to CBMC: a C program, and what it says of every claim in it.

CBMC parses C and turns it into a question to a SAT solver; it runs nothing of the program.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CBMC = "cbmc"
INSTALL = "install CBMC 6 (Debian 13: apt install cbmc)"
MISSING = f"{CBMC} is not on this machine; {INSTALL}"
OPTIONS = (
    "--bounds-check",
    "--pointer-check",
    "--div-by-zero-check",
    "--signed-overflow-check",
    "--undefined-shift-check",
    "--conversion-check",
    "--drop-unused-functions",
)
"""What is asked beside the claims that a program makes: whether anything in it is undefined."""
DEFINED = ("to unsigned type conversion",)
"""What CBMC points out, and C defines: a conversion to an unsigned type is modulo its size."""
MET = "the assumptions can be met"
"""The claim at the end of every program that is false, and must be: else nothing comes there."""
SHOWN = "lehr_proof_shown_"
"""How variables are called whose values are read from a contradiction."""
MEMORY = 8 << 30
"""Bytes that CBMC may take."""
PATIENCE = 20
"""How many times longer than its seconds of the processor a question may last on a busy machine."""


@dataclass(frozen=True)
class Answer:
    """What CBMC said of a program.

    Attributes:
        met: whether something meets the assumptions.
        failed: the claims that do not hold, each with the values that contradict it.
        why: why there is no answer; empty where there is one.
    """

    met: bool = False
    failed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    why: str = ""


def available() -> bool:
    """Return whether CBMC is on this machine."""
    return shutil.which(CBMC) is not None


@cache
def version() -> str:
    """Return the name and version of CBMC; its name alone where it is not here."""
    path = shutil.which(CBMC)
    if path is None:
        return CBMC
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return CBMC
    return f"{CBMC} {done.stdout.split(' ')[0].strip()}"


class Asked:
    """What CBMC was asked so far.

    Args:
        timeout: seconds of the processor for a question.

    Attributes:
        seconds: of the processor.
        queries: how many programs it was given.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout, self.seconds, self.queries = timeout, 0.0, 0

    def about(self, files: Mapping[str, str], *options: str) -> Answer:
        """Return what CBMC says of the first of some C files, which may include the others."""
        self.queries += 1
        with tempfile.TemporaryDirectory(prefix="lehr-prove-") as scratch:
            for name, text in files.items():
                (Path(scratch) / name).write_text(text, encoding="utf-8")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            try:
                done = subprocess.run(
                    [CBMC, "--json-ui", "--trace", *OPTIONS, *options, next(iter(files))],
                    cwd=scratch,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=PATIENCE * (1 + self.timeout),
                    preexec_fn=self._limited,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return self._late()
            except OSError as error:
                return Answer(why=f"{CBMC} does not start: {error.strerror}")
            finally:
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                self.seconds += after.ru_utime - before.ru_utime
        ended = done.returncode in (-signal.SIGXCPU, 128 + signal.SIGXCPU)
        return self._late() if ended else _answer(done.stdout)

    def _late(self) -> Answer:
        return Answer(why=f"{CBMC} did not end within {self.timeout:g} s")

    def _limited(self) -> None:
        seconds = math.ceil(self.timeout)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(said: bytes) -> Answer:
    """Read the answer in JSON."""
    try:
        parts = json.loads(said)
    except ValueError:
        return Answer(why=f"{CBMC} broke off, as it does where memory is short")
    results = next((part["result"] for part in parts if "result" in part), None)
    if results is None:
        texts = [part["messageText"] for part in parts if part.get("messageType") == "ERROR"]
        return Answer(why=f"{CBMC} says: {' '.join(texts) or 'nothing'}"[:300])
    failed, met, unknown = {}, False, ""
    for each in results:
        claim, status = each["description"], each["status"]
        if any(words in claim for words in DEFINED):
            continue
        if claim == MET:
            met = status == "FAILURE"
        elif status == "FAILURE":
            failed[claim] = _values(each.get("trace", []))
        elif status != "SUCCESS":
            unknown = f"{CBMC} says {status.lower()} of: {claim}"
    return Answer(met, failed, "" if failed else unknown)


def _values(trace: list[dict[str, Any]]) -> dict[str, int]:
    """Return the last values of the variables that are shown."""
    values = {}
    for step in trace:
        name = step.get("lhs", "")
        if step.get("stepType") == "assignment" and name.startswith(SHOWN):
            data = str(step["value"].get("data", ""))
            digits = data.rstrip("ulUL")
            if digits.lstrip("-").isdigit():
                values[name.removeprefix(SHOWN)] = int(digits)
    return values
