"""Compiled loops on arrays; no dataframes, nothing of the domain."""
