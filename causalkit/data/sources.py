"""Files and embedded databases as tables, read by DuckDB: CSV, Parquet, ``duckdb://file.db#table``.

A source is data. Paths and names are never put into SQL as they came, a database is opened read-only and may not reach
other files (a view that tries to raises), and no engine extension is installed or loaded on its behalf.
"""

from __future__ import annotations

import atexit
import os
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalkit.data.quoting import literal_path, quote_identifier, quote_literal
from causalkit.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq")
_DUCKDB = "duckdb://"
#: What the engine makes of a name that a header repeats.
_NUMBERED = re.compile(r"(.+)_\d+")
_ACCEPTED = 'Name a .csv or .parquet file, or "duckdb://file.db#table".'
_SAFE = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
}


def open_source(source: str | os.PathLike[str], relative_to: Path | None = None) -> Any:
    """Open a source as a DuckDB relation, without bringing its rows into memory.

    Parameters
    ----------
    source : str or path
        ``"file.csv"`` (also .tsv, .csv.gz), ``"file.parquet"`` or ``"duckdb://path/file.db#table"`` (the table may be
        ``schema.table``). A path is looked for relative to ``relative_to``, then to the current directory, then among
        the packaged datasets. Empty fields of a CSV are missing; column types are judged from the whole file.
    relative_to : Path, optional
        The study file that names the source, or its directory.

    Returns
    -------
    duckdb.DuckDBPyRelation
        It keeps its connection open for as long as it, or a relation made from it, lives (before DuckDB 2: until the
        process ends, because there a relation does not hold its connection).

    Raises
    ------
    DataError
        When the source is not found (the message lists where it was looked for), empty, unreadable or of another kind.
    """
    import duckdb

    connection, relation = _open(os.fspath(source), relative_to)
    if int(duckdb.__version__.partition(".")[0]) < 2:
        atexit.register(connection.close)
    return relation


def load_source(source: str | os.PathLike[str], relative_to: Path | None = None) -> pd.DataFrame:
    """Read a source into a pandas table and close the file; see `open_source` for what a source is."""
    import duckdb

    connection, relation = _open(os.fspath(source), relative_to)
    with closing(connection):
        try:
            return relation.df()
        except duckdb.Error as error:
            raise _unreadable(str(source), error) from error


def packaged_path(name: str) -> Path | None:
    """Return the path of a packaged dataset, or None when there is none of that name.

    Only a bare file name, or one in a folder called ``datasets``, can mean a packaged file; nothing outside the
    packaged folders is ever returned.
    """
    wanted = Path(name)
    if wanted.parent != Path() and wanted.parent.name != "datasets":
        return None
    if wanted.name in ("", "..") or wanted.is_absolute():
        return None
    return next((folder / wanted.name for folder in _packaged_folders() if (folder / wanted.name).is_file()), None)


def _packaged_folders() -> list[Path]:
    """Return where data files may lie: inside the package, and in the checkout that holds the package."""
    package = Path(__file__).resolve().parents[1]
    folders = [package / "datasets" / "files"]
    if (package.parent / "pyproject.toml").is_file():
        folders.append(package.parent / "datasets")
    return folders


def _open(source: str, relative_to: Path | None) -> tuple[Any, Any]:
    """Return a connection and the relation on it; the connection is closed when anything fails."""
    import duckdb

    if source.startswith(_DUCKDB):
        path, table = _locate_database(source, relative_to)
        kind = "database"
    else:
        if "://" in source:
            raise DataError(f"Can't open {source!r}: only local files are read.", hint=_ACCEPTED)
        kind, path, table = _kind(source), _locate(source, relative_to), ""
    if path.stat().st_size == 0:
        raise DataError(f"The file {str(path)!r} is empty.", hint="Export it again, or name another file.")
    connection = None
    try:
        connection = _connect(path if kind == "database" else None)
        relation = _relation(connection, kind, path, table)
        if not relation.limit(1).fetchall():
            raise DataError(f"The source {source!r} holds no rows.", hint="Export it again, or name another source.")
    except (duckdb.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise _unreadable(source, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection, relation


def _connect(database: Path | None) -> Any:
    """Open DuckDB in memory, or a database file read-only and cut off from every other file."""
    import duckdb

    if database is None:
        return duckdb.connect(":memory:", config=_SAFE)
    return duckdb.connect(str(database), read_only=True, config={**_SAFE, "enable_external_access": "false"})


def _relation(connection: Any, kind: str, path: Path, table: str) -> Any:
    if kind == "database":
        return connection.sql(f"SELECT * FROM {_known_table(connection, path, table)}")
    if kind == "parquet":
        return connection.read_parquet(literal_path(str(path)))
    # skiprows and comment are fixed because the sniffer otherwise drops the lines that do not fit, and says nothing
    file = quote_literal(literal_path(str(path)))
    relation = connection.sql(f"SELECT * FROM read_csv({file}, header=true, sample_size=-1, skip=0, comment='')")
    _refuse_ragged(path, relation.columns)
    if any((found := _NUMBERED.fullmatch(name)) and found[1] in relation.columns for name in relation.columns):
        _refuse_repeated(connection, path, file)
    return relation


def _refuse_repeated(connection: Any, path: Path, file: str) -> None:
    """Raise when the header holds a name twice: the engine would number the second, and nobody would notice."""
    query = (
        f"SELECT * FROM read_csv({file}, header=false, all_varchar=true, sample_size=-1, skip=0, comment='') LIMIT 1"
    )
    (header,) = connection.execute(query).fetchall()
    twice = [name for name in dict.fromkeys(header) if name is not None and header.count(name) > 1]
    if twice:
        raise DataError(
            f"{str(path)!r} has several columns {twice[0]!r}.", hint="Give each column its own name.", column=twice[0]
        )


def _refuse_ragged(path: Path, columns: list[str]) -> None:
    """Raise when the header was read as one field although it holds a delimiter: some line has another field count."""
    if len(columns) != 1 or not any(mark in columns[0] for mark in ",;\t|"):
        return
    if path.suffix != ".gz":
        with path.open(encoding="utf-8-sig") as lines:
            if lines.readline().startswith('"'):
                return
    raise DataError(
        f"The lines of {str(path)!r} do not all have the same number of fields.",
        hint="Give every line as many fields as the header has, and quote fields that hold the delimiter.",
    )


def _known_table(connection: Any, path: Path, table: str) -> str:
    """Return the quoted name of a table or view that the database really has."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal "
        "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1, 2"
    ).fetchall()
    for schema, name in sorted(found, key=lambda pair: pair[0] != "main"):
        if table in (name, f"{schema}.{name}"):
            return f"{quote_identifier(schema)}.{quote_identifier(name)}"
    listing = ", ".join(name if schema == "main" else f"{schema}.{name}" for schema, name in found[:20]) or "none"
    raise DataError(f"The database {str(path)!r} has no table {table!r}.", hint=f"Tables: {listing}.")


def _kind(source: str) -> str:
    lowered = source.lower()
    if lowered.endswith(_CSV):
        return "csv"
    if lowered.endswith(_PARQUET):
        return "parquet"
    raise DataError(f"Can't tell what kind of source {source!r} is.", hint=_ACCEPTED)


def _locate_database(source: str, relative_to: Path | None) -> tuple[Path, str]:
    """Split ``duckdb://path#table``; a path or a table may hold a ``#`` itself, so the first split that exists wins."""
    rest = source.removeprefix(_DUCKDB)
    splits = [(rest[:at], rest[at + 1 :]) for at, char in enumerate(rest) if char == "#"]
    splits = [(path, table) for path, table in splits if path and table]
    if not splits:
        raise DataError(f"{source!r} does not name a table.", hint='Write "duckdb://file.db#table".')
    for path, table in splits:
        if any(candidate.is_file() for candidate in _candidates(path, relative_to)):
            return _locate(path, relative_to), table
    return _locate(splits[0][0], relative_to), splits[0][1]


def _candidates(name: str, relative_to: Path | None) -> list[Path]:
    """Return where a file may be, in the order of the search."""
    wanted = Path(name).expanduser()
    if wanted.is_absolute():
        return [wanted]
    places = [] if relative_to is None else [_folder(Path(relative_to)) / wanted]
    places.append(Path.cwd() / wanted)
    packaged = packaged_path(name)
    return [*places, packaged] if packaged is not None else places


def _folder(study: Path) -> Path:
    """Return the directory of a study file, or the directory itself."""
    return study if study.is_dir() else study.parent


def _locate(name: str, relative_to: Path | None) -> Path:
    """Return the first candidate that is a file.

    Raises
    ------
    DataError
        Listing every place that was tried.
    """
    places = _candidates(name, relative_to)
    for place in places:
        if place.is_file():
            return place
    looked = [str(place) for place in places]
    if not Path(name).is_absolute():
        looked.append("the packaged datasets")
    raise DataError(
        f"There is no file {name!r}. Looked for: {'; '.join(looked)}.", hint="Check the path of the data source."
    )


def _unreadable(source: str, error: Exception) -> DataError:
    """Build the error for a file that the engine could not read; the engine's first line says why."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    more = " Save it as UTF-8." if "unicode" in str(error).lower() or "utf-8" in str(error).lower() else ""
    return DataError(
        f"Can't read {source!r}: {reason.rstrip('.')}.",
        hint=f"Check that it is what its name says and not damaged.{more}",
    )
