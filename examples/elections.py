"""Does holding a seat win votes? Close elections to the US House, the same analysis as elections.toml."""

import causalkit as ck

elections = ck.datasets.load("close_elections_lmb")
roles = {"outcome": "demvoteshare", "running": "lagdemvoteshare", "cluster": "seat"}
result = ck.RegressionDiscontinuity(cutoff=0.5).fit(elections, **roles)
print(result)
for check in result.checks.values():
    print(f"{check.status:<11} {check.name:<22} {check.message}")
print(f"honest interval: {result.ci(method='honest')}")
print(result.sensitivity_to_bandwidth(), result.placebo_cutoffs(), result.donut(), sep="\n\n")
ck.report.write_report([result], "elections.html", title="Does holding a seat win votes?")
