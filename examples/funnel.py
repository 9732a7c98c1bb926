"""A marketing funnel as a graph: what to adjust for when the effect of an ad on purchases is asked for, and what not."""

import causalkit as ck

funnel = ck.DAG("""
    season -> ad; season -> purchase
    intent -> ad; intent -> search; intent -> purchase
    ad -> visit -> basket -> purchase
    visit -> signup; purchase -> signup
""")

print(funnel.identify("ad", "purchase"))
for candidate in ("season", "intent", "visit", "signup", "search"):
    verdict = funnel.is_adjustment_set("ad", "purchase", ["season", "intent", candidate])
    print(f"season, intent and {candidate}: {'fine' if verdict else verdict.reason}")

hidden = ck.DAG(funnel.to_dagitty(), latent=["intent"])
print(hidden.identify("ad", "purchase"))  # nobody measured intent: what carries the effect identifies it
