"""Random walks of ions whose diffusivity is known exactly, for the benchmarks of the diffusion analysis.

A frame is 0.02 ps, a hop 3.4 Å. All but the Brownian walk vibrate about their sites with 0.3 Å along each axis, a
memory of 5 frames (Ornstein–Uhlenbeck).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

FRAME_PS = 0.02
HOP_A = 3.4
FRAMEWORK_ATOMS = 9

_VIBRATION_A = 0.3
_VIBRATION_FRAMES = 5
_STEPS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.float64)


@dataclass(frozen=True)
class Hopping:
    """Ions that hop between the sites of a simple cubic lattice.

    Attributes
    ----------
    frames, ions
        Length and number.
    rate
        Chance of a hop in a frame.
    back
        Chance that a hop takes the last one back. D falls by (1 − back)/(1 + back).
    weights
        Chances of the hops along ±x, ±y, ±z.
    together
        So many ions move as one.
    """

    frames: int = 4000
    ions: int = 18
    rate: float = 0.005
    back: float = 0.0
    weights: tuple[float, ...] = (1 / 6,) * 6
    together: int = 1

    @property
    def diffusivity(self) -> float:
        """Å²/ps, in three dimensions."""
        return self.rate * HOP_A**2 / (6 * FRAME_PS) * (1 - self.back) / (1 + self.back)

    def sites(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the sites that the ions are on, Å, shape (frames, ions, 3)."""
        hops = np.zeros((self.frames, self.ions // self.together, 3))
        for ion in range(hops.shape[1]):
            when = np.flatnonzero(rng.random(self.frames) < self.rate)
            kind = rng.choice(6, len(when), p=self.weights)
            for last in np.flatnonzero(rng.random(len(when) - 1) < self.back) if len(when) else ():
                kind[last + 1] = kind[last] ^ 1
            hops[when, ion] = HOP_A * _STEPS[kind]
        return np.repeat(hops.cumsum(axis=0), self.together, axis=1)

    def walk(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return one walk, Å, shape (frames, ions, 3)."""
        return self.sites(rng) + vibration(rng, self.frames, self.ions)


@dataclass(frozen=True)
class Cages:
    """Ions that rattle between the two sites of a cage and, more rarely, go on to another cage."""

    out: Hopping
    rattle: float = 0.05

    @property
    def diffusivity(self) -> float:
        """Å²/ps: rattling leads nowhere."""
        return self.out.diffusivity

    def walk(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return one walk, Å, shape (frames, ions, 3)."""
        positions = self.out.walk(rng)
        turns = rng.random(positions.shape[:2]) < self.rattle
        positions[:, :, 0] += HOP_A * (turns.cumsum(axis=0) % 2)
        return positions


@dataclass(frozen=True)
class Returns:
    """Ions whose hops are taken back with a chance of 0.7, soon (15 frames on average)."""

    frames: int = 4000
    ions: int = 18
    rate: float = 0.004
    chance: float = 0.7
    life: float = 15.0

    @property
    def diffusivity(self) -> float:
        """Å²/ps: of one hop in the time of a wait and what returns take."""
        cycle = (1 / self.rate + self.chance * self.life) * FRAME_PS
        return (1 - self.chance) * HOP_A**2 / (6 * cycle)

    def walk(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return one walk, Å, shape (frames, ions, 3)."""
        hops = np.zeros((self.frames, self.ions, 3))
        for ion in range(self.ions):
            time = int(rng.geometric(self.rate))
            while time < self.frames:
                step = HOP_A * _STEPS[rng.integers(6)]
                hops[time, ion] += step
                if rng.random() < self.chance:
                    time += int(rng.geometric(1 / self.life))
                    if time < self.frames:
                        hops[time, ion] -= step
                time += int(rng.geometric(self.rate))
        return hops.cumsum(axis=0) + vibration(rng, self.frames, self.ions)


@dataclass(frozen=True)
class Brownian:
    """Ions that diffuse freely."""

    diffusivity: float = 2.0
    frames: int = 4000
    ions: int = 18

    def walk(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return one walk, Å, shape (frames, ions, 3)."""
        steps = rng.normal(0, np.sqrt(2 * self.diffusivity * FRAME_PS), (self.frames, self.ions, 3))
        return steps.cumsum(axis=0)


Kind = Hopping | Cages | Returns | Brownian

HOPPING = Hopping()
KINDS: dict[str, Kind] = {
    "Brownian": Brownian(),
    "hops": HOPPING,
    "hops, half taken back": replace(HOPPING, rate=0.02, back=0.5),
    "hops, 70 % soon taken back": Returns(),
    "two-site cages": Cages(replace(HOPPING, rate=0.004)),
    "two-site cages, few hops": Cages(replace(HOPPING, rate=0.0008)),
    "channels along z": replace(HOPPING, rate=0.004, weights=(0.05, 0.05, 0.05, 0.05, 0.4, 0.4)),
    "ions in pairs": replace(HOPPING, together=2),
    "20 ps, 48 ions": replace(HOPPING, frames=1000, ions=48, rate=0.01),
    "6 ions, 36 hops": replace(HOPPING, ions=6, rate=0.0015),
    "6 ions, 19 hops": replace(HOPPING, ions=6, rate=0.0008),
}


def vibration(rng: np.random.Generator, frames: int, atoms: int) -> NDArray[np.float64]:
    """Return vibrations about sites, Å, shape (frames, atoms, 3)."""
    keep = np.exp(-1 / _VIBRATION_FRAMES)
    noise = rng.normal(0, _VIBRATION_A * np.sqrt(1 - keep**2), (frames, atoms, 3))
    noise[0] = rng.normal(0, _VIBRATION_A, (atoms, 3))
    return lfilter([1], [1, -keep], noise, axis=0)
