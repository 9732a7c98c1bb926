"""The data of an instrumental-variables analysis, the exogenous columns and absorbed effects taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalkit.errors import DesignError
from causalkit.iv.eliminate import Eliminated, eliminate, independent_rows
from causalkit.iv.gram import IVGram, whitening_of
from causalkit.iv.variance import Variance
from causalkit.kernels.arrays import Codes, Floats, Ints, read_only
from causalkit.kernels.iv_gram import combination, quadratic_forms
from causalkit.linear.absorb import Absorber
from causalkit.linear.parameters import count_parameters

INTERCEPT = "intercept"
_IRRELEVANT = 1e-10


@dataclass(frozen=True, eq=False)
class IVData:
    """Outcome, endogenous variables and instruments after projection, with everything inference needs.

    By the theorem of Frisch, Waugh and Lovell the coefficients of the endogenous variables, their first stage and all
    tests of the instruments are those of the projected columns.

    Parameters
    ----------
    rows : array, shape (1 + m + q, n)
        Outcome, endogenous variables and instruments with the exogenous columns and absorbed effects projected out,
        times the square root of the weights. Each row is contiguous.
    m : int
        Endogenous variables.
    outcome : str
    endogenous, instruments : tuple of str
        Names of the m and q columns kept.
    eliminated : Eliminated
        The exogenous columns and their shares in the others.
    weights : array, shape (n,), or None
    effects : Absorber or None
        The absorbed effects.
    variance : Variance
        Kind, clusters and order of the rows.
    dropped : mapping of str to str
        Columns left out, and why.
    """

    rows: Floats
    m: int
    outcome: str
    endogenous: tuple[str, ...]
    instruments: tuple[str, ...]
    eliminated: Eliminated
    weights: Floats | None
    effects: Absorber | None
    variance: Variance
    dropped: Mapping[str, str]

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.rows.shape[1])

    @property
    def q(self) -> int:
        """Instruments."""
        return int(self.rows.shape[0]) - 1 - self.m

    @property
    def y(self) -> Floats:
        """Projected outcome, shape (n,)."""
        outcome: Floats = self.rows[0]
        return outcome

    @property
    def D(self) -> Floats:
        """Projected endogenous variables, shape (n, m), each column contiguous."""
        return self.rows[1 : 1 + self.m].T

    @property
    def Z(self) -> Floats:
        """Projected instruments, shape (n, q), each column contiguous."""
        return self.rows[1 + self.m :].T

    @cached_property
    def n_exogenous(self) -> int:
        """Parameters of exogenous columns, intercept and absorbed effects; effects nested in clusters do not count."""
        return count_parameters(self.eliminated.inner.k, self.effects, self.variance.ways)

    @cached_property
    def gram(self) -> IVGram:
        """Cross-products of the projected columns."""
        return IVGram(read_only(self.rows @ self.rows.T), self.m, self.n, self.n_exogenous)

    def residuals(self, beta: Floats) -> Floats:
        """``y - D beta`` of the projected columns, shape (n,): the residuals of the regression of the full columns."""
        left: Floats = self.y - beta @ self.rows[1 : 1 + self.m]
        return left

    def fitted_treatment(self) -> Floats:
        """First-stage fit of the projected endogenous variables, shape (n, m), each column contiguous."""
        fitted: Floats = (self.gram.first_stage.T @ self.rows[1 + self.m :]).T
        return fitted

    def moment_covariance(self, residuals: Floats, variance: Variance | None = None) -> Floats:
        """Sum over rows (clusters, lags) of the outer products of ``z_i u_i``, without a small-sample factor.

        Parameters
        ----------
        residuals : array, shape (n,)
        variance : Variance, optional
            That of the data by default. For ``"iid"`` it is ``(u'u / n) Z'Z``.

        Returns
        -------
        array, shape (q, q)
        """
        used = self.variance if variance is None else variance
        if used.kind == "iid":
            return self.gram.ZZ * (float(residuals @ residuals) / self.n)
        return used.meat((self.rows[1 + self.m :] * residuals).T)

    def exogenous_leverage(self) -> Floats:
        """Leverage of each row from the exogenous columns and absorbed effects alone, shape (n,)."""
        own = quadratic_forms(self.eliminated.inner, self.eliminated.bread)
        return own if self.effects is None else own + self.effects.leverage()

    def instrument_leverage(self) -> Floats:
        """Leverage that the projected instruments add, shape (n,); that of all is the sum of the two."""
        white = self.gram.whitening @ self.rows[1 + self.m :]
        leverage: Floats = np.einsum("ij,ij->j", white, white)
        return leverage

    def exogenous_part(self, shares: Floats) -> Floats:
        """Combine the exogenous columns (times the root of the weights), shape (n,)."""
        return combination(self.eliminated.inner, shares)


def iv_data(
    y: Floats,
    D: Sequence[Floats],
    Z: Sequence[Floats],
    W: Sequence[Floats] = (),
    *,
    outcome: str = "y",
    endogenous: Sequence[str] | None = None,
    instruments: Sequence[str] | None = None,
    exogenous: Sequence[str] | None = None,
    weights: Floats | None = None,
    absorb: Sequence[Codes] = (),
    absorb_names: Sequence[str] = (),
    groups: Sequence[Codes] = (),
    order: Ints | None = None,
    kind: str = "HC1",
) -> IVData:
    """Project the exogenous columns and absorbed effects out of the others, in two passes over the rows.

    Parameters
    ----------
    y : array, shape (n,)
    D, Z, W : sequences of arrays, each of shape (n,)
        Endogenous variables, excluded instruments, exogenous columns. An intercept is added to ``W`` unless effects
        are absorbed.
    outcome, endogenous, instruments, exogenous : names
    weights : array, shape (n,), optional
        Positive; their scale does not matter.
    absorb : sequence of arrays of int
        Codes of the effects to absorb.
    absorb_names : sequence of str
        Their names.
    groups : sequence of arrays of int
        Clusters; needed by the CR kinds.
    order : array of int, optional
        Order of the rows in time, for HAC.
    kind : str
        Name of the variance.

    Returns
    -------
    IVData

    Raises
    ------
    DesignError
        If an endogenous variable is determined by the exogenous columns, too few instruments are left, or the
        instruments do not move it at all.

    Notes
    -----
    The normal equations of the centred columns are solved by Cholesky where their condition number is below 1e7, else
    from a QR factorisation by blocks; either way what is left of the exogenous columns in the others is measured and
    subtracted again until it is rounding. Of collinear columns the later ones are left out.
    """
    names = (
        tuple(endogenous or (f"d{j + 1}" for j in range(len(D)))),
        tuple(instruments or (f"z{j + 1}" for j in range(len(Z)))),
        tuple(exogenous or (f"w{j + 1}" for j in range(len(W)))),
    )
    found = eliminate(y, D, Z, W, names[2], weights=weights, absorb=absorb, absorb_names=absorb_names)
    m = len(D)
    _require_endogenous(found, m, names[0])
    rows, kept, lost = _independent_instruments(found, m, names[1])
    if len(kept) < m:
        _too_few(names[0], names[1], lost)
    data = IVData(
        rows=read_only(rows),
        m=m,
        outcome=outcome,
        endogenous=names[0],
        instruments=tuple(names[1][j] for j in kept),
        eliminated=found,
        weights=weights,
        effects=found.effects,
        variance=Variance(kind, tuple(groups), order),
        dropped={**found.dropped, **lost},
    )
    _require_relevance(data)
    return data


def _require_endogenous(found: Eliminated, m: int, names: Sequence[str]) -> None:
    """Refuse an endogenous variable that exogenous columns, or the others, determine."""
    for j, name in enumerate(names):
        if found.is_empty[1 + j]:
            raise DesignError(
                f"the treatment {name!r} is determined by {found.said}.",
                hint="Leave out the covariate or the absorbed effect that determines it.",
                column=name,
            )
    relations = independent_rows(found.rows[1 : 1 + m], np.zeros(m))[1]
    for j, partners in relations.items():
        others = ", ".join(names[i] for i in partners)
        raise DesignError(
            f"the treatment {names[j]!r} can't be told apart from {others}, covariates held fixed.",
            hint="Leave one of them out.",
            column=names[j],
        )


def _independent_instruments(
    found: Eliminated, m: int, names: Sequence[str]
) -> tuple[Floats, list[int], dict[str, str]]:
    """Leave out instruments that exogenous columns or earlier instruments determine; say why."""
    first = 1 + m
    there = [j for j in range(len(names)) if not found.is_empty[first + j]]
    lost = {name: f"determined by {found.said}" for j, name in enumerate(names) if j not in there}
    rows = found.rows
    if there:
        kept, relations = independent_rows(rows[[first + j for j in there]] if lost else rows[first:], found.noise)
        for j, partners in relations.items():
            told = ", ".join(names[there[i]] for i in partners)
            lost[names[there[j]]] = f"collinear with {told}" if told else f"determined by {found.said}"
        there = [there[j] for j in kept]
    if lost:
        rows = rows[[*range(first), *(first + j for j in there)]]
    return rows, there, {name: lost[name] for name in names if name in lost}


def _too_few(endogenous: Sequence[str], instruments: Sequence[str], lost: Mapping[str, str]) -> None:
    told = "".join(f" {name} is {why}." for name, why in lost.items())
    left = len(instruments) - len(lost)
    have = "there is 1 instrument" if left == 1 else f"there are {left or 'no'} instruments"
    need = "1 treatment" if len(endogenous) == 1 else f"{len(endogenous)} treatments"
    raise DesignError(
        f"{have} for {need} ({', '.join(endogenous)}).{told}",
        hint="Each treatment needs an instrument of its own that the covariates do not determine.",
        column=next(iter(lost), instruments[0] if instruments else None),
    )


def _require_relevance(data: IVData) -> None:
    """Refuse instruments that leave some combination of the endogenous variables where it is, to rounding."""
    gram = data.gram
    correlations = np.linalg.svd(gram.whitening @ gram.ZD @ whitening_of(gram.DD).T, compute_uv=False)
    if correlations[-1] <= _IRRELEVANT:
        raise DesignError(
            f"the instruments do not move {' and '.join(data.endogenous)} at all, covariates held fixed.",
            hint="An instrument must change the treatment.",
            column=data.endogenous[0],
        )
