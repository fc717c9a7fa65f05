"""Proofs of networks and artefacts."""

from __future__ import annotations

import os
from pathlib import Path

from lehr.api.given import AnyNetwork, network
from lehr.prove.proof import TIMEOUT, Proof, proved
from lehr.prove.subject import Subject, read_subject


def prove(
    source: AnyNetwork | os.PathLike[str], only: str | None = None, *, timeout: float = TIMEOUT
) -> Proof:
    """Prove of a network, or of a built folder, what `verify` tests, for every input and state.

    Tools that are not lehr's are asked: z3, CBMC, Yosys and Bitwuzla. Of a folder, the claims are
    written to its report/proof.json; an input that shows what is refuted becomes one of its golden
    vectors.

    Args:
        source: the network, what an export gave back, a `.nir` file, or a folder that `build`
            wrote.
        only: the part that is proven: widths, arithmetic, sums, control or netlist; all but
            `netlist` if None.
        timeout: seconds for each question to a tool.

    Returns:
        Every claim; `require()` raises an error unless all are proven.

    Raises:
        UsageError: when there is no such folder or part, or nothing to prove in it.
        FileRefused: when a file is damaged, or is not as lehr writes it.
        NotMappable: when a type of node or of statement has no rule in a proof.
        ToolMissing: when z3 is not installed.

    >>> import lehr
    >>> proof = lehr.prove("model.nir", only="widths")
    >>> proof.proven
    True
    >>> proof.of("refuted")
    ()
    """
    if isinstance(source, (str, os.PathLike)):
        return proved(read_subject(Path(source)), source, only, timeout)
    return proved(Subject(network(source)), "the network", only, timeout)
