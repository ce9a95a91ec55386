"""What is kept of regions from which nothing is trained: a few kB each in place of their tokens."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.embedding.encoder import RegionEncoder


@dataclass(frozen=True, eq=False)
class MeanStore:
    """Descriptors of `R` regions, averaged over rotations, and where the encoder looked."""

    means: Tensor
    """(R, sum of widths), float32: all pieces of the descriptor of the central view, averaged over
    its rotations."""
    attention: Tensor | None = None
    """(R, 2, rows, columns), float16, 0..1, see `RegionEncoder.attention`; None where it is not
    guided."""

    def __len__(self) -> int:
        return len(self.means)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that is kept, by name."""
        attention = {} if self.attention is None else {"attention": self.attention}
        return {"means": self.means} | attention

    def read(self, _: RegionEncoder, rows: slice | Tensor = slice(None)) -> Tensor:
        """All pieces of the descriptor of each region, see `TokenStore.read`."""
        return self.means[rows]

    def attend(self, _: RegionEncoder) -> NDArray[np.float16] | None:
        """A copy of where the CLS token looked, see `TokenStore.attend`.

        After an interruption it is mapped from a file, which Windows deletes only when it is not.
        """
        return None if self.attention is None else self.attention.clone().numpy()
