"""The gates that ask a policy, on real models of two layers: an adapter's and a whole model's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("trl")
from training import make_tiny

from sixfold.cli.gating import Policy, asked_gates
from sixfold.errors import TrainError
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate
from sixfold.train.recipe import Recipe
from sixfold.train.rl import make_sampler

ALL = ("tags", "support", "forgetting")


def recipe(method: str = "full") -> Recipe:
    return Recipe.model_validate({
        "name": "small", "traces": {"tasks": ["math/gcd", "tabular/lookup"]},
        "sft": {"method": method, "precision": "fp32", "lora": {"rank": 2, "alpha": 4}},
        "gates": {"support_problems": 2, "support_k": 2, "tags": 0.5},
        "rl": {"tasks": ["math/gcd", "math/division"], "max_tokens": 6},
    })  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny") / "base")


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def test_all_weights_are_asked_before_and_after(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained = make_tiny(tmp_path / "model", seed=1)
    before, after = Policy(base, None, "aa"), Policy(trained, None, "bb")
    gates = asked_gates(recipe(), ALL, "after", after, [tmp_path], before)
    assert [(g.name, g.passed) for g in gates] == [("tags", False), ("support", False), ("forgetting", True)]
    assert gates[0].reason.startswith("0 of 8 completions")
    assert set(gates[1].details["cells"]) == {"math/gcd:1", "math/division:1"}
    # What SFT taught and RL does not train can be forgotten too.
    assert {name: d["problems"] for name, d in gates[2].details["domains"].items()} == {"math": 4, "tabular": 2}
    assert "gate forgetting: none of 2 domains fell" in capsys.readouterr().err
    cells = ["math/gcd:1", "math/division:1", "tabular/lookup:1"]
    assert [(line["base"], line["cell"]) for line in lines(tmp_path)] == [(who, cell) for who in ("bb", "aa") for cell in cells]
    # Once more nothing is asked: there is no model to open.
    gone = [Policy(tmp_path / "none", None, policy.base_sha256) for policy in (after, before)]
    assert asked_gates(recipe(), ALL, "after", gone[0], [tmp_path], gone[1], silent=True) == gates
    assert asked_gates(recipe(), (), "after", gone[0], [tmp_path]) == []


def test_what_is_solved_always_fails_before_rl_alone(tmp_path: Path) -> None:
    policy = Policy(tmp_path / "none", None, "aa")
    config = recipe()
    with pytest.raises((TrainError, OSError, ValueError)):
        asked_gates(config, ("support",), "after", policy, [tmp_path], silent=True)
    # Counts as a run leaves them, but all of them right.
    probe = make_tiny(tmp_path / "model")
    asked_gates(config, ("support",), "after", Policy(probe, None, "aa"), [tmp_path], silent=True)
    told = [{**line, "tried": [[2, 2, 2, 2]] * 2} for line in lines(tmp_path)]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    (before,) = asked_gates(config, ("support",), "before", policy, [tmp_path], silent=True)
    (after,) = asked_gates(config, ("support",), "after", policy, [tmp_path], silent=True)
    assert (before.passed, after.passed) == (False, True)


def test_the_same_problems_have_the_same_random_numbers(base: Path) -> None:
    from itertools import islice

    some = list(islice(generate(FAMILIES["math/gcd"], 1, "validation"), 3))
    sample = make_sampler(recipe("lora"), base, None)
    first = sample(some, 2)
    assert [len(texts) for texts in first] == [2, 2, 2]
    sample(some[:1], 1)
    assert sample(some, 2) == first
    assert make_sampler(recipe("full"), base, None)(some, 2) == first
    assert make_sampler(recipe("full").model_copy(update={"seed": 1}), base, None)(some, 2) != first
