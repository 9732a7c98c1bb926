"""Count parameters for the small-sample factors, as R's fixest does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from causalkit.kernels.arrays import Codes
from causalkit.linear.absorb import Absorber


def count_parameters(n_coefficients: int, effects: Absorber | None, ways: Sequence[Codes]) -> int:
    """Count K of the factor ``(n - 1) / (n - K)``.

    Without clusters, K is the number of coefficients plus the rank of the absorbed effects. With clusters, effects
    nested in a cluster do not count, but one constant does: ``K = k + 1 + rank(effects) - rank(nested effects)``. That
    is fixest 0.12's default, ``ssc(fixef.K = "nested")``, with its ``fixef.force_exact = TRUE``: the two differ only
    where the effects fall into several connected components, which the default does not look for.

    Parameters
    ----------
    n_coefficients : int
        Coefficients estimated, an intercept included.
    effects : Absorber or None
    ways : sequence of arrays of int
        Clusters; empty without clustering. An effect nested in any of them counts as nested.

    Returns
    -------
    int

    Notes
    -----
    pyfixest 0.60.0 follows the same rule but can apply it to the wrong effect: it matches the names of the effects in
    the order of the formula with columns that it has sorted by name. ``y ~ x | year + county`` clustered by county
    then counts both effects as nested (K = 2 where R has K = 6 on a panel of five years), and ``county + year`` does
    not. On the panel of county employment of Callaway and Sant'Anna (2021) that is .0132545305534416 against
    .0132651554293389 in R and in pyfixest with the effects in alphabetical order.
    """
    if effects is None:
        return n_coefficients
    if not ways:
        return n_coefficients + effects.rank
    nested = nested_effects(effects, ways)
    return n_coefficients + 1 + effects.rank - _nested_rank(effects, nested)


def nested_effects(effects: Absorber, ways: Sequence[Codes]) -> list[int]:
    """Positions of the effects whose every level lies within one cluster of some way."""
    from causalkit.kernels.groups import is_nested

    return [
        position
        for position, size in enumerate(effects.sizes)
        if any(effects.codes(position) is way or is_nested(effects.codes(position), way, size) for way in ways)
    ]


def _nested_rank(effects: Absorber, nested: list[int]) -> int:
    """Rank of the nested effects, with the constant counted once; exact for one and for two."""
    from causalkit.kernels.groups import connected_components

    if not nested:
        return 1
    if len(nested) == len(effects.sizes):
        return effects.rank
    total = sum(effects.sizes[position] for position in nested)
    if len(nested) == 1:
        return total
    overlaps = [
        connected_components(effects.codes(a), effects.codes(b), effects.sizes[a], effects.sizes[b])[1]
        for a, b in combinations(nested, 2)
    ]
    return total - max(overlaps) - (len(nested) - 2)
