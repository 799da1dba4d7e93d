"""What somebody sees who holds the generator: latents decoded, in luminance as a screen shows it."""

import numpy as np

from host.decoder.decoder import Decoder
from lab.audit.attackers import Values
from lab.audit.reconstruction import Guess, Pictures, shown
from lsi.bundle import Bundle
from lsi.errors import DataError
from training.data_sets.luminance import field_of_picture


def decoded_by(decoder: Decoder, bundle: Bundle) -> Guess:
    """Pictures (n, 64, 64) of latents (n, L * D) of ``bundle``.

    Raises:
        DataError: The bundle has no latents, or those of another generator.
    """
    form = bundle.manifest.latent
    if form is None:
        raise DataError(f"{bundle!r} has no latents to decode.", hint="no --generator.")
    if form != decoder.space.form:
        found = f"{bundle!r} was made for generator '{form.name}' {form.digest[:8]}, not this one."
        raise DataError(found, hint="the generator that it was trained for.")

    def guess(messages: Values) -> Pictures:
        pictures = decoder.pictures(messages.astype(np.float32).reshape(-1, *form.shape))
        return np.stack([shown(field_of_picture(each)) for each in pictures])

    return guess
