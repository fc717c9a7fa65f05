"""SynSense's DYNAP-CNN, Speck 2 and Speck 2b: nine cores of a convolution and neurons each, configured for samna."""

from __future__ import annotations

from lehr.targets.dynapcnn.target import Dynapcnn, Speck, Speck2

__all__ = ["Dynapcnn", "Speck", "Speck2"]
