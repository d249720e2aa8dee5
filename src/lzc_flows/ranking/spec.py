"""How candidates are ranked: criteria, weights, normalisation. Light to import: what ranks is in `score`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError
from lzc_flows.ranking.criteria import COST, CRITERIA, Spread, Uncertainty
from lzc_flows.ranking.normalise import Goal, NormalisationName

Score = Literal["performance", "performance_cost"]
SCORES: tuple[Score, ...] = ("performance", "performance_cost")

PRISTINE = "pristine"
"""The `cation` of the undoped reference."""

IDENTITY_COLUMNS = ("key", "cation", "column")

_Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Deviation = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_PERFORMANCE_CRITERIA = [name for name in CRITERIA if name != COST.name]


class Desirability(FrozenModel):
    """What is wished of a criterion; see `lzc_flows.ranking.normalise.desirability`."""

    worst: float = Field(description="From here on a value is of no use (0), in the criterion's unit.")
    best: float = Field(description="From here on a value is as good as can be (1), in the criterion's unit.")
    shape: float = Field(default=1.0, gt=0, description="Exponent between the two; 1 is a straight line.")

    @property
    def goal(self) -> Goal:
        """The same as the normalisation takes it."""
        return Goal(self.worst, self.best, self.shape)


class RankingSpec(FrozenModel):
    """How candidates are ranked.

    performance = Σ wᵢ·nᵢ / Σ wᵢ over the normalised criteria nᵢ, and
    performance_cost = (1 − cost_weight)·performance + cost_weight·(normalised cost).
    """

    performance: dict[str, _Weight] = Field(
        default={"barrier_1d": 1.0, "barrier_3d": 1.0},
        min_length=1,
        description="Weight (> 0) of each criterion of the performance score; only their ratios matter.",
    )
    cost_weight: float = Field(
        default=0.5, ge=0, le=1, description="Share of the normalised cost in the performance–cost score."
    )
    normalisation: NormalisationName = Field(
        default="min-max",
        description="How each criterion is brought to [0, 1]: min-max or rank over the candidates compared, or "
        "desirability between values that the campaign gives.",
    )
    desirability: dict[str, Desirability] = Field(
        default={}, description="Worst, best and shape of every weighed criterion, with that normalisation only."
    )
    uncertainty: dict[str, _Deviation] = Field(
        default={}, description="Standard deviation of a criterion, in its unit, in the place of the stated one."
    )
    samples: int = Field(default=2000, ge=100, le=100_000, description="Monte Carlo samples behind rank intervals.")
    seed: int = Field(default=1, ge=0, description="Seed of these samples.")
    top: int = Field(default=5, ge=1, description="How many are the best, of the probability to be among them.")

    @field_validator("performance")
    @classmethod
    def _known_criteria(cls, performance: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(performance) - set(_PERFORMANCE_CRITERIA)):
            allowed = ", ".join(_PERFORMANCE_CRITERIA)
            raise InputError(f"unknown performance criterion {unknown[0]!r}: allowed are {allowed}")
        return performance

    @field_validator("uncertainty")
    @classmethod
    def _known(cls, uncertainty: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(uncertainty) - set(CRITERIA)):
            raise InputError(f"unknown criterion {unknown[0]!r}: allowed are {', '.join(CRITERIA)}")
        return uncertainty

    @model_validator(mode="after")
    def _wished(self) -> RankingSpec:
        if self.normalisation != "desirability":
            if self.desirability:
                raise InputError(f"desirability: goes with normalisation: desirability, which is {self.normalisation}")
            return self
        if lacking := [name for name in self.criteria if name not in self.desirability]:
            raise InputError(f"desirability: worst and best of {lacking[0]!r} are missing; it is weighed")
        if more := [name for name in self.desirability if name not in self.criteria]:
            raise InputError(f"desirability: {more[0]!r} is not weighed; allowed are {', '.join(self.criteria)}")
        for name, wish in self.desirability.items():
            sign = 1 if CRITERIA[name].direction == "higher" else -1
            if not sign * (wish.best - wish.worst) > 0:
                direction = CRITERIA[name].direction
                raise InputError(f"desirability: {name!r}: best {wish.best:g} must be {direction} than {wish.worst:g}")
        return self

    @property
    def criteria(self) -> list[str]:
        """Names of the criteria that either score needs, the cost last."""
        return list(dict.fromkeys(name for score in SCORES for name in self.weights(score)))

    def weights(self, score: Score) -> dict[str, float]:
        """Weight of each normalised criterion in a score: they add up to 1, a weight of 0 is left out."""
        total = sum(self.performance.values())
        performance = {name: weight / total for name, weight in self.performance.items()}
        if score == "performance":
            return performance
        weighted = {name: (1 - self.cost_weight) * weight for name, weight in performance.items()}
        weighted[COST.name] = self.cost_weight
        return {name: weight for name, weight in weighted.items() if weight > 0}

    def uncertainty_of(self, name: str) -> Uncertainty:
        """How far values of a criterion may be off: as the campaign says, else as the criterion says."""
        if name in self.uncertainty:
            return Spread(self.uncertainty[name], "given in the campaign")
        return CRITERIA[name].uncertainty


def describe(spec: RankingSpec) -> dict[str, str]:
    """Say in one line each what the two scores and the normalisation are, for captions and file headers."""
    lines: dict[str, str] = {}
    for score in SCORES:
        terms = (f"{weight:.3g} × {CRITERIA[name].label}" for name, weight in spec.weights(score).items())
        lines[score] = " + ".join(terms)
    if spec.normalisation == "desirability":
        wishes = (
            f"{name} {wish.worst:g} to {wish.best:g}, shape {wish.shape:g}" for name, wish in spec.desirability.items()
        )
        lines["normalisation"] = f"desirability, 0 to 1 from worst to best: {'; '.join(wishes)}"
    else:
        lines["normalisation"] = f"{spec.normalisation} over the candidates compared, 1 = best"
    return lines
