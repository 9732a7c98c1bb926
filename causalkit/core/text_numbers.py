"""Numbers that a file holds as text: as a covariate each would be a category of its own."""

from __future__ import annotations

import re

import narwhals as nw
import numpy as np

from causalkit.data.frame import Frame, first_rows
from causalkit.errors import DataError

#: More different values than these are no categories: of numbers with decimals, and of whole numbers.
_DECIMALS, _WHOLE = 10, 30
#: Among the different values, so many are numbers; the others are words for a gap.
_SHARE = 0.9

_NUMBER = re.compile(r"\s*[+-]?[$€£]?\s*(\d+([.,]\d*)?|[.,]\d+|\d{1,3}([ ,]\d{3})+(\.\d+)?)([eE][+-]?\d+)?\s*%?\s*")
_WHOLE_NUMBER = re.compile(r"\s*[+-]?\d+\s*")
_CODE = re.compile(r"\s*0\d+\s*")


def numbers_in_text(labels: tuple[object, ...]) -> tuple[str, ...]:
    """Return the labels that are numbers, where there are too many for categories and few others; else nothing.

    Whole numbers with leading zeros (postal codes) are codes, never numbers.
    """
    texts = [label for label in labels if isinstance(label, str)]
    numbers = [text for text in texts if _NUMBER.fullmatch(text)]
    if len(numbers) <= _DECIMALS or len(numbers) < _SHARE * len(labels) or any(map(_CODE.fullmatch, numbers)):
        return ()
    whole = all(_WHOLE_NUMBER.fullmatch(text) for text in numbers)
    return tuple(numbers) if not whole or len(numbers) > _WHOLE else ()


def refuse_numbers_in_text(frame: Frame, name: str) -> tuple[object, ...]:
    """Return the labels of a column of categories.

    Raises
    ------
    DataError
        If they are numbers stored as text; a column whose type says that it holds categories is believed.
    """
    codes, labels = frame.labels(name)
    numbers = numbers_in_text(labels)
    if not numbers or frame.table.get_column(name).dtype in (nw.Categorical, nw.Enum):
        return labels
    at = [code for code, label in enumerate(labels) if label in set(numbers)]
    mask = np.isin(codes, at)
    first = first_rows(mask, 1)[0]
    others = [label for label in labels if label not in set(numbers)]
    rest = f"; only {', '.join(map(repr, others[:3]))} {'is' if len(others) == 1 else 'are'} not" if others else ""
    raise DataError(
        f"column {name!r} holds numbers as text: {int(mask.sum()):,} rows with {len(numbers):,} different ones, such as "
        f"{labels[codes[first]]!r} in row {first}{rest}.",
        hint=f"Turn it into numbers, such as pandas.to_numeric(table[{name!r}], errors='coerce'); if they are codes of "
        f"categories, say so: table[{name!r}].astype('category').",
        column=name,
        rows=first_rows(mask),
    )
