"""Charts: where columns and lines are, what stands at the axes, what is told to whoever does not see them."""

from __future__ import annotations

import pytest

from hotqueue.web.charts import Line, chart, round_up, spark


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def test_columns_stand_upon_each_other() -> None:
    made = chart("Runs", ["1", "2"], [Line("ok", "ok", [2, 0]), Line("failed", "bad", [2, 4])], shown, is_stacked=True, moments=2)
    assert made.top == 4
    assert made.columns() == [("ok", "M0.1 100V50h.8V100z"), ("bad", "M0.1 50V0h.8V50zM1.1 100V0h.8V100z")]
    assert made.ticks == [4, 3, 2, 1, 0]
    assert made.moments == ["1", "2"]
    assert made.tip(1) == "2\nok\t0\nfailed\t4"
    assert made.says == "Runs. ok: last 0, at most 2; failed: last 4, at most 4."


def test_lines_have_gaps_where_there_is_nothing() -> None:
    made = chart("Time", list("abcd"), [Line("p50", "one", [1, None, 4, 2])], shown)
    assert made.paths() == [("one", "M0.5 75h.001M2.5 0L3.5 50")]
    assert made.says == "Time. p50: last 2, at most 4."


def test_nothing_is_a_chart_too() -> None:
    made = chart("Time", ["a"], [Line("p50", "one", [None])], shown, marks=[(0, "v1 deployed")])
    assert (made.paths(), made.says) == ([("one", "")], "Time. p50: nothing.")
    assert made.tip(0) == "a\np50\t–\nv1 deployed"
    assert chart("Time", [], [], shown).wide == 0


@pytest.mark.parametrize(
    ("value", "top"), [(0, 4), (1, 4), (3, 4), (4, 4), (5, 8), (9, 10), (11, 20), (250, 400), (0.03, 0.04), (1.5, 2)]
)
def test_the_upper_edge_is_easy_to_read(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


def test_a_spark_is_a_path() -> None:
    assert spark([0, 2, None]) == "M0 20.0L1 1.0L2 20.0"
    assert spark([]) == ""
