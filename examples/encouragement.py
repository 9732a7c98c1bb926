"""What does a feature earn that people choose to use, half of them after an invitation? See encouragement.toml."""

import causalkit as ck

users = ck.datasets.feature_encouragement()  # simulated: 4 on those who use it only if invited
roles = {"outcome": "spend", "covariates": ["tenure", "plan"]}

result = ck.IV().fit(users, **roles, treatment="used", instruments="invited")
print(result)
print("The invitation itself:", result.reduced_form, sep="\n")  # its effect on everybody: nothing but chance is assumed
print("It moved this share of users:", result.first_stage.coefficients[result.headline], sep="\n")
print("However weak the invitation were:", result.ci(method="ar"))
naive = ck.OLS().fit(users, **roles, treatment="used")
print(f"Users minus non-users: {naive.estimate:.1f} (those who use it anyway spend more to begin with)")
ck.report.write_report([result], "encouragement.html", title="What does the feature earn?")
