"""The curves of a training run: as PNG or SVG, and as a screen in the terminal that follows it.

Place: `sixfold runs` draws with it. It reads `metrics.jsonl` through `runs.py` and computes nothing beyond rates; what is drawn
is what was logged. The look is that of `evals/picture.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sixfold.errors import ConfigError, TrainError
from sixfold.train.runs import Summary, list_runs, load_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import Console, RenderableType

Line = Mapping[str, Any]
PANELS: Mapping[str, tuple[str, ...]] = {
    "loss": ("loss",),
    "accuracy": ("accuracy", "mean_token_accuracy"),
    "reward": ("reward",),
    "tag rate": ("tag_rate",),
    "entropy (nats)": ("entropy",),
    "completion length (tokens)": ("completions/mean_length",),
    "KL(sampler, trainer)": ("sampler/kl",),
    "gradient norm": ("grad_norm",),
    "learning rate": ("learning_rate",),
}
"""Title of a panel, and what is drawn in it where it was logged."""
_COLOURS = {"sft": "#0072B2", "rl": "#D55E00"}
_INK, _GREY, _GRID = "#222222", "#7a7a7a", "#e6e6e6"
_STYLE: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 8.5, "axes.edgecolor": _GREY,
    "axes.linewidth": 0.6, "xtick.color": _GREY, "xtick.labelcolor": _INK, "ytick.color": _GREY, "ytick.labelcolor": _INK,
    "text.color": _INK, "axes.labelcolor": _INK, "svg.hashsalt": "sixfold", "text.parse_math": False,
}  # fmt: skip
_BARS = "▁▂▃▄▅▆▇█"


def plot(folder: Path, out: Path) -> None:
    """Draw what a run logged, by step, as PNG or SVG (the name's ending decides). Raises `TrainError` where nothing was logged
    and `ConfigError` where `out` cannot be written."""
    if out.suffix not in (".png", ".svg"):
        raise ConfigError(f"{out} is neither PNG nor SVG", hint="give --plot a name that ends in .png or .svg")
    lines = load_metrics(folder)
    panels = [
        (title, key, stage)
        for title, keys in PANELS.items()
        for key in keys
        for stage in dict.fromkeys(x["stage"] for x in lines)
        if series(lines, key, stage)
    ]
    titles = list(dict.fromkeys(title for title, _, _ in panels))
    if not titles:
        raise TrainError(f"{folder} has logged nothing yet", hint="draw it again after some steps")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = -(-len(titles) // 2)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 0.45 + 1.75 * rows), dpi=200, facecolor="white", layout="constrained")
        figure.suptitle(_title(folder), fontsize=8, x=0.012, ha="left")
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes, title in zip(grid.flat, titles, strict=False):
            for shown, key, stage in panels:
                if shown == title:
                    _draw(axes, series(lines, key, stage), _COLOURS.get(stage, _INK), f"{stage} {key}")
            axes.set_title(title, fontsize=8.5, loc="left")
        for axes in list(grid.flat)[len(titles) :]:
            axes.set_axis_off()
        for axes in grid[-1]:
            axes.set_xlabel("step")
        try:
            figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="give another --plot") from error


def _draw(axes: Axes, points: Sequence[tuple[int, float]], colour: str, label: str) -> None:
    steps, values = [p[0] for p in points], [p[1] for p in points]
    several = bool(axes.lines)
    axes.plot(steps, values, color=colour, linewidth=1.3, linestyle="--" if several else "-", label=label,
              marker="o" if len(points) < 30 else "", markersize=2.5)  # fmt: skip
    axes.grid(color=_GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if several:
        axes.legend(frameon=False, fontsize=7)


def _title(folder: Path) -> str:
    found = list_runs(folder)
    said = ", ".join(f"{s.stage} {s.state} at step {s.step}" + (f" of {s.max_steps}" if s.max_steps else "") for s in found)
    return f"{folder.name}: {said}"


def series(lines: Sequence[Line], key: str, stage: str | None = None) -> list[tuple[int, float]]:
    """(step, value) of what was logged under a name; what was no finite number is left out.

    >>> series([{"step": n, "stage": "sft", "values": {"loss": v}} for n, v in enumerate([2.0, "nan", 1.0])], "loss")
    [(0, 2.0), (2, 1.0)]
    """
    found = [(x["step"], x["values"].get(key)) for x in lines if stage in (None, x["stage"])]
    return [(step, float(value)) for step, value in found if isinstance(value, (int, float))]


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Values as a line of bars, the mean of each slice where there are more than `width`.

    >>> sparkline([0, 1, 2, 3]), sparkline([5, 5]), sparkline([])
    ('▁▃▆█', '▁▁', '')
    """
    if not values:
        return ""
    slices = min(width, len(values))
    parts = [values[i * len(values) // slices : (i + 1) * len(values) // slices] for i in range(slices)]
    means = [sum(p) / len(p) for p in parts]
    low, high = min(means), max(means)
    return "".join(_BARS[round((m - low) / (high - low) * 7) if high > low else 0] for m in means)


def tokens_per_s(lines: Sequence[Line]) -> float | None:
    """Of the last half of what was logged: tokens trained on in a second; `None` where that was not logged."""
    told = [(x["time_s"], x["values"]["num_tokens"]) for x in lines if isinstance(x["values"].get("num_tokens"), (int, float))]
    told = told[len(told) // 2 - (len(told) > 1) :] if len(told) > 1 else []
    return (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0]) if told and told[-1][0] > told[0][0] else None


def eta_s(lines: Sequence[Line], max_steps: int) -> float | None:
    """Seconds until the last step at the pace of the last half of what was logged; `None` where that is not known."""
    late = lines[(len(lines) - 1) // 2 :]
    if len(late) < 2 or late[-1]["step"] <= late[0]["step"]:
        return None
    pace = (late[-1]["time_s"] - late[0]["time_s"]) / (late[-1]["step"] - late[0]["step"])
    return float(max(0, max_steps - late[-1]["step"]) * pace)


def duration(seconds: float) -> str:
    """
    >>> duration(42), duration(200), duration(9000)
    ('42 s', '3 min 20 s', '2 h 30 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def screen(run: Summary, lines: Sequence[Line], width: int = 40) -> RenderableType:
    """A stage of a run as a screen: where it is, how long yet, and the curves of what it logs."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    of = f" of {run.max_steps}" if run.max_steps else ""
    table.add_row(Text(f"{run.name} {run.stage}", style="bold"), Text(run.state), Text(f"step {run.step}{of}"))
    rate, left = tokens_per_s(lines), eta_s(lines, run.max_steps) if run.state == "running" else None
    pace = [f"{duration(run.time_s)} so far"]
    pace += [f"{rate:,.0f} tokens/s"] if rate else []
    pace += [f"{duration(left)} left"] if left is not None else []
    table.add_row(Text("time"), Text(""), Text(", ".join(pace)))
    for title, keys in PANELS.items():
        for key in keys:
            if points := series(lines, key):
                values = [v for _, v in points]
                table.add_row(Text(title), Text(f"{values[-1]:.4g}"), Text(sparkline(values, width)))
                break
    if run.reason:
        table.add_row(Text("stopped"), Text(""), Text(run.reason))
    return table


def follow(folder: Path, console: Console, poll_s: float = 1.0, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show the stages of a run until none is running any more. Raises `TrainError` where there is no run."""
    from rich.console import Group
    from rich.live import Live

    def now() -> tuple[list[Summary], Group]:
        found = list_runs(folder)
        if not found:
            raise TrainError(f"{folder} is no training run", hint="`sixfold runs` lists them")
        return found, Group(*(screen(s, load_metrics(s.folder, s.stage)) for s in found))

    found, shown = now()
    with Live(shown, console=console, refresh_per_second=4) as live:
        while any(s.state == "running" for s in found):
            sleep(poll_s)
            found, shown = now()
            live.update(shown)
    if not console.is_terminal:
        console.print()
