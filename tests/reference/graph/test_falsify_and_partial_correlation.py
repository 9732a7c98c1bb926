"""Partial correlations of R ggm 2.5, and the exhaustive falsification of dowhy 0.14 on five linear variables."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalkit.graph.dag import DAG
from causalkit.graph.implications import Implication
from causalkit.graph.independence_tests import make_test
from causalkit.graph.measured import Measured

HERE = Path(__file__).parent
DATA = pd.read_csv(HERE / "falsify_lin5.csv")
GGM = json.loads((HERE / "partial_correlation_ggm.json").read_text())["tests"]
DOWHY = json.loads((HERE / "falsify_dowhy.json").read_text())
NAMES = list("ABCDE")


@pytest.mark.parametrize("case", GGM, ids=lambda case: " ".join(case["vars"]))
def test_partial_correlations_are_those_of_ggm(case):
    one, two, *given = (NAMES.index(name) for name in case["vars"])
    tester = make_test(Measured.read(DATA, NAMES), "partial_correlation")
    found = tester.test(Implication(one, two, frozenset(given)))
    assert found.effect == pytest.approx(case["pcor"], rel=1e-10)
    assert found.statistic == pytest.approx(case["t"], rel=1e-10)
    assert found.df == case["df"]
    assert found.pvalue == pytest.approx(case["p"], rel=1e-10)
    assert tester.pvalues([Implication(one, two, frozenset(given))])[0] == pytest.approx(case["p"], rel=1e-10)


@pytest.mark.parametrize("which", ["true", "wrong"])
def test_the_verdict_is_that_of_dowhy(which):
    case = DOWHY[which]
    graph = DAG([tuple(edge) for edge in case["edges"]], nodes=NAMES)
    found = graph.falsify(DATA, method="partial_correlation")
    assert found.enumerated
    assert found.n_permutations == 120
    assert (found.falsifiable, found.falsified) == (case["falsifiable"], case["falsified"])
    assert found.mec_share == pytest.approx(case["mec_pvalue"], abs=1e-15)
    assert int(found.equivalent.sum()) == sum(case["equivalent"])
    assert found.pvalue == pytest.approx(case["pvalue"], abs=1e-15)


@pytest.mark.parametrize("which", ["true", "wrong"])
def test_dowhy_counts_again_what_both_nodes_of_a_pair_say(which):
    """dowhy asks each node for its conditions; two nodes with the same parents both say the same one."""
    case = DOWHY[which]
    graph = DAG([tuple(edge) for edge in case["edges"]], nodes=NAMES)
    found = graph.falsify(DATA, method="partial_correlation")
    asked = [tuple(eval(pair)) for pair in case["local"]]
    twice = [
        one
        for one in found.implied
        if {(NAMES[one.one], NAMES[one.two]), (NAMES[one.two], NAMES[one.one])} <= set(asked)
        and graph.parents(NAMES[one.one]) == graph.parents(NAMES[one.two])
    ]
    assert len(twice) == 1
    assert found.n_tests == case["n_tests"] - 1
    again = [not _kept(order, twice[0]) for order in itertools.permutations(range(5))]
    assert found.violations == case["violations"] - again[0]
    # dowhy draws the relabellings in an order of its own
    assert sorted(found.permuted + np.array(again)) == sorted(case["permuted_violations"])


def _kept(order, implication):
    """Whether the Fisher z test keeps one relabelled condition; its partial correlation by two regressions."""
    one, two, *given = (NAMES[order[at]] for at in (*implication[:2], *sorted(implication.given)))
    base = np.column_stack([np.ones(len(DATA)), DATA[given]])
    a, b = (DATA[name] - base @ np.linalg.lstsq(base, DATA[name], rcond=None)[0] for name in (one, two))
    z = np.sqrt(len(DATA) - len(given) - 3) * np.arctanh(np.corrcoef(a, b)[0, 1])
    return 2 * stats.norm.sf(abs(z)) > 0.05
