"""Near pairs among 100,000 perceptual hashes: ours, brute force, and FAISS's binary indexes alone.

    python -m benchmarks near-duplicates

All must find the same pairs of hashes, which is checked. Most hashes are drawn around scenes, as those of real
pictures are; planted among them are pictures saved anew, 1 to 8 bits off. Every call is a process of its own that
tells its time, after a first call on a part, and its peak memory, in turns: one contender after the other, then
again. FAISS uses all processors, we and NumPy one. Where it is not installed (`faiss-cpu`), it is left out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result
from workzone.data.hamming import hamming_pairs
from workzone.data.near_duplicates import DEFAULT_MAX_DISTANCE, find_near_duplicates
from workzone.engine.peak_memory import peak_memory_bytes
from workzone.storage.hashing import sha256_bytes

N = 100_000
N_PLANTED = 10_000
N_SCENES = 2_000
N_BLANK = 500
DIMENSIONS = 256
SEED = 7
MAX_REPEATS = 3
"""FAISS's multi-hash index takes half a minute a call."""
_BLOCK = 64

Pairs = NDArray[np.int64]
"""[P, 2], the smaller row first, sorted."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one process tells of one call."""

    seconds: float
    megabytes: int
    n_pairs: int
    sha256: str


def planted_hashes(n: int = N, seed: int = SEED) -> NDArray[np.uint64]:
    """Return about n hashes, each once: most have 18 of 64 bits, on average, from one of some scenes' flipped."""
    rng = np.random.default_rng(seed)
    scenes = rng.random((N_SCENES, 64)) < 0.5
    bits = scenes[rng.integers(0, N_SCENES, n)] ^ (rng.random((n, 64)) < 18 / 64)
    copies = min(N_PLANTED, n // 10)
    flips = rng.random((copies, 64)).argsort(axis=1) < rng.integers(1, 9, (copies, 1))
    bits[-copies:] = bits[:copies] ^ flips
    return np.unique(np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64))


def ours(hashes: NDArray[np.uint64], max_distance: int = DEFAULT_MAX_DISTANCE) -> Pairs:
    """Return the pairs that `hamming_pairs` finds."""
    parts = [np.stack(part[:2], axis=1) for part in hamming_pairs(hashes, max_distance)]
    return in_order(np.concatenate(parts) if parts else np.zeros((0, 2), np.int64))


def whole_search(hashes: NDArray[np.uint64], max_distance: int = DEFAULT_MAX_DISTANCE) -> Callable[[], Pairs]:
    """Return a search with confirmation by embeddings, and a crowd of blank pictures besides."""
    rng = np.random.default_rng(SEED)
    embeddings = rng.standard_normal((len(hashes) + N_BLANK, DIMENSIONS), dtype=np.float32)
    embeddings[-N_BLANK:] = embeddings[-1]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    crowded = np.concatenate([hashes, np.zeros(N_BLANK, np.uint64)])
    return lambda: in_order(find_near_duplicates(crowded, embeddings, max_distance=max_distance).pairs)


def brute_force(hashes: NDArray[np.uint64], max_distance: int = DEFAULT_MAX_DISTANCE) -> Pairs:
    """Return the pairs by comparing all with all, in blocks."""
    parts = []
    for start in range(0, len(hashes), _BLOCK):
        near = np.bitwise_count(hashes[start : start + _BLOCK, None] ^ hashes[None, start:]) <= max_distance
        row, column = np.nonzero(near)
        parts.append(np.stack([row + start, column + start], axis=1)[column > row])
    return in_order(np.concatenate(parts))


def faiss_flat(hashes: NDArray[np.uint64], max_distance: int = DEFAULT_MAX_DISTANCE) -> Pairs:
    """Return the pairs that FAISS finds by comparing all with all."""
    import faiss

    return _searched(faiss.IndexBinaryFlat(64), hashes, max_distance)


def faiss_multi_hash(hashes: NDArray[np.uint64], max_distance: int = DEFAULT_MAX_DISTANCE) -> Pairs:
    """Return the pairs of FAISS's multi-index hashing: four tables of 16 bits, as many flips as exactness takes."""
    import faiss

    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = max_distance // 4
    return _searched(index, hashes, max_distance)


def _searched(index: Any, hashes: NDArray[np.uint64], max_distance: int) -> Pairs:
    rows = np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)
    index.add(rows)
    found = []
    for start in range(0, len(rows), 4096):
        limits, _, other = index.range_search(rows[start : start + 4096], max_distance + 1)
        one = np.repeat(np.arange(len(limits) - 1) + start, np.diff(limits.astype(np.int64)))
        found.append(np.stack([one, other], axis=1)[other > one])
    return in_order(np.concatenate(found))


def in_order(pairs: NDArray[Any]) -> Pairs:
    """Return pairs with the smaller row first, sorted."""
    both = np.sort(pairs.astype(np.int64), axis=1)
    return both[np.lexsort((both[:, 1], both[:, 0]))]


OURS = "ours"
WHOLE = "ours, with confirmation and blank pictures"
CONTENDERS: Mapping[str, Callable[..., Pairs]] = {
    OURS: ours,
    "NumPy, all with all": brute_force,
    "FAISS IndexBinaryFlat": faiss_flat,
    "FAISS IndexBinaryMultiHash": faiss_multi_hash,
}


def run(repeats: int = MAX_REPEATS) -> list[Result]:
    """Compare our search with each of the others."""
    names = [name for name in CONTENDERS if "FAISS" not in name or find_spec("faiss")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hashes.npy"
        np.save(file, planted_hashes())
        rounds = [
            {name: _called(name, file) for name in [*names, WHOLE]} for _ in range(min(repeats, MAX_REPEATS))
        ]
    found = {rounds[0][name].sha256 for name in names}
    if len(found) != 1:
        raise AssertionError(f"{names} do not find the same pairs.")
    return [_result(name, rounds) for name in names[1:]]


def _result(name: str, rounds: list[dict[str, Call]]) -> Result:
    ratios = [each[name].seconds / each[OURS].seconds for each in rounds]
    our_s, other_s, whole_s = (
        statistics.median(each[which].seconds for each in rounds) for which in (OURS, name, WHOLE)
    )
    first = rounds[0]
    return Result(
        benchmark=f"near pairs of {N} hashes, at most {DEFAULT_MAX_DISTANCE} of 64 bits",
        contender=OURS,
        baseline=name,
        ratio=round(other_s / our_s, 2),
        low=round(min(ratios), 2),
        high=round(max(ratios), 2),
        contender_ms=round(1000 * our_s / N, 5),
        baseline_ms=round(1000 * other_s / N, 5),
        repeats=len(rounds),
        note=f"{our_s:.2f} s against {other_s:.2f} s for {first[OURS].n_pairs} pairs; peak memory of the "
        f"process {first[OURS].megabytes} MB against {first[name].megabytes} MB; with {N_BLANK} blank "
        f"pictures and confirmation by {DIMENSIONS} numbers a picture: {whole_s:.2f} s, "
        f"{first[WHOLE].megabytes} MB",
    )


def _called(name: str, file: Path) -> Call:
    """Call one contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.near_duplicates", name, str(file)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return Call(*json.loads(answer.stdout))


def _main(name: str, file: str) -> None:
    hashes = np.load(file)
    for part in (hashes[:2000], hashes):  # the first for imports and first allocations
        call = whole_search(part) if name == WHOLE else partial(CONTENDERS[name], part)
        start = time.perf_counter()
        pairs = call()
        seconds = time.perf_counter() - start
    megabytes = (peak_memory_bytes() or 0) // 2**20
    print(json.dumps([seconds, megabytes, len(pairs), sha256_bytes(pairs.tobytes())]))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
