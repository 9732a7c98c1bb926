"""Did a feature that only Enterprise accounts got raise usage? The same analysis as rollout.toml."""

import causalkit as ck

accounts = ck.datasets.feature_rollout()  # simulated: the effect is 2 hours in the first month, 4 from then on
result = ck.CallawaySantAnna(base_period="universal").fit(
    accounts, outcome="hours", unit="account", time="month", cohort="start"
)
checks = [
    ck.did.placebo_in_time(result),
    ck.did.placebo_outcome(result, accounts, outcome="tickets"),
    ck.did.honest(result),
    ck.did.randomization_inference(result),
]
print(result, *checks, sep="\n\n")
ck.report.write_report([result, *checks], "rollout.html", title="Did the Enterprise feature raise usage?")
