"""What sits on the region descriptor: a projection for contrast, prototypes for classes."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.discovery.shape_groups import fit_shape_scale
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.io.component import State
from anomalyncd.io.key import key
from anomalyncd.regions.shapes import N_MEASURES


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


ROUNDING = 0.01
"""Distance from the centre, as a share of its length, below which a difference is rounding. Tokens
in bfloat16 are off by up to .009 (five images of bottle); regions of bottle and pill lie .13 and
more away."""


N_DAMPED = 32
"""Directions that are damped at most."""
DAMPED_SHARE = 0.03
"""Share of the variance within classes at which a direction is damped by the square root of 2.
NMI was within .003 for .02 to .05 (docs/decisions/normal-variation.md)."""
FEWEST_NORMAL = 10
"""Fewer normal regions say nothing about how regions of one class vary."""
SHAPE_LIMIT = 2.0
"""Standard deviations beyond which a size or an elongation counts no further."""


class Descriptor(nn.Module):
    """Joins the pieces of a region's descriptor, each centred and scaled to unit length.

    Tokens of one product share most of their direction; subtracting the mean leaves the differences
    between regions. The centre is the mean of the regions at the start, and training does not
    change it. A piece nearer to the centre than the rounding error becomes zero; scaled to unit
    length it would turn rounding into a difference.

    Regions differ by their place and by the light before they differ by kind. `fit_damping` damps
    the directions in which regions of one class vary.

    Size and elongation of the mask are joined at the end, undamped, in columns that are zero until
    `fit_shape` finds that they fall into clear groups. Without a weight there are no such columns.
    """

    def __init__(self, widths: tuple[int, ...], centred: bool, shape_weight: float = 0.0) -> None:
        super().__init__()
        self.widths = widths
        self.centred = centred
        self.shape_weight = shape_weight
        self.shape_centre: Tensor
        self.shape_scale: Tensor
        self.centre: Tensor
        self.directions: Tensor
        self.damping: Tensor
        self.register_buffer("centre", torch.zeros(sum(widths)))
        self.register_buffer("directions", torch.zeros(N_DAMPED, sum(widths)))
        self.register_buffer("damping", torch.zeros(N_DAMPED))
        n_measures = N_MEASURES if shape_weight else 0
        self.register_buffer("shape_centre", torch.zeros(n_measures))
        self.register_buffer("shape_scale", torch.zeros(n_measures))

    @property
    def width(self) -> int:
        """Length of a descriptor."""
        return sum(self.widths) + len(self.shape_centre)

    def fit(self, pieces: Tensor) -> None:
        """Sets the centre to the mean over all regions, (R, sum of widths)."""
        if self.centred:
            self.centre.copy_(pieces.mean(0))

    def fit_damping(self, normal: Tensor, known: Sequence[Tensor] = ()) -> None:
        """Damps the directions in which regions of one class vary most, the more they vary.

        Args:
            normal: Descriptors of normal regions, (N, `width`), before any damping and shape.
            known: Those of the regions of each class of a base set, (M, `width`); together they
                count as much as the normal regions.

        Source: within-class covariance normalisation (Hatch and others, 2006), with the classes
        that are known before the discovery.
        """
        kinds = [[normal] if len(normal) >= FEWEST_NORMAL else [], known]
        deviations = [torch.cat([one - one.mean(0) for one in kind]) for kind in kinds if len(kind)]
        deviations = [one[:, : sum(self.widths)] for one in deviations]
        if not deviations:
            return
        scaled = torch.cat([one / one.norm().clamp(min=1e-12) for one in deviations])
        _, spread, directions = torch.linalg.svd(scaled, full_matrices=False)
        shares = spread.square() / spread.square().sum().clamp(min=1e-12)
        count = min(N_DAMPED, len(shares))
        self.directions[:count] = directions[:count]
        self.damping[:count] = 1 - (1 + shares[:count] / DAMPED_SHARE).rsqrt()

    def fit_shape(self, shapes: NDArray[np.float64]) -> bool:
        """Decides by the shapes of anomalous regions, (R, 2), whether shapes count from now on."""
        if not self.shape_weight:
            return False
        centre, scale = fit_shape_scale(shapes)
        self.shape_centre.copy_(torch.from_numpy(centre))
        self.shape_scale.copy_(torch.from_numpy(scale))
        return bool(scale.any())

    def forward(self, pieces: Tensor, shapes: Tensor | None = None) -> Tensor:
        """Describes regions by their joined pieces.

        Args:
            pieces: (B, sum of widths).
            shapes: (B, 2), see `Regions.shape`; regions with NaN, or all without it, count as
                average.

        Returns:
            Unit vectors, (B, `width`).
        """
        split = zip(pieces.split(self.widths, 1), self.centre.split(self.widths), strict=True)
        joined = functional.normalize(torch.cat([_direction(*one) for one in split], dim=1), dim=1)
        along = joined @ self.directions.T
        damped = functional.normalize(joined - along * self.damping @ self.directions, dim=1)
        return functional.normalize(
            torch.cat([damped, self._shape_piece(damped, shapes)], 1), dim=1
        )

    def _shape_piece(self, damped: Tensor, shapes: Tensor | None) -> Tensor:
        if shapes is None or not self.shape_weight:
            return damped.new_zeros(damped.shape[0], len(self.shape_centre))
        deviations = (shapes.to(damped) - self.shape_centre) * self.shape_scale
        limited = deviations.clamp(-SHAPE_LIMIT, SHAPE_LIMIT).nan_to_num(0)
        n_used = self.shape_scale.count_nonzero().clamp(min=1)
        return self.shape_weight * limited / n_used.sqrt()


def _direction(piece: Tensor, centre: Tensor) -> Tensor:
    """Unit vectors from the centre, (B, width), or zero, see `Descriptor`."""
    offset = piece - centre
    distinct = offset.norm(dim=1, keepdim=True) > ROUNDING * centre.norm()
    return functional.normalize(torch.where(distinct, offset, 0), dim=1)


class RegionClassifier(nn.Module):
    """Everything that turns frozen features into class logits."""

    def __init__(self, encoder: RegionEncoder, n_classes: int, n_heads: int) -> None:
        super().__init__()
        config = encoder.config
        self.encoder = encoder
        self.descriptor = Descriptor(encoder.widths, config.centred, config.shape_weight)
        width = self.descriptor.width
        self.prototypes = PrototypeHeads(width, n_classes, n_heads)
        self.projection = ProjectionHead(width)

    def describe(self, features: FrozenFeatures) -> Tensor:
        """Region descriptors, (B, D), unit length."""
        described: Tensor = self.descriptor(self.encoder.read(features))
        return described

    def trainable(self, what: Literal["block", "prototypes"] = "block") -> list[nn.Parameter]:
        """The heads, and for `block` the read-out block and its guidance where that is learned.

        The final LayerNorm stays as it is, as published."""
        modules: list[nn.Module] = [self.prototypes, self.projection]
        if what == "block":
            block = self.encoder.vit.blocks[self.encoder.readout]
            modules += [block, self.encoder.guidance]
        return [parameter for module in modules for parameter in module.parameters()]

    def reduce_to(self, prototypes: Tensor) -> None:
        """Puts one set of prototypes, (K, D), in the place of all heads."""
        self.prototypes.prototypes = nn.Parameter(prototypes.detach().clone()[None])

    def state(self) -> State:
        """What training changed and prediction needs; the frozen blocks come with the backbone."""
        values = {
            "n_classes": self.prototypes.prototypes.shape[1],
            "n_rotations": self.encoder.config.n_rotations,
            "backbone": _frozen_key(self.encoder),
        }
        return State(values, _trained(self))

    @classmethod
    def from_state(cls, encoder: RegionEncoder, state: State) -> Self:
        """Restores a classifier with one head on top of a backbone.

        Args:
            encoder: Built with the saved config, `n_rotations` included.
            state: What `state` returned.

        Raises:
            InputError: The backbone has other weights than the one the model was made with, or the
                tensors do not fit the config.
        """
        if _frozen_key(encoder) != state.values["backbone"]:
            raise InputError(
                "the weights of the backbone are not those that the model was made with; give "
                "the file it was made with as `weights`"
            )
        with torch.random.fork_rng(devices=[]):
            model = cls(encoder, state.values["n_classes"], n_heads=1)
        needed = {name: tensor.shape for name, tensor in _trained(model).items()}
        if needed != {name: tensor.shape for name, tensor in state.tensors.items()}:
            raise InputError("the saved tensors do not fit the saved config; fit the model again")
        model.load_state_dict(state.tensors, strict=False)
        return model.to(encoder.vit.cls_token.device).eval()


def _trained(model: RegionClassifier) -> dict[str, Tensor]:
    frozen = {f"encoder.vit.{name}" for name in _frozen(model.encoder)}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in frozen and not name.startswith("projection.")
    }


def _frozen(encoder: RegionEncoder) -> dict[str, Tensor]:
    trained = f"blocks.{encoder.readout}."
    state = encoder.vit.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(trained)}


def _frozen_key(encoder: RegionEncoder) -> str:
    # In bfloat16, so that a model may be loaded in another precision than it was made in.
    return key({name: one.to(torch.bfloat16) for name, one in _frozen(encoder).items()})
