"""Targets that only check: machines known well enough to say what they cannot hold.

Nothing is written for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from lehr.artifact import BuildPlan
from lehr.network import Network
from lehr.targets.contract import Estimate, Options, Problem, Target


class CheckedTarget(Target):
    """Machine without an artefact.

    `no_artefact` says why, and is the last reason of every check, so that nothing maps.
    """

    def check(self, net: Network) -> tuple[Problem, ...]:
        """Return all reasons why `net` does not map.

        The last one is that nothing is written for the machine.
        """
        return (
            *super().check(net),
            Problem(net.output, self.no_artefact, "build for another target"),
        )

    def plan(self, net: Network, options: Options) -> BuildPlan:
        """Refuse `net`.

        Raises:
            NotMappable: always, with every problem.
        """
        del options
        self.require_mappable(net)
        raise AssertionError("check gives a reason for every network")

    def estimate(
        self, net: Network, rates: Mapping[str, float], options: Options | None = None
    ) -> Estimate:
        """Nothing: there is no network that it could be of."""
        del net, rates, options
        return Estimate(())

    def runner(self) -> None:
        """Return None: there is nothing to run."""
        return
