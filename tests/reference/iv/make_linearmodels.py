"""Write linearmodels_iv.json and pyfixest_iv.json: run where linearmodels 7.1, pyfixest 0.60 and causaldata are installed.

    python make_linearmodels.py [folder with card.csv and mroz_lwage.csv]

The tables of the folder come with linearmodels (``linearmodels.datasets``) and may not be copied; numbers may.
"""

import json
import sys
import warnings
from pathlib import Path

import causaldata
import linearmodels
import numpy as np
import pandas as pd
import pyfixest
from linearmodels.iv import IV2SLS, IVGMM, IVLIML
from simulated_iv import simulated_iv

HERE = Path(__file__).parent
CARD = [
    "exper",
    "expersq",
    "black",
    "smsa",
    "south",
    "smsa66",
    "reg662",
    "reg663",
    "reg664",
    "reg665",
    "reg666",
    "reg667",
    "reg668",
    "reg669",
]
COVARIANCES = {
    "unadjusted": {"cov_type": "unadjusted"},
    "iid": {"cov_type": "unadjusted", "debiased": True},
    "HC0": {"cov_type": "robust"},
    "HC1": {"cov_type": "robust", "debiased": True},
}


def tables(folder):
    college = causaldata.close_college.load_pandas().data
    yield "college", college, "lwage", ["educ"], ["nearc4"], ["exper", "black", "south", "married", "smsa"]
    table = simulated_iv()
    yield "simulated_one", table, "y", ["d1"], ["z0", "z1", "z2"], ["w0", "w1", "w2"]
    yield "simulated_two", table, "y", ["d1", "d2"], ["z0", "z1", "z2"], ["w0", "w1", "w2"]
    if folder is not None:
        card = pd.read_csv(Path(folder) / "card.csv")
        yield "card_one", card, "lwage", ["educ"], ["nearc4"], CARD
        yield "card_two", card, "lwage", ["educ"], ["nearc2", "nearc4"], CARD
        mroz = pd.read_csv(Path(folder) / "mroz_lwage.csv")
        yield "mroz", mroz, "lwage", ["educ"], ["motheduc", "fatheduc"], ["exper", "expersq"]


def numbers(fit):
    told = {"params": fit.params.to_dict(), "se": fit.std_errors.to_dict()}
    for name in ("sargan", "basmann", "basmann_f", "wooldridge_overid", "wooldridge_score", "wooldridge_regression"):
        told[name] = test(getattr(fit, name, None))
    told["likelihood_ratio"] = test(getattr(fit, "anderson_rubin", None))
    if hasattr(fit, "durbin"):
        told["durbin"], told["wu_hausman"] = test(fit.durbin()), test(fit.wu_hausman())
    if hasattr(fit, "j_stat"):
        told["j_stat"] = test(fit.j_stat)
    told["first_stage"] = fit.first_stage.diagnostics[["partial.rsquared", "shea.rsquared", "f.stat"]].T.to_dict()
    told["kappa"] = getattr(fit, "kappa", None)
    return told


def test(found):
    if found is None or not np.isfinite(found.stat):
        return None
    return [float(found.stat), float(found.pval)]


def fits(table, outcome, treatment, instruments, covariates):
    exog = table[covariates].assign(intercept=1.0)
    parts = (table[outcome], exog, table[treatment], table[instruments])
    for name, options in COVARIANCES.items():
        yield f"2sls {name}", IV2SLS(*parts).fit(**options)
    yield "liml unadjusted", IVLIML(*parts).fit(cov_type="unadjusted")
    yield "fuller unadjusted", IVLIML(*parts, fuller=1).fit(cov_type="unadjusted")
    yield "gmm HC0", IVGMM(*parts, weight_type="robust").fit(cov_type="robust")
    if "group" in table:
        ways = {"CR1": table["group"], "two-way": table[["group", "other"]]}
        for name, clusters in ways.items():
            yield f"2sls {name}", IV2SLS(*parts).fit(cov_type="clustered", clusters=clusters, debiased=True)
        yield (
            "gmm CR0",
            IVGMM(*parts, weight_type="clustered", clusters=table["group"]).fit(
                cov_type="clustered", clusters=table["group"]
            ),
        )
        yield "2sls HAC", IV2SLS(*parts).fit(cov_type="kernel", kernel="bartlett", bandwidth=5)
        weighted = IV2SLS(*parts, weights=table["weight"])
        yield "weighted HC1", weighted.fit(cov_type="robust", debiased=True)


def absorbed():
    table = simulated_iv()
    formulas = {"one": "y ~ w0 + w1 | region | d1 ~ z0", "two": "y ~ w0 + w1 | period + region | d1 ~ z0"}
    vcovs = {"iid": "iid", "HC1": "hetero", "CR1": {"CRV1": "group"}, "nested": {"CRV1": "region"}}
    for name, formula in formulas.items():
        for kind, vcov in vcovs.items():
            fit = pyfixest.feols(formula, table, vcov=vcov, fixef_rm="none", fixef_tol=1e-13, fixef_maxiter=100_000)
            fit.first_stage()
            told = {"params": fit.coef().to_dict(), "se": fit.se().to_dict(), "f": float(fit._f_stat_1st_stage)}
            yield f"{name} {kind}", {"formula": formula, "vcov": str(vcov), **told}


def main():
    warnings.simplefilter("ignore")
    found = {}
    for name, table, *roles in tables(sys.argv[1] if len(sys.argv) > 1 else None):
        told = {key: numbers(fit) for key, fit in fits(table, *roles)}
        found[name] = {
            "roles": dict(zip(("outcome", "treatment", "instruments", "covariates"), roles, strict=True)),
            "fits": told,
        }
    written = {
        "package": f"linearmodels {linearmodels.__version__}",
        "script": "make_linearmodels.py",
        "results": found,
    }
    (HERE / "linearmodels_iv.json").write_text(json.dumps(written, indent=1))
    written = {
        "package": f"pyfixest {pyfixest.__version__}",
        "script": "make_linearmodels.py",
        "results": dict(absorbed()),
    }
    (HERE / "pyfixest_iv.json").write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
