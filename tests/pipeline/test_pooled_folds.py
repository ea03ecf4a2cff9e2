"""Out-of-fold predictions of several folds are of several splits: nothing can be certified on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workzone.core.errors import ArtifactError
from workzone.core.types import Opening, Role
from workzone.storage.lineage import ALLOWED_ROLES, check_lineage

if TYPE_CHECKING:
    from tests.pipeline.conftest import Bench

FOLDS = [f"{fold}" * 64 for fold in range(5)]


@pytest.mark.parametrize("kind", sorted(ALLOWED_ROLES))
@pytest.mark.parametrize("role", Role)
def test_no_kind_of_artifact_derives_from_several_folds(kind: str, role: Role) -> None:
    pooled = frozenset(Opening(split, role) for split in FOLDS)
    with pytest.raises(ArtifactError, match=f"'{kind}' would mix 5 different splits"):
        check_lineage(kind, pooled)


def test_a_policy_is_not_certified_on_test_predictions_of_a_fold_beside_another_fold(bench: Bench) -> None:
    """The way it would be tried: each fold's `test` taken for the other folds' `calib`."""
    one = bench.phase("predict-calib", "predictions-calib", opens=(Role.CALIB,), split=FOLDS[0])
    other = bench.phase("predict-select", "predictions-select", opens=(Role.SELECT,), split=FOLDS[1])
    pooled = bench.phase("policy", "policy", "predictions-calib", "predictions-select")
    with pytest.raises(ArtifactError, match="'policy' would mix 2 different splits"):
        bench.run([one, other, pooled])
    assert bench.ran == ["predict-calib", "predict-select"]
    tested = bench.phase("predict-test", "predictions-test", opens=(Role.TEST,), split=FOLDS[2])
    with pytest.raises(ArtifactError, match="'policy' derives from test, which it must not know"):
        bench.run([tested, bench.phase("certify", "policy", "predictions-test")])
