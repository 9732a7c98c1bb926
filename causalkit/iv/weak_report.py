"""The verdict on weak instruments: which inference to trust, and what its set says, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalkit.core import format as fmt
from causalkit.core.check import Check, Status
from causalkit.core.table import Table
from causalkit.errors import CausalKitError, InferenceUnavailable
from causalkit.inference.confidence_set import ConfidenceSet
from causalkit.iv.effective_f import EffectiveF, effective_f
from causalkit.iv.tf_table import tf_critical_value
from causalkit.iv.weak_sets import confidence_set, first_stage_f
from causalkit.iv.weak_sets_form import ReducedForm, reduced_form_of

if TYPE_CHECKING:
    from causalkit.iv.iv_result import IVResult

TOLERATED = 0.1
SEVERE = 0.3
#: Stock and Yogo's rule of thumb, where no critical value is known.
RULE_OF_THUMB = 10.0
_NAMES = {"ar": "Anderson-Rubin", "clr": "CLR", "tf": "tF", "lm": "K"}


def weak_instruments_check(result: IVResult, alpha: float = 0.05) -> Check:
    """Return the check of instrument strength, with the confidence sets that do not depend on it.

    With one treatment the effective F of Montiel Olea and Pflueger (2013) is compared with its critical values (the
    simplified ones, LIML's own for LIML and Fuller): at most 10% of the worst-case bias passes, more than 30% fails. The
    table holds the sets to read instead of the Wald interval: Anderson-Rubin and tF with one instrument, CLR and
    Anderson-Rubin with more. With several treatments the smallest conditional F of Sanderson and Windmeijer (2016) is held
    against 10.

    Parameters
    ----------
    result : IVResult
    alpha : float
        One minus the coverage of the sets.

    Returns
    -------
    Check
        Named ``weak_instruments``; ``statistic`` is the F.
    """
    data = result.iv_data
    if data.m > 1:
        return _several(result)
    try:
        form, strength = reduced_form_of(data), effective_f(data)
    except CausalKitError as reason:
        return Check("weak_instruments", "untestable", str(reason))
    rows, main = _sets(result, form, alpha)
    status, said, advice = _strength(result, form, strength)
    if main is not None:
        said = f"{said} {describe_set(main, _name(form), alpha)}"
        if not main.is_bounded and status == "pass":
            status = "warn"
    table = Table.of(("method", "set", "reading"), rows)
    return Check("weak_instruments", status, said, strength.statistic, advice=advice, table=table)


def describe_set(found: ConfidenceSet, name: str, alpha: float = 0.05) -> str:
    """Say in one sentence what a confidence set that does not depend on the instruments' strength means.

    Parameters
    ----------
    found : ConfidenceSet
    name : str
        Name of the test that it inverts.
    alpha : float

    Returns
    -------
    str
    """
    level = f"{100 * (1 - alpha):g}%"
    if found.is_empty:
        return (
            f"The {level} {name} set is empty: no effect agrees with these instruments, so the model itself is rejected "
            "(some instrument is not valid, or effects differ between those whom the instruments move)."
        )
    if found.is_real_line:
        return f"The {level} {name} set is the whole line: the data can't rule out any effect."
    if found.is_bounded:
        pieces = "" if found.is_interval else f", in {len(found.intervals)} pieces"
        return f"The {level} {name} set is {fmt.pieces(found.intervals)}{pieces}."
    return f"The {level} {name} set {fmt.pieces(found.intervals)} is unbounded: {_ruled_out(found)}."


def _reading(found: ConfidenceSet) -> str:
    """Say what a set means to those who read it beside its numbers."""
    if found.is_empty:
        return "No effect agrees with these instruments: the model itself is rejected."
    if found.is_real_line:
        return "The data can't rule out any effect."
    if not found.is_bounded:
        said = _ruled_out(found)
        return f"{said[0].upper()}{said[1:]}."
    return "Holds however weak the instruments are."


def _ruled_out(found: ConfidenceSet) -> str:
    gaps = found.complement().intervals
    said = " and ".join(_gap(low, high) for low, high in gaps)
    return f"the data rule out effects {said}, and can't rule out any effect beyond"


def _gap(low: float, high: float) -> str:
    if low == -float("inf"):
        return f"below {fmt.number(high)}"
    if high == float("inf"):
        return f"above {fmt.number(low)}"
    return f"between {fmt.number(low)} and {fmt.number(high)}"


def _name(form: ReducedForm) -> str:
    return _NAMES["ar" if form.is_just_identified else "clr"]


def _sets(result: IVResult, form: ReducedForm, alpha: float) -> tuple[list[tuple[str, str, str]], ConfidenceSet | None]:
    """Return the lines of the table, and the set to read first (None where it can't be had)."""
    rows, first = [], None
    methods = ("ar", "tf") if form.is_just_identified else ("clr", "ar")
    for position, method in enumerate(methods):
        try:
            found = confidence_set(result, method, alpha)
        except CausalKitError as reason:
            rows.append((_NAMES[method], "", str(reason)))
            continue
        if position == 0:
            first = found
        rows.append((_NAMES[method], fmt.pieces(found.intervals), _reading(found)))
    low, high = result.headline_effect.ci(alpha)
    wald = ConfidenceSet(((float(low[0]), float(high[0])),))
    rows.append(("Wald", fmt.pieces(wald.intervals), "Holds with strong instruments only."))
    return rows, first


def _strength(result: IVResult, form: ReducedForm, strength: EffectiveF) -> tuple[Status, str, str]:
    """Hold the effective F against its critical values."""
    method = "liml" if getattr(result.estimator, "method", "") in ("liml", "fuller") else "simplified"
    f = strength.statistic
    small = strength.critical_value(TOLERATED, method)
    large = strength.critical_value(SEVERE, method)
    said = (
        f"Effective F {fmt.number(f)}: above {fmt.number(small)} the bias is at most 10% of its worst case, above "
        f"{fmt.number(large)} at most 30%."
    )
    if form.is_just_identified:
        said = f"{said} {_tf_words(first_stage_f(form))}"
    if f > small:
        return "pass", said, ""
    advice = (
        'Read ci(method="ar") or ci(method="tf") instead of the Wald interval.'
        if form.is_just_identified
        else 'Read ci(method="clr") or ci(method="ar") instead of the Wald interval; method="liml" has less bias.'
    )
    return ("warn" if f > large else "fail"), said, advice


def _tf_words(f: float) -> str:
    critical = tf_critical_value(f)
    if critical == float("inf"):
        return "At this F no t-ratio is significant at 5%."
    return f"At this F a t-ratio is significant at 5% beyond {critical:.2f}."


def _several(result: IVResult) -> Check:
    """Judge several treatments by what the instruments move of each alone."""
    try:
        values = result.first_stage.conditional_f
    except InferenceUnavailable as reason:
        return Check("weak_instruments", "untestable", str(reason))
    f, name = min(zip((float(value) for value in values), result.iv_data.endogenous, strict=True))
    said = f"Smallest conditional first-stage F: {fmt.number(f)} ({name}), against the rule of thumb of 10."
    if f > RULE_OF_THUMB:
        return Check("weak_instruments", "pass", said, f)
    advice = 'Read ci(method="ar") of a fit with vcov="iid": it holds its level however weak the instruments are.'
    return Check("weak_instruments", "warn", said, f, advice=advice)
