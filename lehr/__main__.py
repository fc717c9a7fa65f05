"""`python -m lehr` is the command `lehr`."""

from lehr.cli import main

main()
