"""Small GGUF files for the tests of the model store, written by `gguf.GGUFWriter`."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf
import numpy as np

SHAPES = {
    "token_embd.weight": (96, 64),
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.odd.weight": (6, 40),
    "blk.0.attn_norm.weight": (64,),
    "output_norm.weight": (64,),
}
"""Rows first, as numpy has them. A row of 40 fits no block of 32."""


def write_tiny(
    path: Path, kind: str = "F32", architecture: str = "llama", seed: int = 0, extra: dict[str, object] | None = None
) -> dict[str, np.ndarray]:
    """Write a model with every type of key-value; returns its weights before they were quantised."""
    random = np.random.default_rng(seed)
    weights = {name: random.normal(0, 0.05, shape).astype(np.float32) for name, shape in SHAPES.items()}
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("general.license", "mit")
    writer.add_file_type(0)
    writer.add_uint8("test.uint8", 200)
    writer.add_int8("test.int8", -100)
    writer.add_uint16("test.uint16", 60000)
    writer.add_int16("test.int16", -30000)
    writer.add_int32("test.int32", -(2**31))
    writer.add_uint64("test.uint64", 2**64 - 1)
    writer.add_int64("test.int64", -(2**63))
    writer.add_float32("test.float32", 0.5)
    writer.add_float64("test.float64", 1e300)
    writer.add_bool("test.bool", True)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "", "é", "long" * 9])
    writer.add_array("test.numbers", [3, 1, 2])
    writer.add_array("test.floats", [0.25, -1.5])
    for key, value in (extra or {}).items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    for name, data in weights.items():
        target = gguf.GGMLQuantizationType[kind]
        if data.ndim == 1:
            writer.add_tensor(name, data)
        elif data.shape[-1] % 32:
            writer.add_tensor(name, data.astype(np.float16))
        else:
            writer.add_tensor(name, gguf.quants.quantize(data, target), raw_dtype=target)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Every tensor as float32, by `gguf`'s own reader."""
    reader = gguf.GGUFReader(path)
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape.tolist()[::-1])
        for tensor in reader.tensors
    }


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to write beyond, in the middle of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
