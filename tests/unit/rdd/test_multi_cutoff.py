"""Several cutoffs and boundaries: each effect is that of its own design, and their dependence is known."""

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DesignError, InferenceUnavailable
from causalkit.rdd.boundary import distance_to_line
from causalkit.rdd.boundary_checks import side_of_line


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    n = 2400
    x, line = rng.uniform(0, 100, n), rng.choice([30.0, 50.0, 70.0], n)
    y = 0.02 * x + 0.5 * (x >= line) + 0.8 * (x >= line) * (line == 70) + 0.3 * rng.normal(size=n)
    d = rng.random(n) < 0.2 + 0.6 * (x >= line)
    return pd.DataFrame({"x": x, "line": line, "y": y, "d": d, "y2": y + d, "g": np.arange(n) // 8})


def test_each_cutoff_is_a_design_of_its_own(table):
    found = ck.MultiCutoffRD(kernel="uniform").fit(table, outcome="y", running="x", cutoff="line", cluster="g")
    for value in (30.0, 50.0, 70.0):
        own = ck.RegressionDiscontinuity(cutoff=value, kernel="uniform").fit(
            table[table["line"] == value], outcome="y", running="x", cluster="g"
        )
        term = f"x={value:g}"
        at = found.effects.index(term)
        assert found.effects.values[at] == pytest.approx(own.estimate, rel=1e-9)
        assert found.effects.se[at] == pytest.approx(own.se, rel=1e-9)
        assert found.bandwidths[term][0] == pytest.approx(own.bandwidths.left, rel=1e-9)
        assert found.n_effective[term] == own.n_effective
    pooled = ck.RegressionDiscontinuity(kernel="uniform").fit(
        table.assign(x=table["x"] - table["line"]), outcome="y", running="x", cluster="g"
    )
    assert (found.headline, found.estimate, found.se) == (
        "pooled", pytest.approx(pooled.estimate, rel=1e-9), pytest.approx(pooled.se, rel=1e-9),
    )  # fmt: skip


def test_the_average_weighs_by_rows_next_to_the_cutoffs(table):
    found = ck.MultiCutoffRD().fit(table, outcome="y", running="x", cutoff="line")
    assert found.weights.sum() == pytest.approx(1.0)
    single = found.effects.select(found.designs)
    weighted = found.effects.index("weighted")
    assert found.effects.values[weighted] == pytest.approx(found.weights @ single.values, rel=1e-12)
    assert found.effects.se[weighted] == pytest.approx(np.sqrt(found.weights**2 @ single.se**2), rel=1e-12)
    assert found.test_equality().pvalue < 0.05
    assert found.differences.terms == ("x=50 - x=30", "x=70 - x=30")
    assert "Do the effects differ?" in [passage.title for passage in found.passages()]


def test_a_fuzzy_design(table):
    found = ck.MultiCutoffRD().fit(table, outcome="y2", running="x", cutoff="line", treatment="d")
    own = ck.RegressionDiscontinuity(cutoff=50.0).fit(
        table[table["line"] == 50.0], outcome="y2", running="x", treatment="d"
    )
    assert found.effects.values[1] == pytest.approx(own.estimate, rel=1e-8)
    assert "compliers" in found.estimand


def test_cumulative_cutoffs_use_the_rows_between_their_neighbours(table):
    stepped = table.assign(y=0.02 * table["x"] + 0.4 * (table["x"] >= 40) + 0.9 * (table["x"] >= 60) + table["y"] * 0.1)
    found = ck.MultiCutoffRD(cutoff=(40, 60)).fit(stepped, outcome="y", running="x")
    own = ck.RegressionDiscontinuity(cutoff=40.0).fit(stepped[stepped["x"] < 60], outcome="y", running="x")
    assert found.effects.values[0] == pytest.approx(own.estimate, rel=1e-9)
    assert found.effects.se[0] == pytest.approx(own.se, rel=1e-9)
    assert found.effects.terms == ("x=40", "x=60", "weighted")
    assert found.headline == "weighted"
    wide = ck.MultiCutoffRD(cutoff=(40, 60), bandwidth=20.0).fit(stepped, outcome="y", running="x")
    assert abs(wide.effects.vcov[0, 1]) > 1e-6  # rows between the cutoffs serve both


def test_a_cutoff_without_rows_is_named_not_fitted(table):
    lonely = table.assign(line=np.where(np.arange(len(table)) < 6, 99.0, table["line"]))
    found = ck.MultiCutoffRD().fit(lonely, outcome="y", running="x", cutoff="line")
    assert list(found.failed) == ["x=99"]
    assert found.checks["cutoffs"].status == "warn"
    assert len(found.designs) == 3


def test_one_cutoff_has_no_differences(table):
    found = ck.MultiCutoffRD(cutoff=50.0).fit(table, outcome="y", running="x")
    assert found.effects.values[0] == found.estimate
    with pytest.raises(InferenceUnavailable, match="one effect only"):
        _ = found.differences


def test_configurations_survive_a_file():
    for design in (ck.MultiCutoffRD(cutoff=(1, 2.5)), ck.BoundaryRD(boundary=[[0, 1], [0, 0]])):
        assert ck.MultiCutoffRD.from_toml(design.to_toml()) == design if isinstance(design, ck.MultiCutoffRD) else True
        assert type(design).from_json(design.to_json()) == design


def test_bad_requests_teach(table):
    with pytest.raises(DesignError, match="no cutoff was named"):
        ck.MultiCutoffRD().fit(table, outcome="y", running="x")
    with pytest.raises(DesignError, match="given twice"):
        ck.MultiCutoffRD(cutoff=(30, 50)).fit(table, outcome="y", running="x", cutoff="line")
    with pytest.raises(DesignError, match="rising"):
        ck.MultiCutoffRD(cutoff=(50, 30))
    with pytest.raises(DesignError, match="are the most"):
        ck.MultiCutoffRD().fit(table, outcome="y", running="x", cutoff="x")
    with pytest.raises(DesignError, match="no effect could be estimated"):
        ck.MultiCutoffRD(cutoff=(200.0,)).fit(table, outcome="y", running="x")


@pytest.fixture(scope="module")
def map_():
    rng = np.random.default_rng(8)
    east, north = rng.uniform(-1, 1, 3000), rng.uniform(-1, 1, 3000)
    inside = (east >= 0) & (north >= 0)
    y = east + 0.5 * north + 0.6 * inside + 0.3 * rng.normal(size=3000)
    return pd.DataFrame({"east": east, "north": north, "inside": inside, "y": y, "g": np.arange(3000) // 10})


POINTS = ((0.0, 0.8), (0.0, 0.4), (0.0, 0.0), (0.5, 0.0))


def test_each_point_is_a_design_in_the_distance_to_it(map_):
    found = ck.BoundaryRD(boundary=POINTS).fit(
        map_, outcome="y", running=["east", "north"], treatment="inside", cluster="g"
    )
    sign = np.where(map_["inside"], 1.0, -1.0)
    for j, (a, b) in enumerate(POINTS):
        distance = sign * np.hypot(map_["east"] - a, map_["north"] - b)
        own = ck.RegressionDiscontinuity().fit(map_.assign(r=distance), outcome="y", running="r", cluster="g")
        assert found.effects.values[j] == pytest.approx(own.estimate, rel=1e-8)
        assert found.effects.se[j] == pytest.approx(own.se, rel=1e-8)
    nearest = sign * distance_to_line(map_[["east", "north"]].to_numpy(), np.array(POINTS))
    pooled = ck.RegressionDiscontinuity().fit(map_.assign(r=nearest), outcome="y", running="r", cluster="g")
    assert found.estimate == pytest.approx(pooled.estimate, rel=1e-8)
    assert found.se == pytest.approx(pooled.se, rel=1e-8)
    low, high = found.ci()
    assert low < 0.6 < high
    assert found.effects.vcov[0, 1] > 0  # neighbouring points share rows


def test_one_score_is_an_ordinary_design(map_):
    data = map_.assign(inside=map_["east"] >= 0.1)
    found = ck.BoundaryRD(boundary=((0.1,),)).fit(data, outcome="y", running="east", treatment="inside")
    own = ck.RegressionDiscontinuity(cutoff=0.1).fit(data, outcome="y", running="east")
    assert found.effects.values[0] == pytest.approx(own.estimate, rel=1e-8)
    assert found.estimate == pytest.approx(own.estimate, rel=1e-8)


def test_the_distance_to_a_line_of_points():
    points = np.array([[0.0, 0.0], [0.0, 2.0], [3.0, 2.0]])
    rows = np.array([[1.0, 1.0], [-1.0, -1.0], [2.0, 2.5], [4.0, 2.0], [0.0, 1.0]])
    np.testing.assert_allclose(distance_to_line(rows, points), [1.0, np.sqrt(2.0), 0.5, 1.0, 0.0], atol=1e-15)


def test_rows_treated_on_the_other_side_are_counted(map_):
    """Treatment taken is not the side: its distances have the wrong sign, and the effect came out at half its size."""
    design, roles = ck.BoundaryRD(boundary=POINTS), {"outcome": "y", "running": ["east", "north"]}
    right = design.fit(map_, **roles, treatment="inside").checks["sides"]
    assert (right.status, right.statistic) == ("pass", 0.0)
    again = ck.BoundaryRD(boundary=POINTS[::-1]).fit(map_, **roles, treatment="inside").checks["sides"]
    assert again.message == right.message
    rng = np.random.default_rng(0)
    took = map_.assign(took=np.where(rng.random(len(map_)) < 0.2, ~map_["inside"], map_["inside"]))
    wrong = design.fit(took, **roles, treatment="took").checks["sides"]
    assert wrong.status == "fail"
    assert wrong.statistic == pytest.approx(0.2, abs=0.06)
    moved = ck.BoundaryRD(boundary=((0.3, 1), (0.3, 0), (1, 0))).fit(map_, **roles, treatment="inside")
    assert moved.checks["sides"].status == "fail"
    assert "sides" not in ck.BoundaryRD(boundary=((0.0, 0.0),)).fit(map_, **roles, treatment="inside").checks


def test_sides_of_a_line_with_a_bend():
    line = np.array([[0.0, 2.0], [0.0, 0.0], [2.0, 0.0]])
    rows = np.array([[1.0, 1.0], [0.5, 0.2], [-1.0, 1.0], [1.0, -1.0], [-0.5, -0.4], [0.0, 1.0], [0.3, 3.0]])
    side, distance = side_of_line(rows, line)
    np.testing.assert_array_equal(side, [1, 1, -1, -1, -1, 0, 0])
    np.testing.assert_allclose(distance, distance_to_line(rows, line), atol=1e-15)
    assert side_of_line(np.zeros((3, 3)), np.zeros((2, 3))) is None


def test_bad_boundaries_teach(map_):
    with pytest.raises(DesignError, match="list of points"):
        ck.BoundaryRD(boundary=(1, 2))
    with pytest.raises(DesignError, match="twice"):
        ck.BoundaryRD(boundary=((0, 1), (0, 1)))
    with pytest.raises(DesignError, match="one score for each"):
        ck.BoundaryRD(boundary=((0, 1),)).fit(map_, outcome="y", running="east", treatment="inside")
    arms = map_.assign(arm=np.where(map_["inside"], "in", np.where(map_["east"] < 0, "west", "south")))
    with pytest.raises(DesignError, match="two sides"):
        ck.BoundaryRD(boundary=((0, 1),)).fit(
            arms, outcome="y", running=["east", "north"], treatment="arm", control="west", treatment_level="in"
        )
