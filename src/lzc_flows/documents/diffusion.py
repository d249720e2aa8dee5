"""Documents of diffusion: of one trajectory, and of the line of Arrhenius through several. Intervals hold 68 %."""

from __future__ import annotations

from pydantic import Field

from lzc_flows.documents.base import Document

Interval = tuple[float, float]


class DiffusivityDoc(Document):
    """A diffusivity with its interval."""

    D_cm2_s: float = Field(description="Diffusivity, in cm²/s.")
    D_interval: Interval = Field(description="Its 68 % interval, in cm²/s.")


class CurvesDoc(Document):
    """Mean squared displacements (MSD) for plots, at some 300 lags, close at first."""

    lag_ps: list[float] = Field(description="Lags, in ps.")
    msd_A2: dict[str, list[float]] = Field(
        description="MSD at each lag, in Å²: total, along a, b and c, and within the plane of a and b (ab)."
    )
    charge_msd_A2: list[float] = Field(
        description="MSD of the charge at each lag, (Σ Δr)²/N over the N mobile ions, in Å²."
    )


class DiffusionDoc(DiffusivityDoc):
    """How a species diffuses: the tracer diffusivity in three dimensions, and what follows from it."""

    species: str = Field(description="Chemical symbol of the mobile species.")
    temperature_k: float = Field(description="Temperature, in K.")
    charge: float = Field(description="Charge of a mobile ion, in elementary charges.")
    ions: int = Field(description="Number of mobile ions.")
    length_ps: float = Field(description="Length of what was analysed, in ps.")
    D_standard_error: float = Field(description="Standard error of the diffusivity, in cm²/s.")
    degrees_of_freedom: int = Field(description="Degrees of freedom of the standard error.")
    rsd_he: float = Field(description="Relative standard deviation by He et al. (2018), dimensionless.")
    tmsd_A2: float = Field(description="Total MSD behind it, summed over the ions, its largest over all lags, in Å².")
    carriers_per_cm3: float = Field(description="Mobile ions, in cm⁻³.")
    sigma_mS_cm: float = Field(description="Conductivity by Nernst and Einstein from the diffusivity, in mS/cm.")
    sigma_interval: Interval = Field(description="Its 68 % interval, in mS/cm.")
    by_direction: dict[str, DiffusivityDoc] = Field(
        description="Diffusivity along a, b and c, and within the plane of a and b (ab)."
    )
    charge_diffusivity: DiffusivityDoc = Field(description="Diffusivity of the charge, from the ions' common centre.")
    haven_ratio: float | None = Field(
        description="Tracer over charge diffusivity, dimensionless; none, with a note, where that is too uncertain."
    )
    haven_interval: Interval | None = Field(description="The 68 % interval of the Haven ratio, dimensionless.")
    window_ps: tuple[float, float] = Field(description="The two lags between which the slope was taken, in ps.")
    exponent: float = Field(
        description="Growth of the MSD over the window as a power of the lag, dimensionless: 1 for diffusion."
    )
    n_hops: float = Field(description="Effective hops of all ions, 6 D t N/a², dimensionless.")
    hop_distance_A: float = Field(description="Mean distance of a hop (a), in Å.")
    curves: CurvesDoc = Field(description="Mean squared displacements for plots.")
    notes: list[str] = Field(description="What to know before using the numbers.")


class DiffusionResult(DiffusionDoc):
    """How a species diffuses in a trajectory file: what `lzc diffusion --json` prints and `lzc arrhenius` reads."""

    file: str = Field(description="The trajectory.")
    formula: str = Field(description="Reduced formula of its atoms.")
    engine: str | None = Field(description="Engine of its forces, with version; none for files that others wrote.")
    part_ps: tuple[float, float] = Field(description="First and last time of what was analysed, in ps.")
    framework: str = Field(
        description="What became of the framework: stable, anion rotation, framework hops, ..., melted; unknown where "
        "that cannot be told."
    )
    mean_temperature_k: float | None = Field(
        description="Mean kinetic temperature there, in K; none for files that others wrote."
    )


class ExtrapolationDoc(Document):
    """What a line of Arrhenius says of a temperature."""

    temperature_k: float = Field(description="Temperature, in K.")
    D_cm2_s: float = Field(description="Diffusivity, in cm²/s.")
    D_interval: Interval = Field(description="Its 68 % interval, in cm²/s.")
    sigma_mS_cm: float = Field(description="Conductivity by Nernst and Einstein, in mS/cm.")
    sigma_interval: Interval = Field(description="Its 68 % interval, in mS/cm; not symmetric.")


class ArrheniusPointDoc(ExtrapolationDoc):
    """One trajectory's diffusivity, and what a line was fitted through."""

    length_ps: float = Field(description="Length of what was analysed, in ps.")
    tmsd_A2: float = Field(description="Total MSD, in Å².")
    rsd_he: float = Field(description="Relative standard deviation by He et al. (2018), dimensionless.")


class ArrheniusDoc(Document):
    """A line of Arrhenius, ln D = ln D₀ − Eₐ/kT, and what it says of other temperatures."""

    species: str = Field(description="Chemical symbol of the mobile species.")
    charge: float = Field(description="Charge of a mobile ion, in elementary charges.")
    Ea_eV: float = Field(description="Activation energy, in eV.")
    Ea_standard_error: float = Field(description="Its standard error, in eV.")
    Ea_interval: Interval = Field(description="Its 68 % interval, in eV: one standard error to each side.")
    D0_cm2_s: float = Field(description="Prefactor, in cm²/s.")
    D0_interval: Interval = Field(description="Its 68 % interval, in cm²/s.")
    D_300K_cm2_s: float = Field(description="Diffusivity at 300 K, in cm²/s.")
    D_300K_interval: Interval = Field(description="Its 68 % interval, in cm²/s.")
    sigma_300K_mS_cm: float = Field(description="Conductivity at 300 K by Nernst and Einstein, in mS/cm.")
    sigma_300K_interval: Interval = Field(description="Its 68 % interval, in mS/cm; not symmetric.")
    extrapolation: ExtrapolationDoc = Field(description="The same at the temperature that was asked for.")
    mean_inverse_ev: float = Field(
        description="Weighted mean of 1/kT, in 1/eV: there the level and the slope of the line are independent."
    )
    level: float = Field(description="There, the natural logarithm of the diffusivity, of the number in cm²/s.")
    level_standard_error: float = Field(description="Its standard error, dimensionless.")
    correlation: float = Field(description="Correlation of ln D₀ and the activation energy, dimensionless.")
    chi2: float = Field(description="χ² of the fit, dimensionless.")
    degrees_of_freedom: int = Field(description="Degrees of freedom of the fit.")
    misfit_probability: float = Field(description="Chance of such a χ² or a larger one, dimensionless.")
    inflation: float = Field(
        description="What all errors were multiplied by because the points scatter, dimensionless (Birge ratio)."
    )
    carriers_per_cm3: float = Field(description="Mobile ions for the conductivity, mean of the points', in cm⁻³.")
    points: list[ArrheniusPointDoc] = Field(description="What was fitted, by temperature.")
    notes: list[str] = Field(description="What to know before using the numbers.")
