"""Code is asked for, read and forced as code; everything else as one last line."""

from __future__ import annotations

import pytest
from solving import config, events_of, only

from sixfold.core import Problem, Request
from sixfold.engine.scripted import ScriptedEngine
from sixfold.reason.form import FORMS, LINE, Form
from sixfold.reason.prompts import CODE_SYSTEM, SOLVER_SYSTEM

CODE = Problem("p", "Write f that adds one.", verifier="code", meta={"entry_point": "f", "tests": ["assert f(1) == 2"]})
BLOCK = "def f(x):\n    return x + 1"


async def test_a_code_problem_is_asked_for_a_block_and_answered_with_it() -> None:
    engine = ScriptedEngine([f"Add one.\n```python\n{BLOCK}\n```\nThat is it."])
    events = await events_of(engine, config("n=1"), CODE)
    assert engine.served[0].messages[0].content == CODE_SYSTEM
    assert only(events, "chosen").text.strip() == BLOCK


async def test_code_whose_thinking_was_cut_is_asked_for_the_block_alone() -> None:
    def script(request: Request, _: int) -> str:
        return BLOCK if request.prefill else "<think>" + "hmm " * 50

    engine = ScriptedEngine(script)
    events = await events_of(engine, config("n=1", "think_tokens=10", "answer_tokens=64"), CODE)
    done = only(events, "attempt_done")
    assert (done.data["status"], done.text.strip()) == ("forced", BLOCK)
    assert engine.served[1].prefill.endswith("</think>\n\n```python\n")
    assert engine.served[1].sampling.stop == ("\n```",)
    assert done.data["text"].endswith(f"```python\n{BLOCK}\n```")


async def test_every_other_problem_is_asked_for_a_line() -> None:
    engine = ScriptedEngine(["Answer: 4"])
    events = await events_of(engine, config("n=1"), Problem("p", "What is 2 + 2?", "4", verifier="math"))
    assert engine.served[0].messages[0].content == SOLVER_SYSTEM
    assert only(events, "attempt_done").data["text"] == "Answer: 4"


@pytest.mark.parametrize("form", [LINE, *FORMS.values()])
def test_nothing_said_is_no_answer(form: Form) -> None:
    assert form.said("\n") is None
    assert form.read("", True) is None
