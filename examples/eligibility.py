"""What does advice do for accounts that are old enough to get it? The same analysis as eligibility.toml."""

import causalkit as ck

accounts = ck.datasets.account_eligibility()  # simulated: advice adds 5 hours a month
roles = {"outcome": "hours", "running": "days_open", "covariates": ["seats"]}
offer = ck.RegressionDiscontinuity(cutoff=730).fit(accounts, **roles)  # what being eligible does
advice = ck.RegressionDiscontinuity(cutoff=730).fit(accounts, treatment="advised", **roles)  # what the advice does
print(offer, advice, sep="\n\n")
print(f"Crossing 730 days moves advice by {advice.first_stage.values[0]:.2f}.")
print(f"Holds however small that is: {advice.ci(method='ar')}")
ck.report.write_report([offer, advice], "eligibility.html", title="Does advice raise usage?")
