"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of a bundled recipe.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder with the data set's official files.")]
Download = Annotated[bool, typer.Option("--download", help="First fetch the official files that are not in --data DIR.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, as in train.lr=1e-3.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL.nir", help="A network that `lehr export` wrote.")]
InputFile = Annotated[
    Path | None, typer.Option("-i", "--input", metavar="IN.npz", help="Inputs, uint8, in an array 'input'; optionally 'labels'.")
]
Target = Annotated[str, typer.Option("--target", metavar="NAME", help="One of `lehr targets list`.")]
