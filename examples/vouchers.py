"""Who should get the voucher? The same analysis as vouchers.toml."""

import causalkit as ck

people = ck.datasets.load("thornton_hiv")
roles = {"outcome": "got", "treatment": "any", "covariates": ["age", "distvct", "hiv2004"], "cluster": "villnum"}
model = ck.CausalForest(random_state=0).fit(people, **roles)
evaluation = ck.UpliftEvaluation(random_state=0).fit(people, effect=model)
segments = ck.Segmentation(random_state=0).fit(people, effect=model)
plan = ck.Targeting(value=5.0, cost=1.0, budget=1000.0, random_state=0).fit(people, effect=model)
print(model, evaluation, segments, plan, sep="\n\n")
ck.report.write_report([model, evaluation, segments, plan], "vouchers.html", title="Vouchers: who should get one?")
