"""Where tokens may look: one guidance for both papers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.config import EncoderConfig

KINDS = ("anomaly", "product", "background")
"""What a patch may show, in the order of the region guidance factor."""


def region_shares(
    anomaly: Tensor, grid: tuple[int, int], foreground: Tensor | None = None
) -> Tensor:
    """How much of each patch is anomaly, product without anomaly, and background.

    Args:
        anomaly: Anomaly masks or maps, (B, 1, H, W), 0..1.
        grid: Rows and columns of the patch grid.
        foreground: Object masks, (B, 1, H, W), 0..1; None takes the whole picture for product. What
            is anomalous counts as product whatever they say.

    Returns:
        (B, 3, rows, columns), float32, in the order of `KINDS`; the three sum to 1.
    """
    covered = functional.adaptive_avg_pool2d(anomaly.float(), grid)
    product = torch.ones_like(covered)
    if foreground is not None:
        pooled = functional.adaptive_avg_pool2d(foreground.float(), grid)
        product = torch.maximum(pooled, covered)
    return torch.cat([covered, product - covered, 1 - product], dim=1)


class Guidance(nn.Module):
    """Turns what patches show into an additive bias on rows of the attention matrix.

    `hard` closes every patch less than half covered by the anomaly (AnomalyNCD, section 3.2);
    `soft` is a prior in proportion to what a patch shows (our reconstruction of
    ProtoAnomalyNCD's region guidance factor); `learned` is `soft` with a factor of its own, that
    training changes, for the block that is trained; `none` leaves attention alone.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.mode = config.guidance
        self.factor: Tensor
        self.register_buffer("factor", torch.tensor(config.guidance_factor), persistent=False)
        if self.mode == "learned":
            self.log_factor = nn.Parameter(self.factor.log())

    @property
    def learnt_factor(self) -> dict[str, float]:
        """The region guidance factor of the trained block, by `KINDS`."""
        factor = self.log_factor.detach().exp() if self.mode == "learned" else self.factor
        return dict(zip(KINDS, factor.tolist(), strict=True))

    def forward(self, shares: Tensor, n_prefix: int, trained: bool = False) -> Tensor | None:
        """Computes the bias of one attention row.

        Args:
            shares: What each patch shows, (B, 3, rows, columns), see `region_shares`.
            n_prefix: Tokens before the first patch; they are always seen.
            trained: Whether it is for the block that is trained.

        Returns:
            Bias, (B, n_prefix + rows * columns), or None where attention is left alone.
        """
        if self.mode == "none":
            return None
        patches = shares.flatten(2)
        if self.mode == "hard":
            bias = torch.where(patches[:, 0] >= 0.5, 0.0, -1e9)
        else:
            learned = trained and self.mode == "learned"
            factor = self.log_factor.exp() if learned else self.factor
            bias = torch.log((factor[:, None] * patches).sum(1) + 1e-6)
        return functional.pad(bias, (n_prefix, 0))
