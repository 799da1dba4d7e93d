"""The TFLite runtime that is installed: ai-edge-litert, or tflite-runtime on 32-bit and older systems."""

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter

__all__ = ["Interpreter"]
