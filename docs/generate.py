"""Writes what the docs say of settings, commands and files from the program. `make format` runs it, a test checks it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic_core import PydanticUndefined

from sixfold.config import Config, EngineConfig, EvalConfig, Preset, SolveConfig
from sixfold.train.recipe import GateConfig, LoraConfig, Recipe, RejectionConfig, RlConfig, SftConfig, TraceConfig

ROOT = Path(__file__).resolve().parents[1]
_COMMANDS = (
    (), ("solve",), ("eval",), ("compare",), ("tasks", "list"), ("tasks", "show"), ("tasks", "check"), ("verify", "audit"),
    ("verify", "score"), ("data", "decontaminate"), ("traces",), ("sft",), ("rl",), ("export",), ("runs",), ("pull",),
    ("models",), ("doctor",), ("trace", "show"), ("engine", "probe"),
)  # fmt: skip


def configuration() -> str:
    parts = [
        "# Configuration",
        "Every command is told what to do by one frozen model. Later wins: defaults, a TOML recipe (`--recipe FILE`), "
        "`--set key=value` (values as in TOML, bare text allowed), flags. An unknown key is refused with the nearest known "
        "one. This page is generated from the program (`make format`).",
        '```toml\n# recipe.toml, used by: sixfold solve --recipe recipe.toml QUESTION\nn = 8\nselect = "majority"\n\n'
        '[engine]\nspec = "vllm:http://127.0.0.1:8000/v1"\n\n[efforts.high]\nn = 16\nplan = "shared"\nthink_tokens = 4096\n```',
    ]
    for title, model in (
        ("solve", SolveConfig),
        ("eval", EvalConfig),
        ("engine, planner, judge", EngineConfig),
        ("efforts.low, .medium, .high", Preset),
        ("training recipe (traces, sft, rl)", Recipe),
        ("training recipe: traces", TraceConfig),
        ("training recipe: sample", RejectionConfig),
        ("training recipe: sft", SftConfig),
        ("training recipe: sft.lora", LoraConfig),
        ("training recipe: gates", GateConfig),
        ("training recipe: rl", RlConfig),
    ):
        parts.append(f"## {title}\n\n" + "\n".join(_rows(model)))
    parts.append(
        "## Environment\n\n| variable | meaning |\n| --- | --- |\n"
        "| `SIXFOLD_HOME` | where models are kept; `~/.sixfold` without it |\n"
        "| `SIXFOLD_PLAIN` | set: plain lines instead of a live screen |\n"
        "| `SIXFOLD_ENGINE_KEY`, `SIXFOLD_PLANNER_KEY`, `SIXFOLD_JUDGE_KEY` "
        "| the key of a solver, planner or judge whose preset has none |\n"
        "| `OPENAI_API_KEY`, `CEREBRAS_API_KEY`, `VLLM_API_KEY`, `SGLANG_API_KEY`, `LLAMA_API_KEY` | the key of that preset |\n"
        "| `PIP_INDEX_URL`, `HF_ENDPOINT`, `HF_TOKEN` | where `sixfold pull` and the public benchmarks look, and as whom |\n"
        "| `SIXFOLD_DATA` | a folder of public benchmarks, used before the hub; see [evaluation](evaluation.md) |"
    )
    return "\n\n".join(parts) + "\n"


def _rows(model: type[Config]) -> Iterator[str]:
    yield "| key | default | meaning |\n| --- | --- | --- |"
    for name, info in model.model_fields.items():
        default = info.default
        if default is PydanticUndefined:
            shown = ""
        elif isinstance(default, Config):
            shown = "the defaults below"
        elif isinstance(default, dict) and not all(isinstance(p, Preset) for p in default.values()):
            shown = f"`{default}`"
        elif isinstance(default, dict):
            shown = ", ".join(f"{k}: n={p.n}, plan={p.plan}, think_tokens={p.think_tokens}" for k, p in default.items())
        else:
            shown = (
                ""
                if default is None or default == ""
                else f"`{str(default).lower() if isinstance(default, bool) else default}`"
            )
        yield f"| `{name}` | {shown} | {' '.join((info.description or '').split())} |"


def command_line() -> str:
    parts = ["# Command line", "This page is generated from `--help` (`make format`)."]
    env = os.environ | {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    for command in _COMMANDS:
        code = "from sixfold.cli.app import app; app(prog_name='sixfold')"
        run = subprocess.run(
            [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, env=env, check=True
        )
        lines = "\n".join(line.rstrip() for line in run.stdout.strip().splitlines())
        parts.append(f"## {' '.join(('sixfold', *command))}\n\n```text\n{lines}\n```")
    return "\n\n".join(parts) + "\n"


def tree() -> str:
    """One line a file: the first sentence of its docstring."""
    lines = []
    folder = None
    for path in sorted((ROOT / "sixfold").rglob("*.py"), key=lambda p: (p.parent != ROOT / "sixfold", p.parent, p)):
        source = path.read_text(encoding="utf-8")
        text = ast.get_docstring(ast.parse(source))
        if not text:
            continue
        if path.parent != folder:
            folder = path.parent
            lines.append(f"{folder.relative_to(ROOT).as_posix()}/")
        name = "__init__.py" if path.name == "__init__.py" else path.name
        first = re.split(r"(?<=[.!?])\s", " ".join(text.split("\n\n")[0].split()))[0]
        lines.append(f"  {name:<16} {first}")
    return "```text\n" + "\n".join(lines) + "\n```"


def between(text: str, name: str, content: str) -> str:
    """`text` with what stands between the two comments called `name` replaced."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, _, rest = text.partition(start)
    _, _, tail = rest.partition(end)
    return f"{head}{start}\n{content}\n{end}{tail}"


def pages() -> dict[Path, str]:
    """Each generated page, or page with a generated part, and what it should be."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs/configuration.md": configuration(),
        ROOT / "docs/cli.md": command_line(),
        readme: between(readme.read_text(encoding="utf-8"), "tree", tree()),
    }


if __name__ == "__main__":
    for page, content in pages().items():
        page.write_text(content, encoding="utf-8")
