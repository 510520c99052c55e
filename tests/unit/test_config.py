"""What wins, what is refused, and that each refusal says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sixfold.config import MAX_CANDIDATES, EngineConfig, SolveConfig, field_names, home_dir, load_config
from sixfold.errors import ConfigError


def test_flags_win_over_overrides_over_the_recipe_over_defaults(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('n = 2\nseed = 2\ntop_p = 0.2\n[engine]\nspec = "vllm"\nthreads = 2\n', encoding="utf-8")
    config = load_config(SolveConfig, recipe, ["n=3", "seed=3", "engine.threads=3"], {"n": 4, "seed": None, "engine.port": 4})
    assert (config.n, config.seed, config.top_p, config.select) == (4, 3, 0.2, "auto")
    assert config.engine == EngineConfig(spec="vllm", threads=3, port=4)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("n=0x10", "n", 16),
        (" n = 3 ", "n", 3),
        ("select=majority", "select", "majority"),
        ('select="majority"', "select", "majority"),
        ("early_stop=false", "early_stop", False),
        ("deadline_s=1.5", "deadline_s", 1.5),
        ("engine.spec=http://host:1/v1?a=b", "engine.spec", "http://host:1/v1?a=b"),
        ("engine.spec=vllm:http://[::1]:1", "engine.spec", "vllm:http://[::1]:1"),
        ("engine.model=日本語 model", "engine.model", "日本語 model"),
        ("engine.model=2024-01-01", "engine.model", "2024-01-01"),
        ("engine.model=a\nn = 5", "engine.model", "a\nn = 5"),
        ("engine.model='a'\nn = 5", "engine.model", "'a'\nn = 5"),
        ("engine.model=", "engine.model", ""),
        ("planner.spec=openai", "planner.spec", "openai"),
        ("efforts.low.n=2", "efforts.low.n", 2),
    ],
)
def test_overrides(override: str, key: str, value: object) -> None:
    found: Any = load_config(SolveConfig, overrides=[override])
    for part in key.split("."):
        found = found[part] if isinstance(found, Mapping) else getattr(found, part)
    assert found == value


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("selct=majority", "unknown setting selct", "did you mean select?"),
        ("engine.spce=vllm", "unknown setting engine.spce", "did you mean engine.spec?"),
        ("planner.modl=x", "unknown setting planner.modl", "did you mean planner.model?"),
        ("thinktokens=5", "unknown setting thinktokens", "did you mean think_tokens?"),
        ("zzz=1", "unknown setting zzz", "docs/configuration.md"),
        ("n=0", "n: input should be greater than or equal to 1, not 0", "docs"),
        ("n=10000", f"n: input should be less than or equal to {MAX_CANDIDATES}, not 10000", "docs"),
        ("n=many", "n: input should be a valid integer", "docs"),
        ("think_tokens=-1", "think_tokens: input should be greater than or equal to 1, not -1", "docs"),
        ("answer_tokens=0", "answer_tokens: input should be greater", "docs"),
        ("deadline_s=-5", "deadline_s: input should be greater than 0, not -5", "docs"),
        ("deadline_s=nan", "deadline_s: input should be", "docs"),
        ("temperature=nan", "temperature: input should be", "docs"),
        ("top_p=0", "top_p: input should be greater than 0", "docs"),
        ("seed=-1", "seed: input should be greater", "docs"),
        ("effort=max", "effort: input should be 'low', 'medium' or 'high', not 'max'", "docs"),
        ("select=best", "select: input should be 'auto'", "docs"),
        ("efforts.low.n=0", "efforts.low.n: input should be greater", "docs"),
        ("efforts.max.n=1", "efforts.max", "docs"),
        ("n.x=1", "n: input should be a valid integer", "docs"),
        ("engine=5", "engine: input should be", "docs"),
        ("n", "'n' is not key=value", "--set n=8"),
        ("=5", "'=5' is not key=value", "--set n=8"),
    ],
)
def test_refusals_say_what_to_do(override: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(SolveConfig, overrides=[override])
    assert message in str(raised.value.args[0])
    assert hint in raised.value.hint
    assert f"next: {raised.value.hint}" in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("content", [b"n = ", b"\xff\xfe", None])
def test_a_recipe_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    recipe = tmp_path / "recipe.toml"
    if content is not None:
        recipe.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(SolveConfig, recipe)


def test_a_flag_below_a_value_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('engine = "vllm"', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"engine was set to a value, but it is a section"):
        load_config(SolveConfig, recipe, ["engine.spec=vllm"])


@pytest.mark.parametrize(
    ("overrides", "n", "plan", "think_tokens"),
    [
        ([], 4, "auto", 384),
        (["effort=low"], 1, "off", 256),
        (["effort=high", "n=2"], 2, "auto", 512),
        (["efforts.low.n=3", "effort=low"], 3, "off", 256),
        (["efforts.low.n=3"], 4, "auto", 384),
    ],
)
def test_an_effort_gives_what_is_not_set(overrides: list[str], n: int, plan: str, think_tokens: int) -> None:
    config = load_config(SolveConfig, overrides=overrides).resolved()
    assert (config.n, config.plan, config.think_tokens) == (n, plan, think_tokens)
    assert SolveConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        SolveConfig().n = 3  # type: ignore[misc]


def test_every_setting_is_named_and_documented() -> None:
    names = field_names(SolveConfig)
    assert len(names) == len(set(names))
    assert {"n", "engine.spec", "planner.spec", "judge.model"} <= set(names)
    for model in (SolveConfig, EngineConfig):
        assert [name for name, info in model.model_fields.items() if not info.description] == []


def test_home_comes_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home_dir() == home
    monkeypatch.delenv("SIXFOLD_HOME")
    assert home_dir() == Path.home() / ".sixfold"
