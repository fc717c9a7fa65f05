"""Proofs for every input and every state, by tools that are not lehr's.

    lehr.prove("out").require()

It is the command `lehr prove` as a package, and as a function (lehr.callable).
"""

from lehr.callable import make_callable

make_callable(__name__)
