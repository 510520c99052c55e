"""A tiny model as GGUF and an adapter with weights in it, for the tests of export."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_adapter(
    base: Path, out: Path, *, rank: int = 8, alpha: int = 24, size: float = 0.1, seed: int = 5, **more: object
) -> Path:
    """A PEFT adapter on every linear layer, whose B is random instead of zero."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=LINEAR, task_type="CAUSAL_LM", **more)
    with warnings.catch_warnings():
        # transformers calls what it deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        peft = get_peft_model(model, config)
    for name, weights in peft.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weights, std=size)
    peft.save_pretrained(out)
    return out


def peft_merged(base: Path, adapter: Path) -> dict[str, Any]:
    """The slow twin of `merge`: the weights as PEFT merges them."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        weights: dict[str, Any] = PeftModel.from_pretrained(model, adapter).merge_and_unload().state_dict()
    return weights


def make_gguf(folder: Path, out: Path, tokenizer: Path | None = None) -> Path:
    """A Hugging Face folder as a GGUF file in F32, with the tokenizer of another GGUF file."""
    import gguf
    import numpy as np

    from sixfold.engine.gguf_file import read_gguf
    from sixfold.engine.lora_gguf import gguf_names, read_json, read_safetensors, read_shape, to_gguf_rows

    config, shape = read_json(folder / "config.json"), read_shape(folder)
    writer = gguf.GGUFWriter(out, shape.architecture)
    writer.add_block_count(shape.layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    head = config.get("head_dim") or config["hidden_size"] // shape.heads
    writer.add_rope_dimension_count(head)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(0)
    values = read_gguf(tokenizer, "tokenizer").values if tokenizer else {}
    for key in ("tokens", "merges", "token_type"):
        if tokenizer:
            writer.add_array(f"tokenizer.ggml.{key}", values[f"tokenizer.ggml.{key}"])
    for key in ("model", "pre"):
        if tokenizer:
            writer.add_string(f"tokenizer.ggml.{key}", values[f"tokenizer.ggml.{key}"])
    for key in ("bos_token_id", "eos_token_id"):
        writer.add_uint32(f"tokenizer.ggml.{key}", config[key])
    for parameter, weights in read_safetensors(folder / "model.safetensors"):
        name = gguf_names(shape, [parameter])[parameter]
        writer.add_tensor(name, np.ascontiguousarray(to_gguf_rows(weights, name, shape)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out
