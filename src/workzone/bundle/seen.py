"""Which pictures a bundle has learned from: `seen.npz`, so that nobody certifies or compares it on them.

Knows the SHA-256 sample ids of pictures and what each was used for; knows no file names, labels or groups.
Two things follow from an id being the hash of a file's bytes. Who holds a picture's exact bytes can tell that
it was used: the file gives away no more, but that it does. And a picture that was encoded anew, cropped or
resized has another id: it is not recognised, nor are other frames of a sequence that was used.

The decision a reader would question: re-certification refuses the pictures that the *model* was trained or
chosen on, and allows those that a replaced *policy* was fitted and certified on. The model never saw the
latter, and the new policy derives from nothing of the old, so a certificate made on them anew is valid taken
by itself. It is not valid as the best of several: making many on the same pictures and keeping one that
pleases is choosing on `calib`, which no file can notice.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.errors import ArtifactError, BundleError, ConfigError, DataError, nearest
from workzone.storage.arrays import npz_from_bytes
from workzone.storage.hashing import sha256_bytes

SEEN_NAME = "seen.npz"
MAX_PICTURES = 8_000_000
"""Of all parts together: what 256 MiB hold."""
ID_BYTES = 32
_ID = re.compile(r"[0-9a-f]{64}")
_NO_PICTURES = np.empty((0, ID_BYTES), dtype=np.uint8)


class Part(StrEnum):
    """What pictures were used for."""

    TRAIN = "train"
    """The model was fitted on them."""
    SELECT = "select"
    """The upper threshold and the grid were chosen on them; before a re-certification, the model too."""
    CALIB = "calib"
    """Policy and calibrator were fitted and certified on them."""
    ANCESTOR_MODEL = "ancestor_model"
    """Re-certified bundles: `train` and `select` of the bundle that the model was first packed in."""
    ANCESTOR_POLICY = "ancestor_policy"
    """Re-certified bundles: what only policies that were since replaced have used."""


ANCESTORS = (Part.ANCESTOR_MODEL, Part.ANCESTOR_POLICY)
_APART = (
    (Part.TRAIN, Part.SELECT),
    (Part.TRAIN, Part.CALIB),
    (Part.SELECT, Part.CALIB),
    (Part.ANCESTOR_MODEL, Part.SELECT),
    (Part.ANCESTOR_MODEL, Part.CALIB),
)
"""Parts of one bundle that must not share a picture: the promise would be made on what was learned."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPictures:
    """The pictures that model, calibrator and policy of a bundle derive from, by part.

    Attributes:
        train: uint8 [N, 32], SHA-256 of pictures' bytes, strictly rising; so are the others, each with its N.
        select: As `Part` says; so are the others.
        calib: Shares no picture with what the model or the threshold grid learned from.
        ancestor_model: Empty unless the bundle was re-certified.
        ancestor_policy: Empty unless the bundle was re-certified; may share pictures with any part.

    Raises:
        BundleError: An array is not as above, or parts overlap that must not.
    """

    train: NDArray[np.uint8]
    select: NDArray[np.uint8]
    calib: NDArray[np.uint8]
    ancestor_model: NDArray[np.uint8]
    ancestor_policy: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_digests(field.name, getattr(self, field.name))
        if len(self) > MAX_PICTURES:
            raise BundleError(f"'{SEEN_NAME}' lists {len(self)} pictures; at most {MAX_PICTURES} are read.")
        for one, other in _APART:
            if shared := int(_contains(self._keys(other), self._keys(one)).sum()):
                raise BundleError(
                    f"'{SEEN_NAME}' lists {shared} pictures both in '{one}' and in '{other}': no certificate "
                    "holds on pictures that were learned from. Make the bundle anew from one split."
                )

    @classmethod
    def from_ids(
        cls, *, train: ArrayLike = (), select: ArrayLike = (), calib: ArrayLike = ()
    ) -> SeenPictures:
        """Build from sample ids (64 hexadecimal digits each), in any order.

        Raises:
            DataError: One is no sample id.
            BundleError: Parts share a picture, or are too many.
        """
        fitted, chosen, certified = (
            _sorted_digests(_digests(np.asarray(ids, dtype=np.str_))) for ids in (train, select, calib)
        )
        return cls(fitted, chosen, certified, _NO_PICTURES, _NO_PICTURES)

    def __len__(self) -> int:
        """Return how many ids all parts list together."""
        return sum(len(getattr(self, field.name)) for field in fields(self))

    @property
    def model_parts(self) -> tuple[Part, ...]:
        """The parts that the model learned from: never a certificate, nor a measure, on these.

        `select` is among them until the bundle is re-certified: what was chosen since on the new `select` is
        the policy only.
        """
        if len(self.ancestor_model) or len(self.ancestor_policy):
            return (Part.TRAIN, Part.ANCESTOR_MODEL)
        return (Part.TRAIN, Part.SELECT)

    def ids(self, part: str) -> NDArray[np.str_]:
        """Return the sample ids of one part (a `Part`, or a `Role` but `test`), str [N], sorted.

        Raises:
            ConfigError: There is no such part.
        """
        text = getattr(self, _part(part)).tobytes().hex().encode()
        letters = np.frombuffer(text, dtype=np.uint8).reshape(-1, 2 * ID_BYTES)
        return letters.view(f"S{2 * ID_BYTES}")[:, 0].astype(np.str_)

    def overlap(self, ids: ArrayLike) -> NDArray[np.bool_]:
        """Return for each sample id, bool [N], whether this bundle or an ancestor learned from it in any way.

        Raises:
            DataError: One is no sample id.
        """
        return self.overlap_with(ids, parts=tuple(Part))

    def overlap_with(self, ids: ArrayLike, *, parts: Sequence[str]) -> NDArray[np.bool_]:
        """Return for each sample id, bool [N], whether it is in one of `parts`.

        Raises:
            ConfigError: There is no such part.
            DataError: One is no sample id.
        """
        wanted = _as_keys(_digests(np.asarray(ids, dtype=np.str_)))
        found = np.zeros(len(wanted), dtype=np.bool_)
        for part in parts:
            found |= _contains(self._keys(_part(part)), wanted)
        return found

    def sha256(self, part: str) -> str:
        """Return the SHA-256 over the sorted ids of one part, one a line: as a certificate names its pictures.

        Raises:
            ConfigError: There is no such part.
        """
        return sha256_bytes("\n".join(self.ids(part).tolist()).encode())

    def recertified(self, new: SeenPictures) -> SeenPictures:
        """Return what a bundle has seen that keeps this one's model, with a policy made from `new`.

        The model's pictures stay its own over any number of re-certifications; those of the policy that is
        replaced become `ancestor_policy`.

        Raises:
            BundleError: `new` has pictures that the model learned from, or more than `select` and `calib`.
        """
        if len(new.train) or len(new.ancestor_model) or len(new.ancestor_policy):
            raise BundleError(
                "A re-certification learns from 'select' and 'calib' only; its pictures have other parts too."
            )
        replaced = [part for part in (Part.SELECT, Part.CALIB) if part not in self.model_parts]
        return SeenPictures(
            train=_NO_PICTURES,
            select=new.select,
            calib=new.calib,
            ancestor_model=self._union(self.model_parts),
            ancestor_policy=self._union([*replaced, Part.ANCESTOR_POLICY]),
        )

    def _union(self, parts: Sequence[Part]) -> NDArray[np.uint8]:
        return _sorted_digests(np.concatenate([getattr(self, part) for part in parts]))

    def _keys(self, part: Part) -> NDArray[np.bytes_]:
        return _as_keys(getattr(self, part))


def check_unseen(seen: SeenPictures, ids: ArrayLike, groups: ArrayLike, *, what: str) -> None:
    """Refuse to certify a bundle's model on pictures that the model was trained or chosen on.

    All of `ancestor_model` counts, or `train` and `select` where the bundle was never re-certified. Pictures
    of `calib`, and all that only a replaced policy used, are let through (see the head of this module).

    Args:
        seen: Of the bundle that is to be certified anew.
        ids: str [N], sample ids of all pictures that it would be certified with.
        groups: str [N], their groups, so that the message can say how much must go.
        what: What the message calls these pictures, as "data set 'kerb'".

    Raises:
        DataError: There are such pictures; says how many, in how many groups, and what to do.
    """
    known = seen.overlap_with(ids, parts=seen.model_parts)
    if not known.any():
        return
    names = np.asarray(groups, dtype=np.str_)
    tainted = np.unique(names[known])
    raise DataError(
        f"{int(known.sum())} of the {len(known)} pictures of {what} are among those that this bundle's model "
        "was trained or chosen on; expected none: a certificate on them would promise what was learned by "
        f"heart. Leave out their {len(tainted)} groups whole ({int(np.isin(names, tainted).sum())} pictures, "
        f"such as group '{tainted[0]}'), or label pictures that the model has never seen."
    )


def seen_to_bytes(seen: SeenPictures) -> bytes:
    """Return the content of `seen.npz`; the same pictures give the same bytes."""
    buffer = io.BytesIO()
    arrays = {str(part): np.ascontiguousarray(getattr(seen, part)) for part in Part}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def seen_from_bytes(data: bytes, max_bytes: int) -> SeenPictures:
    """Read what `seen_to_bytes` wrote; at most `max_bytes` are unpacked.

    Raises:
        BundleError: It is something else, or says of a bundle what must not be.
    """
    try:
        arrays = npz_from_bytes(data, SEEN_NAME, max_bytes)
    except ArtifactError as error:
        raise BundleError(str(error)) from error
    if arrays.keys() != {str(part) for part in Part}:
        raise BundleError(
            f"'{SEEN_NAME}' holds the arrays {', '.join(sorted(arrays))[:200] or 'none'}; expected "
            f"{', '.join(sorted(Part))}. Get the bundle again from where it came from."
        )
    return SeenPictures(**arrays)


def _check_digests(name: str, digests: NDArray[np.uint8]) -> None:
    if digests.dtype != np.uint8 or digests.ndim != 2 or digests.shape[1] != ID_BYTES:
        raise BundleError(
            f"'{SEEN_NAME}': '{name}' is {digests.dtype} {list(digests.shape)}, expected uint8 "
            f"[N, {ID_BYTES}]: a SHA-256 a picture."
        )
    keys = _as_keys(digests)
    if not (keys[:-1] < keys[1:]).all():
        raise BundleError(f"'{SEEN_NAME}': '{name}' is not sorted, or lists a picture twice.")


def _part(name: str) -> Part:
    try:
        return Part(name)
    except ValueError as error:
        raise ConfigError(f"A bundle has seen no part '{name}'.{nearest(name, Part)}") from error


def _digests(ids: NDArray[np.str_]) -> NDArray[np.uint8]:
    """Return sample ids as uint8 [N, 32], in their order."""
    text = "".join(ids.tolist())
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    # fromhex also takes capitals and spaces, and joining hides where one id ends
    if raw.hex() != text or not (np.strings.str_len(ids) == 2 * ID_BYTES).all():
        bad = next(i for i in ids.tolist() if not _ID.fullmatch(i))
        raise DataError(
            f"'{bad[:80]}' is no sample id; expected 64 lower-case hexadecimal digits, the SHA-256 of a "
            "picture's bytes."
        )
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, ID_BYTES)


def _as_keys(digests: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return digests as byte strings of fixed width, [N]: these NumPy sorts and compares byte by byte.

    Its byte strings ignore trailing zeros, which makes no two of one width alike.
    """
    return np.ascontiguousarray(digests).view(f"S{ID_BYTES}")[:, 0]


def _sorted_digests(digests: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.unique(_as_keys(digests)).view(np.uint8).reshape(-1, ID_BYTES)


def _contains(rising: NDArray[np.bytes_], wanted: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Return for each of `wanted`, bool [N], whether it is among `rising`."""
    if not len(rising) or not len(wanted):
        return np.zeros(len(wanted), dtype=np.bool_)
    order = np.argsort(wanted)  # searching in order is ten times faster than jumping about
    in_order = wanted[order]
    places = np.minimum(np.searchsorted(rising, in_order), len(rising) - 1)
    found = np.empty(len(wanted), dtype=np.bool_)
    found[order] = rising[places] == in_order
    return found
