"""Runs a TFLite file in the environment of tflite-runtime: MODEL INPUTS.npy OUTPUTS.npz."""

import sys
from pathlib import Path

import numpy as np
from tflite_runtime.interpreter import Interpreter

if __name__ == "__main__":
    model, inputs, outputs = sys.argv[1:]
    interpreter = Interpreter(model_content=Path(model).read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sinks = [details["index"] for details in interpreter.get_output_details()]
    rows = []
    for row in np.load(inputs):
        interpreter.set_tensor(source, row[np.newaxis])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(sink).copy() for sink in sinks])
    np.savez(outputs, *(np.stack(each) for each in zip(*rows, strict=True)))
