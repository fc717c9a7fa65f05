"""From a trained network to integers: folding, width analysis, and the network that goes into the `.nir` file."""

if __name__ == "export":
    raise ImportError("import lehr.export, not export: the folder is part of the package lehr")
