"""What VASP prints in a frame, and how it refuses."""

from __future__ import annotations

import textwrap
from typing import Literal

_WIDTH = 77

_BANNERS = {
    "ERROR": (
        "EEEEEEE  RRRRRR   RRRRRR   OOOOOOO  RRRRRR      ###     ###     ###",
        "E        R     R  R     R  O     O  R     R     ###     ###     ###",
        "E        R     R  R     R  O     O  R     R     ###     ###     ###",
        "EEEEE    RRRRRR   RRRRRR   O     O  RRRRRR       #       #       #",
        "E        R   R    R   R    O     O  R   R",
        "E        R    R   R    R   O     O  R    R      ###     ###     ###",
        "EEEEEEE  R     R  R     R  OOOOOOO  R     R     ###     ###     ###",
    ),
    "WARNING": (
        "      W    W    AA    RRRRR   N    N  II  N    N   GGGG   !!!",
        "      W    W   A  A   R    R  NN   N  II  NN   N  G    G  !!!",
        "      W    W  A    A  R    R  N N  N  II  N N  N  G       !!!",
        "      W WW W  AAAAAA  RRRRR   N  N N  II  N  N N  G  GGG   !",
        "      WW  WW  A    A  R   R   N   NN  II  N   NN  G    G",
        "      W    W  A    A  R    R  N    N  II  N    N   GGGG   !!!",
    ),
}
_REFUSAL = "  ---->  I REFUSE TO CONTINUE WITH THIS SICK JOB ... BYE!!! <----"


class Refusal(Exception):
    """VASP refuses its input; the text is what it prints."""


def framed(kind: Literal["ERROR", "WARNING"], text: str) -> str:
    """Return a text in VASP's frame, with the banner of its kind."""
    rows = ["", *_BANNERS[kind], ""]
    rows += [row for line in text.splitlines() for row in textwrap.wrap(line, _WIDTH - 10) or [""]]
    rows.append("")
    if kind == "ERROR":
        rows += [_REFUSAL, ""]
    edge = " " + "-" * _WIDTH
    return "\n".join([edge, *(f"|     {row:<{_WIDTH - 5}}|" for row in rows), edge, ""])


def refusal(text: str, tag: str = "") -> Refusal:
    """Return how VASP refuses a tag's value, or, without a tag, its input.

    The first line of the former is what custodian takes for a mistake of the user, which it does not try to mend.
    """
    if tag:
        text = f"Error reading item '{tag}' from file INCAR.\n{text}"
    return Refusal(framed("ERROR", text))
