"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lehr.cli import completing

DATA_VARIABLE = "LEHR_DATA"
"""Environment variable with the folder of data sets, for commands without --data."""

RecipeName = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A recipe file, or the name of a bundled recipe.",
        autocompletion=completing.recipes_and_files,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar=DATA_VARIABLE,
        help="Folder with the data set's official files.",
    ),
]
Download = Annotated[
    bool,
    typer.Option("--download", help="First fetch the official files that are not in --data DIR."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the recipe, as in train.lr=1e-3.",
        autocompletion=completing.recipe_keys,
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL.nir", help="A network that `lehr export` wrote.")
]
InputFile = Annotated[
    Path | None,
    typer.Option(
        "-i",
        "--input",
        metavar="IN.npz",
        help="Inputs, uint8, in an array 'input'; optionally 'labels'.",
    ),
]
Recorded = Annotated[
    Path | None,
    typer.Option(
        "-i",
        "--input",
        metavar="IN.npz|RECORDING|SHARDS",
        help="Inputs, uint8, in an array 'input', optionally 'labels'; or an event camera's "
        "recording (.raw, .dat, .aedat, .aedat4, .bin, .npy and others) or a sequence (.wav, .csv, "
        ".npy), with --frames; or a .tar file of KEY.npy and KEY.cls, or HDF5 of 'input' and "
        "'labels'; or several of these, a folder of them or @LIST.txt, one a line.",
    ),
]
FramesOption = Annotated[
    str | None,
    typer.Option(
        "--frames",
        metavar="step_us=N,...|run=RUN|code=...",
        help="How a recording becomes steps: microseconds in one, and start_us, steps (all from "
        "the first event to the last if left out), downsample (pixels of the camera in a row of "
        "the network's), most (up to which the events of a step and pixel are counted; 1 where the "
        "network takes spikes, 255 where it takes bytes, if left out), unit (of the times of an "
        ".npy file: us, ms, ns or s). A sequence: run=RUN, with the numbers of the run that was "
        "trained on such, or code=delta or level-crossing, threshold, step_samples, bands, "
        "lowest_hz, highest_hz, steps, most.",
        autocompletion=completing.frames,
    ),
]
WorkersOption = Annotated[
    str,
    typer.Option(
        "--workers",
        metavar="N|ray|ray://HOST:PORT",
        help="Spread the work over N processes, or over a cluster of Ray: that which runs here, or "
        "the one at an address. The result is the same.",
    ),
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="NAME",
        help="One of `lehr targets list`.",
        autocompletion=completing.targets,
    ),
]
