"""Can energies of the unrelaxed cell rank F arrangements? Static and relaxed energies of the same arrangements.

python bench/isovalent_order.py --cation Ti3+ --site 2d --engine nep --draws 32
"""

from __future__ import annotations

import argparse

import numpy as np
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from pymatgen.io.ase import AseAtomsAdaptor

from lzc_flows.crystal.doping import Combination, Substitution
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.ordering import order
from lzc_flows.documents.protocols import OrderProtocol, RelaxProtocol
from lzc_flows.engines.mlip import MLIPS

N_FLUORINE = 3
SEED = 20261122


def arrangements(cation: str, site: str, draws: int):
    """Yield (F bound to the dopant, structure) on the electrostatically best cation and Li positions."""
    substitution = Substitution(ion=cation, labels=(site,), count=1)
    doping = Combination(supercell=(2, 2, 1), cation=substitution)
    (best,) = order(ideal_host(), doping, OrderProtocol(shortlist=1)).ranked
    structure = best.structure
    dopant = next(i for i, species in enumerate(structure.species) if str(species) == cation)
    chlorine = np.array([i for i, species in enumerate(structure.species) if str(species) == "Cl-"])
    distances = structure.distance_matrix[dopant][chlorine]
    near, far = chlorine[np.argsort(distances)[:6]], chlorine[np.argsort(distances)[6:]]
    generator = np.random.default_rng(SEED)
    for draw in range(draws):
        n_near = draw % (N_FLUORINE + 1)
        chosen = [*generator.choice(near, n_near, False), *generator.choice(far, N_FLUORINE - n_near, False)]
        doped = structure.copy()
        for index in chosen:
            doped.replace(int(index), "F-")
        yield n_near, doped


def energies_ev(structure, calculator) -> tuple[float, float]:
    """Return the energy before and after relaxation (fmax 0.05 eV/Å, at most 300 steps)."""
    atoms = AseAtomsAdaptor.get_atoms(structure.copy().remove_oxidation_states())
    atoms.calc = calculator
    static = atoms.get_potential_energy()
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.05, steps=300)
    return static, atoms.get_potential_energy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cation", default="Ti3+")
    parser.add_argument("--site", default="2d")
    parser.add_argument("--engine", default="nep", choices=("nep", "chgnet"))
    parser.add_argument("--draws", type=int, default=32)
    given = parser.parse_args()
    calculator = MLIPS[given.engine].relax_maker(RelaxProtocol()).calculator
    rows = [(n, *energies_ev(s, calculator)) for n, s in arrangements(given.cation, given.site, given.draws)]
    near, static, relaxed = np.array(rows).T
    print(f"{given.cation} on {given.site}, {given.engine}, {given.draws} arrangements, seed {SEED}")
    print("F at dopant   static mean / eV   relaxed mean / eV   relaxed lowest / eV   (above the lowest)")
    for n in range(N_FLUORINE + 1):
        members = near == n
        above = static[members].mean() - static.min(), relaxed[members].mean() - relaxed.min()
        print(f"{n:>11}   {above[0]:16.3f}   {above[1]:17.3f}   {relaxed[members].min() - relaxed.min():19.3f}")
    print(f"correlation of static and relaxed energies: {np.corrcoef(static, relaxed)[0, 1]:+.2f}")


if __name__ == "__main__":
    main()
