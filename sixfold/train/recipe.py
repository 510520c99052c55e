"""A recipe: one TOML file that takes a base model through traces, SFT, RL, gates and export.

Place: `sixfold sft` and `sixfold rl` read it, and write it, resolved, into the run folder before anything else. An unknown key
is refused with the nearest known one; the string below a field is its documentation in `docs/configuration.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sixfold.config import MAX_CANDIDATES, Config, EngineConfig

Share = Annotated[float, Field(ge=0, le=1)]


class TraceConfig(Config):
    tasks: tuple[str, ...] = ("generated",)
    """Generated families, domains, or `generated` for all."""
    levels: Mapping[int, Share] = {1: 0.8, 2: 0.2}
    """Share of each level. The shipped model is measured at these levels."""
    rows: Annotated[int, Field(ge=0)] = 20_000
    """Worked examples, shared out evenly between domains and families; 0: none."""
    planned: Share = 0.15
    """Share of rows with a plan in the question."""
    planners: Share = 0.08
    """Share of rows that ask for a plan alone."""
    slips: Share = 0.04
    """Share of rows with a mistake that is noticed and corrected; the mistake itself is not learned."""
    files: tuple[Path, ...] = ()
    """JSONL files with further rows, mixed in."""
    public: tuple[str, ...] = ()
    """Public trace sets, mixed in: am-thinking, openr1-math, s1k. Their rows are filtered, and those that hold an evaluation
    question are left out."""
    public_rows: Annotated[int, Field(ge=0)] = 0
    """Most rows of each public set; 0: all."""
    licences: tuple[str, ...] = ("Apache-2.0", "MIT", "CC-BY-4.0", "CC0-1.0")
    """Licences of public rows that may be used; `unknown` stands for a set whose licence this program does not know."""

    @field_validator("public")
    @classmethod
    def _known_sets(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        from sixfold.data.public_traces import find_set

        for name in given:
            find_set(name)
        return given


class RejectionConfig(Config):
    attempts: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 8
    """Attempts of each problem."""
    keep: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] = 2
    """Most right attempts of a problem that are kept: the shortest, and others whose steps differ."""
    alike: Share = 0.7
    """Share of their steps that two attempts that are kept may have in common."""
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    """Length of an attempt, thinking included; what is cut is not kept."""
    temperature: Annotated[float, Field(gt=0, le=5)] = 0.8
    """Of the attempts; there is no top-p."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 1
    """Problems that are worked on at once."""
    engine: EngineConfig = EngineConfig()
    """Who solves; the keys are those of an engine."""


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
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: much less memory, about a third more time."""
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
    after_sft: tuple[Literal["tags", "support"], ...] = ("tags", "support")
    """Gates that what SFT trained must pass, on the problems of RL's tasks."""
    before_rl: tuple[Literal["tags", "support"], ...] = ("tags", "support")
    """Gates that `sixfold rl` must pass before it trains."""
    after_rl: tuple[Literal["tags", "support", "forgetting"], ...] = ("tags", "support", "forgetting")
    """Gates that what RL trained must pass."""
    audit_problems: Annotated[int, Field(ge=1)] = 30
    """Problems of each task on which its verifier is attacked."""
    contamination: Share = 0.0
    """Share of training rows that may hold an evaluation question."""
    tags: Share = 0.95
    """Share of completions that must think between tags and then answer."""
    forgetting: Share = 0.05
    """How far the accuracy of a domain may fall through RL. A domain that falls further fails the gate, unless chance explains
    it. Asked are the families of RL and of the training rows, as often as for the support gate."""
    support_k: Annotated[int, Field(ge=1, le=1024)] = 8
    """Completions of each problem that a policy is asked for the gates (pass@k)."""
    support_problems: Annotated[int, Field(ge=1)] = 8
    """Problems of each cell (family, level) that a policy is asked for the gates. Costs time on a CPU."""
    support_low: Share = 0.1
    """A cell whose pass@k is lower has nothing that RL could strengthen."""
    support_high: Share = 0.95
    """A cell whose pass@1 is higher has nothing left to learn; that counts before RL only."""
    support_cells: Share = 0.3
    """Share of cells that must lie between the two."""


class RlConfig(Config):
    tasks: tuple[str, ...] = ("generated",)
    """Generated families, domains, or `generated` for all; a recipe that says nothing here means those of its traces."""
    loss: Literal["dapo", "dr_grpo", "cispo", "gspo"] = "dr_grpo"
    """The policy-gradient loss, with its published clipping and scaling of advantages."""
    clip_high: Annotated[float | None, Field(gt=0)] = None
    """Upper clip of the ratio (1 + this; of cispo this) in place of the loss's published one."""
    dual_clip: Annotated[float | None, Field(gt=1)] = None
    """Highest ratio that counts where the advantage is negative (https://arxiv.org/abs/1912.09729); empty: any."""
    group_size: Annotated[int, Field(ge=2, le=256)] = 8
    """Completions of one prompt, against whose mean each is measured."""
    prompts: Annotated[int, Field(ge=1)] = 8
    """Prompts of one step, over all processes."""
    mini_batch: Annotated[int, Field(ge=0)] = 0
    """Prompts of one optimizer step, where a step's rollouts are learned from in several; 0: all in one."""
    micro_batch: Annotated[int, Field(ge=1)] = 8
    """Completions of one forward and backward pass; a step's completions are divided into such."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: much less memory, about a third more time."""
    max_tokens: Annotated[int, Field(ge=1)] = 320
    """Length of a completion, thinking included; what is longer is cut, earns nothing and is not learned from."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 512
    """A problem whose prompt is longer is passed over and counted."""
    rollouts: Literal["torch", "llamacpp", "vllm"] = "torch"
    """What samples: the policy itself, batched; llama.cpp with the policy's present adapter; or vLLM through TRL (a GPU)."""
    rollout_model: str = ""
    """The base as GGUF for rollouts by llama.cpp, a pulled model or a path; empty: the base, where it is a pulled model."""
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
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Weight decay (AdamW)."""
    steps: Annotated[int, Field(ge=1)] = 100
    """Steps; each has its own rollouts."""
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
        prompts = self.mini_batch or self.prompts
        if self.prompts % prompts:
            raise ValueError(f"prompts ({self.prompts}) must divide by mini_batch ({self.mini_batch})")
        if prompts * self.group_size % self.micro_batch:
            raise ValueError(
                f"prompts x group_size ({prompts * self.group_size}) must divide by micro_batch ({self.micro_batch})"
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
    sample: RejectionConfig = RejectionConfig()
    """Rejection sampling: `sixfold traces --sample`."""
    sft: SftConfig = SftConfig()
    """Supervised fine-tuning."""
    gates: GateConfig = GateConfig()
    """What must hold before and after a stage."""
    rl: RlConfig = RlConfig()
    """Reinforcement learning with verifiable rewards."""
    trackers: tuple[Literal["tensorboard", "trackio"], ...] = ()
    """Also report metrics to these, into the run folder; each is a package of its own that must be installed."""

    @model_validator(mode="before")
    @classmethod
    def _asks_what_it_teaches(cls, given: Any) -> Any:
        traces, rl = (given.get("traces"), given.get("rl", {})) if isinstance(given, dict) else (None, None)
        if isinstance(traces, dict) and "tasks" in traces and isinstance(rl, dict):
            return {**given, "rl": {"tasks": traces["tasks"], **rl}}
        return given
