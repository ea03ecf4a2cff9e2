"""Pictures to measure with: of the sizes that are stated, all different, and without an extra."""

from __future__ import annotations

import io
import subprocess
import sys

from PIL import Image

from workzone.data.street_pictures import SIZES_PX, street_pictures


def test_sizes_in_turn_all_different_and_the_same_again():
    pictures = street_pictures(4, seed=2)
    opened = [Image.open(io.BytesIO(picture)) for picture in pictures]
    assert [image.size for image in opened] == [*SIZES_PX, SIZES_PX[0]]
    assert {image.format for image in opened} == {"JPEG"}
    assert len(set(pictures)) == 4
    assert street_pictures(1, seed=2) == pictures[:1]
    assert street_pictures(1, seed=3) != pictures[:1]


def test_no_extra_is_needed(tmp_path):
    code = (
        "import sys\nfrom workzone.data.street_pictures import street_pictures\n"
        "print(sorted({'pyarrow', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
