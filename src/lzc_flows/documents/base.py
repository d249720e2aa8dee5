"""What all documents have in common."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from lzc_flows.documents.dft import DftProtocol

SCHEMA = 2
"""Version of the database's contents; see `lzc_flows.database.schema`."""


class Document(BaseModel):
    """A document whose fields are all named: a misspelt one is an error."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def from_stored(cls, content: dict[str, Any]) -> Self:
        """Return a document as MongoDB holds it, with monty's class marks."""
        return cls(**{name: value for name, value in content.items() if not name.startswith("@")})


class EngineStamp(Document):
    """Which engine computed a number: all that changes its energies."""

    name: str = Field(description="Name that campaigns use, such as nep.")
    version: str = Field(description="Version of the package and of the model, with the model's checksum.")
    dft: DftProtocol | None = Field(default=None, description="How electrons are treated; None without any.")


class Correction(Document):
    """One error that custodian found in a run and what it did about it."""

    handler: str = Field(description="Name of the error handler.")
    errors: list[str] = Field(description="What was wrong.")
    actions: list[str] = Field(description="What was changed before the run went on.")
