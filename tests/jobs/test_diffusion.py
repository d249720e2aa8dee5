from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lzc_flows.documents.aimd_protocol import AimdProtocol, Segment
from lzc_flows.documents.diffusion import ArrheniusDoc, DiffusionDoc, DiffusionResult
from lzc_flows.errors import InputError
from lzc_flows.jobs.diffusion import (
    UNKNOWN,
    arrhenius_document,
    arrhenius_points,
    diffusion_document,
    diffusion_result,
    framework_label,
    motion_of,
    production,
    target_temperature_k,
)
from lzc_flows.trajectory.model import Frame, Header, InMemory, Trajectory
from lzc_flows.trajectory.stored import read_stored
from lzc_flows.trajectory.writer import Writer
from lzc_flows.transport.arrhenius import arrhenius
from lzc_flows.transport.diffusion import diffusion
from lzc_flows.transport.motion import Motion

SPECIES = ("Li", "Li", "Li", "Li", "Cl", "Cl")
CELL = np.diag([8.0, 9.0, 10.0])
FRAME_PS = 0.1
RAMP = Segment(ensemble="nvt", temperature=(100.0, 900.0), ps=2, time_step_fs=2)
NPT = Segment(ensemble="npt", temperature=800.0, ps=3, time_step_fs=1)
HELD = Segment(ensemble="nvt", temperature=900.0, ps=20, time_step_fs=2)


def walk(frames: int, seed: int = 0, step_A: float = 0.8) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    positions = rng.normal(0, 0.05, (frames, len(SPECIES), 3))
    positions[:, :4] += rng.normal(0, step_A, (frames, 4, 3)).cumsum(axis=0)
    positions[:, 5] += CELL.sum(axis=0) / 2
    return positions


def stored(path: Path, segments: tuple[Segment, ...], frames: int | None = None) -> Trajectory:
    """A run of a protocol, cut off after so many frames; in npt segments the cell changes."""
    protocol = AimdProtocol(segments=segments, frame_interval_fs=1000 * FRAME_PS)
    total = round(protocol.ps / FRAME_PS) + 1
    # as in a run, a frame at the end of a segment is that segment's
    ends = np.cumsum([segment.ps for segment in segments]) + 1e-6
    with Writer.create(path, Header(SPECIES, 2.0, 50, "nep 1", protocol.model_dump_json(), 1, "")) as writer:
        for number, positions in enumerate(walk(total)[:frames]):
            segment = segments[int(np.searchsorted(ends, number * FRAME_PS))]
            cell = CELL * (1 + 1e-3 * number) if segment.ensemble == "npt" else CELL
            writer.append(Frame(number, number * FRAME_PS, positions, cell, segment.end_k, 0.0, 0.0, 0.0))
    return read_stored(path)


def foreign(positions: NDArray[np.float64]) -> Trajectory:
    return Trajectory(
        name="theirs",
        species=SPECIES,
        times_ps=FRAME_PS * np.arange(len(positions)),
        cells=np.broadcast_to(CELL, (len(positions), 3, 3)),
        source=InMemory(positions),
        atoms=np.arange(len(SPECIES)),
    )


def result(temperature_k: float, step_A: float = 0.8, seed: int = 0) -> DiffusionResult:
    part = foreign(walk(400, seed, step_A))
    return diffusion_result(part, diffusion(motion_of(part), "Li", temperature_k))


# ---- the part that is analysed ----


def test_the_last_segment_is_analysed(tmp_path: Path) -> None:
    whole = stored(tmp_path / "t.h5", (RAMP, HELD))
    part = production(whole)
    assert (part.times_ps[0], part.times_ps[-1]) == pytest.approx((2.1, 22.0))
    np.testing.assert_array_equal(part.positions, whole.positions[21:])
    assert part.observables is not None
    assert (part.observables.temperatures_k == 900).all()
    assert target_temperature_k(whole) == 900


def test_the_volume_run_before_is_left_out_with_its_last_cell(tmp_path: Path) -> None:
    whole = stored(tmp_path / "t.h5", (NPT, HELD))
    part = production(whole)
    assert part.times_ps[0] == pytest.approx(3.1)
    assert (motion_of(part).cell == CELL).all()
    with pytest.raises(InputError, match="must be the same in all frames"):
        motion_of(whole.between(3.0))


def test_a_run_at_constant_pressure_only_has_no_one_cell(tmp_path: Path) -> None:
    part = production(stored(tmp_path / "t.h5", (NPT,)))
    with pytest.raises(InputError, match=r"t\.h5: the cell of frame 2 differs"):
        motion_of(part)


def test_files_of_others_are_analysed_whole() -> None:
    whole = foreign(walk(50))
    assert production(whole) is whole
    assert target_temperature_k(whole) is None


def test_a_last_segment_that_is_a_ramp_is_refused(tmp_path: Path) -> None:
    whole = stored(tmp_path / "t.h5", (HELD, RAMP))
    for function in (production, target_temperature_k):
        with pytest.raises(InputError, match="goes from 100 to 900 K, must be at one temperature"):
            function(whole)


def test_a_run_that_ended_before_its_last_segment_is_refused(tmp_path: Path) -> None:
    # the last frame is that at the end of the ramp
    whole = stored(tmp_path / "t.h5", (RAMP, HELD), frames=21)
    with pytest.raises(InputError, match=r"no frame between 2\.05 and inf ps; it runs from 0 to 2 ps"):
        production(whole)


def test_a_protocol_of_another_kind_is_refused(tmp_path: Path) -> None:
    whole = stored(tmp_path / "t.h5", (HELD,))
    assert whole.header is not None
    for protocol in ("", "[]", '{"segments": []}'):
        other = replace(whole, header=replace(whole.header, protocol=protocol))
        with pytest.raises(InputError, match=r"t\.h5: its protocol cannot be read: ") as error:
            production(other)
        assert "\n" not in str(error.value)


# ---- motion ----


def test_positions_are_read_as_sliced(tmp_path: Path) -> None:
    part = production(stored(tmp_path / "t.h5", (RAMP, HELD)))
    motion, everything = motion_of(part), part.positions
    assert motion.positions.shape == everything.shape == (200, 6, 3)
    for frames in (slice(None), slice(0, 1), slice(7, 90), slice(150, 1000), slice(-3, None), 0, 7):
        np.testing.assert_array_equal(motion.positions[frames], everything[frames])
    assert motion.time_step_ps == pytest.approx(FRAME_PS)


def test_the_analysis_is_that_of_an_array(tmp_path: Path) -> None:
    part = production(stored(tmp_path / "t.h5", (RAMP, HELD)))
    of_file = diffusion(motion_of(part), "Li", 900.0)
    of_array = diffusion(Motion(part.positions, FRAME_PS, SPECIES, CELL), "Li", 900.0)
    assert of_file.D_cm2_s == pytest.approx(of_array.D_cm2_s, rel=1e-12, abs=0)


# ---- documents ----


def test_the_document_has_all_that_was_found() -> None:
    found = diffusion(motion_of(foreign(walk(400))), "Li", 900.0)
    document = diffusion_document(found)
    for name in DiffusionDoc.model_fields:
        if name in ("by_direction", "charge_diffusivity", "curves", "notes"):
            continue
        assert getattr(document, name) == getattr(found, name), name
    assert {k: one.D_interval for k, one in document.by_direction.items()} == {
        k: one.D_interval for k, one in found.by_direction.items()
    }
    assert document.charge_diffusivity.D_cm2_s == found.charge_diffusivity.D_cm2_s
    assert document.curves.lag_ps == found.curves.lag_ps.tolist()
    assert document.curves.msd_A2["total"] == found.curves.msd_A2["total"].tolist()
    assert DiffusionDoc.model_validate_json(document.model_dump_json()) == document


def test_the_result_says_where_it_is_from(tmp_path: Path) -> None:
    part = production(stored(tmp_path / "t.h5", (RAMP, HELD)))
    found = diffusion(motion_of(part), "Li", 900.0)
    document = diffusion_result(part, found)
    assert document.file == str(tmp_path / "t.h5")
    assert (document.formula, document.engine, document.mean_temperature_k) == ("Li2Cl", "nep 1", 900.0)
    assert document.part_ps == pytest.approx((2.1, 22.0))
    assert document.notes == list(found.notes)
    assert document.framework == "stable"
    assert DiffusionResult.model_validate_json(document.model_dump_json()) == document


@pytest.mark.parametrize(("temperature_k", "noted"), [(860.0, False), (944.0, False), (850.0, True), (950.0, True)])
def test_a_temperature_far_from_that_of_the_frames_is_noted(tmp_path: Path, temperature_k: float, noted: bool) -> None:
    part = production(stored(tmp_path / "t.h5", (RAMP, HELD)))
    document = diffusion_result(part, diffusion(motion_of(part), "Li", temperature_k))
    said = [note for note in document.notes if note.startswith("the mean kinetic temperature is 900 K, not ")]
    assert bool(said) is noted


def test_a_framework_that_does_not_stay_is_named_and_fits_no_line() -> None:
    """All six atoms walk."""
    rng = np.random.default_rng(5)
    molten = foreign(walk(400) + rng.normal(0, 0.5, (400, len(SPECIES), 3)).cumsum(axis=0))
    document = diffusion_result(molten, diffusion(motion_of(molten), "Li", 900.0))
    assert document.framework not in ("stable", "unknown")
    assert document.notes[-1] == f"{document.framework}: this is not diffusion in the crystal"
    with pytest.raises(InputError, match=f"^theirs: {document.framework}: results of a framework that stayed one"):
        arrhenius_points([document, result(800.0), result(1000.0)])


def test_a_framework_too_short_to_be_told_is_unknown() -> None:
    assert framework_label(foreign(walk(20)), "Li") == UNKNOWN


def test_the_document_of_a_line_has_all_that_was_fitted() -> None:
    results = [result(800.0, 0.6, 1), result(600.0, 0.4, 2), result(1000.0, 0.8, 3)]
    line = arrhenius(arrhenius_points(results))
    document = arrhenius_document(line, results, temperature_k=350.0)
    assert (document.Ea_eV, document.mean_inverse_ev, document.level) == (
        line.Ea_ev,
        line.mean_inverse_ev,
        line.level,
    )
    room, other = line.conductivity(300.0), line.conductivity(350.0)
    assert (document.sigma_300K_mS_cm, document.sigma_300K_interval) == (room.value, room.interval)
    assert (document.extrapolation.sigma_mS_cm, document.extrapolation.sigma_interval) == (other.value, other.interval)
    assert document.extrapolation.D_cm2_s == line.diffusivity(350.0).value
    assert [point.temperature_k for point in document.points] == [600.0, 800.0, 1000.0]
    assert ArrheniusDoc.model_validate_json(document.model_dump_json()) == document


def test_results_that_do_not_belong_together_are_refused() -> None:
    first, second = result(600.0, seed=1), result(800.0, seed=2)
    for changes, reason in [
        ({"species": "Na"}, "mobile species Li and Na"),
        ({"formula": "LiCl"}, "material Li2Cl and LiCl"),
        ({"engine": "nep 1"}, "engine nep 1 and unknown"),
    ]:
        with pytest.raises(InputError, match=reason):
            arrhenius_points([first, second.model_copy(update=changes)])
    with pytest.raises(InputError, match="at 600 K stands twice"):
        arrhenius_points([first, second, first])


def test_two_runs_at_one_temperature_are_two_points() -> None:
    points = arrhenius_points([result(600.0, seed=1), result(600.0, seed=2)])
    assert [point.temperature_k for point in points] == [600.0, 600.0]
