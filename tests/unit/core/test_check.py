"""The ledger is lazy, read-only, and keeps what it found."""

from __future__ import annotations

import pickle

import pytest

from causalkit.core.check import Check, Checks


def bomb():
    raise AssertionError("this check was made though nobody read it")


GOOD = Check("missing", "pass", "All rows were used.")
BAD = Check("overlap", "fail", "Nobody is like anybody.", 0.1, 0.001, "Trim.")


def test_nothing_is_made_before_it_is_read():
    checks = Checks({"missing": GOOD, "overlap": bomb})
    assert list(checks) == ["missing", "overlap"]
    assert len(checks) == 2
    assert "overlap" in list(checks.keys())
    assert checks["missing"] is GOOD
    assert repr(checks) == "Checks(missing, overlap)"
    joined = checks.joined(Checks({"srm": bomb}))
    assert list(joined) == ["missing", "overlap", "srm"]
    with pytest.raises(AssertionError, match="nobody read it"):
        _ = checks["overlap"]


def test_a_check_is_made_once():
    made = []

    def make():
        made.append(1)
        return BAD

    checks = Checks({"overlap": make})
    assert checks["overlap"] is checks["overlap"] is BAD
    assert made == [1]


def test_the_other_ledger_wins_and_is_made_once():
    made = []
    other = Checks({"missing": lambda: made.append(1) or BAD})
    joined = Checks({"missing": GOOD}).joined(other)
    assert joined["missing"] is BAD
    assert other["missing"] is BAD
    assert made == [1]


def test_unknown_checks_are_told():
    with pytest.raises(KeyError, match="no check named 'x'; this result has missing"):
        Checks({"missing": GOOD})["x"]


def test_read_only():
    with pytest.raises(TypeError):
        Checks({"missing": GOOD})["missing"] = BAD


def test_a_pickle_keeps_what_was_found():
    kept = pickle.loads(pickle.dumps(Checks({"overlap": lambda: BAD})))
    assert kept["overlap"] == BAD


def test_views():
    checks = Checks({"missing": GOOD, "overlap": BAD})
    assert checks.with_status("fail", "warn") == (BAD,)
    assert checks.to_table().rows[1] == ("overlap", "fail", 0.001, "Nobody is like anybody.", "Trim.")
    assert checks.to_dict()["overlap"]["advice"] == "Trim."
    assert "<td" in checks._repr_html_()
