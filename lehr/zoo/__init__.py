"""Trained networks, each with its samples, its card and its recipe: `lehr models`.

    from lehr import zoo

    folder = zoo.get("digits")                      # writes digits/: model.nir, samples.npz, ...
    print(zoo.entry("digits").accuracy)             # on the test set

`index.json` lists them. The small ones lie in `models/`; larger ones would be fetched, as the files
of all are assets of the release that the index names. `python -m lehr.zoo.pack` makes all anew.
"""

from lehr.zoo.getting import get
from lehr.zoo.index import Entry, entries, entry, names

__all__ = ["Entry", "entries", "entry", "get", "names"]
