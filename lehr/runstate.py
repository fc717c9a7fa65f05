"""What the folder of a training run says of itself: state.json, and the sums of its files.

`lehr.export.checkpoint` has its networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lehr.errors import FileRefused
from lehr.folders import require_marked
from lehr.leftovers import recover
from lehr.reading import JSON_BYTES, parse_json, read_bytes
from lehr.sums import SUMS, check_sums

SCHEMA, WITHOUT_SUMS = "lehr-run/2", "lehr-run/1"
"""The schema of runs that are written, and that of older ones, which state no digests."""
STATE, TENSORS, SAMPLES_FILE = "state.json", "checkpoint.safetensors", "samples.npz"
OTHERS = ("recipe.toml", "metrics.jsonl", TENSORS, SAMPLES_FILE)
"""The files of a run beside STATE."""
AGAIN = "copy it anew from where it was trained, or train it again"


def read_state(folder: Path) -> dict[str, Any]:
    """Return what a run's state.json says of training: accuracies, epochs, recipe, digest.

    A float baseline, which has no integer network, says it as well.

    Raises:
        UsageError: when `folder` holds no run.
        FileRefused: when its files are not those that it states.
    """
    recover(folder)
    require_marked(folder, STATE, "lehr train")
    try:
        state = parse_json(read_bytes(folder / STATE, JSON_BYTES, AGAIN))
        check_stated(folder, state)
        del state["network"]
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise FileRefused(
            f"{folder} is no whole run ({type(error).__name__}: {error}); {AGAIN}"
        ) from None
    return dict(state)


def check_stated(folder: Path, state: dict[str, Any]) -> bool:
    """Return whether a run states the sums of its files, which must be right then.

    They are taken out of `state`.
    """
    schema = state["schema"]
    if schema == WITHOUT_SUMS and not {SUMS, "digest"} & state.keys():
        return False
    if schema != SCHEMA:
        raise ValueError(f"its schema is {schema!r}, not {SCHEMA!r}")
    check_sums(folder, STATE, state, OTHERS, AGAIN)
    return True
