"""Multiply robust scores of outcomes in one arm with mediators as in another, and of the front door."""

from __future__ import annotations

import numpy as np

from causalkit.effects.mediation_pathway import Pathway
from causalkit.kernels.arrays import Floats, read_only

#: Outcome in arm a, mediators as in arm b.
CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))


def crossed_scores(p: Pathway) -> Floats:
    """Return each row's score of ``E[Y(a, M(b))]`` for the four pairs (a, b), shape (n, 4), on the learning scale.

    ``1{A=a} / e_a(x) * f(m|b,x) / f(m|a,x) * (y - mu_a(m,x)) + 1{A=b} / e_b(x) * (mu_a(m,x) - nu_ab(x)) + nu_ab(x)``, whose
    mean is right if any two of three models are: outcome, mediators, treatment (Tchetgen Tchetgen and Shpitser 2012). For
    a = b it is the doubly robust score.
    """
    e, codes = p.propensity.values, p.arms.codes
    columns = []
    for a, b in CELLS:
        nu = p.nested[:, a, b]
        first = (codes == a) / e[:, a] * p.ratio[:, b] * (p.z - p.mu[:, a])
        second = (codes == b) / e[:, b] * (p.mu[:, a] - nu)
        columns.append(first + second + nu)
    return read_only(np.column_stack(columns))


def front_door_scores(p: Pathway) -> Floats:
    """Return each row's score of the average outcome with mediators as in each arm, shape (n, 2), on the learning scale.

    ``f(m|b,x) / f(m|A,x) * (y - mu_A(m,x)) + 1{A=b} / e_b(x) * (xi(m,x) - eta_b(x)) + nu_Ab(x)`` with
    ``xi = sum over a of e_a(x) mu_a(m,x)`` and ``eta_b = sum over a of e_a(x) nu_ab(x)``. Its mean is right if the model of
    the mediators is, or those of the outcome and the treatment are (Fulcher, Shpitser, Marealle and Tchetgen Tchetgen 2020,
    theorem 1).
    """
    e, codes = p.propensity.values, p.arms.codes
    at = np.arange(len(p.z)), codes
    xi = (e * p.mu).sum(axis=1)
    columns = []
    for b in (0, 1):
        eta = (e * p.nested[:, :, b]).sum(axis=1)
        moved = p.ratio[:, b] * (p.z - p.own)
        columns.append(moved + (codes == b) / e[:, b] * (xi - eta) + p.nested[:, :, b][at])
    return read_only(np.column_stack(columns))
