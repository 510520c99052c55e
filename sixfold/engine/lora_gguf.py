"""A LoRA adapter as numbers, and as a GGUF file that llama.cpp attaches to a base model.

Place: `export` reads adapters and names tensors through this module; `write_lora_gguf` makes what `llama-server --lora` takes.
It needs numpy and `gguf` alone, so that a machine without torch can use an adapter. llama.cpp's llama graph rotates pairs of
neighbours in a head, transformers the two halves against each other: rows of q and k change places (`to_gguf_rows`), as in
convert_hf_to_gguf.py. Forms of LoRA that are more than `scale * B @ A` on linear layers (DoRA, biases, ranks that differ) are
refused. Format: https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sixfold.engine.gguf_file import read_gguf
from sixfold.errors import ModelError, TrainError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "smollm3": "smollm3"}
"""llama.cpp's name for each `model_type` of transformers whose tensors are known to differ by name and order of rows alone."""
_PERMUTED = ("llama", "smollm3")
_PREFIX = "base_model.model."
_PLAIN = {
    "use_dora": False, "bias": "none", "modules_to_save": None, "rank_pattern": {}, "alpha_pattern": {}, "lora_bias": False,
    "fan_in_fan_out": False, "layer_replication": None, "trainable_token_indices": None, "alora_invocation_tokens": None,
    "use_qalora": False, "target_parameters": None, "use_bdlora": None, "kasa_config": None, "monteclora_config": None,
    "velora_config": None, "arrow_config": None,
}  # fmt: skip
"""Settings of a PEFT adapter that would make it more than one product, and what each must be."""
_TYPES = {"F32": 4, "F16": 2, "BF16": 2}
_MOST_HEADER = 100 << 20


@dataclass(frozen=True, slots=True)
class Adapter:
    """`products` has for each linear layer, by its name in the base model, A (rank, in) and B (out, rank); what is added to the
    layer's weight is `scale * B @ A`."""

    rank: int
    scale: float
    products: Mapping[str, tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides the names and the order of its rows in GGUF. `architecture` is llama.cpp's name."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int


def read_adapter(folder: Path) -> Adapter:
    """A PEFT LoRA folder, in float32. Raises `TrainError` where it is none, is not whole, or is of a kind that is refused."""
    config = read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise TrainError(f"{folder} is no LoRA adapter but {config.get('peft_type')!r}", hint="train with method lora")
    for key, plain in _PLAIN.items():
        if config.get(key, plain) not in (plain, None):
            raise TrainError(
                f"{folder} has {key} = {config[key]!r}, which cannot be exported", hint="train a plain LoRA adapter"
            )
    # The other ways to begin with (PiSSA, OLoRA, CorDA, LoftQ ...) change the base's weights too.
    if (begun := config.get("init_lora_weights", True)) not in (True, False, None, "gaussian", "eva", "orthogonal"):
        raise TrainError(
            f"{folder} was begun with {begun!r}, which changes the base", hint="convert it with PEFT to plain LoRA"
        )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise TrainError(f"{folder / CONFIG} has no rank and alpha", hint="take the folder that the training run wrote")
    halves: dict[str, dict[str, Floats]] = {}
    for name, weights in read_safetensors(folder / WEIGHTS):
        module, dot, rest = name.removeprefix(_PREFIX).partition(".lora_")
        if not dot or rest not in ("A.weight", "B.weight") or weights.ndim != 2:
            raise TrainError(f"{folder / WEIGHTS} holds {name}, which cannot be exported", hint="train linear layers alone")
        halves.setdefault(module, {})[rest[0]] = weights
    for module, pair in halves.items():
        if set(pair) != {"A", "B"} or pair["A"].shape[0] != rank or pair["B"].shape[1] != rank:
            raise TrainError(f"{folder} has no whole product of rank {rank} for {module}", hint="take a whole adapter folder")
    if not halves:
        raise TrainError(f"{folder / WEIGHTS} holds nothing", hint="take the folder that the training run wrote")
    scale = alpha / (sqrt(rank) if config.get("use_rslora") else rank)
    return Adapter(rank, scale, {module: (pair["A"], pair["B"]) for module, pair in sorted(halves.items())})


def read_shape(model: Path) -> Shape:
    """Of a GGUF file or a Hugging Face folder. Raises `TrainError` for an architecture whose tensors are not known."""
    if model.is_dir():
        config = read_json(model / "config.json")
        architecture = str(config.get("model_type"))
        heads, kind = config.get("num_attention_heads"), ARCHITECTURES.get(architecture)
        counts: tuple[Any, ...] = (config.get("num_hidden_layers"), heads, config.get("num_key_value_heads") or heads)
    else:
        values = read_gguf(model, model.name).values
        kind = architecture = str(values.get("general.architecture"))
        heads = values.get(f"{kind}.attention.head_count")
        counts = (values.get(f"{kind}.block_count"), heads, values.get(f"{kind}.attention.head_count_kv", heads))
    if kind not in ARCHITECTURES.values():
        known = ", ".join(ARCHITECTURES)
        raise TrainError(
            f"{model} has the architecture {architecture!r}, whose tensors are not known here; known are {known}",
            hint="merge to safetensors and convert with llama.cpp's convert_hf_to_gguf.py",
        )
    if not all(isinstance(count, int) and count > 0 for count in counts):
        raise TrainError(f"{model} does not say how many layers and heads it has", hint="check its config.json")
    return Shape(str(kind), *map(int, counts))


def gguf_names(shape: Shape, parameters: Iterable[str]) -> dict[str, str]:
    """The name in GGUF of each parameter.

    >>> gguf_names(Shape("llama", 1, 2, 1), ["model.layers.0.self_attn.q_proj.weight"])
    {'model.layers.0.self_attn.q_proj.weight': 'blk.0.attn_q.weight'}
    """
    import gguf

    number = next(n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == shape.architecture)
    names = gguf.get_tensor_name_map(number, shape.layers)
    found = {}
    for parameter in parameters:
        name = names.get_name(parameter, (".weight", ".bias"))
        if name is None:
            raise TrainError(f"{parameter} has no place in a {shape.architecture} model", hint="use the base that was trained")
        found[parameter] = name
    return found


def to_gguf_rows(rows: Floats, tensor: str, shape: Shape) -> Floats:
    """The rows (output values first) of a weight, bias or B of transformers, in llama.cpp's order for `tensor`.

    >>> import numpy as np
    >>> to_gguf_rows(np.arange(8.0)[:, None], "blk.0.attn_q.weight", Shape("llama", 1, 2, 1))[:, 0].tolist()
    [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    """
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(tensor.split(".")[-2] if "." in tensor else "")
    if heads is None or shape.architecture not in _PERMUTED:
        return rows
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write_lora_gguf(adapter: Path, base: Path, out: Path, kind: str = "F16") -> None:
    """Write a PEFT adapter as a GGUF file for llama.cpp. `base` is the model, a GGUF file or a Hugging Face folder; `kind` is
    F16 or F32. Raises `TrainError` or `ModelError`, and leaves nothing of a file that could not be written whole."""
    import gguf
    import numpy as np

    if kind not in ("F16", "F32"):
        raise TrainError(f"an adapter cannot be written as {kind!r}", hint="use F16 or F32")
    lora, shape = read_adapter(adapter), read_shape(base)
    dtype = np.float16 if kind == "F16" else np.float32
    with placed(out) as scratch:
        writer = gguf.GGUFWriter(scratch, shape.architecture)
        try:
            writer.add_type(gguf.GGUFType.ADAPTER)
            writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
            # llama.cpp divides by the rank.
            writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, lora.scale * lora.rank)
            names = gguf_names(shape, (f"{module}.weight" for module in lora.products))
            for (a, b), name in zip(lora.products.values(), names.values(), strict=True):
                writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, dtype))
                writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(to_gguf_rows(b, name, shape), dtype))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
        finally:
            writer.close()
        # numpy's tofile keeps silent about a disk that fills up with its last bytes.
        try:
            read_gguf(scratch, out.name)
        except ModelError as error:
            raise TrainError(f"{out} cannot be written whole", hint="free some space, or choose another place") from error


def read_safetensors(path: Path) -> Iterator[tuple[str, Floats]]:
    """Name and float32 weights of each tensor (F32, F16 or BF16), one at a time.

    `safetensors.safe_open` is its twin; without torch that cannot read BF16. Raises `TrainError` where the file is not whole.
    """
    import numpy as np

    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _MOST_HEADER):
                _not_whole(path)
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            for name, entry in header.items():
                dims, (first, last), kind = entry["shape"], entry["data_offsets"], entry["dtype"]
                if kind not in _TYPES:
                    raise TrainError(f"{path} has {name} as {kind}", hint="take weights as F32, F16 or BF16")
                if last - first != prod(dims) * _TYPES[kind] or not 0 <= first <= last <= size - 8 - length:
                    _not_whole(path)
                file.seek(8 + length + first)
                data = file.read(last - first)
                if kind == "BF16":
                    weights = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
                else:
                    weights = np.frombuffer(data, "<f4" if kind == "F32" else "<f2").astype(np.float32)
                if not np.isfinite(weights).all():
                    raise TrainError(f"{name} in {path} has weights that are not finite", hint="export an earlier checkpoint")
                yield name, weights.reshape(dims)
    except FileNotFoundError as error:
        raise TrainError(f"there is no {path}", hint="give a folder that training wrote") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _not_whole(path, error)


@contextmanager
def placed(out: Path) -> Iterator[Path]:
    """A hidden path beside `out`, for a file or a folder, that takes its name when all went well. Raises `TrainError` where the
    disk is full or refuses, with nothing left behind."""
    scratch = out.with_name(f".{out.name}.tmp{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        for file in [scratch] if scratch.is_file() else scratch.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        os.replace(scratch, out)
    except OSError as error:
        raise TrainError(
            f"{out} cannot be written: {error.strerror or error}", hint="free some space, or choose another place"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object on disk. Raises `TrainError` where it is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainError(f"there is no {path}", hint="give a folder that training wrote") from error
    except (OSError, ValueError) as error:
        raise TrainError(f"{path} cannot be read: {error}", hint="take a whole copy of that folder") from error
    if not isinstance(value, dict):
        raise TrainError(f"{path} holds no object", hint="take a whole copy of that folder")
    return value


def _not_whole(path: Path, error: Exception | None = None) -> NoReturn:
    raise TrainError(f"{path} is not a whole safetensors file", hint="copy it again, or take another checkpoint") from error
