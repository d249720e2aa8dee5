from __future__ import annotations

import importlib
import json
import math
import pkgutil
import re
from typing import Any, get_args

import pytest
from jobflow import JobStore
from jobflow.core.job import Job
from jobflow.managers.local import run_locally
from maggma.stores import MemoryStore
from monty.json import MontyEncoder
from pydantic import BaseModel, ValidationError

from lzc_flows import documents
from lzc_flows.crystal.host import ideal_host
from lzc_flows.documents.base import Correction, Document, EngineStamp
from lzc_flows.documents.bvse import Barriers, BvseDoc
from lzc_flows.documents.order import OrderDoc, ShortlistEntry, TierResult
from lzc_flows.documents.protocols import BvseProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.documents.relax import RelaxDoc

STAMP = EngineStamp(name="nep", version="calorine 4.1, nep89 sha256 75168ece02e8")
ENTRY = ShortlistEntry(electrostatic_ev=-12.5, instability_vu=None, anions_at_dopant=3, multiplicity=8, stabiliser=6)
TIER = TierResult(tier="electrostatics", compared=str(10**30), tied="2", margin=0.1, unit="eV")

UNITS = re.compile(
    r"in eV\b|eV/Å|eV per atom|eV a cell|in Å|in f?s\b|in K\b|in GPa|in ps|in \$/kg|in valence units"
    r"|in cm²/s|in cm⁻³|in mS/cm|in 1/eV|in Ry\b|in μB|in electrons|in states per eV"
    r"|in elementary charges|in THz|in mg/kg|dimensionless"
)
DIMENSIONLESS = {"volume_change"}


def all_documents() -> list[type[BaseModel]]:
    found = set()
    for module in pkgutil.iter_modules(documents.__path__):
        content = vars(importlib.import_module(f"{documents.__name__}.{module.name}"))
        found |= {
            value
            for value in content.values()
            if isinstance(value, type) and issubclass(value, BaseModel) and value.__module__.startswith("lzc_flows")
        }
    return sorted(found, key=lambda document: document.__name__)


FIELDS = [(document, name) for document in all_documents() for name in document.model_fields]


def identifier(field: tuple[type[BaseModel], str]) -> str:
    return f"{field[0].__name__}.{field[1]}"


@pytest.mark.parametrize("field", FIELDS, ids=identifier)
def test_every_field_is_described_in_a_sentence(field: tuple[type[BaseModel], str]) -> None:
    document, name = field
    description = document.model_fields[name].description or ""
    assert len(description.split()) >= 2
    assert description.endswith(".")


PHYSICAL = [(document, name) for document, name in FIELDS if float in get_args(document.model_fields[name].annotation)]
PHYSICAL += [(document, name) for document, name in FIELDS if document.model_fields[name].annotation is float]


@pytest.mark.parametrize("field", PHYSICAL, ids=identifier)
def test_every_physical_number_names_its_unit(field: tuple[type[BaseModel], str]) -> None:
    document, name = field
    if name in DIMENSIONLESS:
        assert document.model_fields[name].description.endswith(", minus 1.")
    else:
        assert UNITS.search(document.model_fields[name].description)


def test_the_walk_sees_the_documents_of_all_stages() -> None:
    names = {document.__name__ for document in all_documents()}
    assert names >= {"OrderDoc", "RelaxDoc", "BvseDoc", "CandidateDoc", "RankingDoc", "RelaxProtocol"}
    assert len(PHYSICAL) > 25


@pytest.mark.parametrize("document", [kind for kind in all_documents() if kind is not BaseModel])
def test_no_document_takes_an_unknown_field(document: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as error:
        document(certainly_misspelt=1)
    assert any(part["type"] == "extra_forbidden" for part in error.value.errors())


def examples() -> list[Document]:
    structure = ideal_host().structure
    infinite = dict.fromkeys(Barriers.model_fields, math.inf)
    return [
        OrderDoc(
            structure=structure,
            arrangements=str(10**30),
            exhaustive=True,
            charge_ties=2,
            charge_states=1,
            tiers=[TIER],
            shortlist=[ENTRY, ENTRY.model_copy(update={"engine_energy_ev": -122.25})],
            decided_by="relaxed-energy",
            margin_ev=0.0,
            engine=STAMP,
            protocol=OrderProtocol(),
        ),
        RelaxDoc(
            structure=structure,
            energy_ev=-122.25,
            energy_per_atom_ev=-122.25 / 27,
            max_force_ev_per_angstrom=0.0123,
            volume_change=-0.08,
            max_displacement_angstrom=0.1,
            steps=17,
            wall_s=1.5,
            engine=STAMP,
            protocol=RelaxProtocol(optimizer="BFGS"),
            corrections=[Correction(handler="CrashedHandler", errors=["x"], actions=["rerun"])],
        ),
        BvseDoc(
            **infinite | {"barrier_1d": 0.5},
            from_component_minimum=Barriers(**infinite | {"barrier_1d": 0.4}),
            minimum_ev=-3.0,
            grid=(3, 4, 5),
            bottlenecks={"1d": (0.0, 0.25, 0.5)},
            sites=12,
            protocol=BvseProtocol(),
        ),
    ]


@pytest.mark.parametrize("document", examples(), ids=lambda document: type(document).__name__)
def test_from_stored_reads_what_jobflow_stores(document: Document, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    job = Job(function=give_back, function_args=(document,), output_schema=type(document))
    run_locally(job, store=store, log=False, ensure_success=True)
    stored = store.get_output(job.uuid, load=True)
    assert type(document).from_stored(stored) == document
    # as through MongoDB or a JSON file, with nothing left of pymatgen's objects
    plain: Any = json.loads(json.dumps(stored, cls=MontyEncoder))
    assert type(document).from_stored(plain) == document


def give_back(document: Document) -> Document:
    return document


def test_from_stored_refuses_a_foreign_document() -> None:
    with pytest.raises(ValidationError, match="wrong"):
        EngineStamp.from_stored({"@class": "EngineStamp", "name": "nep", "version": "1", "wrong": 1})
