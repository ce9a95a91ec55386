"""What is anomalous, and what is product."""

from dataclasses import dataclass
from typing import Literal

from anomalyncd.config.checks import require


@dataclass(frozen=True)
class DetectorConfig:
    """Anomaly maps for images that come without: mutual scoring (MuSc), or with normal images a
    memory bank (PatchCore)."""

    resolution: int | None = None
    """What is looked at enters the backbone with the area of a square of this side in pixels: more
    detail takes more time. None lets a patch of the backbone cover about 24 px of the photographs,
    within 336 to 672 for whole pictures, and within 504 to 672 for a product that is cut out,
    since the rest of the picture is saved. Up to 512 x 512 px, photographs get 336 or 504."""
    frame: Literal["product", "whole"] = "product"
    """What is looked at: the product, cut out and turned into one pose where a plain background
    shows it, or always the `whole` picture."""
    layers: tuple[int, ...] = (5, 8)
    """Blocks, counted from 0, whose patch tokens are compared; the last one finds the product."""
    neighbourhoods: tuple[int, ...] = (1,)
    """Sides, in patches, of the squares over which tokens are averaged."""
    common: float = 2.0
    """Weight of what all patches have in common, as a multiple of how far they differ."""
    reference_discount: float = 0.3
    """What has no like even among normal or reference images makes what resembles it less
    suspicious: share of a patch's distance to the nearest in other images that is taken off the
    distance to it. 0 switches it off."""
    n_references: int = 40
    """ImageSet that every image is compared with (mutual scoring)."""
    closest: tuple[float, float] = (0.05, 0.2)
    """The references that a patch is judged by, closest first, from one share of them to another
    (mutual scoring). The very closest may show the same image once more."""
    bank_size: int = 10_000
    """Normal patches that are kept (memory bank)."""
    n_candidates: int = 100_000
    """Normal patches that they are chosen from (memory bank)."""
    n_rotations: int = 1
    """Poses in which each normal image is read: 1, 2 (upside down as well), 4 (quarter turns) or 8
    (eighths of a turn); for few normal images of images that lie in any pose (memory bank;
    AnomalyDINO). Products that are turned into one pose anyway are read once."""
    smoothing: float = 0.5
    """Standard deviation, in patches, of the Gaussian that smooths a map."""
    map_size: int | None = 256
    """Maps have the area of a square of this side in pixels, so that MEBin's erosion, in pixels of
    the map, means the same for all photographs. None makes them as large as these."""

    def __post_init__(self) -> None:
        layers, sides = self.layers, self.neighbourhoods
        ascending = bool(layers) and tuple(sorted(set(layers))) == tuple(layers) and layers[0] >= 0
        require(ascending, "layers", layers, "use block indices in ascending order")
        odd = bool(sides) and all(side % 2 == 1 for side in sides)
        require(odd, "neighbourhoods", sides, "use odd sides such as 1 and 3")
        require(self.n_references >= 2, "n_references", self.n_references, "use 2 or more")
        require(self.bank_size >= 1, "bank_size", self.bank_size, "use 1 or more")
        enough = self.n_candidates >= self.bank_size
        require(enough, "n_candidates", self.n_candidates, "use bank_size or more")
        first, last = self.closest
        require(0 <= first < last <= 1, "closest", self.closest, "use two shares, 0..1")
        require(self.common > 0, "common", self.common, "use more than 0")
        require(
            0 <= self.reference_discount <= 1,
            "reference_discount",
            self.reference_discount,
            "use 0..1",
        )
        require(self.frame in ("product", "whole"), "frame", self.frame, "use product or whole")
        enough = self.resolution is None or self.resolution >= 56
        require(enough, "resolution", self.resolution, "use None, or 56 or more")
        require(
            self.n_rotations in (1, 2, 4, 8), "n_rotations", self.n_rotations, "use 1, 2, 4 or 8"
        )
        enough = self.map_size is None or self.map_size >= 1
        require(enough, "map_size", self.map_size, "use 1 or more, or None")


@dataclass(frozen=True)
class ForegroundConfig:
    """Which pixels of a picture show the product, and which the background."""

    source: Literal["auto", "backbone", "grounded-sam", "none"] = "auto"
    """What tells them apart where no masks are given: `backbone` splits its tokens and needs a
    plain background; `auto` does the same and takes whole pictures, as for textures, where there
    is no such background; `grounded-sam` asks Grounding DINO and SAM; `none` takes whole
    pictures."""
    prompt: str | None = None
    """What the product is, in English, such as "metal nut"; several things apart by full stops.
    None takes the name of the folder of the images (`grounded-sam`)."""
    box_threshold: float = 0.3
    """How sure a box must be (`grounded-sam`)."""
    text_threshold: float = 0.25
    """How sure a word of the prompt must be that it names a box (`grounded-sam`)."""
    mask_threshold: float = 0.0
    """Logit above which a pixel of a box is product (`grounded-sam`)."""
    max_objects: int = 5
    """Most objects a picture; the surest boxes are taken, or the largest pieces."""
    least_share: float = 0.02
    """Share of a picture below which what was found cannot be the product; then all of the
    picture counts."""
    box_model: str = "IDEA-Research/grounding-dino-tiny"
    """Grounding DINO: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""
    mask_model: str = "facebook/sam-vit-base"
    """SAM: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""

    def __post_init__(self) -> None:
        sources = ("auto", "backbone", "grounded-sam", "none")
        require(self.source in sources, "source", self.source, f"use one of {', '.join(sources)}")
        for name in ("box_threshold", "text_threshold", "least_share"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "use 0 or more and less than 1")
        require(self.max_objects >= 1, "max_objects", self.max_objects, "use 1 or more")
        said = self.prompt is None or any(letter.isalnum() for letter in self.prompt)
        require(said, "prompt", self.prompt, "use a word or two, or None")
