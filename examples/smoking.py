"""Does smoking cause cancer though a gene may drive both? Through the front door: tar in the lungs carries the effect.

Simulated, with the graph that R. A. Fisher's objection implies and Pearl's answer to it (The Book of Why, chapter 7).
"""

import numpy as np
import pandas as pd

import causalkit as ck

rng = np.random.default_rng(0)
n = 8000
gene = rng.random(n) < 0.4  # nobody measures it
age = rng.integers(30, 70, n)
smoker = rng.random(n) < np.where(gene, 0.65, 0.25)
tar = rng.random(n) < np.where(smoker, 0.85, 0.10)  # smoking raises it by 75 points
cancer = rng.random(n) < 0.05 + 0.20 * tar + 0.25 * gene + 0.001 * (
    age - 30
)  # tar by 20 points: the effect is 15 points
people = pd.DataFrame({"smoker": smoker, "tar": np.where(tar, "high", "low"), "cancer": cancer.astype(int), "age": age})

graph = ck.DAG("gene -> smoker -> tar -> cancer; gene -> cancer; age -> cancer", latent=["gene"])
verdict = graph.identify("smoker", "cancer")
print(verdict.answer)

biased = ck.OLS().fit(people, outcome="cancer", treatment="smoker", covariates="age")
print("Adjusted for age only:", f"{biased.estimate:.3f}")

result = verdict.estimate(people, ck.FrontDoor(random_state=0), covariates="age")
print(result)
print("What smoking does to this population now:", f"{result.population_indirect_effect().estimate:.3f}")
result.report("smoking.html")
