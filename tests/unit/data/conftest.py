from __future__ import annotations

import shutil
import sys
import warnings

import pytest


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
