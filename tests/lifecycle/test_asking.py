"""Questions that pages ask the engine: one asks, and nobody waits for an engine that hangs."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sandboxes.engine.base import Unreachable
from sandboxes.lifecycle import asking
from sandboxes.lifecycle.asking import Question
from tests.fakes.processes import wait_until


class Slow:
    """An engine's answer that waits for ``go``."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), 0

    def __call__(self, engine: Any) -> str:
        self.asked += 1
        self.go.wait(60)
        return "answer"


@pytest.fixture
def slow(engine: Any) -> Any:
    made = Slow()
    yield made
    made.go.set()


def test_an_answer_is_believed_for_a_while(engine, slow):
    slow.go.set()
    question = Question(slow)
    assert [question.answer(60), question.answer(60)] == ["answer", "answer"]
    assert slow.asked == 1
    assert question.answer(0) == "answer"
    assert slow.asked == 2


def test_an_engine_that_hangs_costs_the_first_page_a_moment_and_those_after_it_nothing(slow, monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0.2)
    question = Question(slow)
    assert question.answer(0) is None
    monkeypatch.setattr(asking, "PATIENCE", 0)
    assert [question.answer(0) for _ in range(100)] == [None] * 100
    assert slow.asked == 1


def test_it_is_known_as_soon_as_it_answers_after_all(slow, monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE", 0)
    question = Question(slow)
    assert question.answer(60) is None
    slow.go.set()
    assert wait_until(lambda: question.answer(60) == "answer")
    assert slow.asked == 1


@pytest.mark.parametrize("error", [Unreachable("The engine cannot be reached."), ValueError("?")])
def test_no_answer_is_none_and_is_asked_again(engine, error):
    def ask(_: Any) -> str:
        answers.append(1)
        raise error

    answers: list[int] = []
    question = Question(ask)
    assert [question.answer(0), question.answer(0)] == [None, None]
    assert len(answers) == 2
