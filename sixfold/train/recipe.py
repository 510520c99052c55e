"""A recipe: one TOML file that takes a base model through traces, SFT, RL, gates and export.

Place: `sixfold sft` and `sixfold rl` read it, and write it, resolved, into the run folder before anything else. An unknown key
is refused with the nearest known one; the string below a field is its documentation in `docs/configuration.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sixfold.config import Config

Share = Annotated[float, Field(ge=0, le=1)]


class TraceConfig(Config):
    tasks: tuple[str, ...] = ("generated",)
    """Generated families, domains, or `generated` for all."""
    levels: Mapping[int, Share] = {1: 0.8, 2: 0.2}
    """Share of each level. The shipped model is measured at these levels."""
    rows: Annotated[int, Field(ge=1)] = 20_000
    """Worked examples, shared out evenly between domains and families."""
    planned: Share = 0.15
    """Share of rows with a plan in the question."""
    planners: Share = 0.08
    """Share of rows that ask for a plan alone."""
    slips: Share = 0.04
    """Share of rows with a mistake that is noticed and corrected; the mistake itself is not learned."""
    files: tuple[Path, ...] = ()
    """JSONL files with further rows, mixed in."""


class LoraConfig(Config):
    rank: Annotated[int, Field(ge=1, le=1024)] = 32
    """Rank of the adapter matrices."""
    alpha: Annotated[int, Field(ge=1, le=4096)] = 64
    """Scale: the adapter's product is multiplied by alpha / rank."""


class SftConfig(Config):
    method: Literal["lora", "full"] = "lora"
    """Train adapter matrices on all linear layers, or all weights."""
    lora: LoraConfig = LoraConfig()
    """The adapter."""
    max_tokens: Annotated[int, Field(ge=16)] = 512
    """Length of a packed row, in tokens; longer examples are left out and counted."""
    batch_rows: Annotated[int, Field(ge=1)] = 8
    """Packed rows of one step on each process, all accumulation included."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Forward passes that a step is divided into."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: Share = 0.03
    """Share of the steps in which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight decay (AdamW)."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the data."""
    max_steps: Annotated[int, Field(ge=-1)] = -1
    """Steps to end after; -1: as many as the epochs need."""
    save_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two checkpoints."""
    log_steps: Annotated[int, Field(ge=1)] = 10
    """Steps between two lines of metrics."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of the matrix products; auto: bf16 where the processor or accelerator multiplies it in hardware."""
    compile: bool = True
    """Compile the layers (fuses what is not a matrix product; costs up to a minute at the start)."""

    @model_validator(mode="after")
    def _whole_passes(self) -> Self:
        if self.batch_rows % self.accumulate:
            raise ValueError(f"batch_rows ({self.batch_rows}) must divide by accumulate ({self.accumulate})")
        return self


class GateConfig(Config):
    before_sft: tuple[Literal["audit", "contamination"], ...] = ("audit", "contamination")
    """Gates that `sixfold sft` must pass before it trains."""
    audit_problems: Annotated[int, Field(ge=1)] = 30
    """Problems of each task on which its verifier is attacked."""
    contamination: Share = 0.0
    """Share of training rows that may hold an evaluation question."""
    tags: Share = 0.95
    """Share of completions that must think between tags and then answer, before RL."""
    support_k: Annotated[int, Field(ge=1, le=1024)] = 8
    """Samples of a problem in the support gate (pass@k)."""
    support_problems: Annotated[int, Field(ge=1)] = 8
    """Problems of each cell (family, level) in the support gate."""
    support_low: Share = 0.1
    """A cell whose pass@k is lower has nothing that RL could strengthen."""
    support_high: Share = 0.95
    """A cell whose pass@k is higher has nothing left to learn."""
    support_cells: Share = 0.3
    """Share of cells that must lie between the two."""


class RlConfig(Config):
    tasks: tuple[str, ...] = ("generated",)
    """Generated families, domains, or `generated` for all."""
    loss: Literal["dapo", "dr_grpo", "cispo", "gspo"] = "dr_grpo"
    """The policy-gradient loss, with its published clipping and scaling of advantages."""
    group_size: Annotated[int, Field(ge=2, le=256)] = 8
    """Completions of one prompt, against whose mean each is measured."""
    prompts: Annotated[int, Field(ge=1)] = 8
    """Prompts of one step, over all processes."""
    micro_batch: Annotated[int, Field(ge=1)] = 8
    """Completions of one forward and backward pass; a step's completions are divided into such."""
    max_tokens: Annotated[int, Field(ge=1)] = 320
    """Length of a completion, thinking included; what is longer is cut, earns nothing and is not learned from."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """A problem whose prompt is longer is passed over and counted."""
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    """Of the rollouts. There is no top-p: it would bias the importance ratio."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """Peak learning rate."""
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "constant_with_warmup"
    """How the learning rate changes after the warm-up."""
    warmup: Share = 0.05
    """Share of the steps in which the learning rate rises."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this norm."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Optimizer steps; each has its own rollouts."""
    save_steps: Annotated[int, Field(ge=1)] = 10
    """Steps between two checkpoints."""
    format_weight: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Reward of well-formed thinking tags, beside 1 for a right answer."""
    truncated: Literal["zero", "none"] = "zero"
    """Reward of a completion that was cut: 0, or none, which also leaves it out of its group's mean."""
    mask_truncated: bool = True
    """Learn nothing from completions that were cut (https://arxiv.org/abs/2503.14476)."""
    refill: Annotated[int, Field(ge=0, le=16)] = 2
    """How often groups without a signal (all right or all wrong) are drawn again in a step."""
    level: Annotated[int, Field(ge=1)] = 1
    """The highest level that is drawn from at the beginning."""
    top_level: Annotated[int, Field(ge=1)] = 99
    """The highest level that may open."""
    raise_at: Share = 0.8
    """Success at which a family's next level opens."""
    window: Annotated[int, Field(ge=1)] = 64
    """Completions over which that success is measured."""
    easy_share: Share = 0.1
    """Share of the problems from cells that are solved nearly always; they keep answers short."""
    explore: Share = 0.1
    """Share of the problems from any open cell, domains alike."""

    @model_validator(mode="after")
    def _whole_batches(self) -> Self:
        if self.prompts * self.group_size % self.micro_batch:
            raise ValueError(
                f"prompts x group_size ({self.prompts * self.group_size}) must divide by micro_batch ({self.micro_batch})"
            )
        return self


class Recipe(Config):
    name: Annotated[str, Field(pattern=r"^[\w.-]{1,60}$")]
    """Name of the recipe; run folders begin with it."""
    base: str = "smollm2-135m-instruct"
    """The model to begin with: a pulled model, `hf:OWNER/REPO@REVISION`, or a folder."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of data, order and sampling."""
    traces: TraceConfig = TraceConfig()
    """Training rows."""
    sft: SftConfig = SftConfig()
    """Supervised fine-tuning."""
    gates: GateConfig = GateConfig()
    """What must hold before and after a stage."""
    rl: RlConfig = RlConfig()
    """Reinforcement learning with verifiable rewards."""
