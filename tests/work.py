"""Work that tests spread over workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lehr.errors import UsageError
from lehr.workers.work import Parcel, Send


def squares(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Return squares, after news of each and chatter on stdout; wait as long as is said."""
    sys.stdout.write("chatter\n")
    for number in own.arrays["x"]:
        send(Parcel({"at": int(number)}))
    time.sleep(own.facts.get("seconds", 0))
    y = own.arrays["x"] ** 2 + shared.arrays["offset"]
    return Parcel({"pid": os.getpid(), "name": shared.facts["name"]}, {"y": y, "none": y[:0]})


def dies(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Note that it was begun, and kill its worker until it was so often as is said."""
    folder = Path(own.facts["folder"])
    begun = len(list(folder.iterdir()))
    (folder / str(begun)).touch()
    send(Parcel({"begun": begun}))
    if begun < own.facts["deaths"]:
        if own.facts["way"] == "exit":
            os._exit(7)
        os.kill(os.getpid(), signal.SIGKILL)
    return Parcel({"begun": begun})


def refuses(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Fail."""
    raise UsageError(f"no {own.facts['what']}; give another")


def never_ends(own: Parcel, shared: Parcel, send: Send) -> Parcel:
    """Start a process, note both, and wait for ever."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(999)"])
    for each in (os.getpid(), child.pid):
        Path(own.facts["folder"], str(each)).touch()
    send(Parcel({"value": np.float64(1.5).item()}))
    time.sleep(999)
    return Parcel()
