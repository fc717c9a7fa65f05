"""Words of a machine beside spikes and membranes: decision, figures, and what it hides.

The decision is compared, the figures are shown, what it hides is said.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from commands import Lehr
from strategies import small_network

from lehr.arithmetic import Arithmetic
from lehr.errors import FileRefused, NotBitExact, UsageError
from lehr.network import INPUT, OUTPUT, Input, Linear, Network, Neuron
from lehr.simulate import Trace, simulate
from lehr.targets import engine
from lehr.targets.build import build, with_input
from lehr.targets.c import C
from lehr.targets.c.compiler import missing
from lehr.targets.c.runner import CRunner
from lehr.targets.contract import Figure, MachineTrace
from lehr.targets.verification import verify_here

pytestmark = pytest.mark.skipif(missing("make") is not None, reason=str(missing("make")))
NET, X = small_network()
RIGHT = simulate(NET, X).prediction


class Deciding(CRunner):
    """Says which class wins; wrongly for sample `wrong`."""

    wrong: ClassVar[int | None] = None

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> MachineTrace:
        trace, decision = super().run(folder, x), RIGHT[: len(x)].copy()
        if self.wrong is not None:
            decision[self.wrong] += 1
        return MachineTrace(
            trace.spikes,
            trace.membranes,
            decision,
            (Figure("clocks", 1234.5, "per sample", "a test"),),
        )


class Hiding(CRunner):
    """Shows no membranes."""

    shows = ("spike",)
    flipped: ClassVar[bool] = False

    def run(self, folder: Path, x: npt.NDArray[np.uint8]) -> Trace:
        trace = super().run(folder, x)
        if self.flipped:
            next(iter(trace.spikes.values()))[0, 0] ^= 1
        return Trace(trace.spikes)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    build(NET, C(), X[:3]).plan.write(tmp_path / "out")
    return tmp_path / "out"


def test_a_decision_is_compared(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "runner", lambda _: Deciding())
    verified = verify_here(out)
    verified.require()
    assert (verified.decided, verified.misjudged) == (3, ())
    assert [figure.value for figure in verified.figures] == [1234.5]
    monkeypatch.setattr(Deciding, "wrong", 1)
    wrong = verify_here(out)
    assert wrong.comparison.equal
    assert wrong.misjudged == (1,)
    sentence = "c against the reference simulator: 1 of 3 decisions differ, first that of sample 1; report it as a bug of lehr"
    with pytest.raises(NotBitExact, match=f"^{sentence}$"):
        wrong.require()


def test_spikes_alone_are_compared_where_membranes_are_hidden(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(C, "runner", lambda _: Hiding())
    verified = verify_here(out)
    verified.require()
    spikes = sum(
        layer.size for layer in simulate(NET, X[:3], trace=NET.neurons).trace.spikes.values()
    )
    assert str(verified.comparison) == f"0 of {spikes:,} spikes differ"
    monkeypatch.setattr(Hiding, "flipped", True)
    assert verify_here(out).comparison.spikes > 0


@pytest.mark.slow
def test_a_runner_that_shows_less_than_it_says_is_refused(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hiding, "shows", ("membrane", "spike"))
    monkeypatch.setattr(C, "runner", lambda _: Hiding())
    with pytest.raises(NotBitExact, match="expected a trace of shape .*, got nothing"):
        verify_here(out)


def test_as_an_engine_it_gives_counts_and_no_membranes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(C, "runner", lambda _: Hiding())
    assert np.array_equal(engine.run(C(), NET, X).counts, simulate(NET, X).counts)
    with pytest.raises(
        UsageError, match=r"^target c has a tool that shows no membranes; leave the trace out$"
    ):
        engine.run(C(), NET, X, NET.neurons)


def test_verify_prints_what_was_compared(
    out: Path, monkeypatch: pytest.MonkeyPatch, lehr: Lehr
) -> None:
    verified = verify_here(out)
    monkeypatch.setattr("lehr.targets.build.verify", lambda *_: verified)
    assert "decisions" not in lehr("verify", out).out
    monkeypatch.setattr(C, "runner", lambda _: Deciding())
    decided = verify_here(out)
    monkeypatch.setattr("lehr.targets.build.verify", lambda *_: decided)
    ran = lehr("verify", out)
    assert "0 of 3 decisions of the machine itself differ" in ran.out
    assert "1,234.5" in ran.out
    assert lehr("verify", out, "--json").facts["compared"] == ["membrane", "spike"]
    monkeypatch.setattr(C, "runner", lambda _: Hiding())
    hidden = verify_here(out)
    monkeypatch.setattr("lehr.targets.build.verify", lambda *_: hidden)
    assert "membranes are not compared: the tool does not show them" in lehr("verify", out).out


def test_the_estimate_knows_how_often_the_input_has_events() -> None:
    ran = simulate(NET, X)
    rates = with_input(NET, ran, X)
    assert rates["input"] == np.count_nonzero(X) / X.size
    assert {name: rates[name] for name in ran.rates} == ran.rates


# -------------------------------------------------------------------- more steps than are shown
def growing(numerator: int) -> Network:
    """Return a neuron that keeps `numerator` halves of its membrane, under weights of -1.

    Without a leak the membrane falls for ever.
    """
    arithmetic = Arithmetic(decay_numerator=numerator, decay_shift=1, state_bits=8)
    lif = Neuron(np.array((1, 1), np.int32), np.zeros(2, np.int32), arithmetic)
    weight = np.array(((1, 1, 1), (-1, -1, -1)), np.int8)
    return Network(
        {"fc": Linear(weight), "lif": lif},
        ((INPUT, "fc"), ("fc", "lif"), ("lif", OUTPUT)),
        Input((3,), "spikes"),
        10,
    )


@pytest.mark.slow
def test_more_steps_than_are_shown_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.ones((1, 60, 3), np.uint8)
    falls, leaks = growing(2), growing(1)
    # its rail, which 10 steps do not reach
    assert simulate(falls, x, trace=["lif"]).trace.membranes["lif"].min() == -128
    assert simulate(falls, x[:, :10], trace=["lif"]).trace.membranes["lif"].min() == -30
    build(falls, C(), x).plan.write(tmp_path / "out")
    monkeypatch.setattr(C, "own_steps", True)
    way_out = "give at most 10, or export the network with more steps"
    sentence = f"^input has 60 steps, but that the states of lif stay within the widths of c is shown for 10; {way_out}$"
    for refused in (
        lambda: engine.run(C(), falls, x),
        lambda: build(falls, C(), x),
        lambda: verify_here(tmp_path / "out"),
    ):
        with pytest.raises(FileRefused, match=sentence):
            refused()
    # a leak holds a membrane for any number of steps
    for net, given in ((falls, x[:, :10]), (leaks, x)):
        assert np.array_equal(engine.run(C(), net, given).counts, simulate(net, given).counts)
