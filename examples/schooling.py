"""What does one more year at school earn? The same analysis as schooling.toml, and what stands behind it."""

import causalkit as ck

men = ck.datasets.schooling()  # simulated: a year earns 8 percent
adjust = ["age", "city", "region", "parents_schooling"]
roles = {"outcome": "log_wage", "treatment": "schooling", "covariates": adjust, "cluster": "county"}
instruments = ["near_college", "fees"]

biased = ck.OLS().fit(men, **roles)
result = ck.IV(method="liml").fit(men, **roles, instruments=instruments)
print(result)
print("Least squares:", f"{biased.estimate:.3f}", "  difference:", f"{(result - biased).estimate:.3f}")
print(result.first_stage, "effective F:", f"{result.first_stage.effective_f:.1f}")
print("Conditional likelihood ratio:", result.ci(method="clr"), "  Anderson-Rubin:", result.ci(method="ar"))
print("Do the instruments agree?", f"p-value {result.overidentification_test().pvalue:.2f}")
ck.report.write_report([result], "schooling.html", title="What does one more year at school earn?")
