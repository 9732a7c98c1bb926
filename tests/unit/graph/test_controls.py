"""Good and bad controls, and the figure of a graph."""

from __future__ import annotations

import numpy as np
import pytest

import causalkit as ck

#: The eighteen models of Cinelli, Forney and Pearl (2022), "A crash course in good and bad controls": edges, what was not
#: measured, and what they say of Z.
MODELS = [
    ("Z -> X; Z -> Y; X -> Y", [], "good", "confounder"),
    ("U -> Z; U -> Y; Z -> X; X -> Y", ["U"], "good", "confounder"),
    ("U -> X; U -> Z; Z -> Y; X -> Y", ["U"], "good", "confounder"),
    ("Z -> X; Z -> M; X -> M; M -> Y", [], "good", "confounder"),
    ("U -> Z; U -> M; Z -> X; X -> M; M -> Y", ["U"], "good", "confounder"),
    ("U -> X; U -> Z; Z -> M; X -> M; M -> Y", ["U"], "good", "confounder"),
    ("U1 -> X; U1 -> Z; U2 -> Z; U2 -> Y; X -> Y", ["U1", "U2"], "bad", "collider"),
    ("Z -> Y; X -> Y", [], "neutral", "precision"),
    ("Z -> X; X -> Y", [], "neutral", "costs precision"),
    ("Z -> X; U -> X; U -> Y; X -> Y", ["U"], "bad", "amplifier"),
    ("X -> Z; Z -> Y", [], "bad", "mediator"),
    ("X -> M; M -> Y; M -> Z", ["M"], "bad", "effect of a mediator"),
    ("Z -> M; X -> M; M -> Y", [], "neutral", "precision"),
    ("X -> Z; X -> Y", [], "neutral", "costs precision"),
    ("X -> Z; Z -> W; U -> W; U -> Y; X -> Y", ["U"], "neutral", "costs precision"),
    ("X -> Z; U -> Z; U -> Y; X -> Y", ["U"], "bad", "collider"),
    ("X -> Z; Y -> Z; X -> Y", [], "bad", "effect of the outcome"),
    ("X -> Y; Y -> Z", [], "bad", "effect of the outcome"),
]


@pytest.mark.parametrize(("edges", "latent", "verdict", "role"), MODELS)
def test_the_eighteen_models(edges, latent, verdict, role):
    found = ck.DAG(edges, latent=latent).classify_controls("X", "Y")["Z"]
    assert (found.verdict, found.role) == (verdict, role)
    assert found.why


@pytest.mark.parametrize(("edges", "latent", "verdict", "role"), MODELS)
def test_bad_controls_do_harm_and_good_ones_help_in_linear_models(edges, latent, verdict, role):
    """In a linear model with all coefficients one, the population regression with Z beside that without it."""
    graph = ck.DAG(edges, latent=latent)
    names = list(graph.nodes)
    b = np.zeros((len(names), len(names)))
    for tail, head in graph.directed:
        b[names.index(head), names.index(tail)] = 1.0
    total = np.linalg.inv(np.eye(len(names)) - b)
    cov = total @ total.T
    x, y, z = (names.index(name) for name in "XYZ")
    effect = total[y, x]

    def coefficient(*given):
        at = [x, *given]
        return float(np.linalg.solve(cov[np.ix_(at, at)], cov[at, y])[0])

    alone, beside = abs(coefficient() - effect), abs(coefficient(z) - effect)
    if verdict == "good":
        assert beside < 1e-12 < alone
    elif verdict == "bad":
        assert beside > alone + 1e-12
    else:
        assert abs(beside - alone) < 1e-12


def test_a_funnel():
    graph = ck.DAG(
        "season -> ads -> visits -> sales; season -> sales; loyalty -> sales; region -> ads; sales -> review; visits -> clicks"
    )
    found = graph.classify_controls("ads", "sales")
    assert found.base == {"season"}
    assert found.named("good") == ("season",)
    assert set(found.named("bad")) == {"visits", "review", "clicks"}
    assert found["visits"].path == "ads -> visits -> sales"
    assert found["season"].path == "ads <- season -> sales"
    assert found["loyalty"].role == "precision"
    assert "Adjusting for season is enough. Do not adjust for visits, review, clicks." in found.summary()
    assert list(found.to_frame().columns) == ["variable", "verdict", "role", "path", "why"]


def test_a_confounder_that_others_can_replace_is_told_so():
    found = ck.DAG("a -> b -> x -> y; a -> y").classify_controls("x", "y")
    assert found["a"].verdict == found["b"].verdict == "good"
    assert "other variables could, too" in found["a"].why
    assert "Every valid set holds it" in ck.DAG("a -> x -> y; a -> y").classify_controls("x", "y")["a"].why


def test_an_open_path_is_drawn_with_the_edge_it_takes():
    """Treatment and outcome are joined twice; it is the hidden common cause that stays open."""
    graph = ck.DAG("x -> y; x <-> y")
    assert "x <-> y" in graph.is_adjustment_set("x", "y").reason


def test_nodes_may_be_the_columns_of_a_table():
    import pandas as pd

    assert ck.DAG("a -> b", nodes=pd.DataFrame(columns=["b", "a"]).columns).nodes == ("b", "a")


def test_what_is_refused():
    graph = ck.DAG("a -> x -> y; a -> y")
    with pytest.raises(ck.DesignError, match="one treatment and one outcome"):
        graph.classify_controls(["a", "x"], "y")
    with pytest.raises(ck.DesignError, match="no node 'z'"):
        graph.classify_controls("z", "y")


class TestFigure:
    def test_causal_and_open_paths_are_told_apart(self):
        graph = ck.DAG("z -> x -> m -> y; z -> y; x <-> y", latent=[])
        data = graph.identify("x", "y").plot_data("graph")
        names = data["names"]
        kinds = {(names[a], names[b], both): kind for a, b, kind, both in data["edges"]}
        assert kinds["x", "m", False] == kinds["m", "y", False] == "causal"
        assert kinds["x", "y", True] == "open"
        assert kinds["z", "x", False] == "other"
        assert data["roles"][names.index("x")] == "treatment"

    def test_no_two_nodes_share_a_place_and_long_edges_go_around(self):
        rng = np.random.default_rng(0)
        for _ in range(30):
            n = int(rng.integers(3, 12))
            pairs = [(f"v{a}", f"v{b}") for a in range(n) for b in range(a + 1, n) if rng.random() < 0.4]
            graph = ck.DAG([*pairs, ("v0", f"v{n - 1}")])
            data = graph.classify_controls("v0", f"v{n - 1}").plot_data("graph")
            places = list(zip(data["x"], data["y"], strict=True))
            assert len(set(places)) == len(places)
            for (tail, head, _, _), passed in zip(data["edges"], data["passes"], strict=True):
                assert len(passed) == data["x"][head] - data["x"][tail] - 1
                assert not set(passed) & set(places)

    def test_it_is_drawn_told_and_escaped(self, tmp_path):
        graph = ck.DAG([("<b>z</b>", "$x$"), ("$x$", "y"), ("<b>z</b>", "y")], bidirected=[("$x$", "y")])
        verdict = graph.identify("$x$", "y")
        assert verdict.plot("graph").axes
        page = verdict.report(tmp_path / "page.html").read_text()
        assert "<b>z</b>" not in page
        assert "stays open" in page
