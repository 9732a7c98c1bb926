"""Least squares from arrays or moments, with effects absorbed exactly."""
