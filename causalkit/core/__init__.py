"""What every family shares: roles and validation, estimators, estimates with their uncertainty, results and checks."""
