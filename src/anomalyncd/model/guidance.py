"""Where the CLS token may look: one guidance for both papers."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

GuidanceMode = Literal["hard", "soft", "none"]


@dataclass(frozen=True)
class RegionGuidanceFactor:
    """How much attention a patch of each kind is due before affinity is weighed in."""

    anomaly: float = 1.0
    product: float = 0.1
    background: float = 0.01


class Guidance(nn.Module):
    """Turns anomaly and object masks into an additive bias on the CLS token's attention row.

    `hard` closes every patch less than half covered by the anomaly (AnomalyNCD, section 3.2);
    `soft` is a prior in proportion to what a patch shows (our reconstruction of
    ProtoAnomalyNCD's region guidance factor); `none` leaves attention alone.
    """

    def __init__(self, mode: GuidanceMode, factor: RegionGuidanceFactor | None = None) -> None:
        super().__init__()
        self.mode = mode
        self.factor = factor or RegionGuidanceFactor()

    def forward(
        self, masks: Tensor, grid: tuple[int, int], n_prefix: int, objects: Tensor | None = None
    ) -> Tensor | None:
        """Computes the bias of one attention row.

        Args:
            masks: Anomaly masks or maps, (B, 1, H, W), 0..1.
            grid: Rows and columns of the patch grid.
            n_prefix: Tokens before the first patch; they are always seen.
            objects: Object masks, (B, 1, H, W), 0..1; None takes the whole picture for product.

        Returns:
            Bias, (B, n_prefix + rows * columns), or None where attention is left alone.
        """
        if self.mode == "none":
            return None
        anomaly = functional.adaptive_avg_pool2d(masks.float(), grid).flatten(1)
        if self.mode == "hard":
            bias = torch.where(anomaly >= 0.5, 0.0, -1e9)
        else:
            product = torch.ones_like(anomaly)
            if objects is not None:
                pooled = functional.adaptive_avg_pool2d(objects.float(), grid).flatten(1)
                product = torch.maximum(pooled, anomaly)
            share = (
                self.factor.anomaly * anomaly
                + self.factor.product * (product - anomaly)
                + self.factor.background * (1 - product)
            )
            bias = torch.log(share + 1e-6)
        return functional.pad(bias, (n_prefix, 0))
