"""What `lzc run flows/paper-fluorides.yaml` found, beside the top fives that the source's Supplementary Fig. 6 names.

    lzc run flows/paper-fluorides.yaml                  # some hours; more cores, fewer hours
    python bench/paper_screen.py                        # prints the overlap; reads the database of the settings
    python bench/paper_screen.py --docs docs            # also writes docs/data/paper-fluorides.csv and .json

Nothing is calculated anew, nothing is tuned: weights are those of the campaign, as it was submitted. The source names
elements, so that a dopant here is an element; its rank is that of its best candidate, of all sites and oxidation
states, among the elements. The undoped host is no dopant.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, hypergeom, spearmanr

from lzc_flows.api import Campaign
from lzc_flows.database.queries import candidates
from lzc_flows.database.stores import TASKS
from lzc_flows.database.table import ranking_table
from lzc_flows.launch.queued import QueuedIn
from lzc_flows.ranking.criteria import COST, TIERS
from lzc_flows.ranking.montecarlo import RankCounter, Sampler
from lzc_flows.ranking.score import rank
from lzc_flows.ranking.sensitivity import simplex, weights_for
from lzc_flows.ranking.spec import SCORES, RankingSpec, Score
from lzc_flows.ranking.tiers import TierRanking, rank_in_tiers

PAPER: dict[Score, list[str]] = {
    "performance": ["P", "Al", "Ti", "Mg", "V"],
    "performance_cost": ["P", "Al", "Ti", "Mg", "Fe"],
}
"""The source's top fives with F, by Supplementary Fig. 6."""

BARRIERS = [f"barrier_{target}" for target in ("1d", "2d", "3d", "a", "b", "c", "ab")]
WEIGHTS_SEARCHED = 100_000
SHUFFLES = 100_000
SEED = 1

_ENDS = [f"rank_{score}{end}" for score in SCORES for end in ("", "_low68", "_high68", "_low95", "_high95")]
_IDENTITY = ["cation", "element", "site", "column", "formula", "extra_mobile", "stability"]
_SIGMA = ["sigma_mS_cm", "sigma_low_mS_cm", "sigma_high_mS_cm"]
_HOPS = [*(f"neb_{name}" for name in BARRIERS), "hops", "hops_converged"]
_SCORES = [*SCORES, *_ENDS, *(f"top_probability_{score}" for score in SCORES), "pareto"]
COLUMNS = [*_IDENTITY, *BARRIERS, "volume_change", *_SIGMA, COST.name, *_HOPS, *_SCORES]
"""Of the CSV file, behind the key."""


def exported(campaign: Campaign) -> pd.DataFrame:
    """Return one row a candidate, best by performance and cost first, with the columns `COLUMNS`."""
    known, ranking = campaign.candidates(), campaign.ranking()
    fields = [name for name in known.columns if name not in ranking.columns]
    table = ranking.join(known[fields])
    table["element"], table["site"] = table["cation_element"].fillna(""), table["cation_site"].fillna("undoped")
    return table[COLUMNS]


class Dopants:
    """The candidates of a tier by the element that they are doped with.

    Parameters
    ----------
    ranking
        A tier's candidates with their scores.
    elements
        Element by the candidates' keys; the undoped host is left out.
    """

    def __init__(self, ranking: TierRanking, elements: dict[str, str]) -> None:
        labels = ranking.members["key"].map(elements)
        self.places = np.flatnonzero(labels.notna())
        self.places = self.places[np.argsort(labels.to_numpy()[self.places], kind="stable")]
        self.labels = labels.to_numpy(dtype=object)[self.places]
        self.names, self._starts = np.unique(self.labels.astype(str), return_index=True)
        self.ranking = ranking

    def best(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return the best score of each element, of scores of all members in the last axis."""
        found: NDArray[Any] = np.maximum.reduceat(scores[..., self.places], self._starts, axis=-1)
        return found

    def sampled_ranks(self, score: Score) -> RankCounter:
        """Return the ranks of the elements among themselves in the samples that the campaign's intervals are from."""
        sampler = Sampler(self.ranking.members, self.ranking.spec, TIERS.index(self.ranking.tier))
        counter = RankCounter(np.arange(self.names.size), self.ranking.spec.samples)
        for piece in sampler.pieces:
            counter.add(self.best(sampler.draw(piece).scores[score]), piece)
        return counter


def overlap(dopants: Dopants, table: pd.DataFrame, score: Score, top: int) -> dict[str, Any]:
    """Return where the source's dopants are in this ranking, and how many of them are in its top."""
    wanted = PAPER[score]
    scores = dopants.best(dopants.ranking.ranked[score].to_numpy())
    order = [str(name) for name in dopants.names[np.argsort(-scores, kind="stable")]]
    counter = dopants.sampled_ranks(score)
    certainty = counter.certainty(top)
    shared = np.isin(dopants.names, wanted) & (counter.ranks <= top)
    counts = Counter(shared.sum(axis=1).tolist())
    rows = {}
    for element in wanted:
        best = table[table["element"] == element].sort_values(f"rank_{score}").iloc[0]
        place = dopants.names.tolist().index(element)
        rows[element] = {
            "best": f"{best['cation']} {best['site']}",
            "rank_of_candidates": int(best[f"rank_{score}"]),
            "rank_of_candidates_68": [int(best[f"rank_{score}_{end}"]) for end in ("low68", "high68")],
            "rank_of_dopants": order.index(element) + 1,
            **{
                f"rank_of_dopants_{width}": [int(certainty.ends[f"{end}{width}"][place]) for end in ("low", "high")]
                for width in (68, 95)
            },
            "top_probability_of_candidate": round(float(best[f"top_probability_{score}"]), 3),
            "top_probability_of_dopant": round(float(certainty.top_probability[place]), 3),
        }
    return {
        "source": wanted,
        "ours": order[:top],
        "shared": [element for element in wanted if element in order[:top]],
        "dopants": rows,
        "probability_of_shared": {str(n): round(counts[n] / len(shared), 4) for n in range(top + 1)},
    }


def chance(dopants: Dopants, wanted: list[str], top: int) -> dict[str, Any]:
    """Return how many of the wanted would be in the top of a ranking without any meaning.

    `hypergeometric`: all elements alike. `shuffled`: all candidates alike, so that an element with two oxidation states
    has four chances.
    """
    n, k = dopants.names.size, len(wanted)
    random = np.random.default_rng(SEED)
    best = dopants.best(random.random((SHUFFLES, len(dopants.ranking.members)), dtype=np.float32))
    among = np.argpartition(-best, top, axis=1)[:, :top]
    counts = np.isin(dopants.names, wanted)[among].sum(axis=1)
    exact = hypergeom(n, k, top)
    return {
        "elements": n,
        "hypergeometric": {
            "mean": round(k * top / n, 3),
            **{f"at_least_{m}": _round(exact.sf(m - 1)) for m in (1, 2, 3)},
        },
        "shuffled": {
            "mean": _round(counts.mean()),
            **{f"at_least_{m}": _round((counts >= m).mean()) for m in (1, 2, 3)},
        },
    }


def reproducing(table: pd.DataFrame, elements: dict[str, str], score: Score) -> dict[str, Any]:
    """Return the weights that bring most of the source's dopants to the top; for comparison, no ranking uses them.

    `weighed`: of what the campaign weighs, barrier_ab left out, which equals barrier_3d; uniform over all weights, of
    which `share` reaches as many. `any`: of all barriers and the conductivity; mostly on a few of them, where a uniform
    search of so many criteria does not get.
    """
    doped = table[table["key"].isin(elements)]
    labels = doped["key"].map(elements).tolist()
    found = {}
    for words, names in (("weighed", ["barrier_3d", "sigma_mS_cm"]), ("any", [*BARRIERS, "sigma_mS_cm"])):
        criteria = [*names, COST.name] if score == "performance_cost" else names
        ranked = rank(table, RankingSpec(performance=dict.fromkeys(names, 1.0))).set_index("key").loc[doped["key"]]
        normalised = ranked[[f"{name}_normalised" for name in criteria]].to_numpy(float)
        weights = simplex(len(criteria), WEIGHTS_SEARCHED, SEED)
        if words == "any":
            weights = np.random.default_rng(SEED).dirichlet(np.full(len(criteria), 0.2), WEIGHTS_SEARCHED)
        result = weights_for(normalised, labels, PAPER[score], weights)
        found[words] = {
            "most_shared": result.overlap,
            "weights": {name: _round(weight) for name, weight in zip(criteria, result.weights, strict=True)},
            "top": result.labels,
            **({"share": result.share} if words == "weighed" else {}),
        }
    return found


def checks(table: pd.DataFrame, lattices: Path) -> dict[str, Any]:
    """Return whether differences are larger than their errors, and what goes with what."""
    host, doped = table[table["site"] == "undoped"].iloc[0], table[table["site"] != "undoped"]
    log, error = np.log(table["sigma_mS_cm"]), np.log(table["sigma_high_mS_cm"] / table["sigma_low_mS_cm"]) / 2
    mean = np.average(log, weights=error**-2)
    squares = float((((log - mean) / error) ** 2).sum())
    sites = {name: doped.pivot(index="cation", columns="site", values=name) for name in ("barrier_3d", "sigma_mS_cm")}
    sites["performance"] = doped.pivot(index="cation", columns="site", values="performance")
    chgnet = {key: pair[0] for key, pair in json.loads(lattices.read_text())["barrier_3d"].items()}
    ours = table["barrier_3d"].set_axis(table.index.map(lambda key: key.rpartition("_")[0])).reindex(list(chgnet))
    return {
        "sigma": {
            "range_mS_cm": _ends(table["sigma_mS_cm"]),
            "host_mS_cm": [round(float(host[name]), 1) for name in _SIGMA],
            "candidates_above_the_host": int((doped["sigma_mS_cm"] > host["sigma_mS_cm"]).sum()),
            "one_value_for_all_mS_cm": _round(np.exp(mean)),
            "spread_of_ln": _round(log.std()),
            "error_of_ln": _round(np.sqrt((error**2).mean())),
            "chi_square_of_one_value_for_all": _round(squares),
            "degrees_of_freedom": len(table) - 1,
            "probability_of_a_larger_one": _round(chi2(len(table) - 1).sf(squares)),
        },
        "barrier_3d": {
            "range_eV": _ends(table["barrier_3d"]),
            "spread_eV": _round(table["barrier_3d"].std()),
            "equal_to_barrier_ab": int((table["barrier_3d"] == table["barrier_ab"]).sum()),
            "chgnet_lattices_range_eV": _ends(pd.Series(chgnet)),
            "with_chgnet_lattices": _spearman(pd.Series(chgnet), ours),
        },
        "volume_change_range": _ends(table["volume_change"]),
        "sites": {
            name: {
                "1a_with_2d": _spearman(both["1a"], both["2d"]),
                "mean_1a_2d": [_round(both[site].mean()) for site in ("1a", "2d")],
                "higher_on_1a": higher,
                "sign_test_p": float(f"{binomtest(higher, len(both)).pvalue:.2g}"),
            }
            for name, both in sites.items()
            for higher in [int((both["1a"] > both["2d"]).sum())]
        },
        "sigma_with_volume": _spearman(doped["sigma_mS_cm"], doped["volume_change"]),
        "barrier_3d_with_volume": _spearman(doped["barrier_3d"], doped["volume_change"]),
        "sigma_with_barrier_3d": _spearman(doped["sigma_mS_cm"], doped["barrier_3d"]),
    }


def documents(campaign: Campaign) -> dict[str, Any]:
    """Return what the stages' documents say beyond the table: hop networks by carrier, lengths of trajectories."""
    hops, errors, displacements, short = {}, [], [], 0
    for summary in candidates(campaign.database, campaign.name):
        aimd = _output(campaign, summary, "aimd", tuple(f"diffusion.{name}" for name in ("rsd_he", "tmsd_A2", "notes")))
        errors.append(aimd["diffusion"]["rsd_he"])
        displacements.append(aimd["diffusion"]["tmsd_A2"])
        short += any("returns that come later" in note for note in aimd["diffusion"]["notes"])
        if "cineb" in summary["stages"]:
            words = f"{summary['cation']} {summary['cation_site']}"
            hops[words] = _network(_output(campaign, summary, "cineb", ("carriers", "statuses", "symmetry")))
    return {
        "hops": hops,
        "relative_standard_deviation_by_He": _ends(pd.Series(errors)),
        "runs_too_short_for_their_window": short,
        "total_mean_squared_displacement_A2": _ends(pd.Series(displacements)),
    }


def _output(campaign: Campaign, summary: dict[str, Any], stage: str, fields: tuple[str, ...]) -> dict[str, Any]:
    place = {name: summary["stages"][stage][name] for name in ("uuid", "index")}
    task = campaign.database.collection(TASKS).find_one(place, {f"output.{name}": True for name in fields})
    assert task is not None
    output: dict[str, Any] = task["output"]
    return output


def _network(output: dict[str, Any]) -> dict[str, Any]:
    carriers = {
        one["carrier"]: {
            "hops": one["hops"],
            "converged": one["converged"],
            **{f"{target}_eV": round(one["barriers_eV"][target], 3) for target in ("c", "a", "b")},
        }
        for one in output["carriers"]
        if one["carrier"] != "frenkel"  # pairs do not percolate
    }
    return {"symmetry": output["symmetry"], "statuses": output["statuses"], **carriers}


def provenance(campaign: Campaign) -> dict[str, Any]:
    """Return what ran: engines, versions, jobs, hours on the clock of a job, which has one core."""
    stages, engines, versions = {}, defaultdict(set), set()
    for summary in candidates(campaign.database, campaign.name):
        stages |= {summary["stage_keys"][stage]: stage for stage in summary["stages"]}
        for stage, engine in summary["engines"].items():
            engines[stage].add(engine)
    queued = QueuedIn.of(campaign.database)
    jobs = {}
    fields = {"_id": False, "fw_id": True, "spec.key": True, "spec.lzc_flows": True}
    for firework in queued.fireworks.find({"spec.key": {"$exists": True}}, fields):
        if firework["spec"]["key"] in stages:
            jobs[firework["fw_id"]] = stages[firework["spec"]["key"]]
            versions.add(firework["spec"]["lzc_flows"])
    seconds: Counter[str] = Counter()
    count: Counter[str] = Counter()
    tries = 0
    for launch in queued.launches.find({}, {"_id": False, "fw_id": True, "state": True, "runtime_secs": True}):
        if stage := jobs.get(launch["fw_id"]):
            tries += 1
            seconds[stage] += launch.get("runtime_secs") or 0.0
            count[stage] += launch["state"] == "COMPLETED"
    return {
        "versions": {"lzc-flows": sorted(versions), **{stage: sorted(found) for stage, found in engines.items()}},
        "seeds": {"aimd": campaign.spec.stages.aimd.seed, "ranking": campaign.spec.ranking.seed},
        "jobs": {"completed": dict(count), "tries": tries},
        "hours": {
            **{stage: round(one / 3600, 2) for stage, one in seconds.items()},
            "all": _round(seconds.total() / 3600),
        },
    }


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _ends(values: pd.Series) -> list[float]:
    return [_round(float(values.min())), _round(float(values.max()))]


def _spearman(one: pd.Series, other: pd.Series) -> dict[str, float]:
    both = pd.concat([one.rename("one"), other.rename("other")], axis=1).dropna().astype(float)
    found = spearmanr(both["one"], both["other"])
    return {"rho": round(float(found.statistic), 2), "p": float(f"{found.pvalue:.2g}"), "n": len(both)}


def screen(campaign: Campaign, table: pd.DataFrame, lattices: Path) -> dict[str, Any]:
    """Return all that docs/paper-screen.md says of the campaign, as plain values."""
    spec = campaign.spec.ranking
    raw = ranking_table(campaign.database, campaign.name)
    elements = {key: element for key, element in table["element"].items() if element}
    dopants = Dopants(rank_in_tiers(raw, spec).tiers[-1], elements)
    assert len(dopants.ranking.members) == len(table), "not all candidates reach the deepest tier"
    return {
        "campaign": campaign.name,
        "candidates": len(table),
        "ranking": {"performance": spec.performance, "cost_weight": spec.cost_weight, "samples": spec.samples},
        "overlap": {score: overlap(dopants, table, score, spec.top) for score in SCORES},
        "chance": chance(dopants, PAPER["performance"], spec.top),
        "weights_for_comparison_only": {score: reproducing(raw, elements, score) for score in SCORES},
        "checks": checks(table, lattices),
        **documents(campaign),
        **provenance(campaign),
    }


def main() -> None:
    """Print the overlap; write the files if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", default="paper-fluorides")
    parser.add_argument("--docs", type=Path, help="folder of the documentation, whose data/ gets the files")
    arguments = parser.parse_args()
    campaign = Campaign(arguments.campaign)
    table = exported(campaign)
    content = screen(campaign, table, Path(__file__).parents[1] / "docs" / "data" / "bvse-lattices.json")
    print(json.dumps(content, indent=1, ensure_ascii=False))
    if arguments.docs:
        stem = arguments.docs / "data" / "paper-fluorides"
        table.to_csv(stem.with_suffix(".csv"), float_format="%.6g")
        stem.with_suffix(".json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
