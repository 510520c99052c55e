"""`--plan`: what a recipe will do, before it does it: rows, tokens, steps, memory, time, and the exact settings for TRL.

Place: `sixfold sft RECIPE --plan` prints it. It counts the first rows of the recipe and multiplies, reads the base model's
`config.json`, and loads no weights and no torch. Memory is an estimate (formulas beside the code); time needs a measured rate:
that of an earlier run of the same base, or one that is stated. Where there is none it says so rather than guess.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sixfold.data.public_traces import SETS
from sixfold.data.rows import Row, read_rows
from sixfold.errors import TrainError
from sixfold.tasks.catalog import find_families
from sixfold.train.curves import duration, tokens_per_s
from sixfold.train.recipe import Recipe, SftConfig
from sixfold.train.rl import settings as rl_settings
from sixfold.train.runs import list_runs, load_metrics, read_run
from sixfold.train.sft import cpu_multiplies_bf16, multiplies_bf16, recipe_cells, recipe_rows, settings

_SAMPLE = 300
"""Rows that are counted."""
_FILL = 0.95
"""How full packed rows are: 5,969 rows of 512 held 2.91 million tokens of 13,975 examples (95 %)."""
_CHARS_PER_TOKEN = 2.6
"""Where there is no tokenizer yet; measured on the generated rows with SmolLM2's, which makes each digit a token."""
_LEARNED = 0.95
"""Share of a public row's tokens that is learned, where none is here: long chains of thought after short questions."""
_TURN_TOKENS = 5
"""What a chat template writes around a message."""
_COMPILED = 0.5
"""Compiled layers keep less: 5.7 GiB measured where the formula says 11.2 (8 rows of 512, LoRA on SmolLM2-135M, CPU)."""
_PROGRAM = 0.7 * 2**30
"""Bytes of Python, torch and what they load."""
_FLOAT, _HALF, _ADAM = 4, 2, 8


@dataclass(frozen=True, slots=True)
class Size:
    """A base model in numbers. `weights` and `adapter` count parameters."""

    weights: int
    adapter: int
    layers: int
    hidden: int
    inner: int
    heads: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`rows` are examples, `packed_rows` rows of `max_tokens`; `learned` is the share of tokens that a loss is computed for.
    `time_s` is `None` where no rate is known; `rate_from` says where it comes from. `assumed` rows are of public sets: their
    number and length are what is known of the sets, and none was read."""

    rows: int
    tokens_per_row: float
    learned: float
    packed_rows: int
    steps: int
    tokens: int
    size: Size
    memory_gib: Mapping[str, float]
    tokens_per_s: float | None
    rate_from: str
    trl: Mapping[str, Any]
    assumed: int = 0

    @property
    def time_s(self) -> float | None:
        return self.tokens / self.tokens_per_s if self.tokens_per_s else None

    def record(self) -> dict[str, Any]:
        """As JSON."""
        kept = {name: getattr(self, name) for name in ("rows", "tokens_per_row", "learned", "packed_rows", "steps", "tokens")}
        return kept | {
            "parameters": self.size.weights, "trained_parameters": self.size.adapter or self.size.weights,
            "assumed_rows": self.assumed,
            "memory_gib": dict(self.memory_gib), "tokens_per_s": self.tokens_per_s, "rate_from": self.rate_from,
            "time_s": self.time_s, "trl": {"SFTConfig": dict(self.trl)},
        }  # fmt: skip


def make_plan(
    recipe: Recipe, base: Path | None, folder: Path, half: bool, accelerator: bool, stated: float | None = None,
    processes: int = 1,
) -> Plan:  # fmt: skip
    """A plan from a recipe and its base's folder (`None` where it is not here: then tokens are estimated from characters, and
    there is no size). `half`: matrix products in bf16. `stated`: tokens a second. Memory is that of one of the processes, as if
    each held all weights.

    Raises `TrainError` where the base has no readable `config.json`.
    """
    sft, rows = recipe.sft, count_rows(recipe)
    own = recipe.model_copy(update={"traces": recipe.traces.model_copy(update={"public": ()})})
    per_row, learned = row_tokens(list(islice(recipe_rows(own), _SAMPLE)), base)
    if assumed := rows - count_rows(own):
        public = sum(count * min(SETS[name].tokens, sft.max_tokens) for name, count in _public_rows(recipe).items())
        tokens = (rows - assumed) * per_row + public
        per_row, learned = tokens / rows, ((rows - assumed) * per_row * learned + public * _LEARNED) / tokens
    packed = max(1, math.ceil(rows * per_row / (sft.max_tokens * _FILL))) if rows else 0
    batch = sft.batch_rows * processes
    steps = sft.max_steps if sft.max_steps > 0 else math.ceil(math.ceil(packed / batch) * sft.epochs)
    size = model_size(base, sft)
    rate, origin = (stated, "stated") if stated else measured_rate(recipe, folder.parent)
    return Plan(
        rows, per_row, learned, packed, steps, steps * batch * sft.max_tokens, size,
        memory(size, sft, learned, half, accelerator), rate, origin,
        settings(sft, recipe.seed, folder, recipe.trackers) | {"bf16": half, "use_cpu": not accelerator}, assumed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RlPlan:
    """`completions` are those that are trained on; refilling groups without a signal may sample `drawn_at_most`, whose tokens,
    all of them as long as they may be, are `tokens_at_most`."""

    steps: int
    cells: int
    completions: int
    drawn_at_most: int
    tokens_at_most: int
    size: Size
    memory_gib: Mapping[str, float]
    trl: Mapping[str, Any]


def make_rl_plan(recipe: Recipe, base: Path | None, folder: Path, half: bool, accelerator: bool) -> RlPlan:
    """What the RL stage of a recipe will do, with the exact keywords of TRL's `GRPOConfig`. Memory is that of the policy's
    update, every completion as long as it may be."""
    rl, sft = recipe.rl, recipe.sft
    families = find_families(rl.tasks)
    completions = rl.steps * rl.prompts * rl.group_size
    length, size = rl.max_prompt_tokens + rl.max_tokens, model_size(base, sft)
    return RlPlan(
        rl.steps, sum(min(f.levels, rl.top_level) for f in families), completions, completions * (1 + rl.refill),
        completions * (1 + rl.refill) * rl.max_tokens, size,
        memory(size, sft, rl.max_tokens / length, half, accelerator, (rl.micro_batch, length), rl.gradient_checkpointing),
        rl_settings(rl, recipe.seed, folder, trackers=recipe.trackers) | {"bf16": half, "use_cpu": not accelerator},
    )  # fmt: skip


def hardware() -> tuple[bool, bool]:
    """Whether there is an accelerator, and whether matrix products in bf16 are done in hardware. torch is only asked where
    there is an NVIDIA driver."""
    if Path("/dev/nvidiactl").exists():
        import torch

        return torch.cuda.is_available(), multiplies_bf16()
    return False, cpu_multiplies_bf16()


def count_rows(recipe: Recipe) -> int:
    """Rows of a recipe: the worked ones by cell (a family that has fewer problems ends sooner), the lines of its files, and
    what is known of its public sets."""
    worked, public = sum(recipe_cells(recipe).values()), sum(_public_rows(recipe).values())
    return worked + sum(1 for file in recipe.traces.files for _ in read_rows(file.expanduser())) + public


def _public_rows(recipe: Recipe) -> dict[str, int]:
    most = recipe.traces.public_rows
    return {name: min(SETS[name].rows, most or SETS[name].rows) for name in recipe.traces.public}


def row_tokens(rows: Sequence[Row], base: Path | None) -> tuple[float, float]:
    """Mean tokens of a row and the share of them that is learned."""
    if not rows:
        return 0.0, 0.0
    prompts = [[m["content"] for m in row["prompt"]] for row in rows]
    completions = [row["completion"][0]["content"] if row.get("completion") else "" for row in rows]
    before = sum(_lengths([text for messages in prompts for text in messages], base))
    before += _TURN_TOKENS * sum(len(messages) + 1 for messages in prompts)
    after = sum(_lengths(completions, base)) + len(rows)
    return (before + after) / len(rows), after / (before + after)


def _lengths(texts: Sequence[str], base: Path | None) -> list[float]:
    file = base / "tokenizer.json" if base else None
    if file is None or not file.is_file():
        return [len(text) / _CHARS_PER_TOKEN for text in texts]
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return [len(text) / _CHARS_PER_TOKEN for text in texts]
    tokenizer = Tokenizer.from_file(str(file))
    return [len(e.ids) for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def model_size(base: Path | None, sft: SftConfig) -> Size:
    """Parameters of a decoder with grouped-query attention and a gated MLP, from its `config.json`; `adapter` is 0 where all
    weights are trained. Without a base all is 0."""
    if base is None:
        return Size(0, 0, 0, 0, 0, 0, 0)
    try:
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        layers, hidden, inner = (int(config[k]) for k in ("num_hidden_layers", "hidden_size", "intermediate_size"))
        heads, vocabulary = int(config["num_attention_heads"]), int(config["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(
            f"{base / 'config.json'} cannot be read: {error!r}", hint="give a folder of a decoder model"
        ) from error
    head = int(config.get("head_dim") or hidden // heads)
    wide, narrow = heads * head, int(config.get("num_key_value_heads") or heads) * head
    linears = [
        (hidden, wide),
        (hidden, narrow),
        (hidden, narrow),
        (wide, hidden),
        (hidden, inner),
        (hidden, inner),
        (inner, hidden),
    ]
    layer = sum(a * b for a, b in linears) + 2 * hidden
    tables = 1 if config.get("tie_word_embeddings") else 2
    weights = layers * layer + hidden + tables * vocabulary * hidden
    adapter = layers * sft.lora.rank * sum(a + b for a, b in linears) if sft.method == "lora" else 0
    return Size(weights, adapter, layers, hidden, inner, heads, vocabulary)


def memory(
    size: Size, sft: SftConfig, learned: float, half: bool, accelerator: bool, shape: tuple[int, int] | None = None,
    again: bool | None = None,
) -> dict[str, float]:  # fmt: skip
    """GiB at the peak of a step on one process, by what needs it. Good to about a factor of 1.5. `shape`: rows of a forward
    pass and tokens of each; without it those of SFT. `again`: activations are computed again in the backward pass, and only
    the inputs of the layers are kept; without it as SFT does.

    Activations of a layer and token, in bytes: 17 `hidden`-sized tensors in the products' precision and 4 of its norms in fp32,
    4 `inner`-sized ones, with an adapter its inputs in fp32, and without fused attention the scores, thrice (after Korthikanti
    et al. 2022, arXiv 2205.05198, for a gated MLP). The loss has the vocabulary of each learned token three times in fp32.
    """
    trained = size.adapter or size.weights
    number = _HALF if half else _FLOAT
    rows, length = shape or (sft.batch_rows // sft.accumulate, sft.max_tokens)
    tokens = rows * length
    per_token = 17 * size.hidden * number + 4 * size.hidden * _FLOAT + 4 * size.inner * number
    per_token += (6 * size.hidden + size.inner) * _FLOAT if size.adapter else 0
    per_token += 0 if accelerator else size.heads * length * (2 * number + _FLOAT)
    scored = tokens if accelerator else tokens * learned
    kept, layers = _COMPILED if sft.compile else 1.0, size.layers
    if sft.gradient_checkpointing if again is None else again:
        kept, layers = 1.0, 1
    parts = {
        "weights": size.weights * (number if size.adapter else _FLOAT) + size.adapter * _FLOAT,
        "gradients": trained * _FLOAT,
        "optimizer": trained * _ADAM,
        "activations": tokens * (layers * per_token * kept + (size.layers - layers) * size.hidden * number),
        "loss": 3 * scored * size.vocabulary * _FLOAT,
        "program": _PROGRAM,
    }
    return {name: round(value / 2**30, 2) for name, value in parts.items()} | {"all": round(sum(parts.values()) / 2**30, 2)}


def measured_rate(recipe: Recipe, root: Path) -> tuple[float | None, str]:
    """Tokens a second of the last run below `root` with this base, method and row length, and its folder's name."""
    wanted = (recipe.base, recipe.sft.method, recipe.sft.max_tokens)
    for run in reversed(list_runs(root)):
        was = read_run(run.folder)["recipe"]
        if run.stage != "sft" or (was["base"], was["sft"]["method"], was["sft"]["max_tokens"]) != wanted:
            continue
        if rate := tokens_per_s(load_metrics(run.folder, "sft")):
            return rate, f"measured in {run.folder}"
    return None, "no run of this base yet: state it with --tokens-per-s, or train some steps"


def shown(plan: Plan) -> str:
    """A plan as text."""
    size, trained = plan.size, plan.size.adapter or plan.size.weights
    parts = ", ".join(f"{name} {value:g}" for name, value in plan.memory_gib.items() if name != "all")
    time = f"{duration(plan.time_s)} at {plan.tokens_per_s:,.0f} tokens/s ({plan.rate_from})" if plan.time_s else plan.rate_from
    lines = [
        f"rows     {plan.rows:,} examples of {plan.tokens_per_row:.0f} tokens, {plan.learned:.0%} of them learned",
        f"public   {plan.assumed:,} of them, before any is filtered out: as their sets are described, none was read"
        if plan.assumed else "",
        f"steps    {plan.steps:,} steps, {plan.tokens:,} tokens in {plan.packed_rows:,} packed rows an epoch",
        f"model    {size.weights / 1e6:,.1f} M parameters, {trained / 1e6:,.2f} M trained" if size.weights else
        "model    not here yet: its size and memory are not known; tokens are estimated from characters",
        f"memory   about {plan.memory_gib['all']:g} GiB ({parts})" if size.weights else "",
        f"time     {time}",
    ]  # fmt: skip
    settings = ["", "trl.SFTConfig(", *(f"    {key}={value!r}," for key, value in plan.trl.items()), ")"]
    return "\n".join([*filter(None, lines), *settings])


def rl_shown(plan: RlPlan) -> str:
    """The plan of the RL stage as text."""
    lines = [
        f"steps    {plan.steps:,} steps over {plan.cells:,} cells (family, level)",
        f"rollouts {plan.completions:,} completions, at most {plan.drawn_at_most:,} with refilling "
        f"({plan.tokens_at_most:,} tokens at most)",
        f"memory   about {plan.memory_gib['all']:g} GiB for the update" if plan.size.weights else
        "memory   the model is not here yet: not known",
        "", "trl.GRPOConfig(", *(f"    {key}={value!r}," for key, value in plan.trl.items()), ")",
    ]  # fmt: skip
    return "\n".join(lines)
