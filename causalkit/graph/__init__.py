"""Causal graphs: what they say of the data, and which effects they identify. The class is :class:`causalkit.DAG`."""
