"""What does one more year at school earn? The same analysis as schooling.toml, and what stands behind it."""

import causalkit as ck

men = ck.datasets.load("close_college")  # Card (1995)
roles = {"outcome": "lwage", "treatment": "educ", "covariates": ["exper", "black", "smsa", "south"]}

biased = ck.OLS().fit(men, **roles)
result = ck.IV().fit(men, **roles, instruments=["nearc4"])
print(result)
print("Least squares:", f"{biased.estimate:.3f}", "  difference:", f"{(result - biased).estimate:.3f}")
print(result.first_stage, "effective F:", f"{result.first_stage.effective_f:.1f}")
print("Anderson-Rubin:", result.ci(method="ar"), "  tF:", result.ci(method="tf"))
ck.report.write_report([result], "schooling.html", title="What does one more year at school earn?")
