"""Settings that travel inside jobs."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """A frozen pydantic model that monty serialises too, so that jobflow Makers can hold it.

    FireWorks stores a job through monty, which turns an object without `as_dict` into a string.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields with monty's class marks."""
        marks = {"@module": type(self).__module__, "@class": type(self).__name__}
        return {**marks, **self.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the model that `as_dict` wrote."""
        return cls(**{name: value for name, value in content.items() if not name.startswith("@")})
