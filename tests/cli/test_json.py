"""The output of `--json`: one object of a documented form from every command.

It is the same whether the command goes well, fails or cannot be read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from commands import Lehr, Ran
from pages import SLOW, commands, examples
from pydantic import BaseModel, ConfigDict, Field

PAGE = Path(__file__).parent.parent.parent / "docs" / "json.md"
MORE = (
    "train tiny.toml -o again --seeds 2",
    "search tiny.toml --space space.toml --trials 1 -o found",
    "export run -o m.nir",
    "export mine.py:build -i spikes.npz --readout max -o read.nir",
    "export model.nir --for norse -i in.npz -o f.nir",
    "quantize graph.nir --calibrate labelled.npz --dt 1e-3 -o q.nir",
    "convert ann.py:trained -i digits.npz --full-scale 16 --steps 2 -o c.nir",
    "inspect graph.nir",
    "widths model.nir -i in.npz -o w.nir",
    "build model.nir --target c --measure -n 2 -o measured",
    "verify out -n 1",
    "report measured",
)
"""Commands beside the examples, for fields that these do not show."""
UNSEEN = {
    "lehr demo": {"accuracy", "spike_rates", "compared_with_reference", "skipped", "output"},
    "lehr simulate": {"interrupted"},
    "lehr conformance": {"output", "networks"},
    "lehr doctor": {"name", "folder", "commands", "version"},
}
"""Documented fields of commands that take too long here, or that are interrupted."""


class Common(BaseModel):
    """The fields of every command."""

    model_config = ConfigDict(extra="allow", strict=True)

    schema_: Literal["lehr-cli/1"] = Field(alias="schema")
    exit_code: int
    result: Literal["PASS", "FAIL"] | None = None
    error: str | None = None
    next: str | None = None
    notes: list[str] = []
    warnings: list[str] = []


def documented() -> dict[str, set[str]]:
    """Return the fields in the tables of the page, by the command that its heading names."""
    sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: {
            name
            for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
            for name in re.findall(r"`([\w ]+)`", row)
        }
        for section in sections
    }


COMMON = documented()["Every command"]


def checked(ran: Ran) -> dict[str, Any]:
    """Check the fields of every command, and return those that are the command's own."""
    common = Common.model_validate(json.loads(ran.out))
    assert common.exit_code == ran.code
    assert (common.result == "FAIL") == (ran.code != 0) == (common.error is not None)
    assert next(iter(ran.facts)) == "schema"
    return {name: value for name, value in ran.facts.items() if name not in COMMON}


def test_the_fields_of_all_are_those_of_the_page() -> None:
    fields = {field.alias or name for name, field in Common.model_fields.items()}
    assert fields == COMMON


@pytest.mark.slow
def test_every_command_prints_what_the_page_says(here: Path, lehr: Lehr, line: Path) -> None:
    (here / "tiny.toml").write_bytes((line / "tiny.toml").read_bytes())
    with np.load("spikes.npz") as spikes:
        np.savez("labelled.npz", input=spikes["input"], labels=np.zeros(20, np.int64))
    shown = [words[1:] for name in commands() if name not in SLOW for words in examples(name)]
    given = dict.fromkeys(tuple(words) for words in (*shown, *map(str.split, MORE)))
    seen: dict[str, set[str]] = {}
    for words in given:
        ran = lehr(*words, *(["--json"] if "--json" not in words else []))
        assert ran.code == 0, (words, ran.err)
        seen.setdefault(f"lehr {words[0]}", set()).update(checked(ran))
    fields_of = {name: fields for name, fields in documented().items() if name != "Every command"}
    assert set(fields_of) == {
        f"lehr {command}" for command in commands() if command and " " not in command
    }
    untold = {name: seen.get(name, set()) - fields for name, fields in fields_of.items()}
    assert not {name: fields for name, fields in untold.items() if fields}, "add to docs/json.md"
    unseen = {name: fields - seen.get(name, set()) for name, fields in fields_of.items()}
    assert {name: fields for name, fields in unseen.items() if fields} == UNSEEN


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("simulate",), "lehr simulate: missing argument 'MODEL.nir'; see 'lehr simulate --help'"),
        (("build", "model.nir"), "lehr build: missing option '--target'; see 'lehr build --help'"),
        (("build", "model.nir", "--target"), "option --target needs a value; give one after it"),
        (
            ("simulate", "model.nir", "--inptu", "in.npz"),
            "lehr simulate has no option --inptu; did you mean '--input'?",
        ),
        (("check", "model.nir", "-x"), "lehr check has no option -x; see 'lehr check --help'"),
        (
            ("build", "model.nir", "--target", "c", "-o", "o", "-n", "few"),
            "lehr build: invalid value for '-n': Input should be a valid integer, unable to parse "
            "string as an integer; see 'lehr build --help'",
        ),
        (
            ("inspect", "model.nir", "in.npz"),
            "lehr inspect: got unexpected extra argument(s) (in.npz); see 'lehr inspect --help'",
        ),
        (
            ("recipes", "cpy"),
            "lehr recipes has no command 'cpy'; did you mean 'copy'? use one of list, copy, schema, samples",
        ),
    ],
)
def test_a_mistake_in_usage_is_printed_as_any_other(
    lehr: Lehr, words: tuple[str, ...], sentence: str
) -> None:
    plain = lehr(*words)
    assert (plain.code, plain.out, plain.err) == (2, "FAIL\n", f"error: {sentence}\n")
    value = words[-1] == "--target"  # which would take --json as its value
    ran = lehr(words[0], "--json", *words[1:]) if value else lehr(*words, "--json")
    assert checked(ran) == {}
    assert ran.facts["error"] == sentence
    assert ran.err == plain.err


def test_a_command_that_there_is_not(lehr: Lehr) -> None:
    ran = lehr("simulat", "--json")
    assert ran.facts["error"].startswith(
        "lehr has no command 'simulat'; did you mean 'simulate'? use one of demo, train, "
    )
    assert checked(ran) == {}


def test_a_failure_is_an_object_too(here: Path, lehr: Lehr) -> None:
    for code, *words in (
        (2, "inspect", "none.nir"),
        (3, "check", "model.nir", "--target", "odin"),
        (5, "simulate", "graph.nir", "-i", "in.npz"),
    ):
        ran = lehr(*words, "--json")
        assert ran.code == code
        common = Common.model_validate(ran.facts)
        assert (common.exit_code, common.result, common.next) == (code, "FAIL", None)
