"""Getting a model: from the wheel, a server or a folder; whole and the known files, or none."""

from __future__ import annotations

import doctest
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from commands import Lehr, Ran
from file_server import Server, serving

from lehr import zoo
from lehr.zoo import getting, index
from lehr.zoo.getting import MIRROR, RELEASES
from lehr.zoo.index import CARD, File, asset

FILES = {CARD: b"# far\n", "model.nir": b"a network", "recipe.toml": b"", "samples.npz": b"PK" * 99}
"""Of a model that does not come with lehr; nobody reads them here."""
WAY_OUT = f"try again, or let {MIRROR} name an address or a folder that has it"


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder that has the assets of a release, in which there is one model, `far`."""
    entry = replace(
        zoo.entry("digits"),
        name="far",
        bundled=False,
        files={name: File(sha256(data).hexdigest(), len(data)) for name, data in FILES.items()},
    )
    known = {**zoo.entries(), "far": entry}
    monkeypatch.setattr(index, "entries", lambda: known)
    folder = tmp_path / "away"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / asset("far", name)).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def server(away: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving(away) as server:
        monkeypatch.setenv(MIRROR, server.address + "/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(ran: Ran, message: str, folder: Path) -> None:
    """One sentence, exit code 5, and no folder, nor a part of one."""
    assert (ran.code, ran.last, ran.err) == (5, "FAIL", f"error: {message}\n")
    assert [path.name for path in folder.parent.iterdir()] == ["away"]


# -------------------------------------------------------------------- from a server
def test_a_model_is_fetched_whole(lehr: Lehr, server: Server) -> None:
    ran = lehr("models", "get", "far")
    assert (ran.code, ran.err) == (0, "")
    assert contents(Path("far")) == FILES
    assert sorted(server.asked) == sorted(f"/far.{name}" for name in FILES)


def test_a_file_of_another_digest_is_refused(lehr: Lehr, server: Server, away: Path) -> None:
    (away / "far.samples.npz").write_bytes(b"others")
    digest = sha256(FILES["samples.npz"]).hexdigest()
    known = f"is not the file of the zoo, whose SHA-256 is {digest}"
    message = f"{server.address}/far.samples.npz {known}; {WAY_OUT}"
    refused(lehr("models", "get", "far"), message, Path("far").absolute())


def test_a_file_that_is_not_there_is_refused(lehr: Lehr, server: Server, away: Path) -> None:
    (away / "far.recipe.toml").unlink()
    address = f"{server.address}/far.recipe.toml"
    message = f"{address} cannot be fetched: the server says 404 File not found; {WAY_OUT}"
    refused(lehr("models", "get", "far"), message, Path("far").absolute())


@pytest.mark.filterwarnings("ignore:.*socket")  # requests leaves it to the garbage collector
@pytest.mark.parametrize("short", [5, 0])
def test_a_transfer_that_fails_leaves_nothing(
    lehr: Lehr, server: Server, monkeypatch: pytest.MonkeyPatch, short: int
) -> None:
    """One that is cut short, and one to a port at which nobody answers."""
    server.short = short
    address = server.address if short else "http://127.0.0.1:9"
    monkeypatch.setenv(MIRROR, address)
    reason = "the transfer was cut short" if short else "there is no connection to the server"
    message = f"{address}/far.{CARD} cannot be fetched: {reason}; {WAY_OUT}"
    refused(lehr("models", "get", "far"), message, Path("far").absolute())
    gc.collect()  # here, where it is ignored, and not in a later test


def test_what_was_there_stays_when_a_transfer_fails(lehr: Lehr, server: Server, away: Path) -> None:
    assert lehr("models", "get", "far").code == 0
    (away / "far.model.nir").unlink()
    assert lehr("models", "get", "far").code == 5
    assert contents(Path("far")) == FILES


# -------------------------------------------------------------------- from a folder
def test_a_folder_takes_the_place_of_a_server(
    lehr: Lehr, away: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, str(away))
    assert lehr("models", "get", "far", "-o", "other").code == 0
    assert contents(Path("other")) == FILES


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (b"a netwerk", "is not the file of the zoo, whose SHA-256 is {digest}"),
        (b"a network and more", "has 18 bytes, the limit is 9"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_folder_with_another_file_is_refused(
    lehr: Lehr, away: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | None, reason: str
) -> None:
    monkeypatch.setenv(MIRROR, str(away))
    path = away / "far.model.nir"
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    said = reason.format(digest=sha256(FILES["model.nir"]).hexdigest())
    message = f"{path} {said}; get it from {RELEASES}/v{zoo.entry('digits').release}"
    refused(lehr("models", "get", "far"), message, Path("far").absolute())


def test_a_damaged_installation_is_refused(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = zoo.entry("digits").name  # read from the index that is whole
    here = tmp_path / "models" / name
    shutil.copytree(index.HOME / "models" / name, here)
    card = (here / CARD).read_bytes()
    (here / CARD).write_bytes(card.replace(b"a", b"e", 1))
    monkeypatch.setattr(index, "HOME", tmp_path)
    ran = lehr("models", "get", name, "-o", tmp_path / "out")
    known = f"is not the file of the zoo, whose SHA-256 is {sha256(card).hexdigest()}"
    assert (ran.code, ran.err) == (5, f"error: {here / CARD} {known}; install lehr again\n")
    assert not (tmp_path / "out").exists()


# -------------------------------------------------------------------- what is written over what
def test_a_model_of_the_wheel_says_what_to_do_next(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = lehr("models", "get", "digits")
    assert (ran.code, ran.err) == (0, "")
    line = "lehr build digits/model.nir --target c -i digits/samples.npz -o out"
    assert ran.last == f"next: {line}"
    assert lehr("models", "get", "digits", "--json").facts["next"] == line  # and is there again


def test_the_example_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(getting) == (0, 3)


def test_a_changed_file_is_not_written_over(
    lehr: Lehr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = zoo.get("digits")
    (folder / "recipe.toml").write_text("mine")
    ran = lehr("models", "get", "digits")
    way_out = "give another folder to write, or remove this one"
    message = f"digits/recipe.toml is not the file of model digits; {way_out}"
    assert (ran.code, ran.err) == (2, f"error: {message}\n")
    assert (folder / "recipe.toml").read_text() == "mine"


def test_what_lehr_did_not_write_is_not_replaced(lehr: Lehr, tmp_path: Path) -> None:
    folder = zoo.get("digits", to=tmp_path / "mine")
    (folder / "notes.txt").write_text("mine")
    ran = lehr("models", "get", "digits", "-o", folder)
    said = "holds notes.txt, which lehr did not write there; choose another output folder"
    assert (ran.code, ran.err) == (2, f"error: {folder} {said}\n")
    assert (folder / "notes.txt").read_text() == "mine"


def test_an_unknown_name_is_asked_after(lehr: Lehr) -> None:
    ran = lehr("models", "get", "digitz")
    asked = "did you mean 'digits'?"
    message = f"model 'digitz' is not in the zoo; {asked} use one of {', '.join(zoo.names())}"
    assert (ran.code, ran.err) == (2, f"error: {message}\n")


# -------------------------------------------------------------------- without a network
NO_NETWORK = """
import socket
def refuse(self, address):
    if self.family != socket.AF_UNIX:
        raise AssertionError(f"the network is asked for {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""


@pytest.mark.slow
def test_from_the_wheel_to_a_verified_artefact_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}

    def lehr(line: str) -> list[str]:
        ran = subprocess.run(
            [sys.executable, "-m", "lehr", *line.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.splitlines()

    *_, said = lehr("models get digits")
    assert lehr(said.removeprefix("next: lehr ").replace("--target c", "--target onnx"))
    assert lehr("verify out") == [
        "onnx, 16 samples: 0 of 149,376 membranes and 0 spikes differ",
        "next: lehr report out -o report.html",
        "PASS",
    ]
