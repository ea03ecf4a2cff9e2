r"""Which pictures are frames of one clip, by their file names: the group where nothing better is known.

The rule, in this order; `group_from` of an importer overrules all of it:

1. The suffix goes. So do Roboflow's `.rf.<hash>` (copies made by augmentation differ in it alone) and the suffix of
   the original that it writes into the name: `street_mp4-12_jpg.rf.0a1b….jpg` is `street_mp4-12`.
2. A frame number at the end goes, once: `_mp4-12` (or another video's suffix), `_frame_12`, `-12`, or `_012` (an
   underscore and three digits or more).
3. What is left is the clip. Where nothing is left but a number, or the name that a camera gives to every picture
   (`IMG`, `DSC`…), nothing is known of a clip: the picture's name without its hash is the group.

Wrongly joined pictures cost some choice of splits; wrongly separated ones put neighbours on both sides of a split.
So rule 2 joins in doubt.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_ROBOFLOW_HASH = re.compile(r"\.rf\.[0-9a-zA-Z]{6,64}$")
_WRITTEN_SUFFIX = re.compile(r"[_.](?:jpe?g|png|webp|bmp|tiff?|gif|heic)$", re.IGNORECASE)
_FRAME_NUMBERS = (
    re.compile(r"[_.-](?:mp4|mov|avi|mkv|webm|m4v|mpe?g|ts|3gp)[_.-]+\d{1,9}$", re.IGNORECASE),
    re.compile(r"(?:^|[_.\s-])frames?[_.\s-]*\d{1,9}$", re.IGNORECASE),
    re.compile(r"-\d{1,9}$"),
    re.compile(r"_\d{3,9}$"),
)
_NO_CLIP = re.compile(
    r"(?:img|image|images|dsc|dscn|dscf|dcim|pict?|pxl|photo|picture|p|mvi|gopr|screenshot|frame|\d+)?",
    re.IGNORECASE,
)
_MAX_NAME = 500


def picture_stem(path: str) -> str:
    """Return the name of a picture without suffixes and without Roboflow's hash.

    >>> picture_stem("train/images/street_mp4-12_jpg.rf.0a1b2c3d4e5f.jpg")
    'street_mp4-12'
    """
    name = PurePosixPath(path).name[-_MAX_NAME:]
    stem = name.rpartition(".")[0] or name
    hashless = _ROBOFLOW_HASH.sub("", stem)
    return _WRITTEN_SUFFIX.sub("", hashless) or stem if hashless != stem else stem


def clip_of(path: str) -> str:
    """Return the group of a picture by the rule of this module.

    >>> clip_of("a/street_mp4-12_jpg.rf.0a1b2c3d4e5f.jpg"), clip_of("b/street_mp4-7_jpg.rf.ffffffffffff.jpg")
    ('street', 'street')
    >>> clip_of("pgh04_0458.jpg"), clip_of("IMG_1234.jpg")
    ('pgh04', 'IMG_1234')
    """
    stem = picture_stem(path)
    for pattern in _FRAME_NUMBERS:
        clip, found = pattern.subn("", stem, count=1)
        if found:
            return stem if _NO_CLIP.fullmatch(clip) else clip
    return stem
