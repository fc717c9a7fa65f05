"""The words that a shell offers at the tabulator.

They are asked for as bash, zsh and fish ask, and in these shells themselves if they are here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lehr.cli.app import app

ROOT = Path(__file__).resolve().parent.parent.parent
OFFERS = {
    "lehr sim": {"simulate"},
    "lehr recipes c": {"copy"},
    "lehr train digits-s": {"digits-speck", "digits-spinnaker2"},
    "lehr train mi": {"mine.toml"},
    "lehr recipes copy digits-a": {"digits-akida"},
    "lehr train digits --set train.ep": {"train.epochs="},
    "lehr train digits --set network.layers.2.f": {"network.layers.2.features="},
    "lehr train mine.toml --set network.layers.1.pa": {"network.layers.1.padding="},
    "lehr check model.nir --target sp": {"speck", "speck2", "spinnaker2"},
    "lehr targets show ir": {"iree"},
    "lehr build model.nir --target c --option ": {"device=", "flash=", "ram=", "rate="},
    "lehr simulate model.nir --trace ": {"all", "lif1", "lif2", "lif3"},
    "lehr simulate model.nir -i in.npz --engine re": {"reference", "reckon"},
    "lehr simulate model.nir --compare on": {"onnx"},
    "lehr simulate model.nir -i x.bin --frames st": {
        "step_us=",
        "start_us=",
        "steps=",
        "step_samples=",
    },
    "lehr quantize graph.nir --readout m": {"max"},
    "lehr quantize graph.nir --read-from ": {"lif"},
    "lehr quantize graph.nir --weights t": {"ternary"},
    "lehr export run --for sn": {"snntorch"},
    "lehr export mine.py:build --weights int": {f"int{bits}" for bits in range(2, 9)},
    "lehr doctor --install san": {"sanafe"},
    "lehr simulate --trace-": {"--trace-samples"},
}
"""The words offered after a line."""
NOTHING = (
    "lehr simulate none.nir --trace ",
    "lehr simulate in.npz --trace ",
    "lehr quantize run --read-from ",
    "lehr build model.nir --option ",
    "lehr build model.nir --target none --option ",
    "lehr train nothere.toml --set network.layers.0.",
    "lehr train in.npz --set network.layers.0.",
    "lehr train run --set network.layers.0.",
    "lehr train nofolder/",
)
"""Lines that name something that does not exist or cannot be read."""


def offered(line: str, shell: str = "bash") -> str:
    """Return the answer to a shell that asks about a line, without an error."""
    environment = {
        "_LEHR_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COLUMNS": "",  # put back afterwards, as all of these are
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    ran = CliRunner(env=environment).invoke(app, [], prog_name="lehr")
    assert (ran.exit_code, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture
def asked(here: Path) -> None:
    (here / "run" / "recipe.toml").rename(here / "mine.toml")


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("typed", OFFERS)
def test_what_is_offered(typed: str) -> None:
    assert set(offered(typed).split()) == OFFERS[typed]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("typed", NOTHING)
def test_nothing_is_offered_or_said_where_something_is_wrong(typed: str) -> None:
    assert offered(typed).strip() == ""


def test_zsh_and_fish_get_the_meaning_of_words() -> None:
    line = "lehr build model.nir --target c --option fl"
    assert offered(line, "fish") == "flash=\tKiB of flash that there are, instead of the device's\n"
    assert offered(line, "zsh").startswith('_arguments \'*: :(("flash=":"KiB of flash')
    options = offered("lehr simulate model.nir --", "fish").splitlines()
    assert all(option.startswith("--") for option in options)  # each on one line, however long


@pytest.mark.usefixtures("asked")
def test_no_torch_and_no_numba_is_imported_to_complete() -> None:
    heavy = ("torch", "numba")
    script = f"""
import os, sys
from lehr.cli.app import app
for line in {[*OFFERS, *NOTHING]!r}:
    os.environ |= dict(COMP_WORDS=line, COMP_CWORD=str(len(line.split(" ")) - 1))
    os.environ["_LEHR_COMPLETE"] = "complete_bash"
    try:
        app([], prog_name="lehr")
    except SystemExit:
        pass
print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"
    assert "simulate" in ran.stdout


SHELLS = {
    "bash": """
eval "$(_LEHR_COMPLETE=source_bash lehr)"
COMP_WORDS=(lehr train digits-s) COMP_CWORD=2
complete -p lehr >/dev/null && _lehr_completion lehr
printf '%s\n' "${COMPREPLY[@]}"
""",
    "zsh": """
autoload -Uz compinit && compinit -D
eval "$(_LEHR_COMPLETE=source_zsh lehr)"
_arguments() { print -r -- "$@" }
words=(lehr train digits-s) CURRENT=3
_lehr_completion
""",
    "fish": """
_LEHR_COMPLETE=source_fish lehr | source
complete --do-complete "lehr train digits-s"
""",
}
"""The way in which each shell is given lehr's script, and asked for completions."""


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_itself_offers_it(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    command = tmp_path / "lehr"
    start = f"import sys; sys.argv[0] = 'lehr'; sys.path.insert(0, {str(ROOT)!r}); "
    command.write_text(f"#!{sys.executable}\n{start}from lehr.cli import main; main()\n")
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    ran = subprocess.run(
        [shell, "-c", SHELLS[shell]], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    assert {"digits-speck", "digits-spinnaker2"} == set(re.findall(r"digits-\w+", ran.stdout))
