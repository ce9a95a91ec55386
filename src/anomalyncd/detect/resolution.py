"""How large pictures are when the backbone is shown them."""

from anomalyncd.settings import DetectorSettings

_WHOLE, _FRAMED, _LARGEST = 336, 504, 672
_PIXELS_PER_PATCH = 24


def chosen_resolution(
    settings: DetectorSettings, area: float, patch_size: int, framed: bool
) -> int:
    """The resolution that is set, or what goes with what is looked at.

    Args:
        settings: Of the detector.
        area: Of what is looked at, mean over some pictures, in pixels of the photographs.
        patch_size: Side of a patch of the backbone, px.
        framed: Whether the product is cut out of the pictures.

    Returns:
        Side of a square, px. Where none is set, a patch covers at most 24 px of the photographs, as
        far as 672 px allow.
    """
    if settings.resolution is not None:
        return settings.resolution
    wanted = int(area**0.5 / _PIXELS_PER_PATCH) * patch_size
    return min(max(wanted, least_resolution(settings, framed)), _LARGEST)


def least_resolution(settings: DetectorSettings, framed: bool) -> int:
    """The resolution that is set, or the one of the smallest pictures; see `chosen_resolution`."""
    return settings.resolution or (_FRAMED if framed else _WHOLE)
