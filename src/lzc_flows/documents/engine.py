"""Which engine computes energies and forces, and with which numbers of its own."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, ModelWrapValidatorHandler, SerializerFunctionWrapHandler, model_serializer, model_validator

from lzc_flows.documents.dft import NAMED_DFT, DftProtocol
from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError

EngineName = Literal["chgnet", "nep", "vasp", "cp2k"]

ENGINE_NAMES: tuple[EngineName, ...] = get_args(EngineName)

DftName = Literal["vasp", "cp2k"]

DFT_NAMES: tuple[DftName, ...] = get_args(DftName)
"""Engines that have electrons."""


class EngineSpec(FrozenModel):
    """An engine by name; one that has electrons with how it treats them. A name alone stands for the whole."""

    name: EngineName = Field(description="Name that campaigns use.")
    dft: DftProtocol | None = Field(
        default=None,
        description="A name, or numbers; by default those of the stage. Machine-learned engines have none.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _of_name(cls, content: Any, handler: ModelWrapValidatorHandler[EngineSpec]) -> EngineSpec:
        if isinstance(content, str):
            content = {"name": content}
        if isinstance(content, dict) and isinstance(content.get("dft"), str):
            if content["dft"] not in NAMED_DFT:
                raise InputError(f"dft {content['dft']!r}: allowed are {', '.join(NAMED_DFT)}, or numbers")
            content = {**content, "dft": NAMED_DFT[content["dft"]]}
        spec = handler(content)
        if spec.dft is not None and not spec.is_dft:
            raise InputError(f"engine {spec.name!r}: has no electrons, so that no dft is allowed")
        return spec

    @model_serializer(mode="wrap")
    def _as_name(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self) if self.is_dft else self.name

    @property
    def is_dft(self) -> bool:
        """Whether it has electrons."""
        return self.name in DFT_NAMES

    def with_default(self, dft: DftProtocol) -> EngineSpec:
        """Return the engine with `dft` where it has electrons and nothing is said of them."""
        return self.model_copy(update={"dft": dft}) if self.is_dft and self.dft is None else self

    def as_dict(self) -> dict[str, Any]:
        """Return the fields with monty's class marks."""
        marks = {"@module": type(self).__module__, "@class": type(self).__name__}
        return {**marks, "name": self.name, "dft": self.dft and self.dft.model_dump(mode="json")}


def engine_spec(engine: EngineSpec | str, default: DftProtocol) -> EngineSpec:
    """Return an engine that was given by name or whole, with `default` where nothing is said of its electrons.

    Raises
    ------
    InputError
        No such engine.
    """
    if isinstance(engine, str):
        if engine not in ENGINE_NAMES:
            raise InputError(f"engine {engine!r}: allowed are {', '.join(ENGINE_NAMES)}")
        engine = EngineSpec(name=engine)
    return engine.with_default(default)
