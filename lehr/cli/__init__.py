"""The command line. Only this package may import everything; nothing imports it.

torch is imported inside commands.
"""

from lehr.cli.app import main

__all__ = ["main"]
