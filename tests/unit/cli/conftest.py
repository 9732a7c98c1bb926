"""A study in a folder of its own."""

from __future__ import annotations

import pytest

STUDY = """
[data]
source = "study.csv"
[estimator]
name = "OLS"
[roles]
outcome = "spend"
treatment = "arm"
control = "none"
covariates = ["age", "segment"]
[report]
title = "Coupons"
"""


@pytest.fixture
def folder(tmp_path, study):
    study.to_csv(tmp_path / "study.csv", index=False)
    (tmp_path / "study.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def edit(folder):
    """Return a function that replaces a piece of the study file and returns its path."""

    def change(old, new):
        text = STUDY.replace(old, new)
        assert text != STUDY
        (folder / "study.toml").write_text(text, encoding="utf-8")
        return str(folder / "study.toml")

    return change
