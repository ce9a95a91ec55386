"""The last steps of a discovery: from regions and their tokens to classes."""

from dataclasses import dataclass, replace

from anomalyncd.data.inputs import Inputs
from anomalyncd.data.masks import Masks
from anomalyncd.logs import LOG
from anomalyncd.regions.finding import Found
from anomalyncd.steps import Scored, Workplace, find_and_read
from anomalyncd.training.base_cache import read_base
from anomalyncd.training.class_number import ClassNumber, estimate_class_number
from anomalyncd.training.discoverer import (
    BaseRegions,
    Discovered,
    attend_all,
    describe_start,
    discover_classes,
)
from anomalyncd.training.rejection import Judgement, Rejection, fit_rejection
from anomalyncd.training.trunk_cache import TrunkCache


def read_known(place: Workplace, inputs: Inputs) -> BaseRegions | None:
    """Regions of the base set and their tokens; None without one."""
    if inputs.base is None:
        return None
    with place.stages("base"):
        return read_base(
            inputs.base, place.encoder, place.settings, place.seed, place.folder / "base"
        )


def count_classes(
    place: Workplace, found: Found, cache: TrunkCache, known: BaseRegions | None
) -> ClassNumber:
    """Estimates the number of classes."""
    with place.stages("class number"):
        features, described = describe_start(
            place.encoder, cache, known, place.settings, place.seed
        )
        regions, settings = found.regions, place.settings.class_number
        counted = estimate_class_number(
            features,
            regions.score,
            regions.image,
            settings,
            place.seed,
            described,
            found.highest_split,
        )
    LOG.info("%s", counted)
    return counted


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a discovery makes of all regions."""

    found: Found
    """The regions."""
    discovered: Discovered
    """Their classes."""
    rejection: Rejection
    """When new regions are unseen or unsure."""
    judgement: Judgement
    """What it says of these."""
    class_number: ClassNumber | None
    """How many classes there are; None where that was given."""


def learn(
    place: Workplace, inputs: Inputs, scored: Scored, objects: Masks | None, n_classes: int | None
) -> Learnt:
    """Finds the classes of all regions, their number where it is None, and when a new region
    belongs to none of them.

    Tokens in a file are held by this call alone, since Windows deletes no file that is in use.
    """
    found, cache = find_and_read(place, inputs, scored, objects)
    known = read_known(place, inputs)
    counted = count_classes(place, found, cache, known) if n_classes is None else None
    n_chosen = counted.estimate if counted else n_classes
    assert n_chosen is not None
    with place.stages("train"):
        discovered = discover_classes(
            place.encoder,
            cache,
            found.regions.score,
            n_chosen,
            known,
            place.settings,
            place.seed,
            found.highest_split,
            found.regions.found,
        )
        _report_factor(place)
        attention = attend_all(place.encoder, cache)
        discovered = replace(discovered, attention=attention)
    with place.stages("reject"):
        rejection, judgement = fit_rejection(
            discovered,
            found.regions,
            place.settings.rejection,
            place.seed,
            found.highest_split,
        )
    return Learnt(found, discovered, rejection, judgement, counted)


def estimate_classes(
    place: Workplace, inputs: Inputs, scored: Scored, objects: Masks | None
) -> ClassNumber:
    """Estimates the number of classes and learns none; see `learn` for files that are held."""
    found, cache = find_and_read(place, inputs, scored, objects)
    return count_classes(place, found, cache, read_known(place, inputs))


def _report_factor(place: Workplace) -> None:
    """Says what training made of the region guidance factor, where it may."""
    settings = place.settings
    if settings.encoder.guidance != "learned":
        return
    if not settings.training.epochs:
        LOG.warning("guidance='learned' learns nothing in 0 epochs; set epochs, or use soft")
        return
    pairs = zip(
        place.encoder.guidance.learnt_factor.items(), settings.encoder.guidance_factor, strict=True
    )
    learnt = ", ".join(f"{kind} {before:.4g} -> {now:.4g}" for (kind, now), before in pairs)
    LOG.info("region guidance factor before -> after training: %s", learnt)
