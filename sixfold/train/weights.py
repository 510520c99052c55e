"""A base model as training needs it: a Hugging Face folder with weights, tokenizer and chat template, wherever it came from.

Place: every stage opens its model here. The embedded model exists as GGUF alone, so it is converted once, into
`<home>/hf/<name>-<sha256>`; the hub and local folders are used as they are. What transformers gets wrong about a GGUF
tokenizer is put right here: its pre-tokenizer must split digits as llama.cpp does, or the model is trained on other tokens than
it will see.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, cast

from sixfold.engine import models
from sixfold.engine.gguf_file import read_gguf
from sixfold.engine.lora_gguf import placed
from sixfold.errors import ModelError, TrainError

RANDOM = "random:tiny"
"""A base of two layers with random weights and the embedded model's tokenizer: for smoke tests of a recipe."""
_TURN_END = "<|im_end|>"
"""The end of a turn in ChatML, whose base models (Qwen2.5) have another end token."""
_SINGLE_DIGITS = ("smollm",)
"""Values of `tokenizer.ggml.pre` whose digits are tokens of their own."""


def open_base(spec: str, home: Path) -> Path:
    """The folder of a base model: a local folder, `hf:OWNER/REPO[@REVISION]`, the name of a pulled model (converted on first
    use, which takes some 15 s for 135M), or `random:tiny`, which knows nothing and trains in seconds. Raises `TrainError` or
    `ModelError` where there is none.
    """
    if spec.startswith("hf:"):
        return _from_hub(spec)
    folder = Path(spec).expanduser()
    if spec != RANDOM and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise TrainError(
                f"{folder} is no model folder: it has no config.json", hint="give a folder that transformers wrote"
            )
        return folder
    made = _made(spec, home)
    if not (made / "config.json").is_file():
        make, name = (_random, models.BASE) if spec == RANDOM else (_convert, spec)
        try:
            make(models.find(name, home).path, made)
        except TrainError:
            # Another process may have been quicker.
            if not (made / "config.json").is_file():
                raise
    return made


def folder_here(spec: str, home: Path) -> Path | None:
    """The folder that `open_base` would return, where it is there already: nothing is fetched, converted or loaded. A model of
    the hub counts as not there."""
    if spec.startswith("hf:"):
        return None
    folder = Path(spec).expanduser()
    try:
        made = folder if folder.is_dir() else _made(spec, home)
    except ModelError:
        return None
    return made if (made / "config.json").is_file() else None


def _made(spec: str, home: Path) -> Path:
    """Where what is made of a pulled model is kept."""
    model = models.find(models.BASE if spec == RANDOM else spec, home)
    return home / "hf" / f"{'random-tiny' if spec == RANDOM else model.path.stem}-{(model.sha256 or 'local')[:12]}"


def load_tokenizer(folder: Path) -> Any:
    """Raises `TrainError` where the model has no chat template: training without one would teach a format of our own making."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.chat_template:
        raise TrainError(
            f"{folder} has no chat template", hint="train from an instruct model, or put a chat_template.jinja into the folder"
        )
    # A base model's own end is that of a document; its turns, and so what is learned, end as the template ends them.
    if _TURN_END in tokenizer.chat_template and _TURN_END in tokenizer.get_vocab():
        tokenizer.eos_token = _TURN_END
    if tokenizer.eos_token_id is None:
        raise TrainError(f"{folder} has no end token", hint="set eos_token in tokenizer_config.json to what ends a turn")
    return tokenizer


def _from_hub(spec: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repo, _, revision = spec.removeprefix("hf:").partition("@")
    # Which HTTP library it is depends on the version of huggingface_hub; the hub's errors are among those of that library.
    network = cast("tuple[type[Exception], ...]", (*HfHubHTTPError.__bases__, LocalEntryNotFoundError, ValueError, OSError))
    try:
        patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=patterns))
    except network as error:
        raise TrainError(
            f"{spec} cannot be fetched: {str(error).splitlines()[0]}",
            hint="check the name and the connection, or give a local folder",
        ) from error


def _convert(gguf: Path, made: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    with placed(made) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        # They are plain weights now; transformers remembers that they were not, and would refuse to write them.
        model.hf_quantizer = None
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(folder)
        _save_tokenizer(_read_tokenizer(gguf), gguf, folder)
        (folder / "source.json").write_text(json.dumps({"gguf": gguf.name}), encoding="utf-8")


def _read_tokenizer(gguf: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)


def _save_tokenizer(tokenizer: Any, gguf: Path, folder: Path) -> None:
    tokenizer.save_pretrained(folder)
    if read_gguf(gguf, gguf.name).values.get("tokenizer.ggml.pre") in _SINGLE_DIGITS:
        split_digits(folder / "tokenizer.json")


def _random(gguf: Path, made: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with placed(made) as folder, warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        tokenizer = _read_tokenizer(gguf)
        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=2048, tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
        _save_tokenizer(tokenizer, gguf, folder)


def split_digits(file: Path) -> None:
    """Make every digit a piece of its own in a `tokenizer.json`, before the byte-level pieces are cut."""
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    cut = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, cut]}
    file.write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
