from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from causalkit import plot
from causalkit.errors import DesignError
from causalkit.plot.alt import WORDS


@pytest.mark.parametrize("kind", list(plot.KINDS))
def test_every_kind_draws_and_speaks(owner, kind):
    picture = plot.picture(owner, kind)
    assert picture.figure.axes
    assert any(character.isdigit() for character in picture.alt)
    assert picture.alt == plot.describe(owner, kind)
    assert picture.reading.endswith(".")


def test_every_kind_has_words_and_a_documented_contract():
    assert set(WORDS) == set(plot.KINDS)
    for home in plot.KINDS.values():
        module, function = home.split(":")
        assert getattr(import_module(f"causalkit.plot.{module}"), function).__doc__


def test_unknown_kind_names_what_there_is(owner):
    with pytest.raises(DesignError, match=r"Owner has no figure 'pie'.*'effects', 'toc'"):
        plot.draw(owner, "pie")
    with pytest.raises(DesignError, match="no figures"):
        plot.draw(type(owner)({}), "toc")


def test_a_kind_that_the_owner_lacks_is_refused(owner):
    only = type(owner)({"toc": owner.data["toc"]})
    with pytest.raises(DesignError, match="has no figure 'gain'"):
        plot.draw(only, "gain")


@pytest.mark.parametrize("kind", ["effects", "toc", "calibration", "balance"])
def test_lengths_that_do_not_fit_are_named(owner, kind):
    data = dict(owner.data[kind])
    key = "difference" if kind == "balance" else "low"
    data[key] = np.asarray(data[key])[:-1]
    with pytest.raises(DesignError):
        plot.draw(type(owner)({kind: data}), kind)


def test_missing_and_empty_data_are_named(owner):
    data = dict(owner.data["toc"])
    del data["value"]
    with pytest.raises(DesignError, match="lack 'value'"):
        plot.draw(type(owner)({"toc": data}), "toc")
    empty = {key: [] for key in ("q", "value", "low", "high")}
    with pytest.raises(DesignError, match="nothing to draw"):
        plot.draw(type(owner)({"toc": empty}), "toc")


def test_importing_plot_loads_no_matplotlib():
    code = "import sys, causalkit.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_drawing_leaves_settings_and_pyplot_alone(owner):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot.svg(plot.draw(owner, "toc"))
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys\nfrom causalkit.plot.curves import toc\nfrom causalkit.plot.inline import svg\n"
        "svg(toc({'q': [.1, 1.], 'value': [1., 2.], 'low': [0., 1.], 'high': [2., 3.]}))\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
