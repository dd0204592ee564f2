"""Tables per action, as the papers print them."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from diffpose_ros.core import InputError
from diffpose_ros.data.formats.h36m import ACTIONS
from diffpose_ros.evaluation import per_action
from diffpose_ros.evaluation.report import Scores

BLANK = Scores(**{f.name: 1 for f in fields(Scores)})


def scores(**mpjpe):
    return {name: replace(BLANK, mpjpe_mm=value) for name, value in mpjpe.items()}


def test_columns_come_in_the_papers_order_and_others_after_them():
    given = scores(Zumba=1.0, WalkTogether=2.0, Directions=3.0, Boxing=4.0, WalkDog=5.0)
    got = list(per_action.in_papers_order(given))
    assert got == ["Directions", "WalkDog", "WalkTogether", "Boxing", "Zumba"]
    assert list(per_action.in_papers_order(dict.fromkeys(sorted(ACTIONS), BLANK))) == list(ACTIONS)


def test_every_action_weighs_the_same():
    given = scores(Eating=10.0, Walking=40.0)
    given["Walking"] = replace(given["Walking"], frames=1000)
    assert per_action.mean_over_actions(given) == 25.0


def test_a_metric_that_is_missing_somewhere_has_no_mean():
    given = scores(Eating=10.0, Walking=40.0)
    given["Eating"] = replace(given["Eating"], mpjve_mm=None)
    assert per_action.mean_over_actions(given, "mpjve_mm") is None
    assert "| ours | - | 1.0 | - |" in per_action.table({"ours": given}, "mpjve_mm")


def test_a_table_has_a_row_per_model_and_the_mean_last():
    text = per_action.table({"a": scores(Walking=40.0, Eating=10.0), "b": scores(Eating=20.04, Walking=30.0)})
    assert text.splitlines() == [
        "| model | Eat | Walk | Avg. |",
        "| --- | ---: | ---: | ---: |",
        "| a | 10.0 | 40.0 | 25.0 |",
        "| b | 20.0 | 30.0 | 25.0 |",
    ]


def test_what_cannot_be_compared_is_named():
    with pytest.raises(InputError, match="'b' was not scored on the same actions: Eating, Walking"):
        per_action.table({"a": scores(Walking=1.0), "b": scores(Eating=1.0)})
    with pytest.raises(InputError, match="at least one model"):
        per_action.table({})
    with pytest.raises(InputError, match="at least one action"):
        per_action.mean_over_actions({})
    with pytest.raises(InputError, match=r"expected one of mpjpe_mm, .* got 'mpjpe'"):
        per_action.mean_over_actions(scores(Eating=1.0), "mpjpe")
