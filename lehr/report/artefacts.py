"""A built folder's own facts, and the outcome of running its artefact in its own tool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lehr import nirfile
from lehr.artifact import changed_files, read_manifest
from lehr.errors import FileRefused, LehrError, NotBitExact, ToolMissing, UsageError
from lehr.network import Network
from lehr.report.costs import cost, table
from lehr.report.facts import CostFacts, TableFacts, Verdict
from lehr.report.inputs import Pixels
from lehr.targets.golden import read_golden
from lehr.targets.replanned import MODEL, target_of
from lehr.targets.report import FOLDER, figures_of, tables
from lehr.targets.verification import TIMEOUT, Around, Verified, verify

GOLDEN = 64
"""Golden samples that are looked at, at most."""
DEVICE = "device"


@dataclass(frozen=True)
class Artefact:
    """A built folder.

    Attributes:
        folder: of it.
        manifest: as it stands there.
        network: that it was built from.
        golden: inputs of its golden vectors, `[N, T, *shape]`, the first of them.
        tables: what its target tells of it, as `lehr report` prints it.
        costs: its figures.
        judge: what its artefacts are run in, in words.
    """

    folder: Path
    manifest: Mapping[str, Any]
    network: Network
    golden: Pixels
    tables: tuple[TableFacts, ...]
    costs: tuple[CostFacts, ...]
    judge: str

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.manifest["target"])

    @property
    def device(self) -> str:
        """The device that was named at the build; empty where none was."""
        options = self.manifest.get("options", {})
        return str(options.get(DEVICE, "")) if isinstance(options, dict) else ""


def read_artefact(folder: Path) -> Artefact:
    """Read a built folder; nothing in it is run.

    Raises:
        UsageError: when it is none.
        FileRefused: when its network, its golden inputs or its report are not as they were built.
    """
    manifest = read_manifest(folder)
    target = target_of(manifest, folder)
    reported = tables(folder)
    needed = {n: d for n, d in manifest["files"].items() if n in (MODEL, "golden/input.u8")}
    if changed := changed_files(folder, needed):
        raise FileRefused(
            f"{', '.join(changed)} in {folder} changed since the artefact was built; build it again"
        )
    network = nirfile.read(folder / MODEL)
    golden, _ = read_golden(network, folder, GOLDEN)
    costs = [cost(f, "estimated") for f in figures_of(folder / FOLDER / "estimate.json")]
    measured = folder / FOLDER / "measured.json"
    if measured.exists():
        costs += [cost(f, "measured") for f in figures_of(measured)]
    own = [t for t in reported if t.title not in ("estimate", "widths", "measured at the build")]
    return Artefact(
        folder,
        manifest,
        network,
        golden,
        tuple(map(table, own)),
        tuple(costs),
        target.judge,
    )


@dataclass(frozen=True)
class Run:
    """Outcome of running an artefact.

    Attributes:
        verdict: in a report's words.
        verified: the outcome; None where it could not be run.
        around: the neuron that differs first.
    """

    verdict: Verdict
    verified: Verified | None = None
    around: Around | None = None

    @property
    def predictions(self) -> tuple[int, ...]:
        """The class of each golden sample, by the artefact; none where it could not be run."""
        return () if self.verified is None else self.verified.predictions


NOT_ASKED = Run(
    Verdict("", "The artefact was not run; write a page with -o, which verifies it first.")
)


def run_artefact(folder: Path, timeout: float = TIMEOUT) -> Run:
    """Verify an artefact in its own tool; what stands in the way is the verdict."""
    try:
        verified = verify(folder, GOLDEN, timeout)
    except (ToolMissing, UsageError) as error:
        return Run(Verdict("", f"The artefact was not run here: {error}."))
    except (FileRefused, NotBitExact) as error:
        return Run(Verdict("FAIL", f"{_sentence(error)}.", error.exit_code))
    return Run(verdict_of(verified), verified, verified.around)


def verdict_of(verified: Verified) -> Verdict:
    """Say what came of verifying an artefact."""
    compared, word, sentence, code = verified.comparison, "PASS", "", 0
    try:
        verified.require()
    except (FileRefused, NotBitExact) as error:
        word, sentence, code = "FAIL", f"{_sentence(error)}.", error.exit_code
    return Verdict(
        "PASS" if word == "PASS" else "FAIL",
        sentence or f"{str(compared)[0].upper()}{str(compared)[1:]}.",
        code,
        f"{verified.target} in its own tool with the reference simulator",
        verified.samples,
        compared.values,
        compared.membranes,
        compared.spikes,
        None if compared.first is None else asdict(compared.first),
        len(verified.misjudged),
        "membrane" in compared.quantities,
    )


def _sentence(error: LehrError) -> str:
    """Return an error's message as the start of a sentence of its own."""
    return " ".join(error.lines)
