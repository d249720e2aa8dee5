"""What happened to a run over its launches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from lzc_flows.documents.base import Correction, Document
from lzc_flows.files import write_atomically


class History(Document):
    """All launches of a run that ended in order."""

    launches: int = Field(default=0, description="Launches that ended in order.")
    wall_s: float = Field(default=0.0, description="Their time, in s.")
    corrections: list[Correction] = Field(default_factory=list, description="What custodian mended.")

    @classmethod
    def read(cls, path: Path) -> History:
        """Return the history in a file, an empty one if there is none."""
        return cls.model_validate_json(path.read_text()) if path.is_file() else cls()

    def write(self, path: Path) -> None:
        """Write the history atomically."""
        write_atomically(path, self.model_dump_json().encode())

    def after(self, wall_s: float, corrections: Sequence[Correction]) -> History:
        """Return the history with another launch, which took `wall_s` seconds."""
        return History(
            launches=self.launches + 1,
            wall_s=self.wall_s + wall_s,
            corrections=[*self.corrections, *corrections],
        )
