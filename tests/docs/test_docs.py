"""What the docs say is what the program does: commands run, generated parts are up to date, links lead somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def commands() -> list[str]:
    lines = [line.split("  #")[0].strip() for block in blocks(README, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


def test_generated_pages_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for page, content in module.pages().items():
        assert page.read_text(encoding="utf-8") == content, f"{page} is stale: run `make format`"


@pytest.mark.model
def test_the_commands_of_the_readme_run(model_home: Path, tmp_path: Path) -> None:
    """All of them, in order, in a copy of what they need. Of `make` the recipe is asked for: the tests run inside it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "sixfold").symlink_to(Path(sys.executable).with_name("sixfold"))
    for command in commands():
        making = command.startswith("make ")
        run = f"make -n {command.removeprefix('make ')}" if making else command
        done = subprocess.run(
            ["bash", "-c", run], cwd=ROOT if making else tmp_path, capture_output=True, text=True, env=os.environ
        )
        # An attempt may end without an answer (4): the model is small. Anything else but 0 is a wrong README.
        assert done.returncode in ((0, 4) if "solve" in command else (0,)), (command, done.stderr)
        assert "Traceback" not in done.stderr


def test_both_readmes_have_the_same_commands_numbers_and_files() -> None:
    for language in ("sh",):
        code = [[line.split("  #")[0].rstrip() for line in b.splitlines()] for b in blocks(README, language)]
        assert code == [[line.split("  #")[0].rstrip() for line in b.splitlines()] for b in blocks(JAPANESE, language)]
    for pattern in (r"\]\(docs/[\w.#-]+\)", r"\b\d+\.\d+\b", r"^  (\w+\.py)\b"):
        assert sorted(set(re.findall(pattern, README, re.M))) == sorted(set(re.findall(pattern, JAPANESE, re.M))), pattern


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            found = (page.parent / path) if path else page
            assert found.exists(), f"{page.name} links to {target}"
            if anchor:
                heads = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.M)
                assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


def test_every_test_and_file_that_the_docs_name_is_there() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:sixfold|tests|bench|docs|examples|recipes)/[\w/.-]+)`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists() or (ROOT / "sixfold" / name).exists(), f"{page.name} names {name}"


def test_make_targets_that_the_docs_name_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        for line in re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M):
            assert set(line) - {""} <= targets, f"{page.name} names make {line}"


def test_the_ci_runs_the_test_command_of_the_readme() -> None:
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in commands()
    assert "make test" in [shlex.join(shlex.split(line)) for line in run.splitlines() if line.startswith("make")]
