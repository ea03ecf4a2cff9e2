"""`freeze` of a variant: the same network in another runtime and precision, if it says nearly the same.

Knows the frozen model in float32, which is the variant's ancestor: it passed the gate against torch before, so that
torch is not needed here. A variant gets predictions, a calibrator and a certificate of its own, so the gate need not
prove that nothing changes, only that nothing broke.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from workzone.bundle.model import MODEL_NAME, WEIGHTS_NAME, FrozenModel, open_model, write_record
from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer
from workzone.engine.backend import PRECISIONS, open_backend
from workzone.export.parity import F32, check_parity
from workzone.imaging.decode import ImageInput


def freeze_variant(
    model: Path,
    output: Path,
    pictures: Sequence[ImageInput],
    *,
    backend: str,
    tolerance: float,
    observer: Observer | None = None,
) -> FrozenModel:
    """Write to `output` the frozen model `model`, to be served by another runtime.

    Args:
        model: What `freeze` wrote.
        output: A directory; made if it does not exist.
        pictures: Of `select`: the parity set.
        backend: A key of `engine.backend.BACKENDS`.
        tolerance: Largest difference of a logit from the frozen model's own runtime; in another precision than its
            own a share of the standard deviation of the logits.
        observer: Told of the parity pictures done.

    Raises:
        ArtifactError: The model is incomplete, or the parity gate is not met.
        ConfigError: There is no such runtime, or it cannot work on this machine.
        DataError: There are no pictures, or one cannot be decoded.
        MissingExtraError: The runtime is not installed.
    """
    if not pictures:
        raise DataError("The parity gate needs pictures of `select` to compare; there are none.")
    frozen = open_model(model)
    record = frozen.record
    largest = record.preprocessing.max_batch
    ancestor = open_backend(record.backend, frozen.model_path, record.spec, max_batch=largest)
    variant = open_backend(backend, frozen.model_path, record.spec, max_batch=largest)

    def ask(pixels: F32) -> tuple[F32, F32]:
        said = ancestor.run(pixels[:, None])
        return said.logits, said.features

    parity = check_parity(
        ask,
        variant,
        record.preprocessing,
        pictures,
        tolerance,
        observer or NullObserver(),
        of_spread=PRECISIONS[backend] != record.precision,
    )
    output.mkdir(parents=True, exist_ok=True)
    for name in (MODEL_NAME, WEIGHTS_NAME):
        shutil.copyfile(model / name, output / name)
    write_record(
        output,
        record.model_copy(update={"precision": PRECISIONS[backend], "backend": backend, "parity": parity}),
    )
    return open_model(output)
