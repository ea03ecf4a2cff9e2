"""An interrupted training ends in the very bytes of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workzone.imaging.preprocessing import Preprocessing
from workzone.storage.hashing import sha256_tree
from workzone.training.selection import MetricName
from workzone.training.settings import TrainSettings
from workzone.training.train import train

CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Recorder, tiny_samples
from workzone.imaging.preprocessing import Preprocessing
from workzone.training.selection import MetricName
from workzone.training.settings import TrainSettings
from workzone.training.train import train

root = Path(sys.argv[2])
parts = tiny_samples(root / "pictures", 32, 1), tiny_samples(root / "pictures", 16, 2)
settings = TrainSettings.model_validate_json(sys.argv[3])
preprocessing = Preprocessing.from_json(sys.argv[4])
train(*parts, settings, preprocessing, root / "work", root / "killed", Recorder())
"""


class Interrupted(RuntimeError):
    pass


class Interrupting:
    """Raises at a given step of a task."""

    def __init__(self, task: str, at: int) -> None:
        self.task, self.at = task, at

    def progress(self, task: str, done: int, total: int | None) -> None:
        if (task, done) == (self.task, self.at):
            raise Interrupted

    def note(self, message: str) -> None:
        pass


@pytest.mark.parametrize(
    ("task", "at"),
    [("decode train", 32), ("train", 3), ("train", 4), ("train", 7), ("train", 12), ("statistics", 32)],
)
def test_interrupted_anywhere_it_ends_in_the_same_files(
    parts: Any,
    settings: TrainSettings,
    preprocessing: Preprocessing,
    tmp_path: Path,
    recorder: Any,
    task: str,
    at: int,
) -> None:
    train(*parts, settings, preprocessing, tmp_path / "calm", tmp_path / "undisturbed", recorder)
    with pytest.raises(Interrupted):
        train(*parts, settings, preprocessing, tmp_path / "w", tmp_path / "half", Interrupting(task, at))
    recorder.steps.clear()
    train(*parts, settings, preprocessing, tmp_path / "w", tmp_path / "resumed", recorder)
    assert sha256_tree(tmp_path / "undisturbed") == sha256_tree(tmp_path / "resumed")
    steps = [step[1] for step in recorder.steps if step[0] == "train"]
    done_before = {"decode train": 0, "train": at // 4 * 4 if at % 4 else at - 4, "statistics": 12}[task]
    assert steps == list(range(done_before + 1, 13)), "only whole epochs are kept, and none is run twice"


def test_a_training_that_had_stopped_early_does_not_go_on(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    still = settings.model_copy(
        update={
            "epochs": 50,
            "patience": 1,
            "learning_rate": 1e-12,
            "ema_decay": 0.0,
            "metric": MetricName.AUROC,
        }
    )
    first = train(*parts, still, preprocessing, tmp_path / "w", tmp_path / "1", recorder)
    recorder.steps.clear()
    assert train(*parts, still, preprocessing, tmp_path / "w", tmp_path / "2", recorder) == first
    assert not [step for step in recorder.steps if step[0] == "train"]


def test_other_settings_do_not_go_on_from_this_state(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    train(*parts, settings, preprocessing, tmp_path / "w", tmp_path / "1", recorder)
    recorder.steps.clear()
    other = settings.model_copy(update={"weight_decay": 0.1})
    train(*parts, other, preprocessing, tmp_path / "w", tmp_path / "2", recorder)
    assert len([step for step in recorder.steps if step[0] == "train"]) == 12


def test_killed_for_real_and_resumed(
    parts: Any, settings: TrainSettings, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    """SIGKILL as soon as the first epoch's state is on disk; a process of its own goes on."""
    settings = settings.model_copy(update={"epochs": 15})
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path)]
    command += [settings.model_dump_json(), preprocessing.to_json()]
    child = subprocess.Popen(command, stderr=subprocess.PIPE)
    while child.poll() is None and not list((tmp_path / "work").glob("fit-*/state.pt")):
        time.sleep(0.01)
    if child.poll() is None:
        os.kill(child.pid, signal.SIGKILL)
    _, stderr = child.communicate()
    assert child.returncode == -signal.SIGKILL, stderr.decode()[-2000:]
    assert not (tmp_path / "killed").exists()

    train(*parts, settings, preprocessing, tmp_path / "work", tmp_path / "resumed", recorder)
    resumed_at = next(step[1] for step in recorder.steps if step[0] == "train")
    assert 4 < resumed_at <= 60
    train(*parts, settings, preprocessing, tmp_path / "calm", tmp_path / "undisturbed", recorder)
    assert sha256_tree(tmp_path / "undisturbed") == sha256_tree(tmp_path / "resumed")
