"""Reinforcement learning with verifiable rewards: an adapter in, a better one out (GRPO and its relatives, through TRL).

Place: stage two of a recipe. `cells.py` says what is asked, `engine_rollout.py` answers, `rewards.py` pays, and TRL's
`GRPOTrainer` learns. What is here puts them together: a step's groups are drawn whole before TRL sees them, so that groups
without a signal can be drawn again; the loss is corrected for what the sampler really said; and on a CPU only completion tokens
are scored (TRL scores every position; `tests/unit/test_rl.py` proves them equal). Each process draws from cells of its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sixfold.core import Problem, Verdict
from sixfold.data.rows import Row, make_row
from sixfold.errors import TrainError
from sixfold.reason.form import FORMS, LINE
from sixfold.reason.prompts import solver_messages
from sixfold.tasks.catalog import find_families
from sixfold.train.cells import Cells, Draws, fill
from sixfold.train.engine_rollout import Draw, check_rollouts, make_rollouts, trl_settings
from sixfold.train.recipe import Recipe, RlConfig
from sixfold.train.rewards import Group, Rewards, metrics_of, unscaled_advantages
from sixfold.train.rollout import completion_logprobs, sample
from sixfold.train.sft import LINEAR, WAIT, end_together, keep_memory, open_model, reported, trains_in_bf16
from sixfold.train.watch import checkpoints
from sixfold.train.weights import load_tokenizer
from sixfold.verify.verifiers import Judge

LOSSES: Mapping[str, Mapping[str, Any]] = {
    "dapo": {"loss_type": "dapo", "scale_rewards": "group", "epsilon": 0.2, "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo", "scale_rewards": "none", "epsilon": 0.2, "epsilon_high": 0.2},
    "cispo": {"loss_type": "cispo", "scale_rewards": "group", "epsilon_high": 5.0},
    "gspo": {
        "loss_type": "grpo", "importance_sampling_level": "sequence", "scale_rewards": "group", "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
}  # fmt: skip
"""TRL's settings for each loss, as published: arXiv 2503.14476, 2503.20783, 2506.13585, 2507.18071."""

OTHER_SEED = 500_009
"""Added to the recipe's seed: other problems than those of the SFT rows, where a family has enough."""
_AT_ONCE = 256
"""Sequences that are sampled in one batch."""
_TOO_LONG = 200
"""Problems in a row whose prompt may be too long."""


def settings(rl: RlConfig, seed: int, folder: Path, processes: int = 1, trackers: Sequence[str] = ()) -> dict[str, Any]:
    """The keyword arguments of TRL's `GRPOConfig`, apart from those that depend on the machine.

    Raises `TrainError` where a step does not divide among the processes into whole groups.
    """
    prompts = rl.mini_batch or rl.prompts
    updates = rl.prompts // prompts
    if prompts % processes or prompts // processes * rl.group_size % rl.micro_batch:
        raise TrainError(
            f"a step of {prompts} groups of {rl.group_size} does not divide into {processes} processes and micro-batches of "
            f"{rl.micro_batch}",
            hint="change rl.prompts or rl.micro_batch",
        )
    return {
        "output_dir": str(folder / "checkpoints"),
        "per_device_train_batch_size": rl.micro_batch,
        "gradient_accumulation_steps": prompts // processes * rl.group_size // rl.micro_batch,
        "steps_per_generation": rl.prompts // processes * rl.group_size // rl.micro_batch,
        "num_generations": rl.group_size,
        "max_completion_length": rl.max_tokens,
        "temperature": rl.temperature,
        "learning_rate": rl.learning_rate,
        "lr_scheduler_type": rl.schedule,
        "warmup_steps": rl.warmup,
        "max_grad_norm": rl.max_grad_norm,
        "weight_decay": rl.weight_decay,
        # TRL counts optimizer steps. A checkpoint is never in the midst of a step's rollouts, which would be drawn anew.
        "max_steps": rl.steps * updates,
        "save_steps": rl.save_steps * updates,
        "save_total_limit": 2,
        "logging_steps": 1,
        # A loss that is no number must show, not be replaced by the mean of those before it.
        "logging_nan_inf_filter": False,
        "beta": 0.0,
        "mask_truncated_completions": rl.mask_truncated,
        "gradient_checkpointing": rl.gradient_checkpointing,
        "shuffle_dataset": False,
        "remove_unused_columns": False,
        **reported(trackers, folder),
        "seed": seed,
        "data_seed": seed,
        "disable_tqdm": True,
        **trl_settings(rl),
        **loss_settings(rl),
    }


def loss_settings(rl: RlConfig) -> dict[str, Any]:
    """TRL's settings of the recipe's loss: the published ones, but for what the recipe says itself."""
    own = {"epsilon_high": rl.clip_high, "delta": rl.dual_clip}
    return {**LOSSES[rl.loss], **{key: value for key, value in own.items() if value is not None}}


def train_rl(
    recipe: Recipe,
    base: Path,
    adapter: Path | None,
    folder: Path,
    resume: bool = False,
    callbacks: Any = None,
    judge: Callable[[Problem, str], Verdict] | None = None,
) -> dict[str, Any]:
    """Train on from `adapter` (none: a new one, or all weights where `sft.method` is `full`), with checkpoints in
    `folder/checkpoints` and the result in `folder/adapter` (or `folder/model`). `resume` goes on from the last whole checkpoint
    with the draws that an uninterrupted run would have made. Returns what was counted, and the log. Raises `TrainError`.
    """
    keep_memory()
    kept = checkpoints(folder / "checkpoints") if resume else []
    with _judging(judge) as judging, _quiet():
        trainer = make_trainer(recipe, base, adapter, folder, judging, callbacks)
        last = kept[-1][1] if kept else None
        if last is not None:
            trainer.load_cells(last)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        trainer.save_model(str(folder / ("adapter" if hasattr(trainer.model, "peft_config") else "model")))
        end_together()
    return dict(trainer.counts + trainer.rewards.counters) | {"log": trainer.state.log_history}


def make_trainer(
    recipe: Recipe,
    base: Path,
    adapter: Path | None,
    folder: Path,
    judge: Callable[[Problem, str], Verdict],
    callbacks: Any = None,
) -> Any:
    """TRL's trainer for a recipe, with our rollouts, rewards and cells."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # It warns that `rollout_func` may change; our version range and the tests look after that.
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    import datasets
    import torch
    from accelerate import PartialState
    from trl import GRPOConfig

    rl = recipe.rl
    on_cpu = not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu, timeout=WAIT)
    families = [family.task for family in find_families(rl.tasks)]
    draws = Draws(rl.level, rl.top_level, rl.easy_share, explore=rl.explore, raise_at=rl.raise_at, window=rl.window)
    cells = Cells(families, draws, recipe.seed + OTHER_SEED + state.process_index)
    tokenizer = load_tokenizer(base)
    # The rows say nothing: what is asked is decided when a step begins, by what was learned until then.
    rows = datasets.Dataset.from_dict({"prompt": [[{"role": "user", "content": ""}]] * (rl.prompts * rl.steps)})
    with _quiet():
        arguments = GRPOConfig(
            **settings(rl, recipe.seed, folder, state.num_processes, recipe.trackers),
            bf16=trains_in_bf16(recipe.sft),
            use_cpu=on_cpu,
        )
        rewards = Rewards(judge, rl.format_weight, rl.truncated)
        return _trainer_class()(
            cells, rewards, recipe, make_rollouts(recipe, base), model=_open_policy(recipe, base, adapter), args=arguments,
            train_dataset=rows, processing_class=tokenizer, reward_funcs=rewards.reward, rollout_func=_handed_over,
            callbacks=callbacks,
        )  # fmt: skip


def make_sampler(recipe: Recipe, base: Path, adapter: Path | None) -> Callable[[Sequence[Problem], int], list[list[str]]]:
    """`sample(problems, k)`: k answers of the policy to each, at the rollouts' temperature, for the gates. What was cut stays
    cut. The random numbers follow from the problems: two policies that are asked the same are compared in pairs."""
    import torch

    # Before hours are spent on gates.
    check_rollouts(recipe, base)
    with _quiet():
        rl, tokenizer, policy = recipe.rl, load_tokenizer(base), _open_policy(recipe, base, adapter)
    if torch.cuda.is_available():
        policy = policy.to("cuda")

    def sample_texts(problems: Sequence[Problem], count: int) -> list[list[str]]:
        prompts, step = [], max(1, _AT_ONCE // count)
        for problem in problems:
            messages = solver_messages(problem.question, system=FORMS.get(problem.verifier or "", LINE).system)
            asked = [{"role": m.role, "content": m.content} for m in messages]
            text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            prompts.append(tokenizer(text, add_special_tokens=False)["input_ids"])
        ends = policy.generation_config.eos_token_id
        ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends] if ends is not None else [])}
        number = _number(f"{recipe.seed}:{' '.join(problem.id for problem in problems)}")
        generator = torch.Generator().manual_seed(number)
        said: list[str] = []
        for start in range(0, len(prompts), step):
            some = prompts[start : start + step]
            ids, _, _ = sample(policy, some, count, rl.max_tokens, rl.temperature, ends, generator)
            said += map(str, tokenizer.batch_decode(ids, skip_special_tokens=True))
        return [said[at : at + count] for at in range(0, len(said), count)]

    return sample_texts


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big")


def _handed_over(prompts: Sequence[Any], trainer: Any) -> dict[str, list[Any]]:
    """TRL's `rollout_func`: prompts come repeated, and each gets its completion of the batch that was drawn for them."""
    batch: Sequence[Group] = trainer.batch
    each = [(group, index) for group in batch for index in range(len(group.ids))]
    if [group.row["prompt"] for group, _ in each] != list(prompts):
        raise TrainError("TRL asks for other prompts than were drawn", hint="use a version of trl that pyproject.toml names")
    return {
        "prompt_ids": [list(group.prompt_ids) for group, _ in each],
        "completion_ids": [list(group.ids[i]) for group, i in each],
        "logprobs": [list(group.logprobs[i]) for group, i in each],
        "finish": [group.finish[i] for group, i in each],
        "text": [group.texts[i] for group, i in each],
        **{key: [group.row[key] for group, _ in each] for key in ("reward_model", "ability", "extra_info")},
    }


def _open_policy(recipe: Recipe, base: Path, adapter: Path | None) -> Any:
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import set_seed

    # A new adapter begins at random.
    set_seed(recipe.seed)
    if adapter is not None and not (adapter / "adapter_config.json").is_file():
        raise TrainError(f"{adapter} holds no adapter", hint="give the folder that `sixfold sft` wrote, or none")
    model = open_model(base, recipe.sft)
    if adapter is not None:
        return PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    if recipe.sft.method == "full":
        return model
    lora = recipe.sft.lora
    return get_peft_model(model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=LINEAR, task_type="CAUSAL_LM"))


@contextmanager
def _judging(judge: Callable[[Problem, str], Verdict] | None) -> Iterator[Callable[[Problem, str], Verdict]]:
    if judge is not None:
        yield judge
        return
    with Judge() as own:
        yield own


@contextmanager
def _quiet() -> Iterator[None]:
    """TRL prints a whole row for each batch with an unscored completion; they are counted and logged here. transformers warns
    of names that TRL still uses."""
    logger = logging.getLogger("trl.trainer.grpo_trainer")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _trainer_class() -> Any:
    import torch
    from trl import GRPOTrainer

    class Trainer(GRPOTrainer):  # type: ignore[misc]
        """TRL's trainer that draws its own prompts, is corrected for its sampler, and scores completion tokens alone on a CPU.
        Of several processes each draws from cells of its own, and what is logged beside TRL's numbers is of the first."""

        def __init__(self, cells: Cells, rewards: Rewards, recipe: Recipe, rollouts: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.cells, self.rewards, self.recipe, self.rollouts = cells, rewards, recipe, rollouts
            self.batch: list[Group] = []
            self.sampled_logps: Any = None
            self.counts: Counter[str] = Counter()
            config = self.model.config.get_text_config()
            scaled = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier", "logits_scaling")
            # A head that scales its logits is TRL's to score, and an accelerator's kernel is faster than this.
            self.scores_itself = (
                self.accelerator.device.type == "cpu"
                and self.accelerator.num_processes == 1
                and all(getattr(config, name, None) in (None, 1, 1.0) for name in scaled)
            )

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            size, drawn, refill = self.args.num_generations, self._draw, self.recipe.rl.refill
            started, tries = time.monotonic(), iter(range(1_000))
            with self.rollouts(self) as draw:
                self.batch, every = fill(
                    lambda count: drawn(draw, count, next(tries)), lambda g: g.signal, len(inputs) // size, refill
                )
            seen = metrics_of(self.batch, every) | {"cells/mean_level": self.cells.mean_level}
            seen["rollout_s"] = time.monotonic() - started
            for name, value in seen.items():
                self._metrics["train"][name].append(value)
            outputs = super()._generate_and_score_completions(
                [{"prompt": group.row["prompt"]} for group in self.batch for _ in range(size)]
            )
            # The ratio of the loss is then between the policy and what really sampled, whatever sampled.
            outputs["old_per_token_logps"] = outputs["sampling_per_token_logps"].masked_fill(outputs["completion_mask"] == 0, 0)
            for at, group in enumerate(self.batch):
                if not group.signal:
                    advantages = torch.tensor(unscaled_advantages(group), dtype=outputs["advantages"].dtype)
                    outputs["advantages"][at * size : (at + 1) * size] = advantages
            return outputs

        def _draw(self, draw: Draw, count: int, part: int) -> list[Group]:
            """Draw problems, sample a group for each, score and report it to the cells."""
            size = self.args.num_generations
            asked = [self._ask() for _ in range(count)]
            groups: list[Group] = []
            step = max(1, _AT_ONCE // size)
            for start in range(0, count, step):
                some = asked[start : start + step]
                seed = f"{self.recipe.seed}:{self.accelerator.process_index}:{self.state.global_step}:{part}:{start}"
                ids, logprobs, finish = draw([prompt for _, _, prompt in some], _number(seed))
                texts = self.processing_class.batch_decode(ids, skip_special_tokens=True)
                for at, (cell, row, prompt) in enumerate(some):
                    of = slice(at * size, (at + 1) * size)
                    scored = [self.rewards.score(row, text, how) for text, how in zip(texts[of], finish[of], strict=True)]
                    groups.append(Group(cell, row, prompt, ids[of], logprobs[of], finish[of], texts[of], scored))
            for group in groups:
                judged = [s.score for s in group.scored if s.score is not None]
                self.counts["levels opened"] += self.cells.observe(group.cell, int(sum(judged)), len(judged))
            self.counts["groups"] += len(groups)
            self.counts["tokens that the sampler gave no probability"] += sum(
                math.isnan(value) for group in groups for values in group.logprobs for value in values
            )
            self.counts["groups with a signal"] += sum(group.signal for group in groups)
            return groups

        def _ask(self) -> tuple[str, Row, list[int]]:
            for _ in range(_TOO_LONG):
                cell, problem = self.cells.draw()
                messages = solver_messages(problem.question, system=FORMS.get(problem.verifier or "", LINE).system)
                row = make_row(problem, messages, None, "rl")
                text = self.processing_class.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
                ids = self.processing_class(text, add_special_tokens=False)["input_ids"]
                if len(ids) <= self.recipe.rl.max_prompt_tokens:
                    return cell, row, ids
                self.counts["prompts longer than max_prompt_tokens"] += 1
            raise TrainError(
                f"{_TOO_LONG} prompts in a row are too long", hint="raise rl.max_prompt_tokens, or leave families out"
            )

        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, batch_size: int | None = None,
            compute_entropy: bool = False, compute_aux_loss: bool = False, **media: Any,
        ) -> Any:  # fmt: skip
            if not self.scores_itself or compute_aux_loss or any(value is not None for value in media.values()):
                got = super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, compute_aux_loss, **media
                )
            else:
                with self.accelerator.autocast():
                    got = *completion_logprobs(
                        self.accelerator.unwrap_model(model), input_ids, attention_mask, logits_to_keep, self.temperature
                    ), None  # fmt: skip
            self.trainer_logps = got[0].detach()
            if self.sampled_logps is not None:
                # Where the sampler did not tell, the ratio is one.
                unknown = self.sampled_logps.isnan()
                self.sampled_logps[unknown] = self.trainer_logps[unknown].to(self.sampled_logps.dtype)
            return got

        def _compute_loss(self, model: Any, inputs: Any) -> Any:
            self.sampled_logps = inputs["old_per_token_logps"]
            loss, self.sampled_logps = super()._compute_loss(model, inputs), None
            mask = inputs["completion_mask"].bool()
            if bool(mask.any()):
                # The estimator is that of http://joschu.net/blog/kl-approx.html: unbiased and never negative.
                log_ratio = (self.trainer_logps - inputs["old_per_token_logps"])[mask].double()
                self._metrics["train"]["sampler/kl"].append((log_ratio.expm1() - log_ratio).mean().item())
                self._metrics["train"]["sampler/logprob_gap_max"].append(log_ratio.abs().max().item())
            return loss

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            # Before the rest: the trainer's state, written last, says that a checkpoint is whole.
            made = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            made.mkdir(parents=True, exist_ok=True)
            (made / self._cells_file).write_text(
                json.dumps({**self.cells.state(), "counts": self.counts + self.rewards.counters}), encoding="utf-8"
            )
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """TRL's card is not written: the run's own says what was done."""

        def load_cells(self, checkpoint: Path) -> None:
            try:
                state = json.loads((checkpoint / self._cells_file).read_text(encoding="utf-8"))
                self.counts = Counter(state.pop("counts", {}))
                self.cells.load(state)
            except (OSError, ValueError, KeyError) as error:
                raise TrainError(
                    f"{checkpoint} does not say what was drawn: {type(error).__name__}",
                    hint="resume with as many processes as the run began with, or begin a new run",
                ) from error

        @property
        def _cells_file(self) -> str:
            return f"cells-{self.accelerator.process_index}.json"

    return Trainer
