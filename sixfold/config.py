"""What a command can be told: one frozen model per command, filled from presets, a TOML recipe, `key=value` and flags.

Later wins: defaults, recipe, `--set key=value`, flags. An unknown key is refused with the nearest known one. The string
below a field is its documentation; `docs/configuration.md` is generated from it.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sixfold.errors import ConfigError

MAX_CANDIDATES = 64
MAX_TOKENS = 1_000_000


Effort = Literal["low", "medium", "high"]


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class EngineConfig(Config):
    spec: str = "embedded"
    """embedded, scripted:FILE, a URL, or vllm, sglang, llama-server, cerebras, openai (also as NAME:URL)."""
    model: str = ""
    """The model's name at the endpoint, or a pulled model (or GGUF path) for the embedded engine; empty: the default."""
    key_file: Path | None = None
    """A file that holds the key. Without it the key comes from the environment. Keys are never taken from flags."""
    speculate: str = "off"
    """Speculative decoding of the embedded engine: off, ngram-simple, ngram-mod, ngram-cache, draft:MODEL."""
    lora: Path | None = None
    """A LoRA adapter that is attached to the embedded engine's model: a GGUF file, as `sixfold export` writes it."""
    context_tokens: Annotated[int, Field(ge=128, le=MAX_TOKENS)] = 2048
    """Context of each candidate, in tokens (embedded engine)."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Threads of the embedded engine; 0: every core."""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Loopback port of the embedded engine; 0: any free one."""
    idle_timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    """How long an engine may be silent before it counts as hung."""


class Preset(Config):
    n: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)]
    """Candidates."""
    plan: Literal["auto", "off", "shared", "each"]
    """Plan before thinking: when the gate says so, never, one for all candidates, or one for each."""
    think_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)]
    """Thinking budget of a candidate."""


_PRESETS: Mapping[Effort, Preset] = {
    "low": Preset(n=1, plan="off", think_tokens=256),
    "medium": Preset(n=4, plan="auto", think_tokens=384),
    "high": Preset(n=8, plan="auto", think_tokens=512),
}


class SolveConfig(Config):
    effort: Effort = "medium"
    """Which preset gives n, plan and think_tokens where they are not set."""
    n: Annotated[int | None, Field(ge=1, le=MAX_CANDIDATES)] = None
    """Candidates; empty: the effort's."""
    plan: Literal["auto", "off", "shared", "each"] | None = None
    """Plan before thinking: auto (a gate decides), off, shared, each; empty: the effort's."""
    think_tokens: Annotated[int | None, Field(ge=1, le=MAX_TOKENS)] = None
    """Thinking budget of a candidate, in tokens; then its thinking is closed and it must answer. Empty: the effort's."""
    answer_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 32
    """Kept in reserve for the answer after thinking."""
    plan_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 96
    """At most this long a plan, in tokens; a planner that thinks first needs room for that too."""
    judge_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 48
    """At most this long a judgement, in tokens; a judge that thinks first needs room for that too."""
    select: Literal["auto", "verifier", "majority", "confidence", "short", "judge"] = "auto"
    """How the answer is chosen."""
    short_m: Annotated[int | None, Field(ge=1, le=MAX_CANDIDATES)] = None
    """short: how many of the first candidates to finish are asked (short-m@k); empty: half of n."""
    early_stop: bool = True
    """Stop as soon as the choice cannot change any more."""
    deadline_s: Annotated[float | None, Field(gt=0, le=86_400)] = None
    """An answer by then, or a clear error; empty: no deadline."""
    seed: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    """Candidate i draws with seed + i; empty: a different answer each time."""
    temperature: Annotated[float, Field(ge=0, le=5)] = 0.5
    """0 is greedy: then all candidates are alike."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Nucleus sampling."""
    logprobs: bool | None = None
    """Ask for log-probabilities (confidence); empty: where the selector can use them and the engine gives them."""
    retries: Annotated[int, Field(ge=0, le=20)] = 3
    """How often one candidate goes on after its engine failed in the middle."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    """Questions of a batch file that are worked on at once."""
    efforts: Mapping[Effort, Preset] = _PRESETS
    """What each effort means; what is not given keeps its value."""
    engine: EngineConfig = EngineConfig()
    """Who solves."""
    planner: EngineConfig | None = None
    """Who plans; empty: the solver. Reports name it."""
    judge: EngineConfig | None = None
    """Who judges; empty: the solver. Reports name it."""

    @field_validator("efforts", mode="before")
    @classmethod
    def _keep_presets(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        kept: dict[str, Any] = {name: preset.model_dump() for name, preset in _PRESETS.items()}
        changed = {name: {**kept.get(name, {}), **v} if isinstance(v, dict) else v for name, v in given.items()}
        return {**kept, **changed}

    def resolved(self) -> SolveConfig:
        """The same with n, plan and think_tokens filled in from the effort's preset."""
        preset = self.efforts[self.effort]
        return self.model_copy(
            update={
                "n": self.n or preset.n,
                "plan": self.plan or preset.plan,
                "think_tokens": self.think_tokens or preset.think_tokens,
            }
        )


def home_dir() -> Path:
    """Where models and caches live, as an absolute path: `SIXFOLD_HOME`, else `~/.sixfold`."""
    try:
        return Path(os.environ.get("SIXFOLD_HOME") or "~/.sixfold").expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(f"there is no home folder: {error}", hint="set SIXFOLD_HOME to a folder for models") from error


ConfigT = TypeVar("ConfigT", bound=Config)


def load_config(
    model: type[ConfigT], recipe: Path | None = None, overrides: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> ConfigT:
    """A config from a TOML recipe, `a.b=value` overrides (values as in TOML, bare text allowed) and flags that were given.

    >>> load_config(SolveConfig, overrides=["n=3", "engine.spec=vllm"]).engine.spec
    'vllm'
    """
    return make_config(model, {} if recipe is None else read_toml(recipe), overrides, flags)


def read_toml(recipe: Path) -> dict[str, Any]:
    """What a TOML recipe says. Raises `ConfigError`."""
    try:
        return tomllib.loads(recipe.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the recipe {recipe} cannot be read: {error}", hint="see docs/configuration.md") from error


def make_config(
    model: type[ConfigT], data: dict[str, Any], overrides: Sequence[str] = (), flags: Mapping[str, Any] | None = None
) -> ConfigT:
    """A config from settings as a recipe has them, then `a.b=value` overrides, then flags that were given."""
    for item in overrides:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise ConfigError(f"{item!r} is not key=value", hint="for example --set n=8 or --set engine.context_tokens=4096")
        _put(data, key.strip(), _toml_value(value.strip()))
    for key, value in (flags or {}).items():
        if value is not None:
            _put(data, key, value)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(model, error) from error


def _put(data: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for i, part in enumerate(path):
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            section = ".".join(path[: i + 1])
            raise ConfigError(f"{section} was set to a value, but it is a section of settings", hint=f"set {key} instead")
    data[last] = value


def _toml_value(text: str) -> Any:
    try:
        read = tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["v"] if len(read) == 1 and not isinstance(read["v"], (date, time)) else text


def _explain(model: type[Config], error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    path = ".".join(str(p) for p in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path, list(field_names(model)), 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "see docs/configuration.md"
        return ConfigError(f"unknown setting {path}", hint=hint)
    given = first.get("input")
    shown = f", not {given!r}" if isinstance(given, (str, int, float)) else ""
    return ConfigError(f"{path}: {first['msg'][0].lower()}{first['msg'][1:]}{shown}", hint="see docs/configuration.md")


def field_names(model: type[Config], prefix: str = "") -> list[str]:
    """Every setting of a config, nested ones with dots."""
    names = []
    for name, info in model.model_fields.items():
        names.append(prefix + name)
        inner = [a for a in (info.annotation, *get_args(info.annotation)) if get_origin(a) is None]
        for annotation in inner:
            if isinstance(annotation, type) and issubclass(annotation, Config):
                names += field_names(annotation, f"{prefix}{name}.")
    return names


_BARE: Mapping[str, Any] = {"n": 1, "plan": "off"}
"""What an evaluation measures unless it is told otherwise: the model by itself."""


class EvalConfig(Config):
    tasks: tuple[str, ...] = ()
    """Tasks or groups of tasks; `sixfold tasks list` shows them."""
    split: Literal["train", "validation", "test"] = "test"
    """Which questions; only test is a result."""
    limit: Annotated[int | None, Field(ge=1)] = None
    """Questions of each task, the first of its fixed order; empty: all."""
    samples: Annotated[int, Field(ge=1, le=256)] = 1
    """Independent runs of each question (for pass@k and majority@k); with `published` the task's own number."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Each sample draws with a seed made from this one, its task, question and number, in whatever order it runs."""
    concurrency: Annotated[int | None, Field(ge=1, le=256)] = None
    """Samples that are worked on at once; empty: as many as make eight candidates."""
    published: bool = False
    """Use the sampling, the token limit, the number of runs and the instruction of the task's published evaluation."""
    allow_unsafe_code: bool = False
    """Run tested programs without a sandbox where bubblewrap is missing; without it they are unscored there."""
    decontamination: Path | None = None
    """The report.json of `sixfold data decontaminate` for what the model was trained on; results quote it."""
    solve: SolveConfig = SolveConfig.model_validate(_BARE)
    """How a sample is answered: as for solve, but one candidate and no plan unless given, so that the bare model is
    measured."""

    @field_validator("solve", mode="before")
    @classmethod
    def _bare(cls, given: Any) -> Any:
        """Fill in the defaults of an evaluation, unless an effort is asked for, which means its own."""
        return {**_BARE, **given} if isinstance(given, dict) and "effort" not in given else given

    def resolved(self) -> EvalConfig:
        """The same with the concurrency and the solver's settings filled in."""
        solve = self.solve.resolved()
        concurrency = self.concurrency or max(1, 8 // (solve.n or 1))
        solve = solve.model_copy(update={"concurrency": concurrency})
        return self.model_copy(update={"concurrency": concurrency, "solve": solve})
