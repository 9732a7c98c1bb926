"""Who is first treated when: the data contract of every difference-in-differences estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from causalkit.core import format as fmt
from causalkit.core.check import Check
from causalkit.core.estimate import Influence
from causalkit.core.panel import Panel
from causalkit.core.roles import Role
from causalkit.core.rows import Groups, RowLabels, Rows
from causalkit.core.sample import Dropped, Sample
from causalkit.core.table import Table
from causalkit.did.few_clusters import treated_clusters_check
from causalkit.did.left_out import NO_COMPARISON, LeftOut, units_check
from causalkit.did.starts import starts_from_cohort, starts_from_treatment
from causalkit.errors import DataError, DesignError
from causalkit.kernels.arrays import Bools, Codes, Floats, Ints, read_only

Unbalanced = Literal["drop", "cells", "raise"]
UNBALANCED = ("drop", "cells", "raise")

#: The roles that difference-in-differences estimators share; each may take some out or add its own.
ROLES = {
    "outcome": Role("number"),
    "unit": Role("label"),
    "time": Role("label"),
    "cohort": Role("cohort", required=False),
    "treatment": Role("treatment", required=False),
    "covariates": Role("features", required=False, many=True),
    "cluster": Role("label", required=False, many=True),
    "weights": Role("weights", required=False),
}


@dataclass(frozen=True, eq=False)
class Cohorts:
    """A panel whose units are first treated at different times, or never.

    Parameters
    ----------
    panel : Panel
        Units and periods of the rows that are used; ``panel.sample`` holds them.
    start : Ints, shape (n_units,)
        Position, among ``periods``, of the first treated period of each unit; ``n_periods`` where it is never treated.
    label_of : mapping of int to object
        For each start, the cohort as the data name it (a cohort may lie between two periods).
    left_out : tuple of LeftOut
        Units that were left out.
    notes : tuple of str
        What was read in a way that the user should know.
    """

    panel: Panel
    start: Ints
    label_of: dict[int, object]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    dropped: Dropped = field(default_factory=Dropped)

    @classmethod
    def of(
        cls,
        sample: Sample,
        *,
        unbalanced: Unbalanced = "drop",
        always_treated: Literal["drop", "keep"] = "drop",
        reversals: Literal["raise", "keep"] = "raise",
        panel: Panel | None = None,
    ) -> Cohorts:
        """Read a bound sample.

        Parameters
        ----------
        sample : Sample
            With the roles ``outcome``, ``unit``, ``time``, and ``cohort`` or ``treatment``.
        unbalanced : {"drop", "cells", "raise"}
            Units that are not observed in every period are left out, kept in the cells where they are observed, or an
            error.
        always_treated : {"drop", "keep"}
            Units that are treated in their first period tell nothing of an effect's onset.
        reversals : {"raise", "keep"}
            Whether a treatment may be taken away again.
        panel : Panel, optional
            The structure of the sample, where it is known.

        Returns
        -------
        Cohorts

        Raises
        ------
        DataError
            If a unit is observed twice in a period, its cohort varies, or its treatment is taken away.
        DesignError
            If neither or both of ``cohort`` and ``treatment`` were given, cohorts and times can't be compared, or no
            treated or no untreated unit is left.
        """
        panel = Panel.of(sample) if panel is None else panel
        if sample.has("cohort") == sample.has("treatment"):
            raise DesignError(
                "name cohort= (when each unit is first treated) or treatment= (1 where a row is treated), one of them.",
                hint='Such as cohort="first_treat".',
            )
        if sample.has("cohort"):
            start, label_of, notes = starts_from_cohort(panel)
        else:
            start, label_of, notes = starts_from_treatment(panel, reversals)
        found = cls(panel, start, label_of, (), notes, sample.dropped)
        if always_treated == "drop":
            found = found.without(found.start <= 0, "treated from the first period on")
        if unbalanced != "cells" and not found.panel.is_balanced:
            partial = np.bincount(found.panel.unit.codes, minlength=found.panel.n_units) < found.panel.n_periods
            if partial.any() and unbalanced == "raise":
                unit = found.panel.unit
                raise DataError(
                    f"{int(partial.sum())} units are not observed in every period, first "
                    f"{unit.name}={unit.labels[int(np.argmax(partial))]!r}.",
                    hint='Use unbalanced="drop" or "cells".',
                    column=unit.name,
                )
            found = found.without(partial, "not observed in every period")
        require_both(found.labels, found.sizes, sample.name("cohort" if sample.has("cohort") else "treatment"))
        return found

    # What there is.

    @property
    def sample(self) -> Sample:
        """The rows that are used."""
        return self.panel.sample

    @property
    def periods(self) -> tuple[object, ...]:
        """Labels of the periods, in order."""
        return self.panel.time.labels

    @property
    def n_units(self) -> int:
        """Number of units."""
        return self.panel.n_units

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return self.panel.n_periods

    @cached_property
    def starts(self) -> Ints:
        """Distinct starts of the units that are treated, ascending: one per cohort."""
        return np.flatnonzero(self._starting[:-1])

    @cached_property
    def _starting(self) -> Ints:
        """Units that start in each period, and those that never do."""
        return np.bincount(self.start, minlength=self.n_periods + 1)

    @cached_property
    def labels(self) -> tuple[object, ...]:
        """Label of each cohort, in the order of ``starts``."""
        return tuple(self.label_of[int(start)] for start in self.starts)

    @cached_property
    def of_unit(self) -> Ints:
        """Position of each unit's cohort in ``starts``; ``len(starts)`` for the never treated."""
        return read_only(self.of_start[self.start])

    @cached_property
    def of_start(self) -> Ints:
        """Position in ``starts`` of the cohort that starts in each period; ``len(starts)`` for the never treated."""
        return read_only(np.searchsorted(self.starts, np.arange(self.n_periods + 1)))

    @cached_property
    def sizes(self) -> Ints:
        """Units of each cohort, the never treated last."""
        return np.append(self._starting[self.starts], self._starting[-1])

    @cached_property
    def event_times(self) -> Floats:
        """Time since the start, shape (cohorts, periods): in the units of time where it is a number, else in periods."""
        return event_times_of(self.periods, self.labels, self.starts)

    # Arrays by unit.

    @cached_property
    def outcome(self) -> Floats:
        """Outcomes, shape (n_units, n_periods), NaN where a unit was not observed."""
        return read_only(self.panel.wide(self.sample.outcome))

    @cached_property
    def weights(self) -> Floats | None:
        """Weights, shape (n_units, n_periods), or None."""
        weights = self.sample.optional("weights")
        return None if weights is None else read_only(self.panel.wide(weights))

    @cached_property
    def treated(self) -> Bools:
        """Rows (of the sample) at or after the start of their unit."""
        return np.asarray(self.panel.time.codes >= self.start[self.panel.unit.codes])

    @cached_property
    def clusters(self) -> tuple[Groups, ...]:
        """The clusters by unit; none where units are their own clusters. They may not vary within a unit."""
        ways = self.sample.several("cluster")
        unit = self.sample.name("unit")
        found = tuple(self._by_unit(way) for way in ways if way.name != unit)
        for way in found:
            if way.count < 2:
                raise DesignError(
                    f"cluster {way.name!r} has one cluster only.",
                    hint="Clustered inference needs two or more, and many to be trusted.",
                    column=way.name,
                )
        return found

    @cached_property
    def unit_rows(self) -> Rows:
        """Identity of the units, for influence values with one row per unit."""
        return Rows.every(self.n_units, self.sample.rows.token, RowLabels.of(self.panel.unit.each_once()))

    def carrier(
        self,
        psi: Floats,
        kind: str = "CR0",
        scale: float = 1.0,
        df: Floats | None = None,
        per_row: float | None = None,
    ) -> Influence:
        """Return influence values of the units as a carrier, clustered as the sample asks.

        Parameters
        ----------
        psi : Floats, shape (n_units, k)
            With 1/n folded in.
        kind : str
            Name of the variance.
        scale : float
            Its small-sample factor.
        df : Floats, shape (k,), optional
            Degrees of freedom; infinite by default.
        per_row : float, optional
            As for :class:`~causalkit.core.estimate.Influence`.
        """
        ways = self.clusters
        df = np.full(psi.shape[1], np.inf) if df is None else df
        return Influence(read_only(psi), self.unit_rows, ways[0] if ways else None, scale, df, kind, ways[1:], per_row)

    def covariates(self) -> Floats:
        """Return numbers and indicators of categories, shape (rows of the sample, p), without a column of ones."""
        return self.sample.features().dummies()[0]

    def _by_unit(self, way: Groups) -> Groups:
        first, varies = self.panel.first_of_unit(way)
        if varies is not None:
            unit = self.panel.unit
            at = np.unique(unit.codes[varies])
            raise DataError(
                f"cluster {way.name!r} varies within {len(at)} units, first within {unit.name}={unit.labels[at[0]]!r}.",
                hint="Cluster by something that holds whole units.",
                column=way.name,
            )
        return Groups(read_only(first), way.labels, way.name)

    def require_spread(self, *, of_two: bool = False) -> None:
        """Raise where clusters (or units) hold whole cohorts: influence values then sum to zero in each of them.

        Parameters
        ----------
        of_two : bool
            Only where there is one cohort, and one to compare it with: a regression that averages over cohorts learns
            from how these differ.

        Raises
        ------
        DesignError
        """
        if of_two and np.count_nonzero(self.sizes) > 2:
            return
        require_units(self.sizes, self.panel.unit.name)
        for way in self.clusters:
            size = len(way.labels)
            pairs = np.unique(self.of_unit * size + way.codes)
            if np.bincount(pairs // size).max() < 2:
                raise DesignError(
                    f"every cohort lies within one cluster of {way.name!r}: there is no standard error.",
                    hint="Cluster by something finer, such as units.",
                    column=way.name,
                )

    # Leaving units out.

    def without(self, out: Bools, reason: str) -> Cohorts:
        """Return the panel without some units, and keep account of them."""
        if not out.any():
            return self
        rows = out[self.panel.unit.codes]
        if rows.all():
            raise DesignError(
                f"no unit is left: {fmt.plural(self.n_units, 'unit')} {reason}.",
                hint='Check the columns, or keep incomplete units with unbalanced="cells".'
                if "every period" in reason
                else "Check the columns unit=, time= and cohort=.",
            )
        gone = LeftOut.of(self.panel, out, reason)
        sample = self.sample.take(np.flatnonzero(~rows))
        total = gone.counted(self.dropped, self.panel.unit.name)
        sample = replace(sample, dropped=total)
        panel = type(self.panel).of(sample)
        kept_periods = _positions_of(panel.time.labels, self.periods)
        old = self.start[~out]
        start = np.searchsorted(kept_periods, old)  # a period that only left-out units had is gone
        label_of = {int(np.searchsorted(kept_periods, s)): label for s, label in sorted(self.label_of.items())}
        return Cohorts(panel, read_only(start), label_of, (*self.left_out, gone), self.notes, total)

    def only(self, used: Bools) -> Cohorts:
        """Return the panel without the units that entered no comparison, and keep account of them."""
        return self.without(~used, NO_COMPARISON)

    # Telling the user.

    def checks(self) -> dict[str, Any]:
        """Return the check of the input, and what makes those of cohorts and of the number of clusters."""
        made = units_check(self.sample, self.left_out)
        return {"missing": made, "cohorts": self._cohorts_check, "few_clusters": self._few_clusters}

    def _cohorts_check(self) -> Check:
        return cohorts_check(self.labels, self.sizes, self.n_periods, self.notes)

    def _few_clusters(self) -> Check:
        ways = [way for way in self.sample.several("cluster") if way.name != self.panel.unit.name]
        if not ways:
            return treated_clusters_check([(self.n_units, int(self.sizes[:-1].sum()), "")])
        ever = self.start[self.panel.unit.codes] < self.n_periods
        return treated_clusters_check([(_distinct(way.codes), _distinct(way.codes[ever]), way.name) for way in ways])

    def input_checks(self) -> dict[str, Check]:
        """Return the checks of the input: rows and units that were left out, and how the panel was read."""
        return {"missing": units_check(self.sample, self.left_out), "cohorts": self._cohorts_check()}


def event_times_of(periods: Sequence[Any], labels: Sequence[Any], starts: Ints) -> Floats:
    """Return the time since each start, shape (cohorts, periods): in units of time where it is a number, else in periods."""
    if all(isinstance(label, int | float) for label in (*periods, *labels)):
        times, since = np.array(periods, dtype=float), np.array(labels, dtype=float)
    else:
        times, since = np.arange(len(periods), dtype=float), starts.astype(float)
    return np.asarray(times[None, :] - since[:, None])


def cohorts_check(labels: Sequence[object], sizes: Ints, n_periods: int, notes: Sequence[str]) -> Check:
    """Say which cohorts there are; very small ones, or no one who is never treated, are a warning."""
    untreated = int(sizes[-1])
    small = [f"{label} ({size})" for label, size in zip(labels, sizes, strict=False) if size < 5]
    said = (
        f"{fmt.plural(len(labels), 'cohort')} of {int(sizes[:-1].sum()):,} treated and {untreated:,} never treated units "
        f"over {n_periods} periods."
    )
    said = " ".join([said, *notes, *([f"Cohorts of fewer than 5 units: {', '.join(small)}."] if small else [])])
    doubtful = bool(small) or not untreated
    return Check(
        "cohorts",
        "warn" if doubtful else "pass",
        said,
        advice="Effects of very small cohorts, or without never-treated units, rest on few comparisons."
        if doubtful
        else "",
        table=Table.of(("cohort", "units"), zip([*map(str, labels), "never"], [int(s) for s in sizes], strict=True)),
    )


def require_both(labels: Sequence[object], sizes: Ints, name: str) -> None:
    """Raise where there is no cohort, or no one to compare the only one with.

    Raises
    ------
    DesignError
    """
    if not len(labels):
        raise DesignError(
            f"no unit is first treated within the observed periods, by {name!r}.",
            hint="Check this column; never treated is 0, missing or infinite.",
            column=name,
        )
    if len(labels) == 1 and sizes[-1] == 0:
        raise DesignError(
            f"all units are first treated in {labels[0]!r}: there is no one to compare them with.",
            hint="Add units that are treated later, or never.",
        )


def require_units(sizes: Ints, name: str) -> None:
    """Raise where every cohort is one unit (or row): influence values, which are deviations from means, are zero.

    Raises
    ------
    DesignError
    """
    if sizes.max(initial=0) < 2:
        raise DesignError(
            "every cohort is one unit: there is no standard error.",
            hint="Add units; for one treated unit, see SyntheticControl.",
            column=name,
        )


def _distinct(codes: Codes) -> int:
    return int(np.count_nonzero(np.bincount(codes)))


def _positions_of(labels: Sequence[object], among: Sequence[object]) -> Ints:
    place = {label: position for position, label in enumerate(among)}
    return np.array([place[label] for label in labels], dtype=np.int64)
