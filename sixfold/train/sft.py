"""Supervised fine-tuning on chains of thought: rows in, a LoRA adapter or full weights out.

Place: stage one of a recipe. TRL's `SFTTrainer` trains; what is here makes the packed rows, chooses precision, compiles the
layers and computes the loss of the completion alone. On an accelerator or several processes TRL's own loss is used; the one
here skips the vocabulary for every position that is not learned, which a CPU cannot afford, and `tests/equal/test_sft_loss.py`
proves them equal.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sixfold.core import Problem, Verdict
from sixfold.data.decontaminate import build_index
from sixfold.data.filters import (
    Filter,
    HashSet,
    english,
    has_completion,
    lengths,
    licences,
    no_duplicates,
    no_questions,
    repetition,
    verified,
)
from sixfold.data.overlap import Index
from sixfold.data.public_traces import public_rows
from sixfold.data.rows import Row, read_rows
from sixfold.data.traces import Mix, even_cells, worked_rows
from sixfold.errors import TrainError
from sixfold.tasks.catalog import FAMILIES, find_families, find_tasks
from sixfold.train.packing import IGNORED, Example, collate, encode, packed
from sixfold.train.recipe import Recipe, SftConfig
from sixfold.train.watch import checkpoints
from sixfold.train.weights import load_tokenizer
from sixfold.verify.verifiers import Judge

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_PIECE = 512
"""Positions whose vocabulary is computed at a time."""
WAIT = timedelta(days=1)
"""How long processes wait for the first of them, which has the gates and packs the rows."""
_BATCH = 256
"""Packed rows that are written at a time."""
_FEWEST, _CHARACTERS = 40, 16
"""Characters of the shortest public completion that is taken, and of a token at the most: what is longer need not be cut into
tokens to know that it does not fit."""


def recipe_rows(
    recipe: Recipe,
    judge: Callable[[Problem, str], Verdict] | None = None,
    skip: Callable[[str], None] = lambda why: None,
    index: Index | None = None,
) -> Iterator[Row]:
    """The training rows of a recipe: worked examples, then those of its files, then those of its public sets. With a `judge`,
    what is not judged right is left out, rows of files without an answer too, and told to `skip`. Public rows that hold a
    question of `index` are left out; without one it is made of all evaluation tasks. The same recipe gives the same rows."""
    traces = recipe.traces
    mix = Mix(planned=traces.planned, planners=traces.planners, slips=traces.slips)
    yield from worked_rows(recipe_cells(recipe), mix, recipe.seed, judge=judge, skip=skip)
    checks = [has_completion(), *([verified(judge)] if judge else [])]
    for file in traces.files:
        yield from _passed(read_rows(file.expanduser()), checks, file.name, skip)
    if not traces.public:
        return
    asked = index or build_index(
        find_tasks(["public", *FAMILIES]), missing=lambda what, error: skip(f"not compared with {what}")
    )
    # What remembers the rows is a file: memory does not grow with the set.
    with TemporaryDirectory(prefix="sixfold-") as folder:
        checks = [
            licences(traces.licences), has_completion(), lengths(_FEWEST, _CHARACTERS * recipe.sft.max_tokens), english(),
            repetition(), no_duplicates(seen=HashSet(Path(folder) / "seen")), no_questions(asked),
            *([verified(judge, unknown=True)] if judge else []),
        ]  # fmt: skip
        for name in traces.public:
            rows = public_rows(name, lambda why, name=name: skip(f"{name}, {why}"))  # type: ignore[misc]
            yield from islice(_passed(rows, checks, name, skip), traces.public_rows or None)


def recipe_cells(recipe: Recipe) -> dict[tuple[str, int], int]:
    """How many worked examples of each cell (family, level) a recipe asks for."""
    traces = recipe.traces
    families = [family.task for family in find_families(traces.tasks)] if traces.rows else []
    return even_cells(families, traces.levels, traces.rows)


def _passed(rows: Iterable[Row], checks: Sequence[Filter], name: str, skip: Callable[[str], None]) -> Iterator[Row]:
    for row in rows:
        why = next((f"{check.name}: {why}" for check in checks if (why := check.check(row))), None)
        if why is None:
            yield row
        else:
            skip(f"{name}, {why}")


def multiplies_bf16() -> bool:
    """Whether this machine has bf16 matrix products in hardware: an accelerator, or a CPU with AMX or AVX512-BF16."""
    import torch

    return torch.cuda.is_bf16_supported() if torch.cuda.is_available() else cpu_multiplies_bf16()


def cpu_multiplies_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def trains_in_bf16(sft: SftConfig) -> bool:
    return sft.precision == "bf16" or (sft.precision == "auto" and multiplies_bf16())


def make_dataset(recipe: Recipe, tokenizer: Any, folder: Path) -> tuple[Any, Counter[str]]:
    """The packed rows of a recipe as a dataset on disk, and what was counted; memory stays the same whatever their number. What
    was written whole before is used again."""
    import datasets
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    made, counted = folder / "packed.arrow", folder / "counts.json"
    if not counted.is_file():
        counts: Counter[str] = Counter()
        examples = _examples(recipe, tokenizer, counts)
        rows = packed(
            examples, recipe.sft.max_tokens, tokenizer.eos_token_id, lambda: counts.update(["longer than max_tokens"])
        )
        schema = pa.schema([(key, pa.list_(pa.int32())) for key in ("input_ids", "labels", "position_ids")])
        with pa.OSFile(str(made), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            while batch := list(islice(rows, _BATCH)):
                counts["packed rows"] += len(batch)
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
        counted.write_text(json.dumps(counts), encoding="utf-8")
    return datasets.Dataset.from_file(str(made)), Counter(json.loads(counted.read_text(encoding="utf-8")))


def _examples(recipe: Recipe, tokenizer: Any, counts: Counter[str]) -> Iterator[Example]:
    with Judge() as judge:
        for row in recipe_rows(recipe, judge, lambda why: counts.update([f"left out: {why}"])):
            example = encode(row, tokenizer)
            counts["rows"] += 1
            counts["tokens"] += len(example.tokens)
            counts["learned tokens"] += sum(label != IGNORED for label in example.labels)
            yield example


def keep_memory() -> None:
    """Let glibc keep what is freed instead of giving it back to the kernel after each tensor: on two cores with AMX a training
    step took half as long (`docs/log.md`). Elsewhere nothing happens."""
    import ctypes

    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8
    try:
        libc = ctypes.CDLL("libc.so.6")
        for what, size in ((trim_threshold, 2**31 - 1), (top_pad, 1 << 28), (mmap_max, 0), (arena_max, 1)):
            libc.mallopt(what, size)
    except (OSError, AttributeError):
        return


def open_model(folder: Path, sft: SftConfig) -> Any:
    """The base model: in bf16 where it is multiplied in it and stays as it is, in float32 where all weights are trained."""
    import torch
    from transformers import AutoModelForCausalLM

    on_cpu = not torch.cuda.is_available()
    # A frozen base loses nothing in half precision; weights that are trained keep theirs.
    dtype = torch.bfloat16 if trains_in_bf16(sft) and sft.method == "lora" else torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager" if on_cpu else "sdpa")


def settings(sft: SftConfig, seed: int, folder: Path, trackers: Sequence[str] = ()) -> dict[str, Any]:
    """The keyword arguments of TRL's `SFTConfig`, apart from those that depend on the machine."""
    return {
        "output_dir": str(folder / "checkpoints"),
        "per_device_train_batch_size": sft.batch_rows // sft.accumulate,
        "gradient_accumulation_steps": sft.accumulate,
        "learning_rate": sft.learning_rate,
        "lr_scheduler_type": sft.schedule,
        "warmup_steps": sft.warmup,
        "weight_decay": sft.weight_decay,
        "num_train_epochs": sft.epochs,
        "max_steps": sft.max_steps,
        "save_steps": sft.save_steps,
        "save_total_limit": 2,
        "logging_steps": sft.log_steps,
        "gradient_checkpointing": sft.gradient_checkpointing,
        # The rows are packed and tokenized already.
        "max_length": None,
        "packing": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        **reported(trackers, folder),
        "seed": seed,
        "data_seed": seed,
        "disable_tqdm": True,
    }


def reported(trackers: Sequence[str], folder: Path) -> dict[str, Any]:
    """What makes a trainer report its metrics to trackers, under the name of the run folder."""
    return {"report_to": list(trackers)} | ({"project": "sixfold", "run_name": folder.name} if trackers else {})


def train_sft(recipe: Recipe, base: Path, folder: Path, resume: bool = False, callbacks: Any = None) -> dict[str, Any]:
    """Train, with checkpoints in `folder/checkpoints` and the result in `folder/adapter` (or `folder/model`). `resume` goes on
    from the last whole checkpoint, in the same order of data. Returns what was counted, and the log."""
    import torch
    from accelerate import PartialState

    keep_memory()
    # Of several processes one writes the rows, and the others read them.
    with PartialState(cpu=not torch.cuda.is_available(), timeout=WAIT).main_process_first():
        dataset, counts = make_dataset(recipe, load_tokenizer(base), folder / "data")
    if not len(dataset):
        raise TrainError(
            f"none of the recipe's rows can be trained on: {', '.join(f'{n} {why}' for why, n in counts.most_common(4))}",
            hint="raise sft.max_tokens, or look at traces.files and traces.public",
        )
    trainer = make_trainer(recipe, base, folder, dataset, callbacks)
    kept = checkpoints(folder / "checkpoints") if resume else []
    trainer.train(resume_from_checkpoint=str(kept[-1][1]) if kept else None)
    trainer.save_model(str(folder / ("adapter" if recipe.sft.method == "lora" else "model")))
    end_together()
    return dict(counts) | {"log": trainer.state.log_history}


def end_together() -> None:
    """Of several processes none leaves before the others: the threads of one that is left alone abort it at its exit."""
    from accelerate import PartialState

    state = PartialState()
    if state.num_processes > 1:
        state.wait_for_everyone()
        state.destroy_process_group()


def make_trainer(recipe: Recipe, base: Path, folder: Path, dataset: Any, callbacks: Any = None) -> Any:
    """TRL's trainer for a recipe, with an adapter on the base and its layers compiled where the recipe says so."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import torch
    from peft import LoraConfig
    from trl import SFTConfig

    sft = recipe.sft
    lora = LoraConfig(r=sft.lora.rank, lora_alpha=sft.lora.alpha, target_modules=LINEAR, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        # transformers warns of names that TRL still uses.
        warnings.simplefilter("ignore", FutureWarning)
        on_cpu = not torch.cuda.is_available()
        arguments = SFTConfig(**settings(sft, recipe.seed, folder, recipe.trackers), bf16=trains_in_bf16(sft), use_cpu=on_cpu)
        trainer = _trainer_class()(
            open_model(base, sft), arguments, data_collator=collate, train_dataset=dataset,
            processing_class=load_tokenizer(base), peft_config=lora if sft.method == "lora" else None, callbacks=callbacks,
        )  # fmt: skip
    if sft.compile:
        for layer in _backbone(trainer.model).layers:
            layer.compile(dynamic=False)
    return trainer


def _backbone(model: Any) -> Any:
    """The layers below the vocabulary, with or without an adapter around them."""
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).model


def _trainer_class() -> Any:
    import torch
    from trl import SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        """TRL's trainer with the loss of the learned positions alone."""

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Any:
            if return_outputs or self.accelerator.num_processes > 1 or self.args.device.type != "cpu":
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            with self.compute_loss_context_manager():
                hidden = _backbone(self.model)(
                    input_ids=inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False
                ).last_hidden_state
                labels = inputs["labels"][:, 1:]
                kept = labels != IGNORED
                hidden, labels = hidden[:, :-1][kept], labels[kept]
                # Pieces of one size: what is freed fits what is asked for next, and the memory does not grow.
                missing = -len(labels) % _PIECE
                hidden = torch.nn.functional.pad(hidden, (0, 0, 0, missing))
                labels = torch.nn.functional.pad(labels, (0, missing), value=IGNORED)
                loss, right = hidden.new_zeros((), dtype=torch.float32), 0
                for states, wanted in zip(hidden.split(_PIECE), labels.split(_PIECE), strict=True):
                    logits = self.model.get_output_embeddings()(states).float()
                    loss = loss + torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum")
                    right += int((logits.detach().argmax(-1) == wanted).sum())
            count = len(labels) - missing
            loss = loss / (num_items_in_batch if num_items_in_batch is not None else max(count, 1))
            mode = "train" if self.model.training else "eval"
            self._metrics[mode]["mean_token_accuracy"].append(right / max(count, 1))
            self._total_train_tokens += inputs["input_ids"].numel()
            self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
            return loss

    return Trainer
