"""Costs that are read off a TFLite file, against what was written into it."""

import json

import pytest

from export.model_facts import model_facts
from export.parity import parity
from export.parity_report import ParityReport, latency_us
from export.tflite_writer import Interval, float_model, int8_model
from tests.training.tiny import measurements_for, random_read_out
from training.read_outs.read_out import ReadOutWeights

WEIGHTS = random_read_out()


def macs_of(weights: ReadOutWeights) -> int:
    return sum(layer.weights.size for layer in weights.layers)


def parameters_of(weights: ReadOutWeights) -> int:
    """Of the layers, and of the standardisation in front of them: a factor and a summand per mask."""
    return 2 * weights.d + sum(layer.weights.size + layer.bias.size for layer in weights.layers)


def test_a_float_file_costs_what_its_layers_cost() -> None:
    model = float_model(WEIGHTS)
    facts = model_facts(model)
    assert (facts.size_bytes, facts.macs) == (len(model), macs_of(WEIGHTS))
    assert facts.operators["FULLY_CONNECTED"] == len(WEIGHTS.layers)
    assert facts.parameters == parameters_of(WEIGHTS)


def test_an_int8_file_has_the_same_multiplications_and_parameters() -> None:
    intervals = [Interval(-4.0, 4.0)] * (len(WEIGHTS.layers) + 1)
    facts = model_facts(int8_model(WEIGHTS, intervals))
    assert (facts.macs, facts.parameters) == (macs_of(WEIGHTS), parameters_of(WEIGHTS))
    assert {"QUANTIZE", "DEQUANTIZE"} <= facts.operators.keys()


def test_the_report_is_the_same_on_every_run_and_the_table_adds_how_fast_it_is() -> None:
    model = float_model(WEIGHTS)
    compared = parity(WEIGHTS, model, measurements_for(WEIGHTS, 50), (0.0, 0.0, 0.0))
    report = ParityReport.of(compared, model)
    assert report.encode() == ParityReport.of(compared, model).encode()
    document = json.loads(report.encode())
    assert document["model"]["macs"] == macs_of(WEIGHTS)
    assert document["parity"]["cosine"] == pytest.approx(compared.cosine, abs=1e-6)
    table = report.table(latency_us(model))
    assert f"{macs_of(WEIGHTS)} MACs" in table
    assert "median of" in table
