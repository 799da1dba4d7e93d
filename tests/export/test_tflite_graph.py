"""What the file stores once, and several outputs."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from export.tflite_graph import Affine, Graph
from export.tflite_operators import LEFT_OUT, Linear, Operators

ROWS, WIDTH = 512, 8


def file_of(layers: int) -> bytes:
    """A chain-free graph: ``layers`` int8 layers of one input, each with an output of its own."""
    write = Operators(Graph("layers"))
    x = write.source("x", (1, WIDTH))
    generator = np.random.default_rng(0)
    results = []
    for index in range(layers):
        scales = generator.uniform(0.5, 1, ROWS).astype(np.float32)
        codes = generator.integers(-127, 128, (ROWS, WIDTH), np.int8)
        stored = write.constant("w", codes, Affine(scales, np.zeros(ROWS, np.int64)))
        results.append(write.fully_connected(f"y{index}", x, Linear(stored, LEFT_OUT, 12)))
    return write.graph.to_bytes(x, results)


def test_the_zero_points_of_equally_long_layers_are_stored_once() -> None:
    one_more = len(file_of(3)) - len(file_of(2))
    assert one_more < ROWS * (WIDTH + 4) + ROWS  # codes, scales, and far less than 8 bytes a row


def test_every_output_is_kept_in_its_order() -> None:
    details = Interpreter(model_content=file_of(3)).get_output_details()
    assert [each["name"] for each in details] == ["y0", "y1", "y2"]
