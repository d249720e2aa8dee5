"""Which POTCAR each element gets, and whether the library has it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml
from pymatgen.core import Element, Species

from lzc_flows.documents.dft import DftProtocol
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from pymatgen.io.vasp.inputs import PotcarSingle

FUNCTIONAL = "PBE_54"
"""pymatgen's name of the POTCAR set; its folder in the library is POT_GGA_PAW_PBE_54."""

SET_UP = (
    "make one of your licensed files with `pmg config -p POTPAW_FOLDER LIBRARY` and name it with "
    "`pmg config --add PMG_VASP_PSP_DIR LIBRARY`"
)
"""How a library comes about, in the words of pymatgen's command."""


@dataclass(frozen=True)
class PotcarFacts:
    """A POTCAR of the table: symbol, number of valence electrons, and default cutoff in eV."""

    symbol: str
    zval: float
    enmax_ev: float


@cache
def chosen_potcars() -> Mapping[str, PotcarFacts]:
    """Return the table's POTCAR of each element; why it is this one stands in data/potcars.yaml."""
    rows = _table()["chosen"]
    return {element: PotcarFacts(row["symbol"], row["zval"], row["enmax_ev"]) for element, row in rows.items()}


@cache
def known_potcars() -> Mapping[str, PotcarFacts]:
    """Return all POTCARs that the table knows by their symbols: the chosen ones and others."""
    others = [PotcarFacts(symbol, **row) for symbol, row in _table()["others"].items()]
    return {facts.symbol: facts for facts in [*chosen_potcars().values(), *others]}


def _table() -> dict[str, Any]:
    return yaml.safe_load((files("lzc_flows.data") / "potcars.yaml").read_text())


def potcar_symbols(elements: Iterable[str], dft: DftProtocol) -> dict[str, str]:
    """Return the POTCAR symbol of each element: the protocol's own, else the table's.

    Raises
    ------
    InputError
        `dft.vasp.potcars` has a key that is no element or a POTCAR of another one; an element is in neither.
    """
    own = dft.vasp.potcars
    for element, symbol in own.items():
        if not Element.is_valid_symbol(element) or symbol.split("_")[0].split(".")[0] != element:
            raise InputError(f"dft.vasp.potcars: {element}: {symbol}: an element and a POTCAR of it are allowed")
    symbols = {}
    for element in dict.fromkeys(elements):
        if element not in own and element not in chosen_potcars():
            raise InputError(f"dft.vasp.potcars: no POTCAR is chosen for {element}; name one, such as {element}: NAME")
        symbols[element] = own.get(element) or chosen_potcars()[element].symbol
    return symbols


def require_potcars(elements: Iterable[str], dft: DftProtocol) -> dict[str, PotcarSingle]:
    """Return the POTCARs of the elements from pymatgen's library, by element in the order given.

    A library of stand-ins (rehearsal/potcars.py) is a library as well.

    Raises
    ------
    InputError
        An element without a choice, no library, or a library without one of the symbols: one line that names what is
        missing and how to set it up.
    """
    symbols = potcar_symbols(elements, dft)
    return {element: _read(symbol) for element, symbol in symbols.items()}


def check_states(ions: Iterable[Species | Element], symbols: Mapping[str, str]) -> None:
    """Refuse a lanthanoid whose oxidation state is not the one that its POTCAR has frozen 4f electrons for.

    Raises
    ------
    InputError
        Such as Yb2+ with Yb_3.
    """
    for ion in dict.fromkeys(ions):
        symbol = symbols[ion.symbol]
        state = frozen_state(symbol)
        if state is not None and getattr(ion, "oxi_state", None) not in (None, 0, state):
            fitting = Species(ion.symbol, state)
            raise InputError(
                f"POTCAR {symbol}: its 4f electrons are those of {fitting}, and the crystal has {ion}; name another "
                "with dft.vasp.potcars"
            )


def frozen_state(symbol: str) -> int | None:
    """Return the oxidation state that a lanthanoid's POTCAR has its 4f electrons in the core for; None for others."""
    element, _, suffix = symbol.partition("_")
    return int(suffix) if suffix in ("2", "3") and Element(element).is_lanthanoid else None


@contextmanager
def unknown_potcars_allowed() -> Iterator[None]:
    """Let pymatgen read POTCARs that it does not know, as stand-ins are, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "POTCAR data with symbol", UserWarning)
        yield


def _read(symbol: str) -> PotcarSingle:
    from pymatgen.io.vasp.inputs import PmgVaspPspDirError, PotcarSingle  # slow, and few ask for POTCARs

    try:
        # pymatgen warns once more when the files are written
        with unknown_potcars_allowed():
            return PotcarSingle.from_symbol_and_functional(symbol, FUNCTIONAL)
    except PmgVaspPspDirError:
        raise InputError(f"POTCAR library: PMG_VASP_PSP_DIR is not set; {SET_UP}") from None
    except FileNotFoundError as error:
        if "does not exist" in str(error):
            raise InputError(f"POTCAR library: the folder of PMG_VASP_PSP_DIR does not exist; {SET_UP}") from None
        raise InputError(f"POTCAR library: no POTCAR {symbol} in its {FUNCTIONAL} set; {SET_UP}") from None
