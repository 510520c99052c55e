"""What a model wrote stays text on the screen, in any script and at any width."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from sixfold.cli import view
from sixfold.cli.view import LiveView, PlainView, describe, one_line, render, results_table, safe, update
from sixfold.core import Event, EventKind

WIDTHS = (20, 40, 80, 200)
TEXTS = {
    "japanese": "三角形の面積は底辺×高さ÷2なので、答えは四十二です。" * 6,
    "arabic": "مساحة المثلث تساوي نصف القاعدة في الارتفاع، إذن الإجابة هي ٤٢. " * 6,
    "emoji": "👍🏽👨‍👩‍👧 ok 🇯🇵 " * 20,
    "combining": "e\u0301a\u0300\u0323 " * 40,
    "long": "x" * 500,
    "markup": "[bold]x[/] [/red] [link=http://a]b[/link] :smile: \\[a]",
    "escapes": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J\r\u202eevil\u2066 \b\x00" * 5,
    "spaces": "a\tb\n\n\n c   d",
}


def _console(width: int) -> Console:
    return Console(
        width=width, height=60, file=io.StringIO(), record=True, force_terminal=True, color_system=None, highlight=False,
        markup=False, emoji=False,
    )  # fmt: skip


def _printed(renderable: RenderableType, width: int) -> str:
    console = _console(width)
    console.print(renderable)
    return console.export_text()


def _events(text: str) -> list[Event]:
    usage = {"completion_tokens": 12}
    started = [Event("attempt_started", 1.0, i) for i in range(4)]
    return [
        Event("started", 0.0, data={"question": text, "model": text}),
        Event("gated", 0.1, data={"plan": True, "reason": text}),
        Event("plan_text", 0.2, text=text),
        Event("planned", 0.3, text=text, data={"usage": usage}),
        *started,
        *(Event("attempt_text", 2.0, i, text) for i in range(4)),
        Event("attempt_answer", 2.1, 0, text),
        Event("attempt_retried", 2.2, 1, text),
        Event("attempt_forced", 2.3, 2, text),
        Event("attempt_done", 3.0, 0, text, {"status": "done", "usage": usage, "elapsed_s": 1.0}),
        Event("attempt_done", 3.0, 1, "", {"status": "failed", "usage": usage, "elapsed_s": 1.0, "error": text}),
        Event("judged", 3.1, data={"first": 0, "second": 2, "order": text}),
        Event("stopping", 3.2, text=text, data={"saved_tokens": 5}),
        Event("chosen", 4.0, 0, text, {"selector": "majority", "reason": text}),
        Event("failed", 4.0, text=text, data={"hint": text}),
    ]


ACCOUNT: Mapping[str, Any] = {
    "phases": {"plan": {"completion_tokens": 12}, "attempt": {"completion_tokens": 1234}, "judge": {"completion_tokens": 0}},
    "total": {"completion_tokens": 1246, "prompt_tokens": 99, "cached_tokens": 9, "drafted_tokens": 8, "accepted_tokens": 4},
    "wasted": {"completion_tokens": 34}, "saved": {"completion_tokens": 0}, "exact": False, "ttft_s": 0.5, "elapsed_s": 34.56,
}  # fmt: skip


@given(st.text(max_size=60) | st.text(st.characters(categories=["Cc", "Cf", "Co", "Zl", "Zp"]), max_size=20))
def test_safe_text_controls_nothing_and_is_stable(text: str) -> None:
    shown = safe(text)
    assert safe(shown) == shown
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Co") and c != "\n" for c in shown)
    assert not any(
        unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") for c in shown
    )


def test_safe_keeps_what_people_write() -> None:
    for name in ("japanese", "arabic", "emoji", "combining", "markup"):
        assert safe(TEXTS[name]) == TEXTS[name]
    assert safe(TEXTS["escapes"]).startswith("[31mred[0m]0;title2Jevil")


@settings(deadline=None)
@given(st.text(max_size=40), st.integers(1, 60))
def test_one_line_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert cell_len(line) <= width
    assert "\n" not in line


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TEXTS)
def test_no_line_of_the_screen_is_wider_than_it(name: str, width: int) -> None:
    state = view._State()
    for event in _events(TEXTS[name]):
        update(state, event)
        lines = _printed(render(state, width), width).splitlines()
        assert max(map(cell_len, lines)) <= width
    assert "\x1b" not in "".join(lines)
    assert "\u202e" not in "".join(lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_markup_is_shown_as_it_was_written(width: int) -> None:
    state = view._State()
    for event in _events("[bold]x[/]"):
        update(state, event)
    assert _printed(render(state, width), width).count("[bold]x[/]") >= 6
    console = _console(width)
    for event in _events("[bold]x[/] :smile:"):
        PlainView(console)(event)
    assert " ".join(console.export_text().split()).count("[bold]x[/] :smile:") >= 10


@pytest.mark.parametrize("kind", get_args(EventKind))
@pytest.mark.parametrize("brief", [False, True])
def test_every_event_has_its_line_or_none(kind: EventKind, brief: bool) -> None:
    silent = {"plan_text", "attempt_text", "attempt_answer"} | ({"gated", "attempt_started"} if brief else set())
    event = next((e for e in _events("words") if e.kind == kind), Event("usage", 5.0, data=ACCOUNT))
    assert bool(describe(event, brief=brief)) is (kind not in silent)


def test_the_lines_say_what_happened() -> None:
    said = [describe(e) for e in _events("w")]
    assert "plan: yes (w)" in said
    assert "candidate 0: w  [done, 12 tokens, 1.0 s]" in said
    assert "candidate 1: no answer  [failed, 12 tokens, 1.0 s] (w)" in said
    assert "stopped: w, about 5 tokens saved" in said
    assert "chosen: candidate 0 by majority: w" in said
    assert "failed: w\n  next: w" in said
    assert (
        describe(Event("planned", 1.0, 2, data={"error": "no time"})) == "plan 2: none (no time); the question goes on without"
    )
    assert describe(Event("planned", 1.0, data={"cut": True})).startswith("plan: nothing usable")
    cost = describe(Event("usage", 5.0, data=ACCOUNT))
    assert cost == (
        "cost: 1246 tokens (estimated) (plan 12, attempt 1234), 34 wasted, 4 of 8 drafted kept, prompt 99 (9 cached), 34.6 s, "
        "first token 0.50 s"
    )


def test_the_live_view_leaves_lines_that_stay() -> None:
    console = _console(80)
    with LiveView(console) as live:
        for event in (*_events("[b]言葉[/b]"), Event("usage", 5.0, data=ACCOUNT)):
            live(event)
        assert live.state.candidates == {}
    text = console.export_text()
    assert "chosen: candidate 0 by majority: [b]言葉[/b]" in text
    assert "cost: 1246 tokens" in text


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_table_of_results_shows_every_number(name: str, width: int, rows: int) -> None:
    results = [
        {"question": TEXTS[name], "answer": TEXTS[name], "correct": True, "usage": ACCOUNT},
        {"question": TEXTS[name], "answer": None, "correct": False, "usage": ACCOUNT},
        {"question": TEXTS[name], "answer": "5", "correct": None, "usage": None},
    ][:rows]
    printed = _printed(results_table(results, width), width)
    assert max(map(cell_len, printed.splitlines())) <= width
    for cell in ("question", "answer", "plan", "think", "judge", "wasted", "34.6", "1234", "12", "34", "right"):
        assert cell in printed
    if rows > 1:
        for cell in ("69.1", "2468", "wrong", "none", "all"):
            assert cell in printed
