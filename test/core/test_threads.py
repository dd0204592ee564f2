"""Threads take turns as often as they are told to."""

from __future__ import annotations

import sys

import pytest

from diffpose_ros.core.threads import switch_threads_often


def test_threads_take_turns_ten_times_as_often() -> None:
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        switch_threads_often()
        assert sys.getswitchinterval() == pytest.approx(5e-4, rel=0.02)
        sys.setswitchinterval(1e-4)  # who wants more keeps it
        switch_threads_often()
        assert sys.getswitchinterval() == pytest.approx(1e-4, rel=0.02)
    finally:
        sys.setswitchinterval(before)
