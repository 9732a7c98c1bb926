"""What each packaged data set is, where it comes from, and the checksum of its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """One packaged data set.

    Parameters
    ----------
    file : str
        File name in ``datasets/``.
    n : int
        Rows.
    about : str
        What was done, to whom, and what the columns mean.
    source, licence : str
        Where it comes from, and what allows it to be passed on.
    sha256 : str
        Checksum of the file.
    """

    file: str
    n: int
    about: str
    source: str
    licence: str
    sha256: str


CATALOG = {
    "thornton_hiv": Dataset(
        file="thornton_hiv.csv",
        n=4820,
        about=(
            "Randomized cash incentives to fetch the result of an HIV test, rural Malawi, 2004. villnum: village; got: "
            "fetched the result (0/1); distvct: distance to the centre in kilometres; tinc: incentive in US dollars; any: "
            "any incentive (0/1); age: years; hiv2004: test result (1 positive, 0 negative, -1 indeterminate)."
        ),
        source=(
            'R. L. Thornton (2008), "The Demand for, and Impact of, Learning HIV Status", American Economic Review 98(5), '
            "1829-1863; as distributed in the Python package causaldata 0.1.5 (causaldata.thornton_hiv)."
        ),
        licence="MIT (causaldata, Nick Huntington-Klein and Malcolm Barrett)",
        sha256="1232657aa30f73dd31978803564f14b4a31236758d078907513cbedb5470c292",
    ),
}
