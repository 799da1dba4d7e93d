"""The paper's encoder trained as ours is, for comparison: same masks to learn, same light, same losses.

Our adaptation: it reads ratios of arms instead of sums, and its 18 x 512 numbers become L x D by one linear
map behind L of its 18 tokens, evenly chosen. Everything before is ``training.paper.paper_encoder``.
"""

from torch import Tensor, nn

from host.decoder.synthesis import parameter_count
from training.paper.paper_encoder import PaperEncoder
from training.paper.paper_weights import STYLES, WIDTH


class PaperStudent(nn.Module):
    """Measurements (B, d) to offsets (B, L, D) and logits (B, K + 1)."""

    def __init__(self, d: int, layers: int, width: int, outputs: int) -> None:
        super().__init__()
        self.encoder = PaperEncoder(d)
        self.chosen = [round(index * (STYLES - 1) / max(1, layers - 1)) for index in range(layers)]
        self.narrow = nn.Linear(WIDTH, width)
        self.head = nn.Linear(layers * width, outputs)

    @property
    def parameter_count(self) -> int:
        """Weights and biases, those without effect included."""
        return parameter_count(self)

    def forward(self, measurements: Tensor, shown: Tensor | int | None = None) -> tuple[Tensor, Tensor]:
        """Offsets and logits; there is no nested form of this encoder, so ``shown`` must be ``None``."""
        if shown is not None:
            message = "the paper's encoder knows no prefixes"
            raise ValueError(message)
        offsets: Tensor = self.narrow(self.encoder(measurements)[:, self.chosen])
        logits: Tensor = self.head(offsets.flatten(1))
        return offsets, logits
