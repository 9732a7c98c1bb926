"""Ranking evaluation and targeting: who should be treated, and is the ranking any good."""
