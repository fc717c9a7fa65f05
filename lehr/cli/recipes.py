"""`lehr recipes`: the recipes that come along, their keys, and the data they train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lehr.cli import completing
from lehr.cli.console import Json, session
from lehr.cli.data import read_data
from lehr.cli.options import Data, Download, Overrides, RecipeName

app = typer.Typer(help="List and copy the bundled recipes, and write their schema and test data.")


@app.command("list")
def list_recipes(as_json: Json = False) -> None:
    """List the bundled recipes."""
    with session(as_json) as out:
        from lehr.train.keys.layer import summary
        from lehr.train.recipefile import ARMS, bundled, load

        rows = []
        for name in bundled():
            recipe = load(name)
            layers = "-".join(map(summary, recipe.network.layers))
            rows.append(
                (
                    name,
                    recipe.data.name,
                    layers,
                    recipe.network.steps,
                    recipe.network.beta or "-",
                    recipe.description,
                )
            )
        out.facts["recipes"] = [
            dict(zip(("name", "data", "network", "steps", "beta", "description"), row, strict=True))
            for row in rows
        ]
        out.facts["arms"] = ARMS
        out.then("train", "digits")
        out.table(("recipe", "data", "network", "steps", "beta", "what it is"), rows)
        out.table(
            ("arm of any recipe", "lehr train RECIPE"),
            [(arm, " ".join(f"--set {s}" for s in settings)) for arm, settings in ARMS.items()],
        )


@app.command()
def copy(
    name: Annotated[
        str, typer.Argument(help="Name of a bundled recipe.", autocompletion=completing.recipes)
    ],
    to: Annotated[
        Path | None, typer.Argument(help="File to write; NAME.toml in this folder if not given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy a bundled recipe into a file of your own, to change it."""
    with session(as_json) as out:
        from lehr.atomic import write_bytes
        from lehr.errors import UsageError
        from lehr.spelling import nearest
        from lehr.train.recipefile import bundled

        if name not in bundled():
            remedy = nearest(name, bundled()) or f"use one of {', '.join(bundled())}"
            raise UsageError(f"recipe {name!r} is not bundled; {remedy}")
        path = to or Path(f"{name}.toml")
        if path.exists():
            raise UsageError(f"{path} exists; give another file to write")
        write_bytes(path, bundled()[name].read_bytes())
        out.facts["path"] = str(path)
        out.say(f"wrote {path}")
        out.then("train", path)


@app.command()
def schema(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; the schema is printed if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the JSON schema of recipes, by which editors complete and check them."""
    with session(as_json) as out:
        import json

        from lehr.train.schema import recipe_schema

        of_recipes = recipe_schema()
        text = json.dumps(of_recipes, indent=2)
        if output is None:
            out.facts["recipe_schema"] = of_recipes
            if not as_json:
                typer.echo(text)  # whole lines, for a file or another program
            return
        from lehr.atomic import write_bytes

        write_bytes(output, f"{text}\n".encode())
        out.facts["path"] = str(output)
        out.say(f"wrote {output}; a recipe names it in its first line: #:schema {output}")
        out.then("recipes", "copy", "digits")


@app.command()
def samples(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz file to write.")],
    data: Data = None,
    download: Download = False,
    overrides: Overrides = None,
    events: Annotated[
        bool, typer.Option("--events", help="Write events instead of frames.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a recipe's test samples as input for `lehr simulate`."""
    with session(as_json) as out:
        from lehr.atomic import write_bytes
        from lehr.errors import UsageError
        from lehr.npz import npz_bytes
        from lehr.samples import event_arrays
        from lehr.train.recipefile import load

        read = read_data(load(recipe, tuple(overrides or ())).data, data, download)
        test = read.test
        if events and read.test_steps is None:
            raise UsageError(
                f"--events: {recipe} has values that are held for all steps, no events; leave it "
                "out"
            )
        write_bytes(
            output,
            npz_bytes(
                {
                    **(event_arrays(test.x) if events else {"input": test.x}),
                    # the labels of steps are none that `lehr simulate` counts by
                    ("labels" if test.y.ndim == 1 else "step_labels"): test.y,
                }
            ),
        )
        out.facts.update(path=str(output), samples=len(test))
        out.say(f"wrote {len(test):,} test samples to {output}")
        out.then("simulate", "MODEL.nir", "-i", output)
