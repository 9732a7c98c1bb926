"""Does holding a seat win votes? Close elections, the same analysis as elections.toml."""

import causalkit as ck

elections = ck.datasets.close_elections()  # simulated: holding the seat is worth 6 points
roles = {"outcome": "next_vote", "running": "margin", "covariates": ["previous_vote", "turnout"]}
result = ck.RegressionDiscontinuity().fit(elections, **roles)
print(result)
for check in result.checks.values():
    print(f"{check.status:<11} {check.name:<22} {check.message}")
print(f"honest interval: {result.ci(method='honest')}")
print(result.sensitivity_to_bandwidth(), result.placebo_cutoffs(), result.donut(), result.balance(), sep="\n\n")
ck.report.write_report([result], "elections.html", title="Does holding a seat win votes?")
