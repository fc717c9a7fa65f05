"""Target spinnaker2: a plain NIR graph that py-spinnaker2 converts without rounding, and the settings of its conversion."""

from lehr.targets.spinnaker2.target import Spinnaker2

__all__ = ["Spinnaker2"]
