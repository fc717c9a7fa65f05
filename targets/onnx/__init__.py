"""Target onnx: a network as one ONNX model, in integer operators of the standard only."""

from lehr.targets.onnx.target import Onnx

__all__ = ["Onnx"]
