"""One page about a run, a network or a built folder: verdict, accuracy, spikes, costs.

    lehr.report("run", "in.npz", output="report.html")

It is the command `lehr report` as a package, and as a function (lehr.callable).
"""

from lehr.callable import make_callable

make_callable(__name__)
