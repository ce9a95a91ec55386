"""What sits on the region descriptor: a projection for contrast, prototypes for classes."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ProjectionHead(nn.Module):
    """MLP whose output serves the contrastive losses alone (AnomalyNCD, section 3.3)."""

    def __init__(self, width: int, hidden: int = 2048, out: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, out),
        )
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Projections, (B, out), not normalised, of features (B, D)."""
        projections: Tensor = self.mlp(features)
        return projections


class PrototypeHeads(nn.Module):
    """Several independent sets of unit prototypes; logits are cosines."""

    def __init__(self, width: int, n_classes: int, n_heads: int = 4) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.empty(n_heads, n_classes, width))
        nn.init.uniform_(self.prototypes, -(width**-0.5), width**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Cosine of each feature with each prototype.

        Args:
            features: (B, D), of any length.

        Returns:
            (heads, B, classes), -1..1.
        """
        directions = functional.normalize(self.prototypes, dim=-1)
        return torch.einsum("bd,hcd->hbc", functional.normalize(features, dim=-1), directions)
