from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lzc_flows.rehearsal.forces import Criteria, self_consistent, unconverged

CRITERIA = st.builds(
    Criteria, fewest=st.integers(1, 8), most=st.integers(8, 100), change_ev=st.sampled_from([1e-3, 1e-5, 1e-7])
)


@given(CRITERIA, st.integers(1, 200), st.integers(1, 3))
def test_electrons_converge_to_the_energy(criteria: Criteria, atoms: int, number: int) -> None:
    steps = self_consistent(-3.5, atoms, number, criteria)
    assert steps.energies_ev[-1] == -3.5
    assert criteria.fewest <= len(steps.energies_ev) <= criteria.most
    changes = np.abs(steps.changes_ev[1:])
    if steps.converged:
        assert len(changes) == 0 or changes[-1] < criteria.change_ev
    else:
        assert len(steps.energies_ev) == criteria.most
        assert changes[-1] >= criteria.change_ev


@given(CRITERIA, st.integers(1, 200))
def test_electrons_that_do_not(criteria: Criteria, atoms: int) -> None:
    steps = unconverged(-3.5, atoms, criteria)
    assert not steps.converged
    assert len(steps.energies_ev) == criteria.most
    assert np.abs(steps.changes_ev).min() > criteria.change_ev
