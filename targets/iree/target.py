"""The target: the networks of target onnx, as models of fixed sizes, with what compiles them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from lehr.artifact import BuildPlan
from lehr.errors import UsageError
from lehr.extras import needed_by
from lehr.network import Network
from lehr.targets.contract import Environment, Estimate, Figure, Options, Runner
from lehr.targets.iree.runner import IREE, MODEL, STEP, IreeRuntime, measured
from lehr.targets.onnx import Onnx

BATCH = "batch"
MOST = 4096


class Iree(Onnx):
    """Target onnx compiled ahead of time to a module of IREE for any processor that LLVM knows."""

    name: ClassVar[str] = "iree"
    summary: ClassVar[str] = (
        "the ONNX model compiled ahead of time by IREE, whole and as one step without Scan"
    )
    options: ClassVar[Mapping[str, str]] = {
        BATCH: f"samples that a model takes at once, 1 to {MOST} (default 1)"
    }
    holds: ClassVar[str] = (
        "sums within 32 bits, registers within 64; steps and batch are fixed when it is built"
    )
    judge: ClassVar[str] = (
        "IREE itself: both models, in every spike and membrane, compiled for a generic processor "
        "like this machine's"
    )
    environments: ClassVar[tuple[Environment, ...]] = (IREE,)
    products: ClassVar[tuple[str, ...]] = ("*.mlir", "*.vmfb", "first/*")

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Plan both models, a Makefile that compiles them, and a README that shows how they run."""
        batch = _batch(options)
        with needed_by("target iree"):
            from lehr.targets.iree.readme import makefile, readme
            from lehr.targets.onnx.model import make_model, make_step_model
        model, step = make_model(net, True, batch, net.steps), make_step_model(net, True, batch)
        files = {
            name: each.SerializeToString(deterministic=True)
            for name, each in ((MODEL, model), (STEP, step))
        }
        return BuildPlan(
            {
                **files,
                "Makefile": makefile(net, model).encode(),
                "README.md": readme(net, model, step).encode(),
            }
        )

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Estimate size and work as target onnx does.

        What the compiler makes of it is measured (`lehr build --measure`).
        """
        batch = _batch(options or {})
        figures = super().estimate(net, rates).figures
        return Estimate(
            (
                *figures,
                Figure(
                    "batch", batch, "samples", f"option {BATCH}: the models take so many at once"
                ),
            )
        )

    def version(self) -> str:
        """Return the version of IREE."""
        return IREE.version()

    def runner(self) -> Runner:
        """IREE's compiler and runtime."""
        return IreeRuntime()

    def measure(self, folder: Path) -> tuple[Figure, ...]:
        """Return the size of the compiled modules, and the time of an inference."""
        return () if IREE.missing() else measured(folder)


def _batch(options: Options) -> int:
    text = options.get(BATCH, "1")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise UsageError(f"option {BATCH} is {text!r}; use a number from 1 to {MOST}")
    return int(text)
