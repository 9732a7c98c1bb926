"""The generalised covariance measure: are the residuals of two regressions on the same variables related?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import numpy as np

from causalkit.errors import DesignError
from causalkit.graph.implications import Implication
from causalkit.graph.independence_tests import Outcome, untested
from causalkit.graph.measured import Measured
from causalkit.inference.wald import t_pvalue, wald_test
from causalkit.kernels.arrays import Bools, Floats, Ints
from causalkit.nuisance.crossfit import cross_predict, deal_folds
from causalkit.nuisance.defaults import as_regressor

#: Half the width of a 95% normal interval.
_WIDE = 1.959963984540054


@dataclass(frozen=True)
class _Features:
    """Covariates of one regression, as learners ask for them."""

    values: Floats
    names: tuple[str, ...]
    categorical: tuple[int, ...]


@dataclass(eq=False)
class ResidualCovariance:
    """Shah and Peters (2020), *The hardness of conditional independence testing and the generalised covariance measure*.

    Both columns are regressed on the conditioning set, by any learner and cross-fitted; under independence the product of
    the residuals has mean zero. A column of categories stands for its indicators, and the products are tested together.

    Parameters
    ----------
    data : Measured
    regressor : learner
        As everywhere in the package; None is LightGBM.
    n_folds : int
    random_state : int
    """

    data: Measured
    regressor: Any = None
    n_folds: int = 5
    random_state: int = 0
    _residuals: dict[tuple[int, frozenset[int], frozenset[int]], Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.n_folds, bool) or not isinstance(self.n_folds, int) or self.n_folds < 2:
            raise DesignError(f"n_folds={self.n_folds!r} is not a whole number of at least 2.")

    def pvalues(self, implications: Sequence[Implication]) -> Floats:
        """Return the p-values of many implications."""
        return np.array([self.test(one).pvalue for one in implications])

    def test(self, implication: Implication) -> Outcome:
        """Test one implication; the effect is the correlation of the residuals (the largest, for categories)."""
        one, two, given = implication
        lost = self.data.gaps & {one, two, *given}
        rows = self.data.rows(lost)
        n = int(rows.sum())
        if n < 4 * self.n_folds:
            return untested("gcm", n)
        a, b = self._residual(one, given, lost, rows), self._residual(two, given, lost, rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            products = (a[:, :, None] * b[:, None, :]).reshape(n, -1)
            scale = np.sqrt(np.outer((a**2).mean(axis=0), (b**2).mean(axis=0))).ravel()
            products = products[:, scale > 0] / scale[scale > 0]
        if products.shape[1] == 0:
            return untested("gcm", n)
        mean = products.mean(axis=0)
        if products.shape[1] == 1:
            effect = float(mean[0])
            se = float(products.std(ddof=0)) / np.sqrt(n)
            statistic = effect / se
            low, high = max(effect - _WIDE * se, -1.0), min(effect + _WIDE * se, 1.0)
            return Outcome("gcm", effect, low, high, statistic, inf, float(t_pvalue(statistic)), n)
        found = wald_test(mean, np.cov(products, rowvar=False, ddof=0) / n)
        effect = float(np.abs(mean).max())
        return Outcome("gcm", effect, nan, nan, found.statistic, float(found.df1), found.pvalue, n)

    def _residual(self, target: int, given: frozenset[int], lost: frozenset[int], rows: Bools) -> Floats:
        """Residuals of a column (of its indicators) on others, shape (n, k); fitted once for each set and rows."""
        key = (target, given, lost)
        if key not in self._residuals:
            y = self.data.matrix([target], rows)
            columns = sorted(given)
            if not columns:
                self._residuals[key] = y - y.mean(axis=0)
            else:
                x = self.data.values[rows][:, columns]
                categorical = tuple(at for at, column in enumerate(columns) if self.data.categories[column])
                features = _Features(x, tuple(self.data.names[column] for column in columns), categorical)
                fitted = [self._predicted(features, y[:, at]) for at in range(y.shape[1])]
                self._residuals[key] = y - np.column_stack(fitted)
        return self._residuals[key]

    def _predicted(self, features: _Features, y: Floats) -> Floats:
        learner = as_regressor(self.regressor, features, random_state=self.random_state)
        folds = deal_folds(np.zeros(len(y), dtype=np.int64), None, self.n_folds, self.random_state)

        def fit(train: Ints) -> Any:
            model = learner.fit(features.values[train], y[train])
            return lambda held_out: model.predict(features.values[held_out])

        return cross_predict(fit, folds)
