"""Places of pictures: how far apart they are, and which members (groups, say) come close to each other.

Coordinates are put on the unit sphere, where a straight line between two points (the chord) grows strictly with their
great-circle distance: a k-d tree in three dimensions then answers "closer than" exactly as the haversine formula
does, at the poles and across the 180th meridian too. The Earth is a sphere here, which is wrong by up to 0.5 %.

The decision a reader would question: a latitude and longitude of exactly (0, 0) count as no place. That point lies in
the Gulf of Guinea; in data it is a field that nobody filled in, and all such pictures would become one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.lazy import require

if TYPE_CHECKING:
    import pyarrow as pa

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the Earth (IUGG 1980)."""
MOST_DISTANCE_M = 1_000_000.0
NEAR_M = 100.0
"""Metres within which two pictures are of one place unless told otherwise, in splits, `data check` and `audit`: what
the ROADWork data set keeps between the parts of its own split by place."""
_PAIRS_AT_ONCE = 1_000_000


def places_of(table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return latitude and longitude in degrees, float64 [N, 2], and which rows have a place at all, bool [N].

    Args:
        table: With the columns `lat` and `lon` of `schema.SAMPLE_COLUMNS`, N rows.
    """
    columns = [np.asarray(table[name].to_numpy(), dtype=np.float64) for name in ("lat", "lon")]
    degrees = np.stack(columns, axis=1)  # a missing value is NaN
    return degrees, np.isfinite(degrees).all(axis=1) & (degrees != 0.0).any(axis=1)


def haversine_m(first_deg: ArrayLike, second_deg: ArrayLike) -> NDArray[np.float64]:
    """Return great-circle distances in metres, float64 [N], of points given as (latitude, longitude) [N, 2]."""
    one, other = np.radians(np.asarray(first_deg)), np.radians(np.asarray(second_deg))
    half = (other - one) / 2
    along = np.cos(one[..., 0]) * np.cos(other[..., 0]) * np.sin(half[..., 1]) ** 2
    squared = np.clip(np.sin(half[..., 0]) ** 2 + along, 0.0, 1.0)
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(squared)), dtype=np.float64)


def place_links(degrees: NDArray[np.float64], members: NDArray[np.intp], within_m: float) -> NDArray[np.intp]:
    """Return pairs of members, intp [P, 2], that link whatever is closer than `within_m`.

    Not every close pair is listed, but the linked members are those of all close pairs: points at one spot are linked
    in a row, and each spot to those around it. Time grows with the number of close pairs of spots, memory does not.

    Args:
        degrees: Latitude and longitude of N points, float64 [N, 2].
        members: Whose each point is, intp [N].
        within_m: In metres, above 0; points exactly this far apart are linked.
    """
    if not len(degrees):
        return np.empty((0, 2), dtype=np.intp)
    spots, spot_of = np.unique(degrees, axis=0, return_inverse=True)
    order = np.lexsort((members, spot_of.ravel()))
    ordered_spots, ordered_members = spot_of.ravel()[order], members[order]
    same = ordered_spots[1:] == ordered_spots[:-1]
    at_one_spot = np.stack([ordered_members[:-1][same], ordered_members[1:][same]], axis=1)
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    between = _links_between(_unit_vectors(spots), ordered_members[first], within_m)
    return _each_once(np.concatenate([at_one_spot, between]))


def nearest_places(
    degrees: NDArray[np.float64], others_deg: NDArray[np.float64], within_m: float
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return for each point the distance in metres to the nearest of others, float64 [N], and which it is, intp [N].

    Where none is closer than `within_m` the distance is infinite and the index -1.

    Args:
        degrees: Latitude and longitude, float64 [N, 2].
        others_deg: The same of the M others, float64 [M, 2].
        within_m: In metres, above 0.
    """
    found = np.full(len(degrees), -1, dtype=np.intp)
    distance_m = np.full(len(degrees), np.inf)
    if not len(degrees) or not len(others_deg):
        return distance_m, found
    tree = require("scipy.spatial", "data").cKDTree(_unit_vectors(others_deg))
    _, places = tree.query(_unit_vectors(degrees), distance_upper_bound=_chord(within_m))
    near = np.flatnonzero(places < len(others_deg))
    found[near] = places[near]
    distance_m[near] = haversine_m(degrees[near], others_deg[found[near]])
    return distance_m, found


def smallest_members(count: int, links: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each of `count` members the smallest one that links lead to, itself among them, intp [count].

    Args:
        count: How many members there are.
        links: Pairs of members, intp [P, 2], in any order.
    """
    sparse, graphs = require("scipy.sparse", "data"), require("scipy.sparse.csgraph", "data")
    graph = sparse.coo_array((np.ones(len(links), dtype=np.int8), tuple(links.T)), shape=(count, count))
    parts, part_of = graphs.connected_components(graph, directed=False)
    smallest = np.full(parts, count, dtype=np.intp)
    np.minimum.at(smallest, part_of, np.arange(count))
    members: NDArray[np.intp] = smallest[part_of]
    return members


def _links_between(
    vectors: NDArray[np.float64], members: NDArray[np.intp], within_m: float
) -> NDArray[np.intp]:
    tree: Any = require("scipy.spatial", "data").cKDTree(vectors)
    reach = _chord(within_m)
    counts = tree.query_ball_point(vectors, reach, return_length=True)
    links = [np.empty((0, 2), dtype=np.intp)]
    start = 0
    while start < len(vectors):
        within = np.cumsum(counts[start:]) <= _PAIRS_AT_ONCE
        stop = start + max(int(within.sum()), 1)
        lists = tree.query_ball_point(vectors[start:stop], reach)
        others = np.concatenate([np.asarray(near, dtype=np.intp) for near in lists])
        firsts = np.repeat(members[start:stop], counts[start:stop])
        links.append(_each_once(np.stack([firsts, members[others]], axis=1)))
        start = stop
    return np.concatenate(links)


def _each_once(links: NDArray[np.intp]) -> NDArray[np.intp]:
    links = np.sort(links[links[:, 0] != links[:, 1]], axis=1)
    return np.unique(links, axis=0) if len(links) else links


def _unit_vectors(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    lat, lon = np.radians(degrees).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def _chord(distance_m: float) -> float:
    """Return the straight line on the unit sphere between points this far apart, widened by rounding errors."""
    angle = min(distance_m / EARTH_RADIUS_M, np.pi)
    return float(2 * np.sin(angle / 2) * (1 + 1e-9) + 1e-12)
