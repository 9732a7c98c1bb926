"""ShiftShareIV: effects identified by common shocks that units are exposed to in different degrees."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from causalkit.core.check import Check, Checks
from causalkit.core.design import Design
from causalkit.core.effects import Effects, Test
from causalkit.core.estimate import Estimate, Influence
from causalkit.core.estimator import Estimator
from causalkit.core.input_checks import missing_check, outcome_check
from causalkit.core.params import choice
from causalkit.core.result import Result
from causalkit.core.roles import Assignment, Role
from causalkit.core.rows import Rows
from causalkit.core.sample import Arms, Number, Sample
from causalkit.core.table import Table
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.inference.wald import require_alpha, t_pvalue
from causalkit.iv.covariance import require_df
from causalkit.iv.rotemberg import Rotemberg, rotemberg_weights
from causalkit.iv.shift_share_checks import balance, complete_shares, effective_shocks, weak_instruments
from causalkit.iv.shift_share_fit import COMPLETE, ShiftShareArrays, prepare
from causalkit.iv.shift_share_inputs import Shocks, is_long, read_shares, read_shocks
from causalkit.kernels.arrays import read_only

VCOV = ("auto", "AKM", "BHJ", "HC0", "HC1")


@dataclass(frozen=True)
class ShiftShareFirstStage:
    """How far the instrument moves the treatment.

    Parameters
    ----------
    estimate, se : float
        Slope of the treatment on the instrument, and its exposure-robust error.
    effective_f : float
        Squared ratio of the two. With one instrument it is the effective F of Montiel Olea and Pflueger (2013).
    """

    estimate: float
    se: float
    effective_f: float


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ShiftShareResult(Result):
    """A shift-share estimate.

    Parameters
    ----------
    kind : str
        The variance: ``"AKM"``, ``"BHJ"``, ``"HC0"`` or ``"HC1"``.
    n_shocks : int
        Shocks.
    """

    kind: str
    n_shocks: int

    @cached_property
    def arrays(self) -> ShiftShareArrays:
        """The design with controls partialled out, from the rows that the result keeps."""
        estimator: Any = self.estimator
        arrays: ShiftShareArrays = estimator.arrays(self._kept())
        return arrays

    @property
    def first_stage(self) -> ShiftShareFirstStage:
        """The slope of the treatment on the instrument, with exposure-robust errors."""
        slope, se = self.arrays.first_stage(self._shock_kind)
        return ShiftShareFirstStage(slope, se, float("inf") if se == 0 else (slope / se) ** 2)

    @property
    def _shock_kind(self) -> str:
        return self.kind if self.kind in ("AKM", "BHJ") else "BHJ"

    @cached_property
    def rotemberg(self) -> Rotemberg:
        """The estimate as a weighted sum of just-identified ones, share by share."""
        return rotemberg_weights(self.arrays, self._kept().features("shares").names)

    def shock_level(self) -> Table:
        """Return the equivalent regression on shocks as a table.

        Instrumenting ``treatment`` by ``shock`` with weights ``exposure`` (and a constant by stratum, where sums of
        shares are controlled) gives the estimate exactly (Borusyak, Hull and Jaravel 2022, proposition 1).
        """
        at, names = self.arrays, self._kept().features("shares").names
        mass = at.exposure * at.weights.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            y, d = at.by_shock(at.y) / mass, at.by_shock(at.D) / mass
        rows = zip(names, at.g, at.exposure, y, d, at.stratum, at.cluster, strict=True)
        used = [(n, *map(float, numbers), int(s), int(c)) for n, *numbers, s, c in rows if numbers[1] > 0]
        return Table.of(("share", "shock", "exposure", "outcome", "treatment", "stratum", "cluster"), used)

    def ci(self, alpha: float = 0.05, method: str | None = None) -> tuple[float, float] | ConfidenceSet:
        """Return the interval; ``method="akm0"`` imposes the null and holds with weak shocks, or few of them.

        The AKM0 set (Adao, Kolesar and Morales 2019, remark 6) may be unbounded, or two rays.
        """
        if method != "akm0":
            return super().ci(alpha, method)
        from scipy.special import ndtri

        require_alpha(alpha)
        at, z2 = self.arrays, float(ndtri(1 - alpha / 2)) ** 2
        own, by_treatment = at.scores(at.y - at.estimate * at.D, self._shock_kind), self._treatment_scores
        # In deviations from the estimate, where the numerator vanishes, so that no digits are lost.
        a = at.relevance**2 - z2 * float(by_treatment @ by_treatment)
        found = ConfidenceSet.from_quadratic(a, 2 * z2 * float(own @ by_treatment), -z2 * float(own @ own))
        return ConfidenceSet(tuple((low + at.estimate, high + at.estimate) for low, high in found.intervals))

    def test(self, null: float = 0.0, method: str | None = None) -> Test:
        """Test that the effect equals ``null``; ``method="akm0"`` computes the error under the null."""
        if method != "akm0":
            return super().test(null, method)
        at = self.arrays
        error = float(np.linalg.norm(at.scores(at.y - null * at.D, self._shock_kind)))
        if error == 0.0:
            raise InferenceUnavailable(
                f"nothing is left of the outcome at an effect of {null:g}, so the test has no error.",
                hint="The treatment determines the outcome.",
            )
        statistic = (at.estimate - null) * at.relevance / error
        return Test(statistic, float(t_pvalue(statistic, np.inf)), float("inf"), null, "akm0")

    @property
    def _treatment_scores(self) -> Any:
        return self.arrays.scores(self.arrays.D, self._shock_kind)

    def with_vcov(self, vcov: str, cluster: Any = None) -> ShiftShareResult:
        """Return the same estimate with another variance (``"AKM"``, ``"BHJ"``, ``"HC0"``, ``"HC1"``).

        Clusters are clusters of shocks: name them in the table of shocks.
        """
        if cluster is not None:
            raise DesignError(
                "errors of a shift-share estimate are not clustered by units.",
                hint="Give the table of shocks a column 'cluster'.",
            )
        estimator: Any = self.estimator.replace(vcov=vcov)
        changed: ShiftShareResult = estimator.estimate(self._kept())
        return changed


@dataclass(frozen=True, kw_only=True)
class ShiftShareIV(Estimator[ShiftShareResult]):
    """Instrumental variables with a shift-share (Bartik) instrument.

    The instrument of unit i is ``sum_k shares_ik * shocks_k``. The estimand is an average of the effects of the treatment,
    weighted by how far the shocks move it. It is identified if the shocks are as good as randomly assigned and many
    (Borusyak, Hull and Jaravel 2022; Adao, Kolesar and Morales 2019) or if each share is exogenous (Goldsmith-Pinkham,
    Sorkin and Swift 2020). With ``treatment=`` set to the instrumented variable, effects are per unit of it.

    Parameters
    ----------
    vcov : {"auto", "AKM", "BHJ", "HC0", "HC1"}
        ``"AKM"`` sums residuals by shock after controls are partialled out of the instrument; ``"BHJ"`` is the robust
        error of the equivalent regression on shocks. Both cluster by the column ``cluster`` of the table of shocks.
        ``"auto"`` is AKM, or BHJ where the shares are linearly dependent. HC0 and HC1 take units for the sample and are
        as a rule far too small; they are there to be compared.
    share_sums : {"control", "ignore"}
        Whether the sum of a unit's shares, by stratum of shocks, is a control. It changes nothing where shares are
        complete; where they are not, leaving it out compares units with much and with little exposure.

    Examples
    --------
    >>> import numpy as np, pandas as pd, causalkit as ck
    >>> rng = np.random.default_rng(0)
    >>> shares, shocks = rng.dirichlet(np.ones(40), 300), rng.normal(size=40)
    >>> names = [f"industry_{k}" for k in range(40)]
    >>> data = pd.DataFrame(shares, columns=names)
    >>> data["imports"] = shares @ shocks + 0.1 * rng.normal(size=300)
    >>> data["jobs"] = -2 * data["imports"] + 0.01 * rng.normal(size=300)
    >>> fit = ck.ShiftShareIV().fit(data, outcome="jobs", treatment="imports", shares=names, shocks=shocks.tolist())
    >>> round(fit.estimate, 1)
    -2.0
    """

    vcov: Literal["auto", "AKM", "BHJ", "HC0", "HC1"] = choice("auto", *VCOV)
    share_sums: Literal["control", "ignore"] = choice("control", "control", "ignore")

    roles: ClassVar[Mapping[str, Role]] = {
        "outcome": Role("number"),
        "treatment": Role("treatment", treatment="either"),
        "shares": Role("features", many=True),
        "covariates": Role("features", required=False, many=True),
        "absorb": Role("label", required=False, many=True),
        "unit": Role("label", required=False),
        "weights": Role("weights", required=False),
    }
    assignment: ClassVar[Assignment | None] = None
    strategies: ClassVar[tuple[str, ...]] = ("instrument",)

    def fit(
        self,
        data: Any,
        *,
        outcome: Any,
        treatment: Any,
        shares: Any,
        shocks: Any,
        covariates: Sequence[str] | str = (),
        absorb: Sequence[str] | str = (),
        control: Any = None,
        unit: Any = None,
        weights: Any = None,
        missing: Literal["drop", "raise"] = "drop",
    ) -> ShiftShareResult:
        """Estimate the effect of the treatment.

        Parameters
        ----------
        data : table
            One row per unit (or unit and period).
        outcome, treatment : str
            Columns. A treatment of two arms needs ``control=`` unless it is 0/1.
        shares : list of str, or table
            Columns of ``data``, one per shock; or a long table with the columns ``shock``, ``share`` and that which
            ``unit=`` names (pairs that are not there have no share).
        shocks : sequence of float, mapping, or table
            One number per share in the order of ``shares``; or a mapping from share to number; or a table with the columns
            ``shock`` and ``value``, optionally ``cluster`` (shocks that are correlated) and ``stratum`` (shocks that are
            compared among themselves, such as those of one period). Further columns are characteristics of the shocks
            whose balance is tested.
        covariates : list of str
            Controls, known before the shocks.
        absorb : list of str
            Columns whose levels are effects to absorb.
        control : level, optional
            The baseline of a treatment with two arms.
        unit : str, optional
            Labels of the units, needed with a long table of shares.
        weights : str, optional
            Weights; their scale does not matter.
        missing : {"drop", "raise"}
            What to do with rows that lack any of these.

        Returns
        -------
        ShiftShareResult

        Raises
        ------
        DataError, DesignError
            If the tables or roles can't be used, a share lacks its shock, or the instrument does not move the treatment.
        """
        return self._fit(
            data,
            outcome=outcome,
            treatment=treatment,
            shares=shares,
            shocks=shocks,
            covariates=covariates,
            absorb=absorb,
            control=control,
            unit=unit,
            weights=weights,
            missing=missing,
        )

    def bind(self, data: Any, **given: Any) -> Sample:
        """Bind the roles; a long table of shares is spread over the rows."""
        if given.get("shocks") is None:
            raise DesignError("shocks= is missing.", hint="Pass one number per share, a mapping, or a table.")
        given["shocks"] = read_shocks(given["shocks"])
        if not is_long(given.get("shares")):
            return super().bind(data, **given)
        unit = given.get("unit")
        if not isinstance(unit, str):
            raise DesignError("a table of shares needs unit=.", hint="Name the column that both tables share.")
        if given["shocks"].labels is None:
            told = "shocks= is a list, and a long table of shares has no order of shocks."
            raise DesignError(told, hint="Pass a mapping from shock to number, or a table of shocks.")
        given["shares"] = read_shares(given["shares"], unit)
        others = {role: spec for role, spec in self.roles.items() if role != "shares"}
        sample = Design(others).bind(data, given)
        labels = sample.groups("unit")
        assert labels is not None
        return sample.with_column("shares", given["shares"].spread(labels))

    def validate(self, sample: Sample) -> None:
        """Refuse shares that are text, and shocks that do not belong to them; see :meth:`Estimator.validate`."""
        shares = sample.features("shares")
        if shares.categorical:
            name = shares.names[shares.categorical[0]]
            raise DesignError(f"share {name!r} is not numeric.", hint="Shares are numbers.", column=name)
        self._shocks(sample)
        column = sample.columns["treatment"]
        if isinstance(column, Arms) and column.count > 2:
            raise DesignError(
                f"treatment {column.name!r} has {column.count} arms and there is one instrument.",
                hint="Keep two of them, or pass a number.",
                column=column.name,
            )

    def estimate(self, sample: Sample) -> ShiftShareResult:
        """Run the regression on a bound sample."""
        self.validate(sample)
        arrays, shocks = self.arrays(sample), self._shocks(sample)
        kind = self._kind(arrays)
        term, what = _treated(sample)
        numbers = Estimate(np.array([arrays.estimate]), self._carrier(arrays, kind, sample))
        shock_kind = kind if kind in ("AKM", "BHJ") else "BHJ"
        names = sample.features("shares").names
        checks: dict[str, Check | Callable[[], Check]] = {
            "missing": missing_check(sample),
            **outcome_check(sample),
            "effective_shocks": lambda: effective_shocks(arrays),
            "weak_instruments": lambda: weak_instruments(arrays, shock_kind),
            "complete_shares": lambda: complete_shares(arrays, self.share_sums == "control"),
            "balance": lambda: balance(arrays, shocks),
            "negative_weights": lambda: rotemberg_weights(arrays, names).checks["negative_weights"],
        }
        result = ShiftShareResult(
            estimator=self,
            effects=Effects((term,), numbers),
            headline=term,
            estimand=f"effect of {what} on {sample.name('outcome')}, moved by {arrays.g.size} shocks",
            checks=Checks(checks),
            sample=sample,
            n=sample.n,
            dropped=sample.dropped,
            roles=sample.given,
            kind=kind,
            n_shocks=arrays.g.size,
        )
        vars(result)["arrays"] = arrays
        return result

    def arrays(self, sample: Sample) -> ShiftShareArrays:
        """Return outcome, treatment and instrument of a bound sample after controls.

        Parameters
        ----------
        sample : Sample
            The bound rows.
        """
        column, shocks = sample.columns["treatment"], self._shocks(sample)
        assert isinstance(column, Arms | Number)
        treatment = (column.codes == 1).astype(float) if isinstance(column, Arms) else column.values
        shares = sample.features("shares").values
        complete = bool(np.abs(shares.sum(axis=1) - 1).max() <= COMPLETE)
        whole = complete and shocks.stratum is None
        return prepare(
            sample.outcome,
            treatment,
            shares,
            shocks.values,
            W=sample.features().dummies()[0],
            absorb=[effect.codes for effect in sample.several("absorb")],
            weights=sample.optional("weights"),
            stratum=shocks.stratum,
            cluster=shocks.cluster,
            control_sums=self.share_sums == "control" or whole,
        )

    def _shocks(self, sample: Sample) -> Shocks:
        return read_shocks(sample.given["shocks"]).aligned(sample.features("shares").names)

    def _kind(self, arrays: ShiftShareArrays) -> str:
        if self.vcov != "auto":
            return self.vcov
        try:
            _ = arrays.akm_shocks
        except DesignError:
            return "BHJ"
        return "AKM"

    def _carrier(self, arrays: ShiftShareArrays, kind: str, sample: Sample) -> Influence:
        require_df(sample.n, arrays.n_controls + 1)
        if kind in ("HC0", "HC1"):
            psi, scale = arrays.unit_variance(kind)
            return Influence(read_only(psi[:, None]), sample.rows, None, scale, np.full(1, np.inf), kind)
        psi = arrays.psi(kind)
        if psi.size < 2:
            raise DesignError("there is one cluster of shocks only.", hint="Errors are summed by shock: give several.")
        names = "\x1f".join(sample.features("shares").names).encode()
        token = f"{sample.rows.token}/shocks/{zlib.crc32(names):x}/{zlib.crc32(arrays.cluster.tobytes()):x}"
        rows = Rows(read_only(np.arange(psi.size)), token)
        return Influence(read_only(psi[:, None]), rows, None, 1.0, np.full(1, np.inf), kind)


def _treated(sample: Sample) -> tuple[str, str]:
    """Return the term of the treatment, and what is compared in words."""
    column = sample.columns["treatment"]
    if isinstance(column, Arms):
        return column.contrast(), column.contrast()
    assert isinstance(column, Number)
    return column.name, f"one more unit of {column.name}"
