"""Files that may not travel with the package: fetched from their public address, checked, and kept."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from causalkit.core.settings import say
from causalkit.datasets.catalog import Dataset
from causalkit.errors import DataError

#: Environment variable that names the folder of downloaded files.
FOLDER = "CAUSALKIT_DATA"
_SECONDS = 30.0
_LARGEST = 500_000_000


def downloaded(entry: Dataset) -> Path:
    """Return the path of a file, fetched if it is not there yet; what fails its checksum is never kept.

    Raises
    ------
    DataError
        If it can't be fetched, is not the file that was expected, or the kept copy was altered.
    """
    path = _folder() / entry.file
    if path.is_file():
        if _checksum(path.read_bytes()) != entry.sha256:
            raise DataError(f"the file {str(path)!r} was altered.", hint="Delete it; it is then downloaded again.")
        return path
    say(f"downloading {entry.url}")
    content = _fetch(entry)
    if _checksum(content) != entry.sha256:
        raise DataError(
            f"{entry.url} answered with another file than expected ({len(content):,} bytes; the checksum differs).",
            hint=f"Get the file elsewhere and put it at {str(path)!r}.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(content)
    os.replace(part.name, path)  # another process may be doing the same: whoever is last, the file is whole
    return path


def _folder() -> Path:
    named = os.environ.get(FOLDER)
    return Path(named).expanduser() if named else Path.home() / ".cache" / "causalkit"


def _fetch(entry: Dataset) -> bytes:
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(entry.url, timeout=_SECONDS) as answer:
            content: bytes = answer.read(_LARGEST)
    except (URLError, OSError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise DataError(
            f"can't download {entry.url}: {getattr(error, 'reason', error)}.",
            hint=f"Check the connection, or put the file at {str(_folder() / entry.file)!r}.",
        ) from error
    return content


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
