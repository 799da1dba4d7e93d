"""The bundles of the checkout: what they are, what they weigh, and whether their page names them."""

import pytest

from edge_app.inference.tflite_model import TfliteModel
from lab.bundles import FLOAT_TWIN, FOLDER, SHIPPED, shipped_bundle
from lsi.bundle import read_bundle
from lsi.disclosure import PayloadMode

ALL_MIB = 8
LITE = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat")
BUNDLES = {
    "attr-lite-4-0.2.0.lsib": (4, LITE),
    SHIPPED: (16, LITE),
    FLOAT_TWIN: (16, LITE),
    "attr-lite-64-0.2.0.lsib": (64, LITE),
}
RESEARCH = "attr-64-0.2.0.lsib"


@pytest.mark.parametrize("name", BUNDLES)
def test_the_lite_bundles_ask_the_four_questions_of_their_masks(name: str) -> None:
    bundle = read_bundle(shipped_bundle(name))
    assert (bundle.manifest.d, bundle.attributes.names) == BUNDLES[name]
    assert bundle.manifest.mode == PayloadMode.ATTR_LITE


def test_the_bundle_for_research_asks_all_forty_and_is_no_lite_one() -> None:
    bundle = read_bundle(shipped_bundle(RESEARCH))
    assert (bundle.manifest.d, len(bundle.attributes)) == (64, 40)
    assert bundle.manifest.mode == PayloadMode.ATTR


@pytest.mark.parametrize("name", [*BUNDLES, RESEARCH])
def test_every_shipped_model_passes_the_golden_vectors_of_its_bundle(name: str) -> None:
    bundle = read_bundle(shipped_bundle(name))
    model, golden = TfliteModel(bundle), bundle.golden
    for values, expected in zip(golden.inputs, golden.logits, strict=True):
        assert abs(model.answer(values) - expected).max() <= golden.tolerance


def test_the_folder_holds_no_other_bundle_and_its_page_names_each_with_the_command_that_made_it() -> None:
    found = sorted(path.name for path in FOLDER.glob("*.lsib"))
    assert found == sorted([*BUNDLES, RESEARCH])
    page = (FOLDER / "README.md").read_text("utf-8")
    assert all(f"-o bundles/{name}" in page for name in found)


def test_together_they_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.lsib")) < ALL_MIB * 2**20
