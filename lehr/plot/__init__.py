"""Pictures of networks, of runs, and of what they cost: each function returns a matplotlib Axes.

    ax = lehr.plot.raster(lehr.simulate(net, "in.npz", trace="all"), sample=3)
    ax.figure.savefig("raster.pdf")

Every function takes `ax`, on which it draws; without it the picture has a Figure of its own, which
is closed by being forgotten, as pyplot knows nothing of it. matplotlib is imported when the first
picture is drawn. `lehr.plot.style.svg` turns a picture into SVG for a page, light or dark.
"""

from lehr.plot.classes import confusion, steps
from lehr.plot.costs import Cost, resources
from lehr.plot.distributions import distributions
from lehr.plot.graph import network
from lehr.plot.membranes import membrane
from lehr.plot.rasters import raster
from lehr.plot.runs import training
from lehr.plot.searches import search
from lehr.plot.shares import Share, accuracy

__all__ = [
    "Cost",
    "Share",
    "accuracy",
    "confusion",
    "distributions",
    "membrane",
    "network",
    "raster",
    "resources",
    "search",
    "steps",
    "training",
]
