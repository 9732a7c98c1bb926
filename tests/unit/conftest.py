"""The engines that a table can lie in."""

from __future__ import annotations

import shutil
import sys
import warnings

import pandas as pd
import pytest

LAZY = ["polars lazy", "duckdb parquet", "ibis", "spark"]


@pytest.fixture(scope="session")
def spark():
    """One local Spark session that listens on the loopback address only."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs java, which this machine has not")
    pytest.importorskip("pyspark", reason="pyspark is an optional engine")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        from pyspark.sql import SparkSession

        session = (
            SparkSession.builder.master("local[1]")
            .appName("causalkit-tests")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.pyspark.python", sys.executable)
            .config("spark.log.level", "ERROR")
            .getOrCreate()
        )
    yield session
    session.stop()


def spark_table(spark, table):
    rows = [
        tuple(None if value is pd.NA else value for value in row) for row in table.astype(object).to_numpy().tolist()
    ]
    kinds = {"f": "double", "i": "bigint", "b": "boolean"}
    kind = [kinds.get(getattr(table[name].dtype, "kind", "O"), "string") for name in table]
    schema = ", ".join(f"c{place} {name}" for place, name in enumerate(kind))
    return spark.createDataFrame(rows, schema).toDF(*table.columns)


def hand_over(name, request, tmp_path):
    """Return a function that hands a pandas table over to one engine."""
    if name == "spark":
        spark = request.getfixturevalue("spark")
        return lambda table: spark_table(spark, table)
    pl = pytest.importorskip("polars", reason="polars is an optional engine")
    pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional engine")
    if name == "ibis":
        ibis = pytest.importorskip("ibis", reason="ibis is an optional engine")
        return lambda table: ibis.memtable(pa.Table.from_pandas(table, preserve_index=False))
    if name == "duckdb parquet":
        duckdb = pytest.importorskip("duckdb")

        def from_parquet(table):
            path = str(tmp_path / "t.parquet")
            pl.from_pandas(table, nan_to_null=False).write_parquet(path)
            return duckdb.read_parquet(path)

        return from_parquet
    return {
        "polars": lambda table: pl.from_pandas(table, nan_to_null=False),
        "polars lazy": lambda table: pl.from_pandas(table, nan_to_null=False).lazy(),
        "pyarrow": lambda table: pa.Table.from_pandas(table, preserve_index=False),
    }[name]


@pytest.fixture(params=["polars", "pyarrow", *LAZY])
def engine(request, tmp_path):
    """A function that hands a pandas table over to one engine."""
    return hand_over(request.param, request, tmp_path)


@pytest.fixture(params=LAZY)
def lazy_engine(request, tmp_path):
    """A function that hands a pandas table over to one engine that keeps the rows until they are asked for."""
    return hand_over(request.param, request, tmp_path)
