"""What an inspection says, in words and numbers."""

import numpy as np

from anomalyncd.inspection.inspection import Inspection


def facts(seen: Inspection) -> list[tuple[str, str]]:
    """Pairs of a word and what there is to say of it.

    Args:
        seen: All maps and their regions.
    """
    n_without, name = int(seen.without.sum()), seen.maps.names[seen.highest]
    said = [
        ("floor", f"{seen.bounds.low:.4g}, {seen.origin_of_floor}"),
        *_sound(seen),
        ("top", f"{seen.bounds.high:.4g}, the highest score of all maps ('{name}')"),
        (
            "without a region",
            f"{n_without} of {len(seen)} parts ({_percent(n_without / len(seen))})",
        ),
        ("regions a part", _regions_a_part(seen)),
    ]
    if not seen.without.all():
        widest = float(seen.covered.max())
        said.append(
            (
                "regions cover",
                f"{_percent(seen.median_covered)} of the picture at the median, "
                f"{_percent(widest)} at most",
            )
        )
    return said


def _sound(seen: Inspection) -> list[tuple[str, str]]:
    if seen.bounds.sound is None:
        return []
    share = _percent(seen.settings.sound_share)
    surfaces = "normal parts" if len(seen.normal_maxima) else "maps beside their main element"
    words = f"{seen.bounds.sound:.4g}, which {share} of the {surfaces} do not exceed"
    return [("no region up to", words)]


def _regions_a_part(seen: Inspection) -> str:
    most = 4
    counts = np.bincount(np.minimum(seen.n_regions, most), minlength=most + 1)
    words = ("", "1", "2", "3", f"{most} or more")
    said = [f"{words[n]} on {_parts(counts[n])}" for n in range(1, most + 1) if counts[n]]
    return ", ".join(said) or "none on any"


def _parts(count: int) -> str:
    return f"{count} part{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"
