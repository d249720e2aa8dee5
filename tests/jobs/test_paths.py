from __future__ import annotations

import numpy as np
import pytest

from lzc_flows.engines.neb_tasks import LegResult, PathResult
from lzc_flows.jobs.paths import barriers, curve, legs

TWO_STEPS = PathResult(
    positions=np.zeros((7, 2, 3)),
    energies_ev=np.array([-5.0, -4.7, -4.9, -4.95, -4.5, -4.6, -4.8]),
    distances_angstrom=np.linspace(0, 3, 7),
    slopes_ev_per_angstrom=np.linspace(1, -1, 7),
    legs=(LegResult(0, 3, 1, 0.008, 0.03, 12), LegResult(3, 6, 4, 0.002, 0.04, 20)),
)


def test_a_barrier_is_from_the_end_to_the_highest_saddle() -> None:
    found = barriers(TWO_STEPS)
    assert found == {
        "barrier_forward_eV": pytest.approx(0.5),
        "barrier_reverse_eV": pytest.approx(0.3),
        "fmax": 0.008,
    }


def test_each_step_has_barriers_of_its_own() -> None:
    first, second = legs(TWO_STEPS)
    assert (first.barrier_forward_eV, first.barrier_reverse_eV) == (pytest.approx(0.3), pytest.approx(0.25))
    assert (second.barrier_forward_eV, second.barrier_reverse_eV) == (pytest.approx(0.45), pytest.approx(0.3))
    assert (second.first_image, second.last_image, second.saddle_image, second.steps) == (3, 6, 4, 20)


def test_a_path_that_only_rises_has_its_end_for_a_saddle() -> None:
    rising = PathResult(
        positions=np.zeros((5, 2, 3)),
        energies_ev=np.array([0.0, 0.1, 0.2, 0.3, 0.4]),
        distances_angstrom=np.arange(5.0),
        slopes_ev_per_angstrom=np.full(5, 0.1),
        legs=(LegResult(0, 4, None, 0.0, 0.04, 3),),
    )
    assert barriers(rising) == {
        "barrier_forward_eV": pytest.approx(0.4),
        "barrier_reverse_eV": 0.0,
        "fmax": 0.0,
    }
    assert legs(rising)[0].barrier_reverse_eV == 0.0


def test_the_curve_begins_at_zero() -> None:
    found = curve(TWO_STEPS)
    assert found["energies_eV"] == pytest.approx([0, 0.3, 0.1, 0.05, 0.5, 0.4, 0.2], abs=1e-12)
    assert found["distances_A"] == TWO_STEPS.distances_angstrom.tolist()
    assert found["slopes_eV_A"] == TWO_STEPS.slopes_ev_per_angstrom.tolist()
