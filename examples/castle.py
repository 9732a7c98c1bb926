"""Castle-doctrine laws and homicides (Cheng and Hoekstra 2013): the same analysis as castle.toml, and few clusters."""

import causalkit as ck

states = ck.datasets.load("castle")
roles = {"outcome": "l_homicide", "unit": "sid", "time": "year", "cohort": "start"}
result = ck.CallawaySantAnna(control_group="not_yet_treated", base_period="universal").fit(states, **roles)
parts = [
    result,
    ck.did.compare(states, **roles),
    ck.did.bacon_decomposition(states, **roles),
    ck.did.placebo_in_time(result),
    ck.did.placebo_outcome(result, states, outcome=["l_motor", "l_larceny"]),
    ck.did.leave_one_cohort_out(result),
    ck.did.randomization_inference(result),
    ck.did.wild_cluster_bootstrap(ck.TWFE().fit(states, **roles)),
]
print(*parts, sep="\n\n")
ck.report.write_report(parts, "castle.html", title="Did castle-doctrine laws raise homicides?")
