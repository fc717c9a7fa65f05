"""Target spinnaker2: a plain NIR graph, and settings for py-spinnaker2, which converts it exactly.

It does so without rounding.
"""

from lehr.targets.spinnaker2.target import Spinnaker2

__all__ = ["Spinnaker2"]
