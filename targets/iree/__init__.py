"""Target iree: the model of target onnx, compiled ahead of time by IREE."""

from lehr.targets.iree.target import Iree

__all__ = ["Iree"]
