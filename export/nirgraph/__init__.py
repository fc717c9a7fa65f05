"""Graphs of NIR as others write them: read, run in floating point, and made into integers.

    graph = read(Path("graph.nir"))
    quantized = quantize(graph, calibration, Semantics(dt=1e-4))
    quantized.network

`lehr.export.effect` measures what that changed.
"""

from lehr.export.nirgraph.floats import run
from lehr.export.nirgraph.graph import Graph
from lehr.export.nirgraph.layers import Options
from lehr.export.nirgraph.quantize import Quantized, quantize
from lehr.export.nirgraph.reading import from_nir, read
from lehr.export.nirgraph.semantics import Semantics

__all__ = ["Graph", "Options", "Quantized", "Semantics", "from_nir", "quantize", "read", "run"]
