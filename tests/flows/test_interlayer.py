from __future__ import annotations

from pathlib import Path

import pytest
from jobflow import JobStore
from jobflow.managers.local import run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Structure

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.neb import InterlayerScanDoc
from lzc_flows.documents.protocols import HopProtocol, RelaxProtocol
from lzc_flows.errors import InputError
from lzc_flows.flows.interlayer import InterlayerScanMaker
from lzc_flows.jobs.hop_network import HopNetworkMaker
from lzc_flows.jobs.relax import RelaxMaker
from lzc_flows.recovery import worker as recovery

HOPS = HopProtocol(mechanisms=("frenkel",))
NETWORK = HopNetworkMaker(hops=HOPS, host=HostSpec(name="lzc"))
RELAX = RelaxMaker(engine="nep", protocol=RelaxProtocol(relax_cell=False, fmax_ev_per_angstrom=0.01))


def test_a_relaxation_and_a_network_at_each_length(settled_host: Structure) -> None:
    flow = InterlayerScanMaker(scales=(0.97, 1.0, 1.03), network_maker=NETWORK).make(settled_host)
    assert [job.name for job in flow.jobs] == [
        *(f"{stage} at {scale} c" for scale in ("0.97", "1", "1.03") for stage in ("relax", "cineb")),
        "collect_scan",
    ]
    for relaxation, network in zip(flow.jobs[0:6:2], flow.jobs[1:6:2], strict=True):
        assert network.input_uuids == (relaxation.uuid,)
        assert relaxation.maker.protocol.relax_cell is False
    assert set(flow.jobs[-1].input_uuids) == {job.uuid for job in flow.jobs[1:6:2]}
    assert flow.output.uuid == flow.jobs[-1].uuid


def test_layers_are_counted_in_the_supercell(settled_host: Structure) -> None:
    tall = HopNetworkMaker(hops=HopProtocol(supercell=(1, 1, 3)))
    flow = InterlayerScanMaker(scales=(1.0,), network_maker=tall).make(settled_host)
    assert flow.jobs[-1].function_args[1] == 6


def test_a_length_that_is_not_positive_is_refused(settled_host: Structure) -> None:
    with pytest.raises(InputError, match=r"^scale of c 0: above 0 is allowed$"):
        InterlayerScanMaker(scales=(1.0, 0.0)).make(settled_host)


@pytest.mark.slow
def test_barriers_at_two_lengths(settled_host: Structure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along c ions pass a face that opens as the layers part."""
    monkeypatch.setattr(recovery, "POLL_S", 0.02)
    monkeypatch.chdir(tmp_path)
    flow = InterlayerScanMaker(relax_maker=RELAX, network_maker=NETWORK, scales=(1.03, 0.97)).make(settled_host)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(flow, store=store, log=False, ensure_success=True)
    found = InterlayerScanDoc.from_stored(store.get_output(flow.jobs[-1].uuid, load=True))
    lengths = [point.c_angstrom / settled_host.lattice.c for point in found.points]
    assert lengths == pytest.approx([0.97, 1.03], rel=1e-6)
    assert [point.interlayer_angstrom for point in found.points] == [point.c_angstrom / 2 for point in found.points]
    for point in found.points:
        assert {hop.status for hop in point.hops} == {"converged"}
    narrow, wide = ({hop.id: hop.barrier_forward_eV for hop in point.hops} for point in found.points)
    assert narrow.keys() == wide.keys()
    assert narrow["frenkel-1"] != pytest.approx(wide["frenkel-1"], abs=0.01)
