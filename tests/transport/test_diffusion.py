from __future__ import annotations

import math

import numpy as np
import pytest

from lzc_flows.errors import InputError
from lzc_flows.transport.diffusion import HOP_DISTANCE_A, TooFewHops, diffusion, relative_deviation_he
from lzc_flows.transport.motion import Motion

FRAME_PS = 0.02
# the source's cell of 1×1×3, Å
CELL = np.array([[11.20927, 0, 0], [-11.20927 / 2, 11.20927 * math.sqrt(0.75), 0], [0, 0, 18.11472]])


def in_a_framework(ions, cell=CELL) -> Motion:
    """Ions in a framework of two atoms that stand still."""
    still = np.zeros((len(ions), 2, 3))
    positions = np.concatenate([ions, still], axis=1)
    return Motion(positions, FRAME_PS, ("Li",) * ions.shape[1] + ("Zr", "Cl"), cell)


def brownian(rng, spread, frames=2000, ions=18):
    """Free walks; spread is the standard deviation of a step along each axis, Å."""
    return rng.normal(0, spread, (frames, ions, 3)).cumsum(axis=0)


def hopping(rng, rate, frames=2000, ions=18):
    """Hops along ±x, ±y, ±z at a rate per frame; D = rate a²/6 per frame. Vibrations of 0.3 Å along each axis."""
    size = HOP_DISTANCE_A * rng.choice([-1, 1], (frames, ions)) * (rng.random((frames, ions)) < rate)
    axis = rng.integers(3, size=(frames, ions))
    hops = size[..., None] * (axis[..., None] == np.arange(3))
    return hops.cumsum(axis=0) + rng.normal(0, 0.3, (frames, ions, 3))


def test_a_brownian_walk() -> None:
    spread = np.array([0.2, 0.2, 0.4])
    found = diffusion(in_a_framework(brownian(np.random.default_rng(0), spread, 8000, 40)), "Li", 1000.0)
    # Å² per frame of 0.02 ps, and 1e-4 cm²/s to the Å²/ps
    along = spread**2 / 2 / FRAME_PS * 1e-4
    exact = {"a": along[0], "b": along[1], "ab": along[:2].mean(), "c": along[2]}
    assert found.D_cm2_s == pytest.approx(along.mean(), rel=0.08)
    for direction, value in exact.items():
        assert found.by_direction[direction].D_cm2_s == pytest.approx(value, rel=0.15)
        low, high = found.by_direction[direction].D_interval
        assert low < found.by_direction[direction].D_cm2_s < high
    plane, axis = found.by_direction["ab"].D_cm2_s, found.by_direction["c"].D_cm2_s
    assert (2 * plane + axis) / 3 == pytest.approx(found.D_cm2_s, rel=1e-9)
    assert found.exponent == pytest.approx(1, abs=0.1)
    assert found.notes == ()


def test_the_conductivity_is_that_of_its_diffusivity() -> None:
    """n e²/(kT) D by hand: 18 ions in 1971.2 Å³ at 1000 K."""
    found = diffusion(in_a_framework(brownian(np.random.default_rng(0), 0.3)), "Li", 1000.0)
    density = 18 / (11.20927**2 * math.sqrt(0.75) * 18.11472) * 1e30  # per m³
    per_diffusivity = density * 1.602176634e-19**2 / (1.380649e-23 * 1000)  # S/m for 1 m²/s
    assert found.carriers_per_cm3 == pytest.approx(density * 1e-6, rel=1e-9)
    assert found.sigma_mS_cm == pytest.approx(found.D_cm2_s * 1e-4 * per_diffusivity * 10, rel=1e-9)
    for sigma, D in zip(found.sigma_interval, found.D_interval, strict=True):
        assert sigma / found.sigma_mS_cm == pytest.approx(D / found.D_cm2_s, rel=1e-9)
    divalent = diffusion(in_a_framework(brownian(np.random.default_rng(0), 0.3)), "Li", 1000.0, charge=2)
    assert divalent.sigma_mS_cm == pytest.approx(4 * found.sigma_mS_cm, rel=1e-9)


def test_a_drift_of_the_whole_cell_changes_nothing() -> None:
    motion = in_a_framework(hopping(np.random.default_rng(0), 0.02))
    drift = np.arange(motion.frames)[:, None, None] * np.array([0.01, -0.02, 0.005])
    drifted = Motion(motion.positions + drift + 50, FRAME_PS, motion.species, CELL)
    mine, other = diffusion(motion, "Li", 900.0), diffusion(drifted, "Li", 900.0)
    assert other.D_cm2_s == pytest.approx(mine.D_cm2_s, rel=1e-9)
    assert other.D_interval == pytest.approx(mine.D_interval, rel=1e-9)
    assert other.haven_ratio == pytest.approx(mine.haven_ratio, rel=1e-9)


def test_single_precision_is_enough() -> None:
    motion = in_a_framework(hopping(np.random.default_rng(0), 0.02))
    single = Motion(motion.positions.astype(np.float32), FRAME_PS, motion.species, CELL)
    assert diffusion(single, "Li", 900.0).D_cm2_s == pytest.approx(diffusion(motion, "Li", 900.0).D_cm2_s, rel=1e-5)


def test_ions_that_move_as_one_have_a_haven_ratio_of_their_number() -> None:
    """N ions in step: their centre moves as far as each, and (Σ Δr)²/N is N times the tracer's. H = 1/N."""
    walk = brownian(np.random.default_rng(0), 0.3, 4000, 1)
    found = diffusion(in_a_framework(np.repeat(walk, 4, axis=1)), "Li", 900.0)
    assert found.haven_ratio == pytest.approx(0.25, rel=1e-9)
    assert found.haven_interval == pytest.approx((0.25, 0.25), rel=1e-9)
    assert found.charge_diffusivity.D_cm2_s == pytest.approx(4 * found.D_cm2_s, rel=1e-9)


def test_ions_on_their_own_have_a_haven_ratio_of_one() -> None:
    inside = 0
    for seed in range(60):
        found = diffusion(in_a_framework(brownian(np.random.default_rng(seed), 0.5, 2000, 6)), "Li", 900.0)
        inside += found.haven_interval[0] < 1 < found.haven_interval[1]
    # 68 % of 60 within 2.5 standard deviations
    assert 0.53 * 60 < inside < 0.84 * 60


def test_the_window_begins_where_each_ion_has_moved_three_squared_hops() -> None:
    found = diffusion(in_a_framework(brownian(np.random.default_rng(0), 0.5, 8000)), "Li", 900.0)
    # MSD = 3 · 0.25 per frame; 3 · 3.4² is reached after 46.2 frames
    assert found.window_ps == pytest.approx((47 * FRAME_PS, 94 * FRAME_PS), rel=0.05)
    assert found.window_ps[1] == pytest.approx(2 * found.window_ps[0])


def test_a_window_cut_short_is_noted() -> None:
    found = diffusion(in_a_framework(hopping(np.random.default_rng(0), 0.005)), "Li", 900.0)
    assert found.window_ps[0] == pytest.approx(100 * FRAME_PS)
    assert any("a twentieth of the trajectory" in note for note in found.notes)


def test_effective_hops_are_hops_that_lead_somewhere() -> None:
    found = diffusion(in_a_framework(hopping(np.random.default_rng(0), 0.02, 4000)), "Li", 900.0)
    assert found.n_hops == pytest.approx(0.02 * 4000 * 18, rel=0.2)


@pytest.mark.parametrize(("tmsd_A2", "percent"), [(7380, 18), (47700, 9)])
def test_the_published_pairs_of_tmsd_and_rsd(tmsd_A2, percent) -> None:
    """The source's extremes for Li2ZrCl6, by He et al., npj Comput. Mater. 4, 18 (2018): 3.43/√(TMSD/a²) + 0.04."""
    rsd, tmsd = relative_deviation_he(np.array([0.0, tmsd_A2 / 18, 3.0]), 18, HOP_DISTANCE_A)
    assert tmsd == pytest.approx(tmsd_A2)
    assert round(100 * rsd) == percent


def test_curves() -> None:
    motion = in_a_framework(brownian(np.random.default_rng(0), 0.3))
    curves = diffusion(motion, "Li", 900.0).curves
    assert curves.lag_ps[[0, 1, -1]] == pytest.approx([0, FRAME_PS, motion.length_ps])
    assert (np.diff(curves.lag_ps) > 0).all()
    assert len(curves.lag_ps) <= 301
    whole = curves.msd_A2["ab"] + curves.msd_A2["c"]
    assert curves.msd_A2["total"] == pytest.approx(whole, abs=1e-9)
    # of the longest lag there is one origin
    last = motion.positions[-1] - motion.positions[0]
    assert curves.msd_A2["total"][-1] == pytest.approx((last**2).sum(axis=1)[:18].mean(), rel=1e-9)
    assert curves.charge_msd_A2[-1] == pytest.approx((last.sum(axis=0) ** 2).sum() / 18, rel=1e-9)


def coverage(walks) -> tuple[float, float]:
    """Share of intervals that hold the truth, and the mean of D over the truth; walks are (ions, D in Å² per frame)."""
    inside, ratios = [], []
    for ions, truth in walks:
        found = diffusion(in_a_framework(ions), "Li", 900.0)
        exact = truth / FRAME_PS * 1e-4
        inside.append(found.D_interval[0] < exact < found.D_interval[1])
        ratios.append(found.D_cm2_s / exact)
    return float(np.mean(inside)), float(np.mean(ratios))


@pytest.mark.parametrize("kind", ["Brownian", "hops", "few hops", "hops in pairs"])
def test_68_percent_of_intervals_hold_the_truth(kind) -> None:
    """200 walks of each kind: 60 to 76 % must hold it. More kinds and walks are in bench/diffusion_coverage.py."""
    rng = np.random.default_rng(11)
    rate = {"few hops": 0.003}.get(kind, 0.01)
    truth = 0.25 / 2 if kind == "Brownian" else rate * HOP_DISTANCE_A**2 / 6

    def walk():
        if kind == "Brownian":
            return brownian(rng, 0.5, 1000, 6)
        if kind == "hops in pairs":
            return np.repeat(hopping(rng, rate, 1000, 8), 2, axis=1)
        return hopping(rng, rate, 1000, 12)

    inside, ratio = coverage((walk(), truth) for _ in range(200))
    assert 0.60 <= inside <= 0.76
    assert ratio == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.0, 0.00005])
def test_too_few_hops_are_refused(rate) -> None:
    with pytest.raises(TooFewHops, match=r"Li made .* effective hops: a diffusivity needs at least 10"):
        diffusion(in_a_framework(hopping(np.random.default_rng(0), rate)), "Li", 900.0)


def test_a_diffusivity_that_may_as_well_be_zero_is_refused() -> None:
    """Forty ions hop once, all in one frame: enough hops, but a single event."""
    ions = np.random.default_rng(0).normal(0, 0.3, (1000, 40, 3))
    ions[500:, :, 0] += HOP_DISTANCE_A
    with pytest.raises(TooFewHops, match="relative standard error"):
        diffusion(in_a_framework(ions), "Li", 900.0)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"temperature_k": 0.0}, "temperature 0.0 K"),
        ({"temperature_k": math.nan}, "temperature nan K"),
        ({"charge": 0.0}, "charge 0.0"),
        ({"hop_distance_A": -1.0}, "hop distance -1.0 Å"),
        ({"species": "Na"}, "species Na"),
    ],
)
def test_bad_arguments_are_refused(arguments, line) -> None:
    motion = in_a_framework(brownian(np.random.default_rng(0), 0.3, 200))
    with pytest.raises(InputError, match=line):
        diffusion(motion, **({"species": "Li", "temperature_k": 900.0} | arguments))


def test_a_short_trajectory_is_refused() -> None:
    with pytest.raises(InputError, match=r"trajectory of 99 frames \(1.96 ps\): too short"):
        diffusion(in_a_framework(brownian(np.random.default_rng(0), 3.0, 99)), "Li", 900.0)


def test_a_centre_that_hardly_moves_has_no_haven_ratio() -> None:
    """Pairs of ions that move in opposite directions carry no charge: each diffuses, their centre stays."""
    walk = brownian(np.random.default_rng(0), 0.5, 2000, 6)
    noise = np.random.default_rng(1).normal(0, 0.3, (2000, 12, 3))
    found = diffusion(in_a_framework(np.concatenate([walk, -walk], axis=1) + noise), "Li", 900.0)
    assert found.haven_ratio is None
    assert found.haven_interval is None
    assert any("no Haven ratio" in note for note in found.notes)
