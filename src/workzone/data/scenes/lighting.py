"""How surfaces look under a sky, in haze, and in one's own headlights.

A model of three terms: ambient light, a headlight cone that fades with distance, and haze that replaces
colour by the haze's own with exp(-distance). Faces are lit one by one, the ground row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.data.scenes.world import Conditions, Daytime, Environment, Weather

SNOW_WHITE = np.array([236.0, 240.0, 248.0], np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one sequence."""

    ambient: NDArray[np.float32]
    """[3] factors on albedo."""
    headlight: float
    haze: NDArray[np.float32]
    """[3], 0 to 255: the colour that distance fades to."""
    haze_per_m: float
    shadow: float
    """How dark the shade under things is, [0, 1]."""
    snow: float
    """How much snow lies, [0, 1]."""
    wet: float
    """How much the road mirrors, [0, 1]."""
    lamps: bool
    """Whether lamps and headlights are on."""
    street_lamps: bool

    def beam(self, x_m: float | NDArray[np.float32], z_m: float | NDArray[np.float32]) -> NDArray[np.float32]:
        """How strongly the own headlights light a place."""
        spread = 1.6 + 0.20 * np.asarray(z_m)
        near = 1.0 / (1.0 + (np.asarray(z_m) / 17.0) ** 2)
        return np.asarray(self.headlight * near * np.exp(-((np.asarray(x_m) / spread) ** 2)), np.float32)

    def surfaces(
        self,
        colours: NDArray[np.float32],
        emit: NDArray[np.float32],
        retro: NDArray[np.float32],
        cover: NDArray[np.float32],
        place_m: tuple[float, float],
    ) -> NDArray[np.float32]:
        """Seen colours [F, 3] of faces at (x, z), 0 to 255."""
        x, z = place_m
        if self.snow > 0:
            lie = (cover * self.snow)[:, None]
            colours = colours * (1 - lie) + SNOW_WHITE * lie
        beam = float(self.beam(x, z))
        if self.headlight > 0:
            # Retroreflectors answer headlights far beyond the range at which paint does.
            answer = (
                self.headlight * 1.5 / (1.0 + (z / 45.0) ** 2) * float(np.exp(-((x / (3 + 0.3 * z)) ** 2)))
            )
            gain = self.ambient + np.float32(beam) + (retro * answer)[:, None]
        else:
            gain = np.broadcast_to(self.ambient, colours.shape)
        glow = emit[:, None]
        seen = colours * gain * (1 - glow) + colours * glow
        clear = float(np.exp(-self.haze_per_m * max(z, 0.0)))
        return np.asarray(np.clip(seen * clear + self.haze * (1 - clear), 0, 255), np.float32)


_AMBIENT = {Daytime.DAY: (1.0, 1.0, 1.0), Daytime.DUSK: (0.60, 0.50, 0.52), Daytime.NIGHT: (0.20, 0.19, 0.23)}
_HAZE = {
    (Daytime.DAY, False): (196, 208, 222),
    (Daytime.DAY, True): (198, 201, 204),
    (Daytime.DUSK, False): (172, 138, 128),
    (Daytime.DUSK, True): (118, 108, 112),
    (Daytime.NIGHT, False): (20, 23, 36),
    (Daytime.NIGHT, True): (54, 54, 60),
}


def draw_light(rng: np.random.Generator, conditions: Conditions) -> Light:
    """The light of a sequence under its conditions."""
    daytime, weather = conditions.daytime, conditions.weather
    dull = weather is not Weather.CLEAR
    ambient = np.array(_AMBIENT[daytime], np.float32) * rng.uniform(0.9, 1.08)
    if dull:
        ambient = ambient * np.array([0.86, 0.88, 0.91], np.float32)
    if daytime is Daytime.NIGHT and conditions.environment is Environment.URBAN:
        ambient = ambient * np.array([1.75, 1.5, 1.2], np.float32)  # sodium lamps and shop windows
    elif daytime is Daytime.NIGHT and conditions.environment is Environment.RESIDENTIAL:
        ambient = ambient * np.array([1.4, 1.25, 1.1], np.float32)
    haze_per_m = {
        Weather.CLEAR: rng.uniform(0.0006, 0.002),
        Weather.RAIN: rng.uniform(0.005, 0.010),
        Weather.FOG: rng.uniform(0.022, 0.050),
        Weather.SNOW: rng.uniform(0.006, 0.014),
    }[weather]
    dark = daytime is not Daytime.DAY
    return Light(
        ambient=np.asarray(ambient, np.float32),
        headlight={Daytime.DAY: 0.0, Daytime.DUSK: 0.25, Daytime.NIGHT: 0.75}[daytime],
        haze=np.array(_HAZE[(daytime, dull)], np.float32) * np.float32(rng.uniform(0.94, 1.06)),
        haze_per_m=float(haze_per_m),
        shadow={Daytime.DAY: 0.35 if dull else 0.55, Daytime.DUSK: 0.35, Daytime.NIGHT: 0.3}[daytime],
        snow=float(rng.uniform(0.6, 1.0)) if weather is Weather.SNOW else 0.0,
        wet=float(rng.uniform(0.35, 0.65)) if weather is Weather.RAIN else 0.0,
        lamps=dark or weather in {Weather.FOG, Weather.RAIN},
        street_lamps=daytime is Daytime.NIGHT or (daytime is Daytime.DUSK and bool(rng.random() < 0.6)),
    )
