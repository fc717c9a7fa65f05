"""`lehr simulate --device`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lehr.cli.console import Output, percent, samples_progress
from lehr.errors import UsageError

if TYPE_CHECKING:
    from lehr.network import Network
    from lehr.samples import Samples
    from lehr.simulate.crossbar import Device, Spread, Trials
    from lehr.simulate.engines import Run

NOT_EXACT = (
    "an estimate: devices of one description differ, and nothing here is exact but the network "
    "that they are compared with"
)


def refuse_beside_device(**options: object) -> None:
    """Refuse options that mean nothing beside --device.

    Raises:
        UsageError: naming the first of them.
    """
    for name, value in options.items():
        if value:
            raise UsageError(
                f"--{name.replace('_', '-')} is for the exact network, and --device runs it on "
                "devices that are drawn; leave one out"
            )


def simulate_on_devices(
    out: Output,
    net: Network,
    samples: Samples,
    device: Device,
    described: Path,
    exact: Run,
    output: Path | None,
) -> None:
    """Run all samples on every device, print what became of the network, and write it.

    Args:
        out: takes the results.
        net: the network.
        samples: inputs.
        device: the description of the devices.
        described: the file that it is from.
        exact: an engine that runs `net`.
        output: the file to write; none if None.
    """
    from lehr.atomic import write_bytes
    from lehr.npz import npz_bytes
    from lehr.simulate.crossbar.trials import arrays_of, run_trials

    with samples_progress() as bar:
        total = samples.shape[0] * device.seeds
        advance = partial(bar.advance, bar.add_task("samples", total=total))
        trials = run_trials(net, samples, device, exact, advance)
    out.facts.update(device=str(described), samples=samples.shape[0])
    out.facts["devices"] = {
        "seeds": [trial.seed for trial in trials.trials],
        "layers": _report_layers(out, trials),
        **_report_accuracy(out, trials),
        "first": _report_first(out, trials),
    }
    if output is not None:
        write_bytes(output, npz_bytes(arrays_of(trials)))
        out.say(f"wrote {output}")
        out.facts["output"] = str(output)
    out.note(NOT_EXACT)


def _report_layers(out: Output, trials: Trials) -> dict[str, Any]:
    rates = trials.exact.rates
    out.table(
        ("layer", "spike rate", "on devices", "spikes that differ"),
        [
            (n, f"{rates[n]:.4f}", f"{trials.rate(n):.4f}", percent(trials.differing(n)))
            for n in trials.spikes
        ],
    )
    return {
        name: {
            "spikes": compared,
            "rate": rates[name],
            "rate_on_devices": trials.rate(name),
            "differing": [trial.differing[name] for trial in trials.trials],
        }
        for name, compared in trials.spikes.items()
    }


def _report_accuracy(out: Output, trials: Trials) -> dict[str, Any]:
    spread, count = trials.accuracy, len(trials.trials)
    what = "agreement with the exact network"
    if trials.labels is not None:
        what = "accuracy"
        exact = trials.exact.accuracy(trials.labels)
        out.say(f"accuracy of the exact network: {percent(exact)}")
        out.facts["accuracy"] = exact
    out.say(f"{what} on {count:,} {'device' if count == 1 else 'devices'}: {_text(spread)}")
    return {
        "compared_with": "labels" if trials.labels is not None else "exact predictions",
        "right": trials.accuracies,
        "mean": spread.mean,
        "deviation": spread.deviation,
        "least": spread.least,
        "most": spread.most,
        "interval": spread.interval,
    }


def _text(spread: Spread) -> str:
    text = f"mean {percent(spread.mean)}"
    if spread.interval is None:
        return text
    low, high = spread.interval
    return (
        f"{text} (95 % interval {percent(low)} to {percent(high)}), standard deviation "
        f"{percent(spread.deviation or 0.0)}, least {percent(spread.least)}, most "
        f"{percent(spread.most)}"
    )


def _report_first(out: Output, trials: Trials) -> dict[str, Any] | None:
    trial = trials.first
    if trial is None or trial.first is None:
        out.say("0 spikes differ from the exact network's, on these inputs")
        return None
    out.say(f"first spike that differs, seed {trial.seed}: {trial.first}")
    return {"seed": trial.seed, **asdict(trial.first)}
