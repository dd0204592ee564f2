"""Calling the command in this process, and what it printed."""

from dataclasses import dataclass

import pytest

from diffpose_ros.cli.main import main


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys):
    def run(*words: object) -> Outcome:
        code = main([str(w) for w in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
