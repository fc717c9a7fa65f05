"""The page of the documentation that lists the zoo."""

from __future__ import annotations

from collections.abc import Iterable

from lehr.zoo.getting import MIRROR, RELEASES
from lehr.zoo.index import Entry

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

In brackets is the 95 % interval of Wilson. The test sets had no say in training, but for `digits-ranc`'s; `fsdd` is not SHD, and `nmnist` a
part of N-MNIST: the cards say more. "Neurons a layer" begins with the values that go in.

## Where the files come from

{origin} Every file is compared with the SHA-256 in lehr's
index, whichever way it came: one that differs is refused by its name, and nothing is written. A folder that holds anything else is not
replaced.

## Making them anew

    make models DATA=DIR

trains, measures and packs all of them, and writes the index, the models that come with lehr, and in `dist/models` the assets of the
release; hours on two cores. `python -m lehr.zoo.pack NAME --data DIR` does so for one.
"""


def page(entries: Iterable[Entry]) -> str:
    """Return the page, in Markdown."""
    listed = list(entries)
    rows = (
        f"| `{e.name}` | {e.description} | {f'`{e.target}`' if e.target else ''} | {e.network} | "
        f"{e.steps} | {e.accuracy} | {e.spikes:,.1f} | {e.bytes:,} |"
        for e in listed
    )
    return _PAGE.format(rows="\n".join(rows), origin=_origin(listed))


def _origin(listed: list[Entry]) -> str:
    """Say which models come with lehr, and where the others are fetched."""
    fetched = [e for e in listed if not e.bundled]
    if not fetched:
        return "All of them come with lehr."
    names = ", ".join(f"`{e.name}`" for e in fetched)
    places = ", ".join(dict.fromkeys(f"`{RELEASES}/v{e.release}`" for e in fetched))
    return (
        f"They come with lehr, but for {names}: those are assets of its releases, and fetched from\n"
        f"{places}, or from the address or folder that the environment variable\n`{MIRROR}` names, "
        "where they are called `MODEL.FILE`."
    )
