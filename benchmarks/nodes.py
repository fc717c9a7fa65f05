"""A cluster of Ray with two nodes of one core each, on this machine, for benchmarks and tests.

with cluster() as addresses:
    ...
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from lehr.workers.work import Parcel, Send

STORE = 100_000_000
"""Bytes of a node's object store."""


class Addresses(NamedTuple):
    """Where a cluster is found.

    Attributes:
        cluster: for `RAY_ADDRESS`.
        clients: for `--workers`.
    """

    cluster: str
    clients: str


@contextmanager
def cluster(*places: Path) -> Iterator[Addresses]:
    """Run a cluster, whose workers import from these folders as well."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = Path(__file__).resolve().parent
    found = os.pathsep.join(map(str, (*places, here, here.parent)))
    environment = os.environ | {"PYTHONPATH": found, "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        tempfile.TemporaryDirectory() as elsewhere,  # not where any command runs
        subprocess.Popen(
            [sys.executable, __file__, str(port)],
            cwd=elsewhere,
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as nodes,
    ):
        assert nodes.stdin is not None
        assert nodes.stdout is not None
        address = next((line.split()[1] for line in nodes.stdout if line.startswith("at ")), None)
        assert address is not None, "the cluster did not start"
        yield Addresses(address, f"ray://127.0.0.1:{port}")
        nodes.stdin.close()


def answer(own: Parcel, _: Parcel, __: Send) -> Parcel:
    """Return what is sent; work that takes no time."""
    return Parcel(own.facts, own.arrays)


def main(port: str) -> None:
    """Run the cluster until stdin is closed."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    head["ray_client_server_port"] = int(port)
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.add_node(num_cpus=1, object_store_memory=STORE)
    sys.stdout.write(f"at {nodes.address}\n")
    sys.stdout.flush()
    sys.stdin.read()
    nodes.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
