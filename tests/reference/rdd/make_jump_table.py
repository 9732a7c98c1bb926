"""Make jump_table.csv, and with the packages named in jump_table.json the numbers in it.

Run it in an environment with rdrobust 2.1.1, rdhonest 0.0.1 (in one of their own, as ``honest``), rdpower 2.0.0,
rdhte 0.1.0 and rdmulti 2.0.0: ``python make_jump_table.py table``, then ``plot``, ``power``, ``hte``, ``multi`` or ``honest``.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def table():
    rng = np.random.default_rng(20)
    n = 500
    x = np.round(rng.normal(0.1, 1.0, n), 3)
    x[:60] = np.round(x[:60], 1)  # repeated values
    group = rng.integers(0, 3, n)
    z = np.round(rng.normal(size=n), 3)
    treated = (x >= 0).astype(int)
    d = (rng.uniform(size=n) < 0.2 + 0.55 * treated).astype(int)
    noise = rng.normal(size=n) * (0.6 + 0.3 * np.abs(x))
    y = np.round(2 + 0.8 * x - 0.3 * x**2 + 0.9 * d + 0.4 * d * (group == 2) + 0.3 * z + noise, 4)
    district = rng.integers(0, 40, n)
    pd.DataFrame({"y": y, "x": x, "d": d, "z": z, "group": group, "district": district}).to_csv(
        HERE / "jump_table.csv", index=False
    )


def honest(data):
    import rdhonest

    y, x = data.y.to_numpy(), data.x.to_numpy()
    out = {}
    for kernel in ("triangular", "epanechnikov", "uniform"):
        for sclass in ("H", "T"):
            r = rdhonest.rd_honest(y, x, M=1.5, kern=kernel, h=0.9, sclass=sclass, se_method="EHW")
            out[f"{kernel}_{sclass}"] = _plain(r)
    r = rdhonest.rd_honest(y, x, M=1.5, h=0.9, clusterid=data.district.to_numpy(), se_method="EHW")
    out["cluster"] = _plain(r)
    r = rdhonest.rd_honest(y, x, M=1.5, h=0.9, covs=data[["z"]].to_numpy(), se_method="EHW")
    out["covariate"] = _plain(r)
    r = rdhonest.rd_honest(y, x, M=1.5, h=0.9, weights=1.0 + data.group.to_numpy(), se_method="EHW")
    out["weights"] = _plain(r)
    return out


def _plain(result):
    row = result.coefficients
    row = row.iloc[0].to_dict() if hasattr(row, "iloc") else dict(row)
    return {k: float(v) for k, v in row.items() if isinstance(v, int | float | np.floating) and np.isfinite(v)}


def plot(data):
    from rdrobust import rdplot

    out = {}
    distinct = data.drop_duplicates("x")
    for rule in ("es", "espr", "esmv", "esmvpr", "qs", "qspr", "qsmv", "qsmvpr"):
        r = rdplot(distinct.y, distinct.x, binselect=rule, hide=True, masspoints="off", ci=95)
        bins = {k: r.vars_bins[k].tolist() for k in r.vars_bins.columns}
        out[rule] = {"J": list(map(float, r.J)), "J_IMSE": list(map(float, r.J_IMSE)), "J_MV": list(map(float, r.J_MV)),
                     "bins": bins, "coef": r.coef.to_numpy().tolist()}  # fmt: skip
    return out


def power(data):
    from rdpower import rdmde, rdpower, rdsampsi

    pair = data[["y", "x"]]
    out = {}
    for name, given in {"plain": {}, "cluster": {"cluster": data.district.to_numpy(float)}}.items():
        for planned, more in {"same": {}, "other": {"samph": [0.6, 0.8], "sampsi": [150, 120]}}.items():
            call = {**given, **more, "stdvars": True}
            found = rdpower(data=pair, tau=0.4, **call)
            least = rdmde(data=pair, **call)
            needed = {k: v for k, v in call.items() if k != "sampsi"}
            size = rdsampsi(data=pair, tau=0.4, **needed)
            out[f"{name}_{planned}"] = {
                "power": float(found["power_rbc"]), "se": float(found["se_rbc"]), "mde": float(least["mde"]),
                "n": float(size["sampsi.tot"]), "n_left": float(size["sampsi.h.l"]), "n_right": float(size["sampsi.h.r"]),
            }  # fmt: skip
    return out


def hte(data):
    from rdhte import rdhte

    def plain(result):
        return {"tidy": result.tidy().to_dict("list"), "h": np.asarray(result.h).tolist(), "vcov": result.vcov.tolist()}

    y, x, group = data.y, data.x, "g" + data.group.astype(str)
    return {
        "group": plain(rdhte(y=y, x=x, covs_hte=group)),
        "group_cluster": plain(rdhte(y=y, x=x, covs_hte=group, h=1.0, cluster=data.district, vce="cr1")),
        "number": plain(rdhte(y=y, x=x, covs_hte=data.z)),
        "covariate": plain(rdhte(y=y, x=x, covs_hte=group, covs_eff=data[["z"]], h=1.1)),
    }


def multi(data):
    from rdmulti import rdmc, rdms

    def plain(result):
        values = result if isinstance(result, dict) else vars(result)
        return {k: np.asarray(values[k]).tolist() for k in ("B", "V", "Coefs", "CI", "Nh")}

    treated = ((data.x >= 0) & (data.z >= 0)).astype(float).to_numpy()
    line = np.where(data.group == 1, 0.2, -0.1)
    points = ([0.0, 0.0, 0.7], [0.8, 0.0, 0.0])
    own = data.y.to_numpy() + 0.5 * (data.x.to_numpy() >= line)
    stepped = data.y.to_numpy() + 0.5 * (data.x.to_numpy() >= 0.9)
    return {
        "own_cutoffs": plain(rdmc(own, data.x.to_numpy(), line)),
        "cumulative": plain(
            rdms(stepped, data.x.to_numpy(), [0.0, 0.9], rangemat=np.array([[-np.inf, 0.9 - 1e-9], [0.0, np.inf]]))
        ),
        "boundary": plain(rdms(data.y.to_numpy() + 0.5 * treated, data.x.to_numpy(), points[0], X2=data.z.to_numpy(),
                               C2=points[1], zvar=treated)),
    }  # fmt: skip


def main():
    what = sys.argv[1]
    if what == "table":
        return table()
    data = pd.read_csv(HERE / "jump_table.csv")
    path = HERE / "jump_table.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    package = {"plot": "rdrobust", "honest": "rdhonest", "power": "rdpower", "hte": "rdhte", "multi": "rdmulti"}[what]
    numbers = globals()[what](data)
    kept[what] = {
        "package": package,
        "version": version(package),
        "call": f"make_jump_table.py {what}",
        "results": numbers,
    }
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
