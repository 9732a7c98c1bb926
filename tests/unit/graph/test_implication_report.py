"""Implied independencies tested on data, suggestions of edits, and the comparison of adjustment sets."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.multitest import multipletests

import causalkit as ck
from causalkit.errors import DesignError, IdentificationError, InferenceUnavailable

CHAIN = "z -> t; z -> m; t -> m; m -> y; w -> y"


def linear(graph, n=1500, seed=0, extra=()):
    """Draw from a linear model with the graph, and with further edges."""
    rng = np.random.default_rng(seed)
    truth = ck.DAG([*graph.directed, *extra], nodes=graph.nodes)
    out = {}
    for name in (truth.nodes[at] for at in truth.mixed.order):
        causes = sorted(truth.parents(name))
        out[name] = rng.normal(size=n) + 0.6 * sum((out[cause] for cause in causes), np.zeros(n))
    return pd.DataFrame(out)


def test_one_row_for_each_pair_that_is_not_joined():
    graph = ck.DAG(CHAIN)
    report = graph.test(linear(graph))
    frame = report.to_frame()
    assert len(frame) == 5 * 4 // 2 - 5
    assert not report.falsified
    assert report.checks["implied_independencies"].status == "pass"
    for adjusted, method in (("pvalue_bh", "fdr_bh"), ("pvalue_holm", "holm")):
        assert np.allclose(frame[adjusted], multipletests(frame["pvalue"], method=method)[1], rtol=1e-12)
    assert report.checks["implied_independencies"].pvalue == pytest.approx(frame["pvalue_holm"].min())
    every = graph.test(linear(graph), kind="minimal")
    assert len(every.outcomes) == len(list(graph.implied_independencies())) > len(frame) - 1
    assert json.loads(report.to_json())["table"][0]["method"] == "partial_correlation"
    assert report.plot("effects").axes


def test_what_is_latent_or_selected_has_no_column():
    graph = ck.DAG("u -> t; u -> y; z -> t; t -> y; t -> s", latent=["u"], selected=["s"])
    rows = set(graph.implied_independencies())
    assert not any({"u", "s"} & {one, two, *given} for one, two, given in rows)
    assert rows == set()  # z and y have no set: t is a collider, and selection opens it
    data = linear(ck.DAG("z -> t -> y"))
    assert "no independence" in graph.test(data).answer
    assert set(ck.DAG("z -> t -> y; z -> s", selected=["s"]).implied_independencies()) == {("z", "y", frozenset({"t"}))}


def test_rows_that_lack_a_value_are_counted():
    graph = ck.DAG(CHAIN)
    data = linear(graph)
    data.loc[:9, "w"] = np.nan
    report = graph.test(data)
    frame = report.to_frame()
    uses = [("w" in {row.one, row.two}) or ("w" in row.given.split(", ")) for row in frame.itertuples()]
    assert frame["n"].tolist() == [1490 if one else 1500 for one in uses]
    assert report.checks["missing"].status == "warn"
    assert "10 rows" in report.checks["missing"].message
    found = graph.falsify(data)
    assert (found.n, found.n_dropped) == (1490, 10)
    assert found.checks["missing"].status == "warn"


def test_a_missing_edge_is_found_and_suggested():
    graph = ck.DAG(CHAIN)
    report = graph.test(linear(graph, extra=[("w", "m")], seed=2))
    assert report.falsified
    assert report.checks["implied_independencies"].status == "fail"
    edits = report.suggestions()
    assert edits[0].failing == 0
    assert ("w", "m") in {edit.edge for edit in edits.found if edit.failing == 0}
    assert all(edit.failing < edits.before for edit in edits.found)
    ranked = [(edit.failing, -edit.resolved) for edit in edits.found]
    assert ranked == sorted(ranked)
    for edit in edits.found:  # no cycle is suggested
        kept = [edge for edge in graph.directed if edge != edit.edge[::-1] and edge != edit.edge]
        ck.DAG([*kept, edit.edge] if edit.edit != "remove" else kept)
    assert "w -> m" in edits.to_markdown().replace("\\", "")


def test_a_turned_edge_is_found():
    truth = ck.DAG("a -> c; b -> c; c -> d")
    data = linear(truth, seed=3)
    wrong = ck.DAG("c -> a; b -> c; c -> d")
    edits = wrong.test(data).suggestions()
    assert (edits[0].edit, edits[0].edge, edits[0].failing) == ("turn", ("a", "c"), 0)
    assert len(truth.test(data).suggestions()) == 0
    assert "no edit is called for" in truth.test(data).suggestions().answer


def test_a_pickle_leaves_the_data_out():
    graph = ck.DAG(CHAIN)
    report = pickle.loads(pickle.dumps(graph.test(linear(graph))))
    assert report.to_frame().shape[0] == 5
    with pytest.raises(InferenceUnavailable, match="pickle"):
        report.suggestions()


def test_undirected_edges_are_tested_but_not_turned():
    data = linear(ck.DAG("a -> b -> c"), 300)
    graph = ck.DAG("a -- b -- c")
    assert set(graph.implied_independencies()) == {("a", "c", frozenset({"b"}))}
    with pytest.raises(IdentificationError, match="a -- b"):
        graph.test(data).suggestions()


def test_names_are_escaped():
    graph = ck.DAG([("<b>&", "c"), ("c", "$d_1$")])
    data = linear(graph)
    assert "<b>&" not in graph.test(data)._repr_html_()
    assert "&lt;b&gt;" in graph.test(data)._repr_html_()
    assert graph.test(data).plot().axes


def test_relabellings_are_drawn_without_repetition_and_reproducibly():
    graph = ck.DAG("a -> b -> c -> d -> e -> f -> g")
    data = linear(graph, 400)
    one, two = (graph.falsify(data, 60, random_state=4) for _ in range(2))
    assert one.to_json() == two.to_json()
    assert not one.enumerated
    assert one.n_permutations == 60
    assert one.pvalue == (1 + (one.permuted <= one.violations).sum()) / 61
    assert one.checks["better_than_chance"].status == "pass"
    assert "Not rejected" in one.answer
    assert "Monte Carlo" in one.answer
    whole = ck.DAG("a -> b -> c -> d").falsify(data, 23)
    assert whole.enumerated
    assert whole.n_permutations == 24
    with pytest.raises(DesignError, match="n_permutations"):
        graph.falsify(data, 0)


def test_relabelled_graphs_of_the_same_class_are_counted_as_by_separation():
    """A chain of four and its reverse imply the same; with a latent cause the class is found by separation."""
    data = linear(ck.DAG("a -> b -> c -> d"), 300)
    assert ck.DAG("a -> b -> c -> d").falsify(data).mec_share == 2 / 24
    assert ck.DAG("a -> b <- c; d").falsify(data).mec_share == 2 / 24
    hidden = ck.DAG("a -> b -> c -> d; u -> c; u -> d", latent=["u"])
    assert hidden.falsify(data).mec_share == ck.DAG("a -> b -> c -> d; c <-> d").falsify(data).mec_share == 2 / 24


def test_a_graph_that_says_nothing_gets_no_verdict():
    data = linear(ck.DAG("a -> b -> c"), 200)
    full = ck.DAG("a -> b -> c; a -> c").falsify(data)
    assert full.n_tests == 0
    assert not full.falsifiable
    assert not full.falsified
    assert "no data can contradict it" in full.answer
    assert full.checks["better_than_chance"].status == "untestable"
    assert "not informative" in ck.DAG("a -> b -> c").falsify(data).answer


def test_adjustment_sets_agree_where_the_graph_is_right():
    graph = ck.DAG("a -> t; a -> b; b -> y; t -> y; p -> y")
    data = linear(graph, 2000)
    found = graph.identify("t", "y").compare_sets(data)
    assert [sorted(one) for one in found.sets] == [["a"], ["b"], ["b", "p"]]
    assert found.checks["overidentification"].status == "pass"
    assert found.sets[found.best] == {"b", "p"}
    one, two = (
        sm.OLS(data["y"], sm.add_constant(data[["t", *sorted(chosen)]])).fit(cov_type="HC1")
        for chosen in found.sets[:2]
    )
    frame = found.to_frame()
    assert frame["estimate"][0] == pytest.approx(one.params["t"], rel=1e-10)
    assert frame["se"][1] == pytest.approx(two.bse["t"], rel=1e-8)

    def influence(fit):
        x = fit.model.exog
        return (x @ np.linalg.inv(x.T @ x))[:, 1] * fit.resid * np.sqrt(len(x) / (len(x) - x.shape[1]))

    third = sm.OLS(data["y"], sm.add_constant(data[["t", "b", "p"]])).fit()
    psi = np.column_stack([influence(fit) for fit in (one, two, third)])
    theta = np.array([one.params["t"], two.params["t"], third.params["t"]])
    away = np.array([[1, 0, -1], [0, 1, -1]])
    gap = away @ theta
    wald = gap @ np.linalg.solve(away @ psi.T @ psi @ away.T, gap)
    assert found.agreement.statistic == pytest.approx(wald, rel=1e-8)
    assert found.agreement.pvalue == pytest.approx(stats.chi2.sf(wald, 2), rel=1e-8)
    assert found.plot().axes


def test_adjustment_sets_disagree_where_it_is_wrong():
    graph = ck.DAG("a -> t; a -> b; b -> y; t -> y")
    found = graph.identify("t", "y").compare_sets(linear(graph, 2000, extra=[("a", "y")]))
    assert found.checks["overidentification"].status == "fail"
    assert "disagree" in found.answer


def test_one_set_leaves_nothing_to_compare():
    graph = ck.DAG("a -> t; a -> y; t -> y")
    found = graph.identify("t", "y").compare_sets(linear(graph), ck.OLS(vcov="HC0"))
    assert found.checks["overidentification"].status == "untestable"
    assert found.to_frame().shape[0] == 1
    with pytest.raises(IdentificationError, match="no adjustment set"):
        ck.DAG("t -> y; t <-> y").identify("t", "y").compare_sets(linear(graph))
    with pytest.raises(DesignError, match="limit"):
        graph.identify("t", "y").compare_sets(linear(graph), limit=1)


def test_a_falsification_writes_its_report_with_the_figure_of_its_conditions(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 3))
    found = ck.DAG("a -> b; b -> c").falsify({"a": x[:, 0], "b": x[:, 0] + x[:, 1], "c": x[:, 2] + x[:, 0] + x[:, 1]})
    assert "<svg" in found.report(tmp_path / "page.html").read_text()
    assert found.plot_data("effects")["terms"] == ["a, c | b"]


def test_what_could_not_be_tested_is_counted():
    """A node that is a copy of another leaves nothing to test; silence would pass for agreement."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    data = {"a": x[:, 0], "b": x[:, 0], "c": x[:, 1], "d": x[:, 2]}
    check = ck.DAG("b -> c; a -> b; d -> c").test(data).checks["implied_independencies"]
    assert "1 more could not be tested" in check.message


def test_sets_are_compared_on_any_table():
    """A dict of columns has no identity of its own; all fits read it once."""
    x = np.random.default_rng(0).normal(size=(300, 4))
    z = x[:, 0]
    w = z + x[:, 1]
    data = {"z": z, "w": w, "t": z + x[:, 2], "y": w + x[:, 3]}
    graph = ck.DAG("z -> t; t -> y; z -> w; w -> y")
    one, two = (graph.identify("t", "y").compare_sets(table) for table in (data, pd.DataFrame(data)))
    assert one.checks["overidentification"].pvalue == two.checks["overidentification"].pvalue
