"""A roll-out in three waves: effects by wave and year, and why a two-way regression gets them wrong."""

import causalkit as ck

stores = ck.datasets.staggered_rollout()
roles = {"outcome": "sales", "unit": "store", "time": "year", "cohort": "start"}
result = ck.CallawaySantAnna(control_group="not_yet_treated", base_period="universal").fit(stores, **roles)
parts = [
    result,
    result.aggregate("cohort"),
    ck.did.compare(stores, **roles),
    ck.did.leave_one_cohort_out(result),
    ck.did.placebo_in_time(result),
]
print(*parts, sep="\n\n")
truth = stores.loc[stores["treated"] == 1, "true_effect"].mean()
print(f"\nThe true average effect on treated store-years is {truth:.4f}.")
ck.report.write_report(parts, "staggered.html", title="What did the new system do to sales?")
