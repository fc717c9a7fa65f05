"""The command `lehr` from a checkout that is not installed: python cli.py demo."""

from lehr.cli import main

if __name__ == "__main__":
    main()
