"""The documentation is true: generated pages are fresh, named commands and links exist."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from commands import run
from pydantic import BaseModel

from lehr.targets import operators, registry

TOP = Path(__file__).parent.parent
ERRORS = [
    f"lehr.errors.{name}"
    for name in ("FileRefused", "NotBitExact", "NotMappable", "ToolMissing", "UsageError")
]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]


def test_operators_page_is_fresh() -> None:
    page = (TOP / "docs" / "operators.md").read_text("utf-8")
    own = [
        target
        for target in registry.targets()
        if type(target).__module__.startswith("lehr.targets.")
    ]
    assert page == operators.markdown(own), "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_every_command_is_in_the_readme_and_every_one_there_exists() -> None:
    readme = (TOP / "README.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `lehr (\w+)", readme, re.MULTILINE))
    printed = re.findall(r"^  (\w+)  ", run("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert listed == set(printed)


PUBLIC = re.findall(
    r"^\.\. auto(?:function|class|module):: (lehr\S*)",
    (TOP / "docs" / "reference" / "python.md").read_text("utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert hasattr(import_module(module), attribute) or import_module(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_of_python_is_public(page: Path) -> None:
    """The page of the public names has all that others import, or name in full."""
    text = page.read_text("utf-8")
    named = {
        f"{module}.{name.strip()}"
        for module, names in re.findall(
            r"^ *from (lehr[\w.]*) import ([\w, ]+)$", text, re.MULTILINE
        )
        for name in names.split(",")
    } | set(re.findall(r"`(lehr\.\w+\.[\w.]+)", text))
    short = {"lehr.nirfile", "lehr.zoo", "lehr.plot", "lehr.targets.conformance"}
    assert named - short <= {*PUBLIC, *ERRORS}


def test_the_recipe_in_the_documentation_is_one() -> None:
    from lehr.train.recipefile import parse

    page = (TOP / "docs" / "files.md").read_text("utf-8")
    section = page.partition("## Recipes")[2].partition("\n## ")[0]
    text = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    assert len(parse(text, "docs/files.md").network.layers) == 2


def test_every_recipe_key_is_documented() -> None:
    from lehr.train import recipe
    from lehr.train.keys import dynamics as dynamics_recipe
    from lehr.train.keys import layer as layer_recipe
    from lehr.train.keys import network as network_recipe
    from lehr.train.keys import training as training_recipe
    from lehr.train.keys.arithmetic import ArithmeticRecipe
    from lehr.train.keys.augment import Augment
    from lehr.train.keys.delay import DelayRecipe
    from lehr.train.keys.shares import Shares
    from lehr.train.keys.threshold import Threshold

    page = (TOP / "docs" / "files.md").read_text("utf-8")
    for model in (
        recipe.Recipe,
        recipe.DataRecipe,
        network_recipe.NetworkRecipe,
        ArithmeticRecipe,
        Shares,
        layer_recipe.Conv,
        layer_recipe.Conv1d,
        layer_recipe.Linear,
        layer_recipe.Integrator,
        layer_recipe.Add,
        dynamics_recipe.Decay,
        dynamics_recipe.ThresholdAdaptation,
        dynamics_recipe.CurrentAdaptation,
        DelayRecipe,
        Threshold,
        recipe.Training,
        training_recipe.RatePenalty,
        training_recipe.Teaching,
        training_recipe.Beginning,
        Augment,
        recipe.Finetuning,
    ):
        for name, field in model.model_fields.items():
            key = field.alias or name
            assert re.search(rf"\b{key}\b", page), key


def test_the_machines_of_the_documentation_are_those_of_the_code() -> None:
    from lehr.machines import MACHINES
    from lehr.update_text import lines_of

    page = (
        (TOP / "docs" / "arithmetic.md")
        .read_text("utf-8")
        .partition("## Machines")[2]
        .partition("\n## ")[0]
    )
    described = dict(
        re.findall(r"^\*\*[^*\n]+\*\* \(`(\w+)`\): (?:.+\n)+\n((?:    .+\n)+)", page, re.MULTILINE)
    )
    assert described.keys() == MACHINES.keys()
    for name, block in described.items():
        assert tuple(line.strip() for line in block.splitlines()) == lines_of(MACHINES[name]), name


TRAINING = sorted((TOP / "docs" / "training").glob("*.md"))
FRAGMENTS = [
    (page.stem, text)
    for page in TRAINING
    for text in re.findall(
        r"^```toml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
]


def laid_over(table: dict[str, Any], fragment: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe's table with the keys of a fragment; a list takes the place of another."""
    return table | {
        key: laid_over(table.get(key, {}), value) if isinstance(value, dict) else value
        for key, value in fragment.items()
    }


@pytest.mark.parametrize(("page", "text"), FRAGMENTS, ids=[page for page, _ in FRAGMENTS])
def test_recipes_in_the_pages_on_training_are_valid(page: str, text: str) -> None:
    """A fragment is laid over the recipe `digits`; a whole recipe stands by itself."""
    from lehr.train.bundled import bundled
    from lehr.train.recipefile import parse

    fragment = tomllib.loads(text)
    whole = "name" in fragment
    digits = tomllib.loads(bundled()["digits"].read_text("utf-8"))
    recipe = parse(text if whole else tomli_w.dumps(laid_over(digits, fragment)), page)
    assert whole or recipe != parse(tomli_w.dumps(digits), "digits")


def test_a_whole_recipe_stands_in_the_pages_on_training() -> None:
    assert [page for page, text in FRAGMENTS if "name" in tomllib.loads(text)] == ["recipe"]
    assert {page for page, _ in FRAGMENTS} >= {
        "delays",
        "layers",
        "learning",
        "neurons",
        "thresholds",
    }


def keys_in_tables(heading: str) -> list[str]:
    """Return the keys in the first columns of all tables of such a heading, once for each table."""
    text = "\n".join(page.read_text("utf-8") for page in TRAINING)
    tables = re.findall(
        rf"^\| {re.escape(heading)} \|.*\n\| -.*\n((?:\|.*\n)+)", text, re.MULTILINE
    )
    return [
        key
        for table in tables
        for key in {
            key
            for row in table.splitlines()
            for key in re.findall(r"`(\w+)(?: = [^`]*)?`", row.split("|")[1])
        }
    ]


def test_each_key_of_training_stands_in_one_table() -> None:
    from lehr.train.keys import layer as layer_recipe
    from lehr.train.keys import training as training_recipe
    from lehr.train.keys.augment import Augment
    from lehr.train.keys.delay import DelayRecipe
    from lehr.train.keys.network import NetworkRecipe
    from lehr.train.keys.shares import Shares

    layers = (
        layer_recipe.Conv,
        layer_recipe.Conv1d,
        layer_recipe.Linear,
        layer_recipe.Integrator,
        layer_recipe.Add,
    )
    tables: dict[str, tuple[type[BaseModel], ...]] = {
        "key of `train`": (training_recipe.Training,),
        "key of `finetune`": (training_recipe.Finetuning,),
        "key of `network`": (NetworkRecipe,),
        "key of a layer": layers,
        "key of a `delay`": (DelayRecipe,),
        "key of `train.augment`": (Augment,),
        "key of `train.constrained`": (training_recipe.Constrained,),
        "key of `network.thresholds`": (Shares,),
    }
    for heading, models in tables.items():
        keys = {
            field.alias or name for model in models for name, field in model.model_fields.items()
        }
        assert sorted(keys_in_tables(heading)) == sorted(keys), heading
