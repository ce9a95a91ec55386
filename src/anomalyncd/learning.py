"""The last steps of a discovery: from regions and their tokens to classes."""

from dataclasses import dataclass, replace

from anomalyncd.discovery.class_number import ClassNumber, estimate_n_classes
from anomalyncd.discovery.discover import (
    Discovery,
    attend_all,
    describe_start,
    discover_classes,
)
from anomalyncd.discovery.reliability import (
    Reliability,
    ReliabilityModel,
    fit_reliability,
)
from anomalyncd.embedding.base_regions import BaseRegions, read_base
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.logs import LOG
from anomalyncd.steps import (
    RunContext,
    Scored,
    find_and_read,
)


def read_known(context: RunContext, inputs: Inputs) -> BaseRegions | None:
    """Regions of the base set and their tokens; None without one."""
    if inputs.base is None:
        return None
    with context.stages("base"):
        return read_base(
            inputs.base, context.encoder, context.config, context.seed, context.folder / "base"
        )


def count_classes(
    context: RunContext, regions: Regions, cache: TokenStore, known: BaseRegions | None
) -> ClassNumber:
    """Estimates the number of classes."""
    with context.stages("class number"):
        features, described = describe_start(
            context.encoder, cache, known, context.config, context.seed
        )
        config = context.config.class_number
        counted = estimate_n_classes(
            features,
            regions.score,
            regions.image,
            config,
            context.seed,
            described,
            regions.max_normal_score,
        )
    LOG.info("%s", counted)
    return counted


@dataclass(frozen=True, eq=False)
class Learnt:
    """What a discovery makes of all regions."""

    regions: Regions
    """The regions."""
    discovered: Discovery
    """Their classes."""
    reliability_model: ReliabilityModel
    """When new regions are unseen or unsure."""
    reliability: Reliability
    """What it says of these."""
    class_number: ClassNumber | None
    """How many classes there are; None where that was given."""


def learn(
    context: RunContext,
    inputs: Inputs,
    scored: Scored,
    foreground: Masks | None,
    n_classes: int | None,
) -> Learnt:
    """Finds the classes of all regions, their number where it is None, and when a new region
    belongs to none of them.

    Tokens in a file are held by this call alone, since Windows deletes no file that is in use.
    """
    regions, cache = find_and_read(context, inputs, scored, foreground)
    known = read_known(context, inputs)
    counted = count_classes(context, regions, cache, known) if n_classes is None else None
    n_chosen = counted.estimate if counted else n_classes
    assert n_chosen is not None
    with context.stages("train"):
        discovered = discover_classes(
            context.encoder,
            cache,
            regions.score,
            n_chosen,
            known,
            context.config,
            context.seed,
            regions.max_normal_score,
            regions.found,
        )
        _report_factor(context)
        attention = attend_all(context.encoder, cache)
        discovered = replace(discovered, attention=attention)
    with context.stages("reject"):
        reliability_model, reliability = fit_reliability(
            discovered,
            regions,
            context.config.reliability,
            context.seed,
            regions.max_normal_score,
        )
    return Learnt(regions, discovered, reliability_model, reliability, counted)


def estimate_classes(
    context: RunContext, inputs: Inputs, scored: Scored, foreground: Masks | None
) -> ClassNumber:
    """Estimates the number of classes and learns none; see `learn` for files that are held."""
    regions, cache = find_and_read(context, inputs, scored, foreground)
    return count_classes(context, regions, cache, read_known(context, inputs))


def _report_factor(context: RunContext) -> None:
    """Says what training made of the region guidance factor, where it may."""
    config = context.config
    if config.encoder.guidance != "learned":
        return
    if not config.training.epochs:
        LOG.warning("guidance='learned' learns nothing in 0 epochs; set epochs, or use soft")
        return
    pairs = zip(
        context.encoder.guidance.learnt_factor.items(), config.encoder.guidance_factor, strict=True
    )
    learnt = ", ".join(f"{kind} {before:.4g} -> {now:.4g}" for (kind, now), before in pairs)
    LOG.info("region guidance factor before -> after training: %s", learnt)
