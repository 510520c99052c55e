"""Imports point one way, and the light parts stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "sixfold"
RANK = {
    "core": 0, "errors": 0, "__init__": 0, "py": 0, "config": 1, "verify": 2, "engine": 3, "trace": 4, "tasks": 4, "reason": 5,
    "data": 6, "evals": 6, "train": 6, "cli": 7, "scale": 7,
}  # fmt: skip
HEAVY = ("torch", "transformers", "ray", "xllamacpp", "gguf", "numpy", "httpx", "sympy", "math_verify", "matplotlib", "pyarrow",
         "huggingface_hub", "reasoning_gym", "trl", "peft", "datasets")  # fmt: skip


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "sixfold"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_from_outer_layers_to_inner_ones(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for module in imports_of(path):
        assert RANK[layer(module)] <= RANK[here], f"{path} may not import {module}"


def test_the_tree_is_at_most_two_deep() -> None:
    assert all(len(path.relative_to(ROOT).parts) <= 2 for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("code", ["import sixfold", "import sixfold.core, sixfold.config", "import sixfold.cli.app"])
def test_nothing_heavy_is_loaded_for_a_light_thing(code: str) -> None:
    check = f"{code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['sixfold', 'solve', '--help']\n"
        "from sixfold.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Answer a question" in done.stdout
    assert done.stderr.strip() == "[]"
