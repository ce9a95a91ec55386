"""The numbers in the concepts are the defaults of the code."""

from pathlib import Path

import pytest

from anomalyncd.config import Config
from anomalyncd.discovery import class_number, losses, normality
from anomalyncd.results import aggregation

CONCEPTS = Path(__file__).parents[2] / "docs" / "concepts"
DEFAULT = Config()
DETECTOR, MEBIN, REGIONS = DEFAULT.detector, DEFAULT.mebin, DEFAULT.regions
ENCODER, TRAINING, NUMBER = DEFAULT.encoder, DEFAULT.training, DEFAULT.class_number
WORDS = {0.01: "1 %", 0.125: "an eighth", 0.2: "a fifth", 0.5: "half", 0.8: "80 %", 0.85: "85 %"}
WORDS |= {0.9: "nine of ten", 0: "nothing", 2: "two", 3: "three", 4: "four", 6: "six", 12: "twelve"}


def in_words(number: float) -> str:
    """How the pages write a number in a sentence; unknown numbers fail."""
    return WORDS.get(round(number, 6), f"{number} in words")


def shares(numbers: tuple[float, ...]) -> list[str]:
    """Shares as percentages, "5 %"."""
    return [f"{number:.0%}".replace("%", " %") for number in numbers]


SENTENCES = [
    ("maps", "The tokens of blocks {} and {}, counted from 0", DETECTOR.layers),
    ("maps", "constant length ({:g} times the average distance", [DETECTOR.common]),
    ("maps", "The references are {} images drawn at random", [DETECTOR.n_references]),
    ("maps", "from the first {} to {} of them", shares(DETECTOR.closest)),
    ("maps", "The very closest {} are omitted", shares(DETECTOR.closest)[:1]),
    ("maps", "{} of that distance is subtracted", [DETECTOR.reference_discount]),
    ("maps", "smoothed by {} a patch", [in_words(DETECTOR.smoothing)]),
    ("maps", "a map with the area of a {} px square", [DETECTOR.map_size]),
    ("maps", "The bank contains {:,} normal patches", [DETECTOR.bank_size]),
    ("maps", "selected from at most {:,} candidates", [DETECTOR.n_candidates]),
    ("maps", "the score that {} of the normal images", [in_words(MEBIN.background_quantile)]),
    ("regions", "map is eroded once with a box of {} ", [MEBIN.erosion]),
    ("regions", "counted at {} thresholds", [MEBIN.n_thresholds]),
    ("regions", "All {} counts come from one pass", [MEBIN.n_thresholds]),
    ("regions", "at least {} thresholds long", [in_words(MEBIN.min_interval_length)]),
    ("regions", "Its side is {} times the longer side", [REGIONS.margin]),
    ("regions", "at least {} of the longer side", [in_words(2 * REGIONS.min_half_side)]),
    ("regions", "closer than {} of the longer side", [in_words(REGIONS.merge_gap)]),
    ("descriptors", "a patch of anomaly ({:g}), of foreground ({}) and of background ({})",
     ENCODER.guidance_factor),
    ("descriptors", "| CLS token | {} | the only piece that training", [ENCODER.readout]),
    ("descriptors", "| CLS token | {} | the same crop at an earlier stage", ENCODER.extra_cls),
    ("descriptors", "| mean patch token under the mask | {} |", ENCODER.region_means),
    ("descriptors", "each crop is encoded in {} rotations", [in_words(ENCODER.n_rotations)]),
    ("classes", "This is repeated {}, and", [{2: "twice"}[normality.N_PASSES]]),
    ("classes", "the median over {} resamples of the regions", [normality.N_RESAMPLES]),
    ("classes", "which {} surfaces without a defect do not exceed",
     [in_words(MEBIN.max_normal_quantile)]),
    ("classes", "the weight of normal is `max(0, {} - s)`", [normality.PUBLISHED_SPLIT]),
    ("classes", "divided by {}, and weighted by the normality", [losses.STUDENT_TEMPERATURE]),
    ("classes", "up to {} centres", [in_words(normality.N_NORMAL_CENTRES)]),
    ("classes", "The others are resampled {} times", [in_words(NUMBER.n_resamples)]),
    ("classes", "{} of the images, and at most {} regions of each",
     [in_words(class_number.SHARE_OF_IMAGES), in_words(class_number.MOST_PER_IMAGE)]),
    ("classes", "up to {} of the images (at most {})",
     [in_words(1 / class_number.IMAGES_PER_CLASS), NUMBER.max_classes - 1]),
    ("classes", "By default {} is trained", [in_words(TRAINING.epochs)]),
    ("aggregation", "`T` is {} of the square root", [in_words(aggregation.TEMPERATURE_SHARE)]),
]  # fmt: skip


@pytest.mark.parametrize(("page", "sentence", "values"), SENTENCES)
def test_numbers_in_the_concepts_are_the_defaults(
    page: str, sentence: str, values: list[object]
) -> None:
    text = " ".join((CONCEPTS / f"{page}.md").read_text(encoding="utf-8").split())
    assert sentence.format(*values) in text
