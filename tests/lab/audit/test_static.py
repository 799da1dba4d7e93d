from dataclasses import replace

import numpy as np
import pytest

from lab.audit import static
from lab.audit.static import Fact, loose_places, static_facts, unit_settings
from lab.bundles import shipped_bundle
from lsi.bundle import read_bundle
from lsi.errors import BundleError
from lsi.patterns import PatternSet

BUNDLE = read_bundle(shipped_bundle())


@pytest.fixture
def _no_new_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is another test's."""
    monkeypatch.setattr(static, "_imports", lambda: Fact("imports of the device", "", holds=True))


def test_all_that_can_be_seen_without_data_holds_for_this_device() -> None:
    facts = static_facts(BUNDLE)
    assert [fact for fact in facts if not fact["holds"]] == []
    assert {fact["name"] for fact in facts} >= {
        "mask rank", "payload schemas", "imports of the device", "service unit", "devices of the service",
        "retained topics", "outbox",
    }  # fmt: skip


@pytest.mark.usefixtures("_no_new_interpreter")
def test_masks_that_see_too_much_are_told() -> None:
    masks = np.random.default_rng(0).random((65, 64, 64)) < 0.5
    wide = replace(BUNDLE, patterns=PatternSet(masks))
    rank = next(fact for fact in static_facts(wide) if fact["name"] == "mask rank")
    assert not rank["holds"]
    assert "65 masks of rank 65 of 4096" in rank["found"]


@pytest.mark.usefixtures("_no_new_interpreter")
def test_an_unknown_mode_is_refused() -> None:
    strange = replace(BUNDLE, manifest=replace(BUNDLE.manifest, mode="raw"))
    with pytest.raises(BundleError, match="'raw'"):
        static_facts(strange)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (
            {"type": "object", "additionalProperties": False, "properties": {"x": {"type": "string"}}},
            "x is free",
        ),
        ({"type": "object", "properties": {}}, "top level takes unknown keys"),
        (
            {"type": "array", "items": {"type": ["number", "null"], "minimum": 0}},
            "top level is a number without",
        ),
        ({"oneOf": [{"type": "null"}, {"type": "string"}]}, "[1] is free text"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "top level is free text"),
    ],
)
def test_what_a_schema_lets_through_is_found(schema: object, place: str) -> None:
    assert any(found.startswith(place) for found in loose_places(schema))


def test_a_schema_that_names_everything_is_tight() -> None:
    schema = {
        "type": "object", "additionalProperties": False,
        "properties": {"a": {"type": "string", "pattern": "^x$"}, "b": {"enum": ["y"]}},
    }  # fmt: skip
    assert list(loose_places(schema)) == []


@pytest.mark.usefixtures("_no_new_interpreter")
def test_the_unit_file_is_read_without_its_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = unit_settings()
    assert settings["DevicePolicy"] == ["closed"]
    assert len(settings["DeviceAllow"]) >= 4
    assert not any(key.startswith("#") for key in settings)
    monkeypatch.setattr(static, "UNIT_WANTS", {"DevicePolicy": "open"})
    fact = next(fact for fact in static_facts(BUNDLE) if fact["name"] == "service unit")
    assert (fact["holds"], fact["found"]) == (False, "DevicePolicy is not open")


@pytest.mark.usefixtures("_no_new_interpreter")
def test_a_camera_among_the_devices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "unit_settings", lambda: {"DeviceAllow": ["char-video4linux rw"]})
    fact = next(fact for fact in static_facts(BUNDLE) if fact["name"] == "devices of the service")
    assert not fact["holds"]
