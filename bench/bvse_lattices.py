"""How much the relaxed lattice changes BVSE barriers: the quickstart's crystals relaxed by CHGNet and by NEP89.

First run both campaigns into one database, the second a copy of the first with another name and another relaxation (its
arrangements are those of the first, found by their keys)::

    lzc run flows/quickstart.yaml
    sed 's/name: quickstart/name: quicknep/; s/engine: chgnet/engine: nep/' flows/quickstart.yaml > quicknep.yaml
    lzc run quicknep.yaml

Then ``python bench/bvse_lattices.py`` prints the table of docs/ranking.md; ``--json FILE`` writes the barriers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from lzc_flows.database.queries import Query, select
from lzc_flows.database.stores import connect

BARRIERS = [f"barrier_{target}" for target in ("1d", "2d", "3d", "a", "b", "c", "ab")]


def barriers(campaign: str) -> pd.DataFrame:
    """Return the barriers in eV by the readable words of the candidates' keys."""
    found = pd.DataFrame(select(connect(), campaign, Query(fields=("key", *BARRIERS))))
    return found.set_index(found.pop("key").str.rpartition("_")[0])[BARRIERS].astype(float)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaigns", nargs="*", default=["quickstart", "quicknep"])
    parser.add_argument("--json", type=Path, help="file for the barriers")
    given = parser.parse_args()
    chgnet, nep = (barriers(name) for name in given.campaigns)
    difference = (chgnet - nep).dropna()
    table = pd.DataFrame(
        {
            "mean": difference.mean(),
            "standard deviation": difference.std(),
            "spread, first": chgnet.std(),
            "spread, second": nep.std(),
            "Spearman": chgnet.corrwith(nep, method="spearman"),
        }
    )
    print(f"{len(difference)} candidates, eV\n{table.round(3)}\n")
    print(f"correlations of the differences\n{difference.corr().round(2).to_string()}")
    if given.json:
        both = {
            name: {key: [round(chgnet.loc[key, name], 4), round(nep.loc[key, name], 4)] for key in difference.index}
            for name in BARRIERS
        }
        given.json.write_text(json.dumps(both))


if __name__ == "__main__":
    main()
