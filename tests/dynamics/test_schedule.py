from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment, named_protocol
from lzc_flows.dynamics.schedule import Schedule
from lzc_flows.dynamics.units import BOLTZMANN_EV

SHORT = Schedule.of(named_protocol("lzc-short"))


def test_the_short_protocol_is_a_ramp_and_a_hold() -> None:
    """100 K to 1100 K in 2 ps, then 20 ps, 2 fs: 11,000 steps, frames each 20 fs."""
    ramp, hold = SHORT.stretches
    assert (ramp.first, ramp.stop, hold.first, hold.stop, SHORT.steps) == (0, 1000, 1000, 11_000, 11_000)
    assert [ramp.target_k(step) for step in (0, 500, 1000)] == [100, 600, 1100]
    assert hold.target_k(7000) == 1100
    assert (ramp.time_fs(1000), hold.time_fs(1000), hold.time_fs(11_000)) == (2000, 2000, 22_000)
    assert SHORT.stretch(0) is ramp
    assert SHORT.stretch(1000) is ramp
    assert SHORT.stretch(1001) is hold
    assert SHORT.stretch(11_000) is hold


def test_a_steps_target_is_that_of_its_middle() -> None:
    target = SHORT.stretches[0].target(10)
    assert target.kt_ev == pytest.approx(BOLTZMANN_EV * 110.5, rel=1e-14, abs=0)
    assert target.growth == pytest.approx(111 / 110, rel=1e-14, abs=0)
    assert SHORT.stretches[1].target(5000).growth == 1


def test_frames_and_checkpoints() -> None:
    ramp, hold = SHORT.stretches
    frames = [SHORT.frame_number(ramp, step) for step in range(1, 1001)]
    assert [number for number in frames if number is not None] == list(range(1, 101))
    assert SHORT.frame_number(hold, 1010) == 101
    assert SHORT.frame_number(hold, 1011) is None
    assert [number for number in range(1, 200) if SHORT.is_checkpoint(number)] == [50, 100, 150]


@given(
    halvings=st.integers(0, 4),
    segments=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.5, 1.0, 2.0, 4.0])), min_size=1, max_size=4),
)
def test_halving_changes_no_time_and_no_frame(halvings: int, segments: list[tuple[int, float]]) -> None:
    protocol = AimdProtocol(
        segments=tuple(
            Segment(ensemble="nvt", temperature=(100, 300), ps=0.02 * frames, time_step_fs=step)
            for frames, step in segments
        )
    )
    coarse, fine = Schedule.of(protocol), Schedule.of(protocol, halvings)
    parts = 2**halvings
    assert fine.steps == parts * coarse.steps
    for step in range(1, coarse.steps + 1):
        before, after = coarse.stretch(step), fine.stretch(parts * step)
        assert after.number == before.number
        assert after.time_fs(parts * step) == pytest.approx(before.time_fs(step), rel=1e-12, abs=0)
        assert after.target_k(parts * step) == pytest.approx(before.target_k(step), rel=1e-12, abs=0)
        assert fine.frame_number(after, parts * step) == coarse.frame_number(before, step)
    numbers = [fine.frame_number(fine.stretch(step), step) for step in range(1, fine.steps + 1)]
    np.testing.assert_array_equal(
        [number for number in numbers if number is not None], np.arange(1, sum(frames for frames, _ in segments) + 1)
    )
