from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalkit as ck
from causalkit.errors import DataError, DesignError, InferenceUnavailable
from causalkit.linear.pushed_down import PushedDownOLSResult

pl = pytest.importorskip("polars", reason="polars is an optional engine")
duckdb = pytest.importorskip("duckdb")

HOSTILE = '"; DROP TABLE x; --'
AWKWARD = 'it\'s `a` "b".c\nnueva'
ROLES = {"outcome": "y", "treatment": "arm", "control": "a", "covariates": [HOSTILE, "region", AWKWARD]}
CASES = [
    ("HC0", {}),
    ("auto", {"weights": "w"}),
    ("iid", {"weights": "w"}),
    ("CR0", {"cluster": "store"}),
    ("iid", {}),
    ("auto", {"cluster": "store", "weights": "w"}),
]


def make_table(n=400, seed=5):
    """A study whose outcome lies a billion away from zero, with some of everything missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    arm = rng.integers(0, 3, n)
    table = pd.DataFrame(
        {
            "y": np.round((x + 0.3 * arm + rng.normal(size=n)) * 1024) / 1024 + 1e9,
            "arm": np.array(["a", "b's", 'c"'])[arm],
            HOSTILE: x * 5 + 100,
            AWKWARD: rng.random(n) < 0.4,
            "region": rng.choice(["N", "S;", "Ø"], n),
            "store": rng.integers(0, 40, n),
            "w": rng.gamma(2.0, size=n),
            "dose": rng.gamma(3.0, size=n),
            "flag": rng.integers(0, 2, n),
        }
    )
    table.loc[[3, 4], "y"] = np.nan
    table.loc[[4, 7], HOSTILE] = np.nan
    table.loc[[9, 10, 11], "w"] = [0.0, np.nan, 0.0]
    return table


def same(lazy, eager, rtol=1e-10):
    assert isinstance(lazy, PushedDownOLSResult)
    assert lazy.coefficients.terms == eager.coefficients.terms
    assert lazy.effects.terms == eager.effects.terms
    assert (lazy.headline, lazy.estimand) == (eager.headline, eager.estimand)
    assert (lazy.n, lazy.n_dropped, lazy.n_parameters) == (eager.n, eager.n_dropped, eager.n_parameters)
    np.testing.assert_allclose(lazy.coefficients.values, eager.coefficients.values, rtol=rtol)
    scale = np.outer(eager.coefficients.se, eager.coefficients.se)
    assert np.max(np.abs(lazy.coefficients.vcov - eager.coefficients.vcov) / scale) < rtol
    np.testing.assert_allclose(lazy.effects.df, eager.effects.df)
    np.testing.assert_allclose([lazy.r2, lazy.r2_within], [eager.r2, eager.r2_within], rtol=rtol)
    assert lazy.collinear == eager.collinear
    assert lazy.dropped.by_arm == eager.dropped.by_arm
    assert [reason[:3] for reason in lazy.dropped.reasons] == [reason[:3] for reason in eager.dropped.reasons]
    assert {name: (c.status, c.message) for name, c in lazy.checks.items()} == {
        name: (c.status, c.message) for name, c in eager.checks.items()
    }


def test_every_engine_gives_the_numbers_of_memory(lazy_engine):
    table = make_table()
    roles = {**ROLES, "covariates": [HOSTILE, "region"], "cluster": "store", "weights": "w"}
    same(ck.OLS().fit(lazy_engine(table), **roles), ck.OLS().fit(table, **roles))


@pytest.mark.parametrize(("vcov", "more"), CASES)
def test_every_variance_is_that_of_memory(vcov, more):
    table = make_table()
    same(ck.OLS(vcov=vcov).fit(lazily(table), **ROLES, **more), ck.OLS(vcov=vcov).fit(table, **ROLES, **more))


@pytest.mark.parametrize(
    "roles",
    [
        {"treatment": "dose"},
        {"treatment": "flag", "covariates": "dose"},
        {"treatment": AWKWARD},
        {"treatment": "half", "control": 1.5},
        {"treatment": "arm", "control": "b's", "treatment_level": 'c"'},
        {"treatment": "arm", "control": "a", "missing": "drop", "cluster": "region"},
    ],
)
def test_every_kind_of_treatment(roles):
    table = make_table(120).assign(half=np.tile([0.5, 1.5, 2.5], 40))
    same(ck.OLS().fit(lazily(table), outcome="y", **roles), ck.OLS().fit(table, outcome="y", **roles))


def test_every_engine_reads_booleans_and_sums_moments(lazy_engine):
    table = make_table(120)
    roles = {"outcome": "y", "treatment": AWKWARD}
    same(ck.OLS(vcov="iid").fit(lazy_engine(table), **roles), ck.OLS(vcov="iid").fit(table, **roles))


def lazily(table):
    return pl.from_pandas(table, nan_to_null=False).lazy()


@pytest.fixture
def forbid_rows(monkeypatch):
    """Fail where a lazy table is brought into memory."""
    from causalkit.data.frame import Frame

    def refuse(self):
        assert not self.is_lazy, "the rows were collected"
        return self

    monkeypatch.setattr(Frame, "collect", refuse)


def test_no_row_is_collected_and_few_numbers_are(forbid_rows, monkeypatch):
    from causalkit.data import engines

    sizes = []
    fetch = engines.fetch

    def counted(lazy):
        answer = fetch(lazy)
        sizes.append(len(answer))
        return answer

    monkeypatch.setattr(engines, "fetch", counted)
    ck.OLS().fit(lazily(make_table()), **ROLES, cluster="store")
    assert max(sizes) <= 4  # the levels of a column


def test_moments_are_kept(forbid_rows):
    table = make_table().dropna()
    result = ck.OLS(vcov="iid").fit(lazily(table), **ROLES)
    assert result.moments.columns[:3] == ("y", "b's minus a", 'c" minus a')
    np.testing.assert_allclose(result.moments.means[0][0], table["y"].mean(), rtol=1e-15)
    assert result.moments.counts.tolist() == [len(table)]


@pytest.mark.parametrize(
    ("vcov", "more", "why"),
    [
        ("HC3", {}, "leverage of each row"),
        ("CR2", {"cluster": "store"}, "rows of each cluster"),
        ("HC1", {"absorb": "store"}, "absorb="),
        ("HC1", {"unit": "id"}, "unit="),
        ("CR1", {"cluster": ["store", "region"]}, "several ways"),
    ],
)
def test_what_needs_rows_collects_them_and_says_so(vcov, more, why):
    table = make_table().assign(id=np.arange(400))
    roles = {**ROLES, "covariates": [HOSTILE]}
    lazy, eager = (ck.OLS(vcov=vcov).fit(data, **roles, **more) for data in (lazily(table), table))
    assert not isinstance(lazy, PushedDownOLSResult)
    np.testing.assert_allclose(lazy.effects.se, eager.effects.se, rtol=1e-12)
    said = lazy.checks["collected"]
    assert said.status == "pass"
    assert why in said.message
    assert "of 400 rows" in said.message
    assert "collected" not in eager.checks


def test_nearly_collinear_columns_are_collected():
    table = make_table(200)
    table["near"] = table["dose"] + 1e-7 * table["flag"]
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["near"]}
    lazy, eager = ck.OLS().fit(lazily(table), **roles), ck.OLS().fit(table, **roles)
    assert "collinear" in lazy.checks["collected"].message
    np.testing.assert_allclose(lazy.coefficients.values, eager.coefficients.values, rtol=1e-8)
    assert eager.collinear == {}


def test_collinear_constant_and_zero_columns_are_named_as_in_memory():
    table = make_table(200)
    table["twice"] = 2 * table["dose"] - table["flag"]
    table["five"], table["zero"] = 5.1, 0.0
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["five", "flag", "twice", "zero"]}
    same(ck.OLS().fit(lazily(table), **roles), ck.OLS().fit(table, **roles))


def test_a_close_fit_keeps_its_digits():
    table = make_table(200)
    table["y"] = 3.0 * table["dose"] + 1e-5 * np.sin(np.arange(200)) + 1e6
    for vcov in ("iid", "HC1"):
        lazy, eager = (ck.OLS(vcov=vcov).fit(t, outcome="y", treatment="dose") for t in (lazily(table), table))
        same(lazy, eager, rtol=1e-9)


def test_one_row_or_cluster_in_an_arm_fails_the_same_check():
    table = make_table(100)
    table["arm"] = np.where(np.arange(100) == 50, "b", "a")
    for more in ({}, {"cluster": "store"}):
        lazy, eager = (
            ck.OLS().fit(t, outcome="y", treatment="arm", control="a", **more) for t in (lazily(table), table)
        )
        assert lazy.checks["arm_size"] == eager.checks["arm_size"]


def test_a_constant_outcome_fails_the_same_check():
    table = make_table(100).assign(y=2.5)
    lazy, eager = (ck.OLS().fit(t, outcome="y", treatment="flag") for t in (lazily(table), table))
    assert lazy.checks["outcome"] == eager.checks["outcome"]


def test_errors_count_and_show_one_row_by_its_keys(lazy_engine):
    table = make_table(60)
    table.loc[20, ["dose", "store"]] = [np.inf, 77]
    roles = {"outcome": "y", "treatment": "flag", "cluster": "store"}
    with pytest.raises(DataError, match="'dose' has 1 infinite value, for example where store = 77") as caught:
        ck.OLS().fit(lazy_engine(table), covariates=["dose"], **roles)
    assert caught.value.column == "dose"


def test_faults_of_values():
    table = make_table(60)
    table.loc[[20, 21], "w"] = -1.0
    table.loc[[20, 21], "store"] = 78
    roles = {"outcome": "y", "treatment": "flag", "cluster": "store"}
    with pytest.raises(DataError, match="'w' has 2 negative values, for example where store = 78"):
        ck.OLS().fit(lazily(table), weights="w", **roles)
    with pytest.raises(
        DataError, match=r"outcome column 'y' has 2 missing values \(0 null, 2 NaN\), for example where st"
    ):
        ck.OLS().fit(lazily(table), missing="raise", **roles)
    with pytest.raises(DataError, match=r"no row is left .* 58 by missing outcome"):
        ck.OLS().fit(lazily(table.assign(y=np.nan).iloc[2:]), **roles)
    with pytest.raises(DataError, match="has no rows"):
        ck.OLS().fit(lazily(table).filter(pl.col("w") == 12345.0), outcome="y", treatment="dose")


def test_faults_of_roles():
    table = make_table(60)
    lazy = lazily(table)
    with pytest.raises(DataError, match="'region' must be numeric, but it holds text"):
        ck.OLS().fit(lazy, outcome="region", treatment="flag")
    with pytest.raises(DesignError, match="say which one is the baseline"):
        ck.OLS().fit(lazy, outcome="y", treatment="arm")
    with pytest.raises(DesignError, match="is not a level of 'arm'"):
        ck.OLS().fit(lazy, outcome="y", treatment="arm", control="z")
    with pytest.raises(DesignError, match="one arm only"):
        ck.OLS().fit(lazily(table.assign(arm="a")), outcome="y", treatment="arm", control="a")
    with pytest.raises(DesignError, match="no row with 1 among"):
        ck.OLS().fit(lazily(table.assign(y=table["y"].where(table["flag"] == 0))), outcome="y", treatment="flag")
    with pytest.raises(DesignError, match="listed twice"):
        ck.OLS().fit(lazy, outcome="y", treatment="flag", covariates=["w", "w"])
    with pytest.raises(DesignError, match="both outcome and treatment"):
        ck.OLS().fit(lazy, outcome="y", treatment="y")
    with pytest.raises(DesignError, match="missing='native'"):
        ck.OLS().fit(lazy, outcome="y", treatment="flag", missing="native")
    with pytest.raises(DesignError, match="ignores cluster="):
        ck.OLS(vcov="HC1").fit(lazy, outcome="y", treatment="flag", cluster="store")
    with pytest.raises(DesignError, match="at least two clusters"):
        ck.OLS().fit(lazily(table.assign(store=1)), outcome="y", treatment="flag", cluster="store")
    with pytest.raises(DesignError, match="has one value only"):
        ck.OLS().fit(lazily(table.assign(dose=2.5)), outcome="y", treatment="dose")
    dated = table.assign(day=pd.Timestamp("2024-01-01"), price=[f"{value:.2f}" for value in table["dose"]])
    with pytest.raises(DataError, match="'price' holds numbers as text: 60 rows"):
        ck.OLS().fit(lazily(dated), outcome="y", treatment="flag", covariates=["price"])
    with pytest.raises(DataError, match="holds dates"):
        ck.OLS().fit(lazily(dated), outcome="y", treatment="flag", covariates=["day"])
    with pytest.raises(DataError, match="Did you mean 'flag'"):
        ck.OLS().fit(lazy, outcome="y", treatment="flags")


def test_refit_replays_on_the_source_and_on_other_tables(forbid_rows):
    table = make_table()
    result = ck.OLS().fit(duckdb.from_arrow(pl.from_pandas(table).to_arrow()), **ROLES)
    np.testing.assert_array_equal(result.refit().effects.values, result.effects.values)
    other = make_table(seed=6)
    np.testing.assert_allclose(
        result.refit(lazily(other)).effects.values, ck.OLS().fit(other, **ROLES).effects.values, rtol=1e-10
    )


def test_another_variance_comes_from_the_table(forbid_rows):
    table = make_table()
    roles = {"outcome": "y", "treatment": "flag", "covariates": ["dose"]}
    result = ck.OLS().fit(lazily(table), **roles)
    found = result.with_vcov("CR1", cluster="store")
    same(found, ck.OLS().fit(table, cluster="store", **roles))
    same(found.with_vcov("HC0"), ck.OLS(vcov="HC0").fit(table, **roles))


def test_rows_are_collected_when_something_asks_for_them():
    table = make_table()
    roles = {"outcome": "y", "treatment": "flag", "cluster": "store"}
    lazy, eager = ck.OLS().fit(lazily(table), **roles), ck.OLS().fit(table, **roles)
    found, expected = (r.wild_bootstrap(n_boot=99) for r in (lazy, eager))
    assert found.pvalue == expected.pvalue


def test_a_pickle_drops_the_handle_unless_asked(tmp_path):
    table = make_table()
    roles = {"outcome": "y", "treatment": "flag"}
    result = ck.OLS().fit(duckdb.from_arrow(pl.from_pandas(table).to_arrow()), **roles)
    read = pickle.loads(pickle.dumps(result))
    assert read.source is None
    assert read.estimate == result.estimate
    assert read.moments.means.tolist() == result.moments.means.tolist()
    with pytest.raises(InferenceUnavailable, match="no longer holds its data"):
        read.refit()
    assert read.refit(lazily(table)).estimate == pytest.approx(result.estimate, rel=1e-10)
    result.to_pickle(tmp_path / "kept.pkl", keep_data=True)
    kept = pickle.loads((tmp_path / "kept.pkl").read_bytes())
    assert kept.refit().estimate == pytest.approx(result.estimate, rel=1e-10)


def test_many_columns_are_collected():
    rng = np.random.default_rng(0)
    table = make_table(300).assign(code=[f"c{code}" for code in rng.integers(0, 70, 300)])
    result = ck.OLS().fit(lazily(table), outcome="y", treatment="flag", covariates=["code"])
    assert " columns are more than the 64" in result.checks["collected"].message
