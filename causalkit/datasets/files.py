"""The data files that travel with the package, and those that are downloaded once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from causalkit.data.sources import load_source, packaged_path
from causalkit.datasets.catalog import CATALOG, Dataset
from causalkit.datasets.download import downloaded
from causalkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def describe() -> dict[str, Dataset]:
    """Return what there is, by name; what has a ``url`` is downloaded when it is first asked for."""
    return dict(CATALOG)


def path_of(name: str) -> Path:
    """Return the path of a data file, downloading it first where it is not packaged.

    Downloads are kept in the folder that the environment variable ``CAUSALKIT_DATA`` names, else in
    ``~/.cache/causalkit``.

    Raises
    ------
    DataError
        If there is no such data set, its file is absent or altered, or it can't be downloaded.
    """
    if name not in CATALOG:
        raise DataError(f"there is no data set {name!r}.", hint=f"There are: {', '.join(CATALOG)}.")
    entry = CATALOG[name]
    if entry.url:
        return downloaded(entry)
    path = packaged_path(entry.file)
    if path is None:
        raise DataError(f"the file {entry.file!r} is missing from this installation.", hint="Install causalkit again.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
        raise DataError(f"the file {entry.file!r} is not the one that was packaged.", hint="Install causalkit again.")
    return path


def load(name: str) -> pd.DataFrame:
    """Return a data set as a data frame.

    Parameters
    ----------
    name : str
        A name from :func:`describe`, such as ``"thornton_hiv"``.
    """
    return load_source(path_of(name))
