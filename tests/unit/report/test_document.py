from __future__ import annotations

import subprocess
import sys

import pytest

from causalkit.core.check import Check
from causalkit.core.passage import SECTIONS, Passage
from causalkit.errors import DesignError
from causalkit.report import compose
from causalkit.report.document import chance, clean, readable


def test_sections_come_in_the_order_of_the_questions(owners):
    document = compose(owners[::-1])
    keys = [key for key, _ in document.sections]
    assert keys == list(SECTIONS)
    assert [item.passage.title for _, items in document.sections for item in items] == [
        "The coupon works", "Send to 38%", "Intervals",
    ]  # fmt: skip


def test_ledger_is_joined_with_the_worst_first(owners):
    document = compose(owners)
    assert [f.check.status for f in document.ledger] == ["fail", "warn", "untestable", "pass"]
    assert [f.source for f in document.ledger][:2] == ["Whom to send it to", "Effect of the coupon"]
    assert document.verdict() == "2 of 4 assumptions need your attention."


def test_equal_names_of_two_owners_hide_nothing_and_equal_checks_are_told_once(fake):
    one = fake("A", checks=(Check("overlap", "fail", "bad"), Check("srm", "pass", "same")))
    two = fake("B", checks=(Check("overlap", "pass", "good"), Check("srm", "pass", "same")))
    document = compose([one, two])
    assert [(f.check.name, f.check.status, f.source) for f in document.ledger] == [
        ("overlap", "fail", "A"), ("srm", "pass", "A"), ("overlap", "pass", "B"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((), "No assumptions were checked."),
        (("warn",), "1 of 1 assumption needs your attention."),
        (("pass", "pass"), "All 2 tested assumptions passed."),
        (("pass", "untestable"), "The one assumption that can be tested passed. 1 can't be tested from data."),
        (("untestable",), "None of the assumptions can be tested from data."),
    ],
)
def test_verdict_says_what_is_so(fake, statuses, said):
    owner = fake("A", checks=tuple(Check(f"c{i}", status, "m") for i, status in enumerate(statuses)))
    assert compose(owner).verdict() == said


def test_lead_is_given_or_the_answer_or_the_first_sentence(fake, owners):
    assert compose(owners, lead="So.").lead == "So."
    assert compose(owners).lead == "It adds 2.05 per head."
    assert compose(fake("A", answer="Yes.")).lead == "Yes."
    cut = compose(fake("A", (Passage("found", "t", ("Effect 0.4 vs. 0.3 in 2.5 years. Then more.",)),)))
    assert cut.lead == "Effect 0.4 vs. 0.3 in 2.5 years."


def test_a_paragraph_that_repeats_the_lead_is_dropped_unless_it_is_all_there_is(fake):
    two = fake("A", (Passage("found", "t", ("Yes.", "More.")), Passage("certainty", "u", ("Yes.",))), answer="Yes.")
    (_, found), (_, certainty), _ = compose(two).sections
    assert found[0].passage.text == ("More.",)
    assert certainty[0].passage.text == ("Yes.",)


def test_metadata_has_no_date_and_names_what_was_run(owners):
    rows = dict(compose(owners, metadata={"Data": "x.csv", "rows": 41000}).metadata)
    assert rows["Data"] == "x.csv"
    assert rows["rows"] == "41,000"
    assert rows["Effect of the coupon"] == "CausalForest(random_state=0), n = 4,000"
    assert rows["Software"].startswith("causalkit ")


def test_the_address_of_an_object_is_not_told(fake):
    class Odd:
        pass

    assert " at 0x" not in str(compose(fake("A", estimator=Odd())).metadata)


def test_one_owner_needs_no_source_and_same_titles_are_numbered(fake, owners):
    assert {item.source for _, items in compose(owners[0]).sections for item in items} == {""}
    one = Passage("found", "t", ("x",))
    twice = compose([fake("A", (one,)), fake("A", (one,))])
    assert [item.source for item in twice.sections[0][1]] == ["A (1)", "A (2)"]


def test_empty_questions_are_left_out_but_assumptions_stay(fake):
    assert [key for key, _ in compose(fake("A")).sections] == ["assumptions"]


def test_nothing_and_not_a_result_are_refused():
    with pytest.raises(DesignError, match="nothing to report"):
        compose([])
    with pytest.raises(DesignError, match="str can't be reported"):
        compose(["abc"])


def test_small_words():
    assert readable("weak_instruments") == "Weak instruments"
    assert readable("srm") == "Sample ratio"
    assert (chance(1e-9), chance(0.0312), chance(None), chance(float("nan"))) == ("p < 0.001", "p = 0.031", "", "")
    assert clean("a\x00\ud800\u202eb") == "a\ufffd\ufffdb"


def test_the_package_is_light():
    code = "import sys, causalkit.report as r; r.write_report; sys.exit('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_heading_that_repeats_the_title_is_left_out(fake):
    passages = (Passage("found", "A", ("x",)), Passage("found", "B", ("y",)))
    (_, found), _ = compose(fake("A", passages)).sections
    assert [item.heading for item in found] == ["", "B"]
    (_, found), _ = compose(fake("A", passages), title="Z").sections
    assert [item.heading for item in found] == ["A", "B"]
