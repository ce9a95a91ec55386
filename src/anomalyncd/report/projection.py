"""The plot of all regions, similar ones close to each other, with the names beside the points."""

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from anomalyncd.discovery.sampling import blocks
from anomalyncd.report.axes import WIDTH, as_svg, shorten
from anomalyncd.report.plots import colour
from anomalyncd.results.run_folder import Run

_MOST_POINTS = 2000
_N_DIRECTIONS, _N_NEIGHBOURS = 30, 5
_HEIGHT, _EDGE = 400, 14
_LINE, _LETTER, _PAD = 20, 7.6, 4
"""Height of a line of names, width of a letter, and space around a name; units of the viewBox."""
_STEP = 10
"""Distance of the places that are tried for a name."""


def projection(run: Run) -> str | None:
    """Plots the descriptors of regions by t-SNE; of many regions a random selection.

    Returns:
        An SVG element; None for fewer than ten regions.
    """
    rows = np.flatnonzero(run.regions["found"])
    if len(rows) < 10:
        return None
    if len(rows) > _MOST_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MOST_POINTS, replace=False))
    points = project(run.features[rows])
    classes, names = run.regions["class"].to_numpy()[rows], run.class_names
    return scatter(points, classes, names, "Regions by their descriptors")


def project(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Places vectors in the plane, similar ones close to each other.

    Up to 2,000 of them are placed by t-SNE on their principal components; each of the others is
    placed between those of them that are nearest to it.

    Args:
        vectors: (R, D), at least ten.

    Returns:
        (R, 2), any scale; always the same for the same vectors.
    """
    chosen = np.arange(len(vectors))
    if len(vectors) > _MOST_POINTS:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, _MOST_POINTS, replace=False))
    axes = PCA(min(_N_DIRECTIONS, len(chosen), vectors.shape[1]), random_state=0)
    shown = axes.fit_transform(vectors[chosen])
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    placed = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(shown)
    if len(chosen) == len(vectors):
        return np.asarray(placed, np.float64)
    nearest = NearestNeighbors(n_neighbors=_N_NEIGHBOURS).fit(shown)
    points = np.empty((len(vectors), 2))
    for block in blocks(len(vectors)):
        distances, neighbours = nearest.kneighbors(axes.transform(vectors[block]))
        weights = 1 / np.maximum(distances, 1e-6)
        weights /= weights.sum(1, keepdims=True)
        points[block] = np.einsum("rk,rkc->rc", weights, placed[neighbours])
    points[chosen] = placed
    return points


def scatter(
    points: NDArray[np.float64], classes: NDArray[np.int64], names: Mapping[int, str], title: str
) -> str:
    """Draws points coloured by class, with the name of each class near its points but on none.

    Args:
        points: (N, 2), any scale.
        classes: (N,), class of each point.
        names: Names of the classes by their ids.
        title: Description for screen readers.
    """
    shown = [int(index) for index in np.unique(classes)]
    texts = [shorten(names[index]) for index in shown]
    # The bands above and below the points have room for all names, if there is none between them.
    widths = np.array([len(text) * _LETTER + 2 * _PAD for text in texts])
    band = _LINE * (1 + int(widths.sum() / WIDTH))
    low, span = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-9)
    size, corner = np.array([WIDTH, _HEIGHT]) - 2 * _EDGE, np.array([_EDGE, _EDGE + band])
    placed = (points - low) / span * size + corner
    radius = float(np.clip(60 / np.sqrt(len(points)), 2.2, 4.5))
    centres = np.array([np.median(placed[classes == index], axis=0) for index in shown])
    height = _HEIGHT + 2 * band
    places = _free_places(placed, centres, widths, height)
    lines, tags = [], []
    for index, text, (x, y) in zip(shown, texts, places, strict=True):
        own = placed[classes == index]
        end_x, end_y = own[np.argmin(((own - (x, y)) ** 2).sum(1))]
        lines.append(
            f'<line class="leader" x1="{x:.0f}" y1="{y:.0f}" x2="{end_x:.1f}" y2="{end_y:.1f}"/>'
        )
        tags.append(
            f'<text class="tag" x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle">'
            f"{escape(text)}</text>"
        )
    dots = [
        f'<circle class="{colour(int(c))}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        for (x, y), c in zip(placed, classes, strict=True)
    ]
    return as_svg("".join([*lines, *dots, *tags]), WIDTH, height, title, "points")


def _free_places(
    points: NDArray[np.float64],
    centres: NDArray[np.float64],
    widths: NDArray[np.float64],
    height: int,
) -> list[tuple[float, float]]:
    """Returns the middles of names: near their centres, on no point and on no other name.

    Args:
        points: (N, 2), in coordinates of the viewBox.
        centres: (K, 2), the median of each class.
        widths: (K,), of the names.
        height: Of the viewBox.
    """
    places: list[tuple[float, float]] = []
    for index, (centre, width) in enumerate(zip(centres, widths, strict=True)):
        x, y = np.meshgrid(
            np.arange(width / 2, WIDTH - width / 2 + 1e-6, _STEP),
            np.arange(_LINE / 2, height - _LINE / 2 + 1e-6, _STEP),
        )
        tried = np.stack([x.ravel(), y.ravel()], axis=1)
        covered = np.zeros(len(tried), np.int64)
        reach = np.array([width / 2 + 5, _LINE / 2 + 5])  # A point has a radius of up to 4.5.
        for point in points:
            covered += (np.abs(tried - point) < reach).all(1)
        for other, other_width in zip(places, widths[:index], strict=True):
            apart = np.array([(width + other_width) / 2, _LINE])
            covered += len(points) * (np.abs(tried - other) < apart).all(1)
        distance = np.hypot(*(tried - centre).T)
        best = np.lexsort((distance, covered))[0]
        places.append((float(tried[best, 0]), float(tried[best, 1])))
    return places
