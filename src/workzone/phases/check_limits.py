"""What `check` measures a bundle against: a YAML file of limits, validated, without Hydra.

Knows numbers and their directions; measures nothing. A limit that a file leaves out is not judged, so a reader of
the file sees all that can fail. The promised risks are the exception: they are judged at the alpha that the bundle
was certified with, whatever the file says of the rest.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from workzone.core.errors import ConfigError, nearest
from workzone.phases.recipe import MAX_RECIPE_BYTES, Section, validated

DEFAULT_LIMITS = "check"

_Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


class AtLeast(Section):
    """A number that is to be high."""

    warn: _Number = Field(description="Below this: WARN.")
    fail: _Number = Field(description="Below this: FAIL.")

    @model_validator(mode="after")
    def _in_order(self) -> AtLeast:
        if self.fail > self.warn:
            raise ValueError(f"fail ({self.fail:g}) lies above warn ({self.warn:g}): it must not")
        return self


class AtMost(Section):
    """A number that is to be low."""

    warn: _Number = Field(description="Above this: WARN.")
    fail: _Number = Field(description="Above this: FAIL.")

    @model_validator(mode="after")
    def _in_order(self) -> AtMost:
        if self.fail < self.warn:
            raise ValueError(f"fail ({self.fail:g}) lies below warn ({self.warn:g}): it must not")
        return self


class ShareAtLeast(AtLeast):
    """A number of at most 1 that is to be high."""

    warn: _Share = Field(description="Below this: WARN.")
    fail: _Share = Field(description="Below this: FAIL.")


class LoadSection(Section):
    """How the bundle is asked: latency by one caller, throughput by several."""

    seconds: float = Field(4.0, gt=0, le=600, description="Of each of the two runs.")
    callers: int = Field(8, ge=1, le=256, description="At once, for the throughput.")
    pictures: int = Field(64, ge=1, le=4096, description="Of the data set, asked in turn.")


class SamplingSection(Section):
    """How the intervals of MCC and coverage are made, and from when they say enough."""

    n_resamples: int = Field(2000, ge=100, le=100_000, description="Of groups.")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    seed: int = Field(0, ge=0)
    min_groups: int = Field(20, ge=2, description="With road work, and as many without, for a PASS.")


class CheckLimits(Section):
    """Every limit; None: not judged."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")
    load: LoadSection = LoadSection()
    sampling: SamplingSection = SamplingSection()
    throughput_per_s: AtLeast | None = Field(None, description="Pictures a second.")
    latency_p50_ms: AtMost | None = Field(None, description="From bytes to verdict, one caller.")
    latency_p95_ms: AtMost | None = None
    latency_p99_ms: AtMost | None = None
    peak_memory_mib: AtMost | None = Field(None, description="Resident, of the process.")
    mcc: ShareAtLeast | None = Field(None, description="At probability 0.5, every picture answered.")
    coverage: ShareAtLeast | None = Field(None, description="Share of pictures that the policy answers.")
    alpha: float | None = Field(
        None, gt=0, lt=1, description="Of the first promised risk; by default what the bundle promises."
    )


def limits_names() -> list[str]:
    """Return the files of limits that come with the package."""
    folder = resources.files("workzone") / "recipes" / "limits"
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_limits(name_or_path: str = DEFAULT_LIMITS) -> CheckLimits:
    """Read and validate limits.

    Args:
        name_or_path: The name of a shipped file, or the path of a YAML file.

    Raises:
        ConfigError: There is none, or a key or value is wrong.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        where = f"Recipe '{name_or_path}'"
        text = _read(Path(name_or_path))
    elif name_or_path in limits_names():
        where = f"Recipe '{name_or_path}'"
        shipped = resources.files("workzone") / "recipes" / "limits" / f"{name_or_path}.yaml"
        text = shipped.read_text(encoding="utf-8")
    else:
        raise ConfigError(
            f"There is no recipe of limits '{name_or_path}'.{nearest(name_or_path, limits_names())} "
            "The name of a file ends in .yaml."
        )
    return validated(CheckLimits, _mapping(text, where), where)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECIPE_BYTES + 1)
        if len(data) > MAX_RECIPE_BYTES:
            raise ConfigError(f"Recipe '{path}' is larger than 1 MiB; a recipe is a few lines of YAML.")
        return data.decode("utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"There is no recipe file '{path}'.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Recipe '{path}' cannot be read: {error}.") from error


def _mapping(text: str, where: str) -> dict[Any, Any]:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{where} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ConfigError(
            f"{where} is no list of limits; expected lines such as 'mcc: {{warn: 0.7, fail: 0.5}}'."
        )
    return found
