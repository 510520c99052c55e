"""Measures a step of RL, rollouts and learning, against stock TRL: `make bench-rl`, or less: `make bench-rl ARGS="--steps 1"`.

Kinds: `torch` and `llamacpp` are our trainer with either rollouts, `stock` is TRL's GRPOTrainer with transformers' `generate`.
All have the same prompts, adapter, loss, rewards, precision, batch and most tokens, in one process on one machine; stock has
its cache on, and the attention that transformers prefers (sdpa). Each takes its turn in every round; the first step of a turn
is not counted. A step ends with the optimizer's. Medians are printed, `--json FILE` has every step.

At its usual size (8 prompts of 8 completions of up to 320 tokens, 1 + 2 steps of each kind) it takes about half an hour on two
cores that do nothing else, most of it for stock TRL.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from sixfold.config import home_dir
from sixfold.engine import models
from sixfold.engine.llamacpp import cores
from sixfold.train.recipe import Recipe

TASKS = ("math/chain_sum", "math/word_problem", "science/ohm", "logic/ordering", "simulation/ledger", "tabular/lookup")
KINDS = ("torch", "llamacpp", "stock")


class Spent:
    """Seconds of rollouts and their tokens, and what each step took."""

    def __init__(self) -> None:
        self.rollout_s, self.tokens, self.steps = 0.0, 0, list[dict[str, float]]()
        self._begun = (0.0, 0.0, 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.rollout_s += time.perf_counter() - begun

    def begin(self) -> None:
        self._begun = (time.perf_counter(), self.rollout_s, self.tokens)

    def end(self) -> None:
        begun, rollout_s, tokens = self._begun
        self.steps.append({
            "step_s": time.perf_counter() - begun, "rollout_s": self.rollout_s - rollout_s, "tokens": self.tokens - tokens
        })  # fmt: skip


@contextmanager
def timed(rollouts: Any, spent: Spent, trainer: Any) -> Iterator[Any]:
    """Our rollouts, with their opening and closing counted."""
    with ExitStack() as stack:
        with spent.running():
            draw = stack.enter_context(rollouts(trainer))

        def timed_draw(prompts: Any, seed: int) -> Any:
            with spent.running():
                got = draw(prompts, seed)
            spent.tokens += sum(map(len, got[0]))
            return got

        yield timed_draw
        with spent.running():
            stack.close()


def callback(spent: Spent) -> Any:
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            spent.begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            spent.end()

    return Steps()


def make_ours(recipe: Recipe, base: Path, adapter: Path | None, folder: Path, judge: Any, spent: Spent) -> Any:
    from sixfold.train.rl import make_trainer

    trainer = make_trainer(recipe, base, adapter, folder, judge, [callback(spent)])
    trainer.rollouts = partial(timed, trainer.rollouts, spent)
    return trainer


def make_stock(
    recipe: Recipe, base: Path, adapter: Path | None, folder: Path, judge: Any, spent: Spent, rows: list[Any]
) -> Any:
    import datasets
    import torch
    from trl import GRPOConfig, GRPOTrainer

    from sixfold.train.rewards import Rewards
    from sixfold.train.rl import _open_policy, settings
    from sixfold.train.sft import trains_in_bf16
    from sixfold.train.weights import load_tokenizer

    model, rewards = _open_policy(recipe, base, adapter), Rewards(judge, recipe.rl.format_weight, recipe.rl.truncated)
    model.get_base_model().set_attn_implementation("sdpa")
    arguments = GRPOConfig(
        **settings(recipe.rl, recipe.seed, folder), bf16=trains_in_bf16(recipe.sft), use_cpu=not torch.cuda.is_available()
    )

    def reward(prompts: Any, completions: Any, completion_ids: Any, **columns: Any) -> list[float | None]:
        finish = ["stop" if ids[-1] in trainer.eos_token_ids else "length" for ids in completion_ids]
        return rewards.reward(prompts, completions, completion_ids, **columns | {"finish": finish})

    trainer = GRPOTrainer(
        model=model, args=arguments, train_dataset=datasets.Dataset.from_list(rows), processing_class=load_tokenizer(base),
        reward_funcs=reward, callbacks=[callback(spent)],
    )  # fmt: skip
    generate = trainer._generate_single_turn

    def timed_generate(*args: Any, **kwargs: Any) -> Any:
        with spent.running():
            got = generate(*args, **kwargs)
        spent.tokens += sum(map(len, got[0]))
        return got

    trainer._generate_single_turn = timed_generate
    return trainer


def measure(options: argparse.Namespace) -> dict[str, Any]:
    from sixfold.train.rl import _judging, _quiet, make_trainer
    from sixfold.train.sft import keep_memory, trains_in_bf16
    from sixfold.train.weights import open_base

    # As `sixfold rl` does, and so for all kinds.
    keep_memory()
    base, steps = open_base(options.base, home_dir()), options.steps + 1
    recipes = {
        kind: Recipe.model_validate({
            "name": "bench", "base": options.base, "sft": {"precision": options.precision},
            "rl": {
                "tasks": TASKS, "prompts": options.prompts, "group_size": options.group, "max_tokens": options.max_tokens,
                "micro_batch": min(options.micro_batch, options.prompts * options.group), "steps": steps, "save_steps": 10**6,
                "refill": 0, "max_prompt_tokens": 512, "loss": options.loss, "rollout_model": options.gguf,
                "rollouts": "torch" if kind == "stock" else kind,
            },
        })
        for kind in options.kinds
    }  # fmt: skip
    taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in options.kinds}
    with tempfile.TemporaryDirectory() as folder, _judging(None) as judge, _quiet():
        first = make_trainer(next(iter(recipes.values())), base, options.adapter, Path(folder), judge)
        asked = [first._ask() for _ in range(options.prompts * steps)]
        del first
        for turn in range(options.rounds):
            for kind in (*options.kinds[turn % len(options.kinds) :], *options.kinds[: turn % len(options.kinds)]):
                spent, given = Spent(), (recipes[kind], base, options.adapter, Path(folder) / f"{kind}-{turn}", judge)
                if kind == "stock":
                    trainer = make_stock(*given, spent, [row for _, row, _ in asked])
                else:
                    trainer = make_ours(*given, spent)
                    trainer._ask = iter(asked).__next__
                trainer.train()
                cut = [line["completions/clipped_ratio"] for line in trainer.state.log_history if "loss" in line]
                found = [step | {"cut_share": share} for step, share in zip(spent.steps, cut, strict=True)]
                taken[kind] += found[1:]
                for step in found:
                    said = ", ".join(f"{name} {value:.2f}" for name, value in step.items())
                    print(f"{kind}, round {turn + 1}: {said}", file=sys.stderr, flush=True)
                del trainer
                gc.collect()
    return {
        "machine": {"platform": platform.platform(), "cores": cores(), "bf16": trains_in_bf16(recipes[options.kinds[0]].sft)},
        "settings": {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()},
        "steps": taken,
        "medians": {kind: medians(found) for kind, found in taken.items()},
    }


def medians(steps: list[dict[str, float]]) -> dict[str, float]:
    """Of the steps; speeds are of all tokens over all seconds."""
    sums = {key: sum(step[key] for step in steps) for key in ("step_s", "rollout_s", "tokens")}
    learn_s = [step["step_s"] - step["rollout_s"] for step in steps]
    return {
        "step_s": statistics.median(step["step_s"] for step in steps),
        "rollout_s": statistics.median(step["rollout_s"] for step in steps),
        "learn_s": statistics.median(learn_s),
        "tokens": statistics.median(step["tokens"] for step in steps),
        "cut_share": statistics.fmean(step["cut_share"] for step in steps),
        "rollout_tokens_per_s": sums["tokens"] / sums["rollout_s"],
        "learn_tokens_per_s": sums["tokens"] / sum(learn_s),
        "step_tokens_per_s": sums["tokens"] / sums["step_s"],
    }


def table(found: dict[str, Any]) -> str:
    """The medians of each kind, and how many times as fast as stock TRL a step and a token are."""
    stock = found["medians"].get("stock")
    heads = (
        "kind",
        "step s",
        "rollout s",
        "learning s",
        "tokens",
        "cut",
        "rollout tok/s",
        "learning tok/s",
        "a step",
        "a token",
    )
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for kind, m in found["medians"].items():
        ratios = ["", ""]
        if stock:
            ratios = [f"{stock['step_s'] / m['step_s']:.2f}", f"{m['step_tokens_per_s'] / stock['step_tokens_per_s']:.2f}"]
        cells = [f"{m[key]:.1f}" for key in ("step_s", "rollout_s", "learn_s")]
        cells += [f"{m['tokens']:.0f}", f"{m['cut_share']:.0%}"]
        cells += [f"{m[key]:.0f}" for key in ("rollout_tokens_per_s", "learn_tokens_per_s")]
        lines.append(f"| {' | '.join([kind, *cells, *ratios])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--base", default=models.BASE, help="as in a recipe (default: %(default)s)")
    add("--adapter", type=Path, help="a PEFT folder to begin with; none: a new adapter, which says what the base says")
    add("--gguf", default="", help="rl.rollout_model: the base for llamacpp, where --base is no pulled model")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    add("--prompts", type=int, default=8, help="of a step (default: %(default)s)")
    add("--group", type=int, default=8, help="completions of a prompt (default: %(default)s)")
    add("--micro-batch", type=int, default=8, help="completions of a forward and backward pass (default: %(default)s)")
    add("--max-tokens", type=int, default=320, help="of a completion (default: %(default)s)")
    add("--steps", type=int, default=2, help="that are counted in a turn, after one that is not (default: %(default)s)")
    add("--rounds", type=int, default=1, help="turns of each kind (default: %(default)s)")
    add("--loss", default="dr_grpo", help="rl.loss (default: %(default)s)")
    add("--precision", default="auto", help="sft.precision: auto, bf16 or fp32 (default: %(default)s)")
    add("--json", type=Path, help="write everything measured to this file")
    options = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # The trainers print what they log.
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        found = measure(options)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
