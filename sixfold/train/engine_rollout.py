"""Rollouts by the engine that a recipe names: batched torch, llama.cpp with the policy's present adapter, or TRL's own vLLM.

Place: `rl.py` opens one for each step and draws its groups from it. Whatever samples, each token comes with the
log-probability that it was really drawn with, of temperature alone, since the loss is corrected by it. llama.cpp gets the
adapter as a GGUF file and is started anew for each step: it takes up no other weights while it runs, and its memory is free
while the policy learns. How it puts a batch together depends on time, so that its completions are not the same bytes twice; the
problems are. vLLM is driven through TRL and has not been run: `tests/unit/test_engine_rollout.py` composes its settings alone.
"""

from __future__ import annotations

import asyncio
import importlib.util
import math
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sixfold.config import home_dir
from sixfold.engine import models
from sixfold.engine.gguf_file import read_gguf
from sixfold.engine.llamacpp import MAX_SLOTS, LlamaCppEngine, Settings, open_llamacpp
from sixfold.engine.lora_gguf import read_json, read_shape, write_lora_gguf
from sixfold.errors import EngineError, ModelError, TrainError
from sixfold.train.recipe import Recipe, RlConfig
from sixfold.train.rollout import Finish, sample

Sampled = tuple[list[list[int]], list[list[float]], list[Finish]]
"""Token ids (an end token included), natural log-probabilities (NaN where the engine tells none), and how each ended; those of
a prompt beside each other."""
Draw = Callable[[Sequence[Sequence[int]], int], Sampled]
"""Prompts as token ids, and a seed; a group of completions for each."""

_SLOTS = 64
"""Sequences that llama.cpp works on at once: each holds memory for a whole context."""
_TIMEOUT_S = 3600.0
_ANOTHER = '`--resume` goes on from the last checkpoint; rl.rollouts = "torch" needs no other process'


def trl_settings(rl: RlConfig) -> dict[str, Any]:
    """What TRL's `GRPOConfig` has to know of the engine. TRL's own correction for vLLM is off: ours is for whatever samples."""
    if rl.rollouts != "vllm":
        return {}
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_max_model_length": rl.max_prompt_tokens + rl.max_tokens,
        "vllm_importance_sampling_correction": False,
    }


def check_rollouts(recipe: Recipe, base: Path) -> None:
    """Raises `TrainError` where this machine or this recipe has not what its rollouts need."""
    if recipe.rl.rollouts == "vllm":
        import torch

        if not torch.cuda.is_available():
            raise TrainError("rollouts through vLLM need a GPU", hint='set rl.rollouts to "torch" or "llamacpp"')
        if importlib.util.find_spec("vllm") is None:
            raise TrainError("rollouts through vLLM need vllm", hint='pip install "trl[vllm]"')
    if recipe.rl.rollouts == "llamacpp":
        if recipe.sft.method == "full":
            raise TrainError(
                "rollouts through llama.cpp need an adapter, and all weights are trained", hint='set rl.rollouts to "torch"'
            )
        find_gguf(recipe, base)


def find_gguf(recipe: Recipe, base: Path) -> Path:
    """The GGUF file of the base that llama.cpp samples from. Raises `TrainError` where there is none or it is another model."""
    name = recipe.rl.rollout_model or recipe.base
    try:
        path = models.find(name, home_dir()).path
    except ModelError as error:
        raise TrainError(
            f"llama.cpp has no model for the rollouts: {error.args[0]}",
            hint="set rl.rollout_model to the base as GGUF: a pulled model or a path",
        ) from error
    vocabulary = len(read_gguf(path, name).values.get("tokenizer.ggml.tokens") or ())
    if read_shape(path) != read_shape(base) or vocabulary != read_json(base / "config.json").get("vocab_size"):
        raise TrainError(f"{path} is another model than {base}", hint="set rl.rollout_model to the recipe's base as GGUF")
    return path


def make_rollouts(recipe: Recipe, base: Path) -> Callable[[Any], AbstractContextManager[Draw]]:
    """`rollouts(trainer)` opens the engine with the trainer's present weights: a context that gives a `Draw`."""
    check_rollouts(recipe, base)
    if recipe.rl.rollouts == "llamacpp":
        return partial(_from_llamacpp, find_gguf(recipe, base))
    return _from_vllm if recipe.rl.rollouts == "vllm" else _from_policy


@contextmanager
def _from_policy(trainer: Any) -> Iterator[Draw]:
    import torch

    rl = trainer.recipe.rl

    def draw(prompts_ids: Sequence[Sequence[int]], seed: int) -> Sampled:
        with trainer.accelerator.autocast():
            return sample(
                trainer.accelerator.unwrap_model(trainer.model), prompts_ids, rl.group_size, rl.max_tokens, rl.temperature,
                trainer.eos_token_ids, torch.Generator().manual_seed(seed),
            )  # fmt: skip

    yield draw


@contextmanager
def _from_vllm(trainer: Any) -> Iterator[Draw]:
    def draw(prompts_ids: Sequence[Sequence[int]], seed: int) -> Sampled:
        size = trainer.recipe.rl.group_size
        repeated = [list(prompt) for prompt in prompts_ids for _ in range(size)]
        # TRL hands vLLM the present weights first where a step was taken. vLLM keeps a seed of its own.
        ids, logprobs = trainer._generate_single_turn(repeated, None, {}, size)
        known = [[math.nan if value is None else value for value in values] for values in logprobs]
        return _ended(ids, known, trainer.eos_token_ids)

    yield draw


@contextmanager
def _from_llamacpp(model: Path, trainer: Any) -> Iterator[Draw]:
    rl = trainer.recipe.rl
    if trainer.accelerator.num_processes > 1:
        raise TrainError("rollouts through llama.cpp are for one process", hint='set rl.rollouts to "torch"')
    with tempfile.TemporaryDirectory(prefix="sixfold-rollout-") as name:
        folder = Path(name)
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        write_lora_gguf(folder, model, folder / "lora.gguf")
        settings = Settings(
            str(model), slots=min(max(_SLOTS, rl.group_size), rl.prompts * rl.group_size, MAX_SLOTS),
            context_tokens=rl.max_prompt_tokens + rl.max_tokens, cache_mib=0, lora_path=str(folder / "lora.gguf"),
        )  # fmt: skip
        with open_draw(settings, rl.group_size, rl.max_tokens, rl.temperature, trainer.eos_token_ids) as draw:
            yield draw


@contextmanager
def open_draw(
    settings: Settings, group_size: int, max_new_tokens: int, temperature: float, eos_ids: Collection[int]
) -> Iterator[Draw]:
    """Start llama.cpp, and end it with the context. A child that dies raises `TrainError`."""
    with asyncio.Runner() as runner:
        try:
            engine = runner.run(open_llamacpp(settings))
        except EngineError as error:
            raise _refused(error) from error

        def draw(prompts_ids: Sequence[Sequence[int]], seed: int) -> Sampled:
            try:
                return runner.run(_complete(engine, prompts_ids, group_size, max_new_tokens, temperature, eos_ids, seed))
            except ExceptionGroup as group:
                failures = [error for error in group.exceptions if isinstance(error, EngineError)]
                if not failures:
                    raise
                raise _refused(failures[0]) from group

        try:
            yield draw
        finally:
            runner.run(engine.aclose())


def _refused(error: EngineError) -> TrainError:
    return TrainError(f"rollouts through llama.cpp failed: {error.args[0]}", hint=_ANOTHER)


async def _complete(
    engine: LlamaCppEngine, prompts_ids: Sequence[Sequence[int]], group_size: int, max_new_tokens: int, temperature: float,
    eos_ids: Collection[int], seed: int,
) -> Sampled:  # fmt: skip
    seeds = random.Random(seed)
    # Before sampling is the distribution at temperature 1, and costs next to nothing; after it is what was drawn from.
    body = {
        "n_cmpl": group_size, "n_predict": max_new_tokens, "temperature": temperature, "samplers": ["temperature"],
        "n_probs": 1, "post_sampling_probs": temperature != 1, "return_tokens": True,
    }  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(engine.complete(body | {"prompt": list(prompt), "seed": seeds.getrandbits(31)}, _TIMEOUT_S))
            for prompt in prompts_ids
        ]
    replies = [reply for task in asked for reply in sorted(task.result(), key=lambda reply: int(reply["index"]))]
    ids = [list(map(int, reply["tokens"])) for reply in replies]
    return _ended(ids, [_logprobs(reply) for reply in replies], eos_ids)


def _logprobs(reply: Mapping[str, Any]) -> list[float]:
    """Of the sampled tokens. llama-server leaves out those after which its text ends within a character: NaN. They are followed
    by one that is there, so what is there is found from the end."""
    scored, found = list(reply.get("completion_probabilities") or ()), list[float]()
    for token in reversed(reply["tokens"]):
        known = scored.pop() if scored and scored[-1]["id"] == token else {"logprob": math.nan}
        # `prob` is what it says of the distribution after sampling.
        found.append(known["logprob"] if "logprob" in known else math.log(known["prob"]))
    if scored:
        raise TrainError("llama.cpp scored other tokens than it sampled", hint='set rl.rollouts to "torch"')
    return found[::-1]


def _ended(ids: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]], eos_ids: Collection[int]) -> Sampled:
    """Completions up to the trainer's first end token. One without counts as cut, whatever else its engine ended it for: what
    the trainer knows as an end is what the model learns."""
    ends, kept = set(eos_ids), list[list[int]]()
    for tokens in ids:
        at = next((at for at, token in enumerate(tokens) if token in ends), len(tokens) - 1)
        kept.append(list(tokens[: at + 1]))
    finish: list[Finish] = ["stop" if tokens and tokens[-1] in ends else "length" for tokens in kept]
    return kept, [list(said[: len(tokens)]) for tokens, said in zip(kept, logprobs, strict=True)], finish
