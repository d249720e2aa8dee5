from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units

from lzc_flows.engines.cp2k_inputs import EV_PER_ANGSTROM3_BAR, HARTREE_EV
from lzc_flows.engines.cp2k_outputs import RESTART_FILE, last_geometry, read_output
from lzc_flows.errors import CalculationError

OUTPUT = """
  *** SCF run converged in    12 steps ***
 ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:              -22.300000000000000
 OPTIMIZATION STEP:      1
  *** SCF run converged in    11 steps ***
 ENERGY| Total FORCE_EVAL ( QS ) energy [a.u.]:              -22.320226442161726

 ATOMIC FORCES in [a.u.]

 # Atom   Kind   Element          X              Y              Z
      1      1      Li          0.00102395     0.00154376    -0.00156594
      2      2      Cl         -0.00103131    -0.00158339     0.00156027
 SUM OF ATOMIC FORCES          -0.00000736    -0.00003963    -0.00000568     0.00004071

 STRESS| Analytical stress tensor [GPa]
 STRESS|                        x                   y                   z
 STRESS|      x        4.53007335007E+01  -8.19662578460E-02   1.11640610600E-01
 STRESS|      y       -8.19662578460E-02   4.53605180143E+01   1.60673063167E-01
 STRESS|      z        1.11640610600E-01   1.60673063167E-01   4.53589005324E+01
 STRESS| 1/3 Trace                                             4.53400506825E+01
 ***                    GEOMETRY OPTIMIZATION COMPLETED                      ***
 *******************************************************************************
  **** **** ******  **  PROGRAM ENDED AT                 2026-11-22 17:10:53.214
"""
"""Lines of a run of CP2K 2023.1 on LiCl."""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    file = tmp_path / "cp2k.out"
    file.write_text(OUTPUT)
    return file


def test_numbers_in_our_units(output: Path) -> None:
    found = read_output(output)
    assert found.energies_ev == pytest.approx((-22.3 * units.Hartree, -22.320226442161726 * units.Hartree))
    assert found.forces is not None
    assert found.forces[1] == pytest.approx(
        np.array([-0.00103131, -0.00158339, 0.00156027]) * units.Hartree / units.Bohr
    )
    assert found.stress_ev_per_angstrom3 is not None
    # positive under tension, as in ASE; this cell is compressed
    assert found.stress_ev_per_angstrom3[0] == pytest.approx(
        -np.array([45.3007335007, -0.0819662578460, 0.111640610600]) * units.GPa
    )
    assert found.max_force_ev_per_angstrom == pytest.approx(np.linalg.norm(found.forces, axis=1).max())
    assert units.Hartree == pytest.approx(HARTREE_EV, rel=1e-7)
    assert units.bar == pytest.approx(1 / EV_PER_ANGSTROM3_BAR, rel=1e-7)


def test_how_it_ended(output: Path) -> None:
    found = read_output(output)
    assert (found.steps, found.scf_converged, found.optimised, found.time_over, found.ended, found.abort) == (
        1,
        True,
        True,
        False,
        True,
        None,
    )


def test_an_output_so_far_holds_what_it_has(tmp_path: Path) -> None:
    nothing = read_output(tmp_path / "cp2k.out")
    assert (nothing.energies_ev, nothing.forces, nothing.ended, nothing.scf_converged) == ((), None, False, True)
    assert nothing.max_force_ev_per_angstrom == np.inf
    for length in range(0, len(OUTPUT), 37):
        (tmp_path / "cp2k.out").write_text(OUTPUT[:length])
        found = read_output(tmp_path / "cp2k.out")
        assert found.ended == (" PROGRAM ENDED AT" in OUTPUT[:length])
        assert found.forces is None or found.forces.shape == (2, 3)


def test_a_self_consistency_that_failed_anywhere_is_seen(output: Path) -> None:
    warning = " *** WARNING in qs_scf.F:598 :: SCF run NOT converged ***\n"
    output.write_text(warning + OUTPUT)
    assert not read_output(output).scf_converged


def test_a_damaged_restart_file_is_refused(tmp_path: Path) -> None:
    assert last_geometry(tmp_path) is None
    (tmp_path / RESTART_FILE).write_text(" &FORCE_EVAL\n   &SUBSYS\n     &CELL\n       A 1 0 0\n")
    with pytest.raises(CalculationError, match="damaged"):
        last_geometry(tmp_path)
