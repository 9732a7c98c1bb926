"""Nuisance functions, cross-fitted: who was treated, what would have happened, and the scores built on both."""
