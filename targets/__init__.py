"""The machines a network can be built for: the contract, the registry, and one folder a target."""

if __name__ == "targets":
    raise ImportError("import lehr.targets, not targets: the folder is part of the package lehr")

from lehr.callable import make_callable

make_callable(__name__)
