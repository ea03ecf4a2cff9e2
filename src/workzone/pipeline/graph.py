"""The order of phases, from the artifacts they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workzone.core.errors import ConfigError, nearest
from workzone.pipeline.phase import Phase


def _producers(phases: Iterable[Phase]) -> Mapping[str, Phase]:
    """Return artifact name → the phase that makes it, refusing two of a name or of an output."""
    names: set[str] = set()
    producers: dict[str, Phase] = {}
    for phase in phases:
        if phase.name in names:
            raise ConfigError(f"There are two phases '{phase.name}'; give each a name of its own.")
        names.add(phase.name)
        if phase.output in producers:
            raise ConfigError(
                f"Phases '{producers[phase.output].name}' and '{phase.name}' both make '{phase.output}'; "
                "an artifact has one producer."
            )
        producers[phase.output] = phase
    for phase in producers.values():
        for name in phase.inputs:
            if name not in producers:
                raise ConfigError(
                    f"Phase '{phase.name}' needs '{name}', which no phase makes.{nearest(name, producers)}"
                )
    return producers


def ordered(phases: Iterable[Phase], target: str | None = None) -> list[Phase]:
    """Return the phases that `target` takes, each after those that make its inputs.

    Ties keep the given order, so the same phases always run in the same order.

    Args:
        phases: All phases there are.
        target: Name of the phase to go up to, itself included; None for all.

    Raises:
        ConfigError: An unknown target, a missing or second producer, or a cycle, named from end to end.
    """
    producers = _producers(phases)
    by_name = {phase.name: phase for phase in producers.values()}
    if target is not None and target not in by_name:
        raise ConfigError(f"There is no phase '{target}'.{nearest(target, by_name)}")
    order: list[Phase] = []
    path: list[str] = []

    def visit(phase: Phase) -> None:
        if phase in order:
            return
        if phase.name in path:
            circle = [*path[path.index(phase.name) :], phase.name]
            raise ConfigError(f"Phases wait for each other: {' → '.join(reversed(circle))}. Cut the circle.")
        path.append(phase.name)
        for name in phase.inputs:
            visit(producers[name])
        path.pop()
        order.append(phase)

    for phase in by_name.values() if target is None else [by_name[target]]:
        visit(phase)
    return order
