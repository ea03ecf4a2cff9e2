"""Class-conditional sets by torchcp on the same scores: `python -m benchmarks.torchcp_sets`.

In an environment of its own: torchcp asks for torchvision, torch_geometric and torchsort. Its class-conditional
predictor uses none of them, so where only they are missing they are stood in for by empty modules.
"""

from __future__ import annotations

import json
import sys
import types
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.populations import Scored
from workzone.calibration.conformal import conformal_lower

ALPHA, GROUPS, NEW, REDRAWS = 0.05, 1000, 20_000, 30


def predictors() -> Any:
    """Return how torchcp's class-conditional predictor is made, without the parts of the package that need more."""
    spec = find_spec("torchcp")
    if spec is None or spec.origin is None:
        sys.exit("torchcp is not installed: pip install torchcp, in an environment of its own.")
    root = Path(spec.origin).parent
    for name, folder in (("torchcp", root), ("torchcp.classification", root / "classification")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    from torchcp.classification.predictor import ClassConditionalPredictor
    from torchcp.classification.score import LAC

    return partial(ClassConditionalPredictor, LAC(score_type="identity"), alpha=ALPHA)


def main() -> None:
    import torch

    warnings.simplefilter("ignore")  # torchcp's own deprecations
    make = predictors()
    generator = np.random.default_rng(0)
    for shape in ("normal", "heavy", "skewed"):
        same, ours_answered, theirs_answered = 0, [], []
        for _ in range(REDRAWS):
            calib, new = (Scored(shape).draw(generator, n) for n in (GROUPS, NEW))
            labels, logits = calib.grouped.labels.astype(np.int64), calib.logits
            lower = conformal_lower(logits[labels == 1], ALPHA)
            upper = -conformal_lower(-logits[labels == 0], ALPHA)
            ours = np.stack([new.logits <= upper, new.logits >= lower], axis=1)
            rival = make()
            rival.calculate_threshold(torch.tensor(np.stack([-logits, logits], axis=1)), torch.tensor(labels))
            told = torch.tensor(np.stack([-new.logits, new.logits], axis=1))
            theirs = rival.predict_with_logits(told).numpy().astype(bool)
            same += int((ours == theirs).all(axis=1).sum())
            ours_answered.append((ours.sum(axis=1) == 1).mean())
            theirs_answered.append((theirs.sum(axis=1) == 1).mean())
        row = {
            "scores": shape,
            "pictures": REDRAWS * NEW,
            "same_set": same,
            "coverage_workzone": round(float(np.mean(ours_answered)), 4),
            "coverage_torchcp": round(float(np.mean(theirs_answered)), 4),
        }
        print(json.dumps(row))


if __name__ == "__main__":
    main()
