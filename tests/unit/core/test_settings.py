"""Settings of a session."""

from __future__ import annotations

import subprocess
import sys

import pytest

import causalkit as ck
from causalkit.core.settings import n_jobs_or_default, say, settings


@pytest.fixture(autouse=True)
def _restored():
    with ck.options():
        yield


def test_a_block_restores():
    before = settings()
    with ck.options(progress=True, n_jobs=3) as inside:
        assert (inside.progress, inside.n_jobs) == (True, 3)
        with ck.options(n_jobs=2):
            assert (settings().progress, settings().n_jobs) == (True, 2)
        assert settings().n_jobs == 3
        assert (n_jobs_or_default(None), n_jobs_or_default(5)) == (3, 5)
    assert settings() == before


def test_a_call_stays():
    ck.options(n_jobs=4)
    assert settings().n_jobs == 4


def test_a_block_restores_after_an_error():
    before = settings()
    with pytest.raises(ZeroDivisionError), ck.options(n_jobs=7):
        _ = 1 / 0
    assert settings() == before


@pytest.mark.parametrize("n_jobs", [0, -1, 1.5, "2", True])
def test_n_jobs_is_a_count(n_jobs):
    before = settings()
    with pytest.raises(ck.DesignError, match="n_jobs="):
        ck.options(n_jobs=n_jobs)
    assert settings() == before


def test_progress_goes_to_stderr_and_only_where_wanted(capsys):
    say("nobody asked")
    with ck.options(progress=True):
        say("fold 1 of 5")
    with ck.options(progress=False):
        say("silence")
    assert capsys.readouterr() == ("", "fold 1 of 5\n")


@pytest.mark.parametrize(
    ("progress", "jobs", "shown"),
    [("1", "3", "True 3"), ("0", "-2", "False 1"), ("", "many", "False 1"), (None, None, "None 1")],
)
def test_environment(progress, jobs, shown):
    environment = {k: v for k, v in (("CAUSALKIT_PROGRESS", progress), ("CAUSALKIT_N_JOBS", jobs)) if v is not None}
    code = "from causalkit.core.settings import settings as s; print(s().progress, s().n_jobs)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == shown
