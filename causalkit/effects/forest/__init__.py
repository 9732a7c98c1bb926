"""Honest causal forests on arrays."""
