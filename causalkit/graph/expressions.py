"""Formulas of probabilities: written as text and LaTeX, and evaluated on a table of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalkit.kernels.arrays import Floats


class Expression:
    """A formula over named variables; subclasses say which."""

    def text(self) -> str:
        """Return the formula as plain text."""
        raise NotImplementedError

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        raise NotImplementedError

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the values of the formula, with one axis (perhaps of length one) for each name.

        Parameters
        ----------
        joint : Floats
            The joint distribution, one axis for each name.
        names : sequence of str
        """
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"


@dataclass(frozen=True)
class Probability(Expression):
    """``P(of | given)`` of the observed distribution."""

    of: tuple[str, ...]
    given: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the formula as plain text."""
        bar = f" | {', '.join(self.given)}" if self.given else ""
        return f"P({', '.join(self.of)}{bar})"

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        bar = rf" \mid {', '.join(map(_tex, self.given))}" if self.given else ""
        return f"P({', '.join(map(_tex, self.of))}{bar})"

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the conditional probabilities."""
        both = _keep(joint, names, {*self.of, *self.given})
        return both if not self.given else _ratio(both, _keep(joint, names, set(self.given)))


@dataclass(frozen=True)
class Product(Expression):
    """The product of factors."""

    factors: tuple[Expression, ...]

    def text(self) -> str:
        """Return the formula as plain text."""
        return " ".join(f"[{part.text()}]" if isinstance(part, Sum) else part.text() for part in self.factors) or "1"

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        parts = (rf"\Big[{p.latex()}\Big]" if isinstance(p, Sum) else p.latex() for p in self.factors)
        return r"\,".join(parts) or "1"

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the product of the factors' values."""
        found = np.ones((1,) * len(names))
        for part in self.factors:
            found = found * part.evaluate(joint, names)
        return found


@dataclass(frozen=True)
class Sum(Expression):
    """The sum over the values of some variables."""

    over: tuple[str, ...]
    inner: Expression

    def text(self) -> str:
        """Return the formula as plain text."""
        return f"Σ_{{{','.join(self.over)}}} {self.inner.text()}"

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        return rf"\sum_{{{','.join(map(_tex, self.over))}}} {self.inner.latex()}"

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the sums; a variable on which the inner formula does not depend counts as often as it has values."""
        values = self.inner.evaluate(joint, names)
        axes = tuple(names.index(name) for name in self.over)
        repeats = np.prod([joint.shape[axis] for axis in axes if values.shape[axis] == 1])
        return np.asarray(values.sum(axis=axes, keepdims=True) * repeats)


@dataclass(frozen=True)
class Ratio(Expression):
    """One formula divided by another."""

    above: Expression
    below: Expression

    def text(self) -> str:
        """Return the formula as plain text."""
        return f"({self.above.text()}) / ({self.below.text()})"

    def latex(self) -> str:
        """Return the formula as LaTeX."""
        return rf"\frac{{{self.above.latex()}}}{{{self.below.latex()}}}"

    def evaluate(self, joint: Floats, names: Sequence[str]) -> Floats:
        """Return the ratio of the values."""
        return _ratio(self.above.evaluate(joint, names), self.below.evaluate(joint, names))


def with_primes(formula: Expression, free: frozenset[str]) -> Expression:
    """Return the formula to be read: inside a sum over a variable that also stands outside, that variable has a prime."""
    if isinstance(formula, Sum):
        inner = formula.inner
        for name in formula.over:
            if name in free:
                inner = _renamed(inner, name, f"{name}′")
        return Sum(tuple(f"{name}′" if name in free else name for name in formula.over), with_primes(inner, free))
    if isinstance(formula, Product):
        return Product(tuple(with_primes(part, free) for part in formula.factors))
    if isinstance(formula, Ratio):
        return Ratio(with_primes(formula.above, free), with_primes(formula.below, free))
    return formula


def _renamed(formula: Expression, old: str, new: str) -> Expression:
    def names(those: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in those)

    if isinstance(formula, Probability):
        return replace(formula, of=names(formula.of), given=names(formula.given))
    if isinstance(formula, Sum):
        return Sum(names(formula.over), _renamed(formula.inner, old, new))
    if isinstance(formula, Product):
        return Product(tuple(_renamed(part, old, new) for part in formula.factors))
    if isinstance(formula, Ratio):
        return Ratio(_renamed(formula.above, old, new), _renamed(formula.below, old, new))
    return formula


def _keep(joint: Floats, names: Sequence[str], kept: set[str]) -> Floats:
    gone = tuple(axis for axis, name in enumerate(names) if name not in kept)
    return np.asarray(joint.sum(axis=gone, keepdims=True)) if gone else joint


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)


def _tex(name: str) -> str:
    from causalkit.core.table import latex_escape

    bare = name.removesuffix("′")
    shown = bare if len(bare) == 1 else rf"\mathrm{{{latex_escape(bare)}}}"
    return shown if bare == name else f"{shown}'"
