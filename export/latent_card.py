"""``MODEL_CARD.md`` of a latent bundle, written from the record of its training."""

from typing import TYPE_CHECKING, Any

from export.write_bundle import Identity
from training.latent.latent_checkpoint import LatentCheckpoint

if TYPE_CHECKING:
    from export.latent_bundle import LatentParity


def latent_card(checkpoint: LatentCheckpoint, identity: Identity, measured: "LatentParity") -> str:
    """The card as Markdown; where the record has no figure, it says so."""
    shape, space, record = checkpoint.shape, checkpoint.space, checkpoint.record
    return f"""# {identity.name} {identity.version}

{shape.d} learned binary masks and an encoder of {shape.parameters:,} parameters.
Input: {shape.d} ratios of two photodiode arms, `(J+ - J-) / (J+ + J-)` after dark subtraction.
Output: the offset from the mean latent of `{space.name}` ({space.layers} x {space.width} numbers, space
`{space.digest[:16]}`), and logits of {", ".join(checkpoint.attributes.names)} and of presence.

**The offset is image-equivalent for whoever holds that generator.** It leaves a device only in mode `latent`,
sealed for one host. What is decoded from it is made by a generator: a plausible picture, not evidence. Colour
is never measured.

## Figures

{_figures(record.get("figures"))}
Export: largest error of an offset {measured.offset_error:.3f} ({100 * measured.offset_rms:.1f} %
root mean square of the offsets' own), of a logit {measured.logit_error:.3f}; {measured.rows} random inputs.

## How it was made

`{record.get("command", "not recorded")}`
Steps: {record.get("steps", "not recorded")} of {record.get("of_steps", "not recorded")}.

## Terms

Weights trained on research data keep its terms; see `bundles/LICENSE`.
"""


def _figures(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "None were recorded with this checkpoint.\n"
    return (
        f"On {figures['faces']} faces of {figures['split']}: "
        f"macro AUC {figures['macro_auc']:.4f} (chance 0.5), presence AUC {figures['presence_auc']:.4f}.\n"
    )
