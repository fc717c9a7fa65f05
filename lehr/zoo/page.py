"""The page of the documentation that lists the zoo."""

from __future__ import annotations

from collections.abc import Iterable

from lehr.zoo.getting import MIRROR, RELEASES
from lehr.zoo.index import IN_WHEEL, Entry

_PAGE = """# Trained networks

Written by `make docs`, from the index of the zoo. By hand nothing is changed here.

    lehr models list
    lehr models get digits                    # writes digits/
    lehr build digits/model.nir --target c -i digits/samples.npz -o out
    lehr verify out

A model's folder holds `model.nir`, `samples.npz` (16 samples of the test set with their labels, spread evenly over it), `recipe.toml`, and
`MODEL_CARD.md`: data and its licence, layers and thresholds, what it reaches, and the command lines that make it. In Python:
`lehr.zoo.names()`, `lehr.zoo.entry(NAME)`, `lehr.zoo.get(NAME, to=FOLDER)`.

| model | what it is | made for | neurons a layer | steps | accuracy on the test set | spikes an inference | bytes |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

In brackets is Wilson's 95 % interval. The test sets had no say in training, but for `digits-ranc`'s; `fsdd` is not SHD, and `nmnist` a
part of N-MNIST: the cards say more. "Neurons a layer" begins with the values that go in.

## Where the files come from

Models of up to {limit:,} bytes come with lehr{but}. The files of all are assets of its releases, called
`MODEL.FILE`, at `{releases}/vVERSION`; what does not come along is fetched from there,
or from the address or the folder that the environment variable `{mirror}` names. Every file is compared with the SHA-256 in lehr's
index, whichever way it came: one that differs is refused by its name, and nothing is written. A folder that holds anything else is not
replaced.

## Making them anew

    make models DATA=DIR

trains, measures and packs all of them, and writes the index, the models that come with lehr, and in `dist/models` the assets of a
release; it takes an hour or more on two cores. `python -m lehr.zoo.pack NAME --data DIR` does so for one.
"""


def page(entries: Iterable[Entry]) -> str:
    """Return the page, in Markdown."""
    listed = list(entries)
    rows = (
        f"| `{e.name}` | {e.description} | {f'`{e.target}`' if e.target else ''} | {e.network} | "
        f"{e.steps} | {e.accuracy} | {e.spikes:,.1f} | {e.bytes:,} |"
        for e in listed
    )
    fetched = [f"`{e.name}`" for e in listed if not e.bundled]
    return _PAGE.format(
        rows="\n".join(rows),
        limit=IN_WHEEL,
        but=f", here all but {', '.join(fetched)}" if fetched else ", here all",
        releases=RELEASES,
        mirror=MIRROR,
    )
