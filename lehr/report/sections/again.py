"""To make it again: commands, versions and digests."""

from __future__ import annotations

import platform

from lehr.report.gather import Gathered
from lehr.report.section import Section
from lehr.shown import Table

CAPTION = (
    "The same files and the same versions give this page again, byte for byte. Digests are what "
    "'sha256sum' prints; good is that yours are the same."
)


def section(of: Gathered) -> Section:
    """Return what makes the report again."""
    facts = of.facts
    commands = Table("Commands", ("command",), [(command,) for command in facts.commands])
    files = Table("Digests", ("file", "sha256"), list(facts.files.items()))
    versions = Table("Versions", ("what", "version"), _versions(of))
    lacking = facts.lacking.get("again", "")
    tables = (commands, versions, files)
    return Section("again", "To make it again", CAPTION, tables=tables, lacking=lacking)


def _versions(of: Gathered) -> list[tuple[str, str]]:
    import matplotlib
    import numpy as np

    return [
        ("lehr", of.facts.lehr),
        ("Python", platform.python_version()),
        ("numpy", np.__version__),
        ("matplotlib", matplotlib.__version__),
    ]
