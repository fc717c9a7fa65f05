"""One page that shows a run, a network or a built folder: verdict, accuracy, training, spikes, costs.

    lehr.report("run", "in.npz", out="report.html")

It is the command `lehr report` as a package, and as a function (lehr.callable).
"""

from lehr.callable import make_callable

make_callable(__name__)
