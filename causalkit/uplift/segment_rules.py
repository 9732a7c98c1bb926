"""Segments in words: the tree of two cuts that tells them apart best, and how well it does."""

from __future__ import annotations

import numpy as np

from causalkit.core.features import Features
from causalkit.core.table import Table
from causalkit.kernels.arrays import Codes, Floats
from causalkit.uplift.labels import SEGMENTS, UNDECIDED
from causalkit.uplift.policy_tree_columns import candidate_columns, dense_codes
from causalkit.uplift.policy_tree_nodes import Branch, leaf_words
from causalkit.uplift.policy_tree_search import grow

#: Cuts of a rule; most cuts tried for a number (quantiles: the rule is there to be read); fewest people of a segment.
DEPTH, CUTS, FEWEST = 2, 64, 10
HEAD = ("who", "segment", "n", "share", "share_in_segment", "share_of_segment")


def segment_rules(features: Features, codes: Codes, share: Floats) -> Table:
    """Describe segments by a tree of two cuts.

    The tree maximises the mean over segments of the share of its people that it names rightly (balanced accuracy), so that
    a small segment counts as much as a large one. It describes the labels; it does not make them.

    Parameters
    ----------
    features : Features
        Covariates.
    codes : Codes, shape (n,)
        Segment of each person.
    share : Floats, shape (n,)
        Weights of the rows, which sum to one.

    Returns
    -------
    Table
        A row a leaf: who, the segment it stands for, people, their share, the share of them who are in the segment, and the
        share of the segment that they are. Empty where nothing tells segments apart.
    """
    present = [code for code in range(len(SEGMENTS)) if np.sum(codes == code) >= FEWEST]
    caption = "Two cuts that tell the segments apart best"
    if len(present) < 2 or not features.names or not set(present) - {UNDECIDED}:
        return Table.of(HEAD, (), caption)
    mass = {code: float(share[codes == code].sum()) for code in present}
    votes = np.column_stack([share * (codes == code) / mass[code] for code in present])
    columns = candidate_columns(features, votes)
    if not columns:
        return Table.of(HEAD, (), caption)
    least = max(FEWEST, len(codes) // 100)
    root = Branch.of(grow(dense_codes(columns, CUTS), votes, DEPTH, least, mass=share), columns)
    if root.rule is None:
        return Table.of(HEAD, (), caption)
    rows = []
    for path, leaf in root.leaves():
        code = present[leaf.action]
        right = leaf.scores[leaf.action] * mass[code]
        rows.append((leaf_words(path), SEGMENTS[code], leaf.n, leaf.mass, right / leaf.mass, leaf.scores[leaf.action]))
    return Table.of(HEAD, rows, caption)
