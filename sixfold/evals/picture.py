"""Pictures of a report and of a comparison, as PNG and SVG, in the form a paper would print.

Place: last; it draws what `report.py` and `compare.py` computed. Points with 95 % intervals, a mark at each task's guess floor,
one colour a domain (after Okabe and Ito, which colour-blind readers can tell apart). Without a screen and without global state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sixfold.errors import ConfigError
from sixfold.evals.page import who

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]
_COLOURS = {"math": "#0072B2", "code": "#D55E00", "science": "#009E73", "logic": "#CC79A7", "simulation": "#B8860B",
            "tabular": "#56B4E9"}  # fmt: skip
_INK, _GREY, _GRID = "#222222", "#7a7a7a", "#e6e6e6"
_STYLE: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 8.5, "axes.edgecolor": _GREY,
    "axes.linewidth": 0.6, "xtick.color": _GREY, "xtick.labelcolor": _INK, "ytick.color": _INK, "text.color": _INK,
    "axes.labelcolor": _INK, "svg.hashsalt": "sixfold", "text.parse_math": False, "xtick.major.width": 0.6,
}  # fmt: skip
_WIDTH_IN, _ROW_IN, _LONGEST_NAME = 7.2, 0.235, 27


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the picture; without `estimate` a heading. `low` and `high` are in the same unit as `value`."""

    name: str
    estimate: tuple[float, float, float] | None = None
    note: str = ""
    colour: str = _INK
    floor: float | None = None
    strong: bool = False
    signed: bool = False


def draw_report(report: Record, folder: Path) -> list[Path]:
    """Write `accuracy.png` and `accuracy.svg`: every task's accuracy with its interval and guess floor, by domain, then macro
    averages. Raises `ConfigError` where the folder cannot be written."""
    rows = list(_report_rows(report))
    highest = max((max(r.estimate[2], r.floor or 0) for r in rows if r.estimate), default=1.0)
    limit = min(1.0, max(0.2, _up(highest)))
    with _figure(rows, "accuracy", folder, who(report)) as axes:
        axes.set_xlim(0, limit)
        axes.set_xlabel("accuracy (pass@1) with 95 % interval")
        _explain_floor(axes)
    return [folder / "accuracy.png", folder / "accuracy.svg"]


def _up(value: float) -> float:
    """The next tenth above a value, with room for its dot."""
    return (int(value * 10 + 0.2) + 1) / 10


def _report_rows(report: Record) -> Iterator[_Row]:
    several = len(report["tasks"]) > 1
    for domain in report["domains"]:
        colour = _COLOURS.get(domain, _INK)
        if several:
            yield _Row(domain, strong=True, colour=colour)
        for task in report["tasks"]:
            if task["domain"] == domain:
                size = f"n = {task['accuracy']['questions']}"
                yield _Row(
                    _short(task["name"].removeprefix(f"{domain}/") if several else task["name"]),
                    _triple(task["accuracy"]),
                    size,
                    colour,
                    task["floor"],
                )
    if several:
        yield _Row("macro averages", strong=True)
        for domain, macro in report["domains"].items():
            if 1 < len(report["domains"]) < len(report["tasks"]):
                yield _Row(domain, _triple(macro), _tasks(macro["tasks"]), _COLOURS.get(domain, _INK), macro["floor"])
        yield _Row(
            "all tasks", _triple(report["macro"]), _tasks(report["macro"]["tasks"]), _INK, report["macro"]["floor"], True
        )


def draw_comparison(comparison: Record, folder: Path) -> list[Path]:
    """Write `difference.png` and `difference.svg`: paired differences B - A in percentage points with their intervals."""
    rows = list(_comparison_rows(comparison))
    widest = max((max(abs(r.estimate[1]), abs(r.estimate[2])) for r in rows if r.estimate), default=0.1)
    limit = min(1.0, max(0.05, 1.08 * widest))
    title = f"A: {who(comparison['a'])}\nB: {who(comparison['b'])}"
    with _figure(rows, "difference", folder, title) as axes:
        axes.set_xlim(-limit, limit)
        axes.axvline(0, color=_INK, linewidth=0.8, zorder=1)
        axes.set_xlabel("← A is better      difference in accuracy, B − A (points), 95 % interval      B is better →")
    return [folder / "difference.png", folder / "difference.svg"]


def _comparison_rows(comparison: Record) -> Iterator[_Row]:
    for task in comparison["tasks"]:
        colour = _COLOURS.get(task["domain"], _INK) if task["finding"] != "noise" else _GREY
        yield _Row(_short(task["name"]), _triple(task, "difference"), _found(task), colour, signed=True)
    if len(comparison["tasks"]) > 1:
        macro = comparison["macro"]
        yield _Row("macro average", _triple(macro, "difference"), _found(macro), strong=True, signed=True)


def _found(row: Record) -> str:
    p = row.get("p_adjusted", row["p"])
    return f"{row['finding']}, p = {p:.3f}" if p >= 0.001 else f"{row['finding']}, p < 0.001"


def _tasks(count: int) -> str:
    return f"{count} task{'s' if count != 1 else ''}"


def _triple(estimate: Record, name: str = "value") -> tuple[float, float, float] | None:
    return None if estimate[name] is None else (estimate[name], estimate["low"], estimate["high"])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def _points(value: float, digits: int = 0) -> str:
    """A difference in percentage points.

    >>> _points(-0.052, 1), _points(0.1), _points(0.0)
    ('−5.2', '+10', '0')
    """
    return f"{100 * value:+.{digits}f}".replace("-", "−") if value else "0"


def _explain_floor(axes: Axes) -> None:
    from matplotlib.lines import Line2D

    mark = Line2D([], [], color=_GREY, marker="|", linestyle="none", markersize=8, markeredgewidth=1.8)
    axes.get_figure(root=True).legend(  # type: ignore[union-attr]
        [mark], ["guess floor"], loc="lower right", bbox_to_anchor=(0.995, 0.0), frameon=False, fontsize=8, handletextpad=0.1
    )


@contextmanager
def _figure(rows: Sequence[_Row], name: str, folder: Path, title: str) -> Iterator[Axes]:
    """A figure with these rows; the caller sets the x axis, then it is saved."""
    import textwrap

    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    wrapped = "\n".join(line for part in title.split("\n") for line in textwrap.wrap(part, 98) or [""])
    head_in, foot_in = 0.18 + 0.17 * (wrapped.count("\n") + 1), 0.52
    height_in = head_in + foot_in + _ROW_IN * len(rows)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=200, facecolor="white")
        box = (0.28, foot_in / height_in, 0.45, 1 - (head_in + foot_in) / height_in)
        axes = figure.add_axes(box)
        figure.text(0.012, 1 - 0.09 / height_in, wrapped, va="top", fontsize=8, color=_INK, linespacing=1.35)
        for at, row in enumerate(rows):
            _draw_row(axes, at, row)
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.set_yticks([])
        axes.grid(axis="x", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        yield axes
        signed = axes.get_xlim()[0] < 0
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _points(x) if signed else f"{100 * x:.0f} %"))
        try:
            figure.savefig(folder / f"{name}.png")
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written: {error.strerror}", hint="give another --out") from error


def _draw_row(axes: Axes, at: int, row: _Row) -> None:
    beside = axes.get_yaxis_transform()
    weight = "bold" if row.strong else "normal"
    heading = row.estimate is None and row.strong
    axes.text(
        -0.60 if heading else -0.57, at, row.name, transform=beside, va="center", ha="left", fontweight=weight,
        color=row.colour if heading else _INK, clip_on=False,
    )  # fmt: skip
    if row.estimate is None:
        if not heading:
            axes.text(1.03, at, "nothing judged", transform=beside, va="center", ha="left", color=_GREY, fontsize=8)
        return
    value, low, high = row.estimate
    axes.plot([low, high], [at, at], color=row.colour, linewidth=1.5, solid_capstyle="butt", zorder=3)
    for end in (low, high):
        axes.plot([end, end], [at - 0.14, at + 0.14], color=row.colour, linewidth=1.0, zorder=3)
    axes.plot(value, at, "D" if row.strong else "o", color=row.colour, markersize=5.2 if row.strong else 4.6, zorder=4,
              markeredgecolor="white", markeredgewidth=0.5, clip_on=False)  # fmt: skip
    if row.floor is not None:
        axes.plot([row.floor, row.floor], [at - 0.33, at + 0.33], color=_GREY, linewidth=1.8, zorder=2, clip_on=False)
    number = _points(value, 1) if row.signed else f"{100 * value:.1f} %"
    axes.text(1.17, at, number, transform=beside, va="center", ha="right", fontweight=weight)
    axes.text(1.20, at, row.note, transform=beside, va="center", ha="left", color=_GREY, fontsize=7.5)
