from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pydantic import ValidationError

from lzc_flows.crystal.doping import Combination, GridSpec, Substitution
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.model import FrozenModel
from lzc_flows.documents.protocols import BvseProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.ranking.spec import RankingSpec

positive = st.floats(min_value=1e-12, max_value=1e12)
substitutions = st.builds(
    Substitution,
    ion=st.sampled_from(["Ti3+", "Hf4+", "F-"]),
    labels=st.lists(st.sampled_from(["1a", "2d", "2d'"]), min_size=1, unique=True).map(tuple),
    count=st.integers(1, 10**6),
)
MODELS = st.one_of(
    st.builds(
        OrderProtocol, shortlist=st.integers(1, 99), fmax_ev_per_angstrom=positive, max_steps=st.integers(2, 10**9)
    ),
    st.builds(
        RelaxProtocol,
        fmax_ev_per_angstrom=positive,
        max_steps=st.integers(2, 10**9),
        optimizer=st.sampled_from(["FIRE", "LBFGS", "BFGS"]),
        relax_cell=st.booleans(),
    ),
    st.builds(
        BvseProtocol, mobile=st.text(), resolution_angstrom=positive, cutoff_angstrom=positive, convention=st.text()
    ),
    st.builds(
        Combination,
        supercell=st.tuples(*[st.integers(1, 9)] * 3),
        cation=st.none() | substitutions,
        anion=st.none() | substitutions,
    ),
    st.sampled_from(
        [
            HostSpec(name="lzc"),
            HostSpec(
                name="own",
                cif="data_x\n_cell_length_a 3\n",
                labels={"Zr1": "2d'"},
                oxidation_states={"Zr": 4},
                vacant={"1b": (0.0, 0.0, 0.5)},
            ),
            GridSpec(supercell=(2, 2, 1), cations=("Ti3+",), anions=("F-",), cation_counts=(0, 1)),
            RankingSpec(performance={"barrier_3d": 0.25}, cost_weight=0.1, normalisation="rank"),
        ]
    ),
)


def through_json(content: object) -> object:
    """What FireWorks does to a job: monty's JSON, written and read."""
    return json.loads(json.dumps(content, cls=MontyEncoder), cls=MontyDecoder)


@given(MODELS)
def test_a_model_comes_back_from_its_dict(model: FrozenModel) -> None:
    assert type(model).from_dict(model.as_dict()) == model


@given(MODELS)
def test_a_model_nested_in_a_job_comes_back_as_its_class(model: FrozenModel) -> None:
    found = through_json({"args": [model], "maker": {"protocol": model}})
    assert found == {"args": [model], "maker": {"protocol": model}}


@given(MODELS)
def test_the_dict_is_plain_json_with_monty_marks(model: FrozenModel) -> None:
    content = model.as_dict()
    assert json.loads(json.dumps(content)) == content
    assert (content["@module"], content["@class"]) == (type(model).__module__, type(model).__name__)


def test_from_dict_takes_marks_of_any_version_and_refuses_what_is_unknown() -> None:
    content = BvseProtocol().as_dict() | {"@version": "0.0.1"}
    assert BvseProtocol.from_dict(content) == BvseProtocol()
    with pytest.raises(ValidationError, match="resolution"):
        BvseProtocol.from_dict(content | {"resolution": 0.2})


@given(MODELS)
def test_models_are_frozen(model: FrozenModel) -> None:
    name = next(iter(type(model).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(model, name, getattr(model, name))


@pytest.mark.parametrize(
    ("protocol", "numbers"),
    [
        (OrderProtocol, {"shortlist": 0}),
        (OrderProtocol, {"fmax_ev_per_angstrom": 0}),
        (OrderProtocol, {"max_steps": 1}),
        (RelaxProtocol, {"fmax_ev_per_angstrom": -0.1}),
        (RelaxProtocol, {"fmax_ev_per_angstrom": float("nan")}),
        (RelaxProtocol, {"max_steps": 1}),
        (RelaxProtocol, {"optimizer": "MDMin"}),
        (BvseProtocol, {"resolution_angstrom": 0}),
        (BvseProtocol, {"cutoff_angstrom": 0}),
    ],
)
def test_protocols_refuse_numbers_without_sense(protocol: type[FrozenModel], numbers: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(numbers))):
        protocol(**numbers)
