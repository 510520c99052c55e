"""A solve in the terminal: live and side by side where there is a screen, plain lines where there is none.

Place: readers of events, nothing more. Model text is shown as text: control characters and direction overrides are taken out,
markup is never interpreted, and width is counted in cells, so that Japanese and Arabic keep the layout whole. Everything goes
to standard error; the answer itself is printed by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sixfold.cli.screen import safe, say
from sixfold.core import Event

View = Callable[[Event], None]

_STYLES: Mapping[str, str] = {
    "thinking": "cyan", "done": "green", "forced": "yellow", "truncated": "red", "cancelled": "dim", "failed": "red",
}  # fmt: skip
_LINES_SHOWN, _NARROWEST = 5, 26


def one_line(text: str, width: int) -> str:
    """`text` on one line of at most `width` cells."""
    line = Text(" ".join(safe(text).split()), no_wrap=True)
    line.truncate(max(1, width), overflow="ellipsis")
    return line.plain


@dataclass(slots=True)
class _Candidate:
    text: str = ""
    answer: str = ""
    status: str = "thinking"
    tokens: int = 0
    note: str = ""


@dataclass(slots=True)
class _State:
    plan: str = ""
    planning: bool = False
    candidates: dict[int, _Candidate] = field(default_factory=dict)
    note: str = ""
    at_s: float = 0.0
    pieces: int = 0


class LiveView:
    """The live screen of one solve after another. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.state = _State()
        self._live = Live(console=console, refresh_per_second=8, transient=True, get_renderable=self._render)
        self._plain = PlainView(console, brief=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        update(self.state, event)
        if event.kind == "usage":
            # What was live is replaced by lines that stay.
            self.state = _State()
        self._plain(event)

    def _render(self) -> RenderableType:
        return render(self.state, self.console.width, self.console.height)


def update(state: _State, event: Event) -> None:
    """Take one event into the state of the screen."""
    state.at_s = event.at_s
    index = event.attempt if event.attempt is not None else -1
    match event.kind:
        case "gated":
            state.planning = bool(event.data.get("plan"))
        case "plan_text":
            state.plan += event.text
        case "planned":
            state.plan, state.planning = event.text, False
        case "attempt_started":
            state.candidates[index] = _Candidate()
        case "attempt_text":
            state.pieces += 1
            candidate = state.candidates.setdefault(index, _Candidate())
            candidate.text = (candidate.text + event.text)[-4000:]
            candidate.tokens += 1
        case "attempt_answer":
            state.candidates[index].answer = event.text
        case "attempt_retried" | "attempt_forced":
            state.candidates[index].note = event.text
        case "attempt_done":
            candidate = state.candidates[index]
            candidate.status, candidate.answer = str(event.data.get("status")), event.text
            candidate.tokens = int(event.data.get("usage", {}).get("completion_tokens", candidate.tokens))
        case "stopping":
            state.note = event.text
        case "judged":
            state.note = f"judging {event.data.get('first')} against {event.data.get('second')}: {event.data.get('order')}"
        case _:
            pass


def render(state: _State, width: int, height: int = 36) -> RenderableType:
    """The screen: the plan (in full until thinking begins), candidates side by side, and always one line of state."""
    parts: list[RenderableType] = []
    if state.candidates:
        across = max(1, min(len(state.candidates), width // _NARROWEST))
        wide, rows = width // across - 1, -(-len(state.candidates) // across)
        lines = max(1, min(_LINES_SHOWN, (height - 4) // rows - 2))
        panels = [_panel(i, c, wide, lines) for i, c in sorted(state.candidates.items())]
        parts.append(Columns(panels, padding=(0, 1, 0, 0)) if across > 1 else Group(*panels))
    elif state.plan or state.planning:
        parts.append(Panel(Text(safe(state.plan)[-600:] or "…"), title="plan", title_align="left", border_style="blue"))
    rate = f"{state.pieces / state.at_s:.0f} tokens/s" if state.at_s > 0.5 and state.pieces else ""
    parts.append(Text(one_line("  ".join(filter(None, (f"{state.at_s:.1f} s", rate, state.note))), width), style="dim"))
    return Group(*parts)


def _panel(index: int, candidate: _Candidate, width: int, lines_shown: int) -> Panel:
    lines = Text(safe(candidate.text[-80 * lines_shown :])).wrap(Console(width=max(8, width - 4)), max(8, width - 4))
    shown = Text("\n").join(lines[-lines_shown:])
    style = _STYLES.get(candidate.status, "white")
    title = f"{index} {candidate.status} {candidate.tokens}"
    subtitle = one_line(f"= {candidate.answer}", width - 6) if candidate.answer else one_line(candidate.note, width - 6)
    return Panel(
        shown, title=Text(title), subtitle=Text(subtitle) if subtitle else None, width=width, height=lines_shown + 2,
        border_style=style, title_align="left", subtitle_align="left",
    )  # fmt: skip


class PlainView:
    """One line for each thing that happened; `brief` leaves out what a live screen has already shown in passing."""

    def __init__(self, console: Console, *, brief: bool = False) -> None:
        self.console = console
        self.brief = brief

    def __call__(self, event: Event) -> None:
        if line := describe(event, brief=self.brief):
            say(self.console, line)


def describe(event: Event, *, brief: bool = False) -> str:
    """An event as a line, or "" where it is not worth one."""
    data, who = event.data, f"candidate {event.attempt}"
    match event.kind:
        case "started":
            return f"question: {one_line(str(data.get('question', '')), 300)}"
        case "gated" if not brief:
            return f"plan: {'yes' if data.get('plan') else 'no'} ({data.get('reason')})"
        case "planned":
            label = "plan" if event.attempt is None else f"plan {event.attempt}"
            if data.get("error"):
                return f"{label}: none ({data['error']}); the question goes on without"
            notes = " (a sentence with a result was cut out)" if data.get("cut") else ""
            return f"{label}{notes}: {one_line(event.text, 600)}" if event.text else f"{label}: nothing usable{notes}"
        case "attempt_started" if not brief:
            return f"{who}: started"
        case "attempt_retried" | "attempt_forced":
            return f"{who}: {'tried again' if event.kind == 'attempt_retried' else 'asked for its answer'}: {event.text}"
        case "attempt_done":
            tokens = data.get("usage", {}).get("completion_tokens")
            error = f" ({data['error']})" if data.get("error") else ""
            answer = f"{one_line(event.text, 200)}" if event.text else "no answer"
            return f"{who}: {answer}  [{data.get('status')}, {tokens} tokens, {data.get('elapsed_s', 0):.1f} s]{error}"
        case "judged":
            return f"judge: {data.get('first')} or {data.get('second')}? {data.get('error') or data.get('order')}"
        case "stopping":
            saved = data.get("saved_tokens")
            return f"stopped: {event.text}" + (f", about {saved} tokens saved" if saved else "")
        case "chosen":
            return f"chosen: candidate {event.attempt} by {data.get('selector')}: {data.get('reason')}"
        case "failed":
            return f"failed: {event.text}" + (f"\n  next: {data['hint']}" if data.get("hint") else "")
        case "usage":
            return f"cost: {account_line(data)}"
        case _:
            return ""


def account_line(data: Mapping[str, Any]) -> str:
    """The account in one line: completion tokens by phase, what was lost and saved, and the times."""
    phases = data.get("phases", {})
    parts = [f"{name} {use['completion_tokens']}" for name, use in phases.items() if use["completion_tokens"]]
    total = data.get("total", {})
    drafted = f", {total['accepted_tokens']} of {total['drafted_tokens']} drafted kept" if total.get("drafted_tokens") else ""
    extra = [f"{data[key]['completion_tokens']} {key}" for key in ("wasted", "saved") if data[key]["completion_tokens"]]
    first = f", first token {data['ttft_s']:.2f} s" if data.get("ttft_s") is not None else ""
    leak = "; the plan contained the answer" if data.get("plan_leak") else ""
    about = "" if data.get("exact") else " (estimated)"
    return (
        f"{total.get('completion_tokens', 0)} tokens{about} ({', '.join(parts) or 'none'})"
        f"{''.join(f', {e}' for e in extra)}{drafted}, prompt {total.get('prompt_tokens', 0)} "
        f"({total.get('cached_tokens', 0)} cached), {data.get('elapsed_s', 0):.1f} s{first}{leak}"
    )


def results_table(results: Sequence[Mapping[str, Any]], width: int) -> Table:
    """Answer, right or wrong where known, time, and tokens by phase; one row a question, and a row of sums."""
    rows = [_numbers(r.get("usage") or {}) for r in results]
    sums = [sum(column) for column in zip(*rows, strict=True)]
    table = Table(box=SIMPLE, show_footer=len(results) > 1, pad_edge=False)
    numbers = [("s", [f"{row[0]:.1f}" for row in rows], f"{sums[0]:.1f}")]
    numbers += [
        (name, [str(row[i]) for row in rows], str(sums[i])) for i, name in enumerate(("plan", "think", "judge", "wasted"), 1)
    ]
    wide = [max(map(len, (name, total, *cells))) for name, cells, total in numbers]
    left = width - sum(wide) - 5 - 3 * (len(wide) + 3)
    answer_width = min(16, left // 3)
    for name, footer, widest in (("question", "all", left - answer_width), ("answer", "", answer_width)):
        table.add_column(name, footer=footer, max_width=max(4, widest), no_wrap=True, overflow="ellipsis")
    table.add_column("", no_wrap=True, min_width=5)
    for (name, _, total), size in zip(numbers, wide, strict=True):
        table.add_column(name, justify="right", footer=total, no_wrap=True, min_width=size)
    for i, result in enumerate(results):
        correct, answer = result.get("correct"), result.get("answer")
        mark = Text("right", "green") if correct else Text("wrong", "red") if correct is not None else Text("?", "dim")
        said = Text(one_line(str(answer), 60)) if answer is not None else Text("none", "red")
        question = Text(one_line(str(result.get("question", "")), 400))
        table.add_row(question, said, mark, *(cells[i] for _, cells, _ in numbers))
    return table


def _numbers(usage: Mapping[str, Any]) -> tuple[float, int, int, int, int]:
    """Seconds, and completion tokens of planning, of the attempts, of judging, and lost by cancelling."""

    def tokens(part: Mapping[str, Any]) -> int:
        return int(part.get("completion_tokens", 0))

    phases = usage.get("phases", {})
    plan, attempt, judge = (tokens(phases.get(phase, {})) for phase in ("plan", "attempt", "judge"))
    return float(usage.get("elapsed_s", 0.0)), plan, attempt, judge, tokens(usage.get("wasted", {}))
