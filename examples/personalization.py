"""A personalization model that sees what the analyst does not: which tests can tell, and what the robustness value says."""

import numpy as np
import pandas as pd

import causalkit as ck

# The model shows an offer to people who browse a lot. Browsing was not logged for the analyst; visits last year were.
rng = np.random.default_rng(4)
n = 4000
browsing, visits = rng.normal(size=(2, n))
offer = (1.5 * browsing + 0.5 * visits + rng.normal(size=n) > 0).astype(int)
people = pd.DataFrame(
    {
        "offer": offer,
        "visits": visits,
        "spend": 1.0 * offer + 4.0 * browsing + visits + rng.normal(size=n),  # the offer is worth 1.0
        "spend_before": 3.0 * browsing + visits + rng.normal(size=n),  # the offer can't have changed this
    }
)

result = ck.OLS().fit(people, outcome="spend", treatment="offer", covariates=["visits"])
print(f"The offer is worth 1.0; the regression says {result.estimate:.2f} {result.ci()}.\n")

tests = ck.refute(result, n_sim=100, data=people, negative_outcomes="spend_before")
print(tests, end="\n\n")

sensitivity = ck.sensitivity(result)
print(sensitivity, end="\n\n")

# The same people as a graph: no set of measured variables will do, and visits alone are not enough.
graph = ck.DAG("browsing -> offer -> spend; browsing -> spend; visits -> offer; visits -> spend", latent=["browsing"])
controls = graph.classify_controls("offer", "spend")
print(controls)

ck.report.write_report([result, tests, sensitivity, controls], "personalization.html", title="Is the offer worth it?")
