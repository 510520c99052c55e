"""Trained weights put into a GGUF file of the base: what `export` writes, and what `sixfold pull` makes the embedded model of.

Place: `models.py` and `train/export.py` call it. It needs neither torch nor a converter: a GGUF file of the base has the right
metadata and tokenizer, so only its weights are changed, tensor by tensor. That the result says what torch says is proved by
`train/export.check_logits`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sixfold.engine.gguf_file import GGUF_TYPES, Tensor, converted, converted_size, read_gguf
from sixfold.engine.lora_gguf import (
    CONFIG,
    Adapter,
    gguf_names,
    placed,
    read_adapter,
    read_json,
    read_safetensors,
    read_shape,
    to_gguf_rows,
)
from sixfold.errors import TrainError

if TYPE_CHECKING:
    from sixfold.engine.lora_gguf import Floats

_CHUNK_FLOATS = 1 << 22
_SPARE_BYTES = 64 << 20


def find_gguf(base: Path) -> Path:
    """The GGUF file of a base: itself, or the one that a folder under `<home>/hf` was converted from."""
    if base.is_file():
        return base
    source = base / "source.json"
    if source.is_file() and (path := base.parent.parent / "models" / str(read_json(source).get("gguf"))).is_file():
        return path
    raise TrainError(
        f"there is no GGUF file of {base}, whose metadata and tokenizer are needed",
        hint="give a GGUF file of the base, or merge to safetensors and use llama.cpp's convert_hf_to_gguf.py",
    )


def write_gguf(base: Path, trained: Path, out: Path, kind: str = "Q8_0") -> None:
    """Write a base with what was trained in it as a GGUF file of `kind` (a key of `GGUF_TYPES`).

    `base` is a GGUF file, or a folder that was converted from one; `trained` an adapter folder, or a model folder with all
    weights. One tensor at a time, in pieces of 16 MiB. Raises `TrainError` or `ModelError`, and leaves nothing of a file that
    could not be written whole; one that was there stays.
    """
    if kind not in GGUF_TYPES:
        raise TrainError(f"a GGUF file cannot be {kind!r}", hint=f"use one of {', '.join(GGUF_TYPES)}")
    path = find_gguf(base)
    source = read_gguf(path, path.name)
    size = converted_size(source, kind)
    with placed(out) as scratch:
        if (free := shutil.disk_usage(out.parent).free) < size + _SPARE_BYTES:
            raise TrainError(
                f"{out} needs {size / 1e6:.0f} MB and the disk has {free / 1e6:.0f} MB free",
                hint="free some space, or choose another place",
            )
        with scratch.open("wb") as file, path.open("rb") as given:
            # The first piece is the header; it says where each tensor goes, so that they may come in any order.
            file.write(next(converted(source, path, kind)))
            file.truncate(size)
            targets = {tensor.name: tensor for tensor in read_gguf(scratch, out.name).tensors}
            if (trained / CONFIG).is_file():
                _write_sums(source.tensors, targets, given, file, _gguf_products(read_adapter(trained), path))
            else:
                done = _write_weights(targets, trained, path, file)
                _write_sums([tensor for tensor in source.tensors if tensor.name not in done], targets, given, file, {})


def _gguf_products(lora: Adapter, path: Path) -> dict[str, tuple[Floats, Floats]]:
    """By GGUF tensor: A, and B in llama.cpp's order of rows with the scale in it."""
    shape = read_shape(path)
    names = gguf_names(shape, (f"{module}.weight" for module in lora.products))
    return {
        name: (a, to_gguf_rows(b, name, shape) * lora.scale)
        for (a, b), name in zip(lora.products.values(), names.values(), strict=True)
    }


def _write_sums(
    tensors: Sequence[Tensor], targets: dict[str, Tensor], given: IO[bytes], file: IO[bytes],
    products: dict[str, tuple[Floats, Floats]],
) -> None:  # fmt: skip
    """Each of `tensors`, with its product added where it has one, in its place."""
    if left := set(products) - {tensor.name for tensor in tensors}:
        raise missing(Path(given.name), left)
    for tensor in tensors:
        target, product = targets[tensor.name], products.get(tensor.name)
        if product and tensor.dims != (product[0].shape[1], len(product[1])):
            raise misfit(tensor.name, tensor.dims[::-1], (len(product[1]), product[0].shape[1]))
        given.seek(tensor.start)
        file.seek(target.start)
        for first, count in _steps(tensor):
            piece = given.read(tensor.size_bytes // (prod(tensor.dims) // tensor.dims[0]) * count)
            if product is None and tensor.kind == target.kind:
                file.write(piece)
                continue
            weights = _dequantized(piece, tensor, count)
            if product:
                weights = weights + product[1][first : first + count] @ product[0]
            file.write(_quantized(weights, target))


def _write_weights(targets: dict[str, Tensor], trained: Path, path: Path, file: IO[bytes]) -> set[str]:
    """Every weight of a model folder in its place; returns the names of what was written."""
    shards, shape, done = sorted(trained.glob("model*.safetensors")), read_shape(path), set()
    if not shards:
        raise TrainError(f"{trained} is neither an adapter nor a model folder", hint="give a folder that training wrote")
    for shard in shards:
        for parameter, weights in read_safetensors(shard):
            name = gguf_names(shape, [parameter])[parameter]
            target = targets.get(name)
            if target is None or target.dims != weights.shape[::-1]:
                raise misfit(name, target.dims[::-1] if target else (), weights.shape)
            rows = to_gguf_rows(weights, name, shape).reshape(-1, target.dims[0])
            file.seek(target.start)
            for first, count in _steps(target):
                file.write(_quantized(rows[first : first + count], target))
            done.add(name)
    return done


def _steps(tensor: Tensor) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each piece of a tensor."""
    rows = prod(tensor.dims) // tensor.dims[0]
    step = max(1, _CHUNK_FLOATS // tensor.dims[0])
    return ((first, min(step, rows - first)) for first in range(0, rows, step))


def _dequantized(piece: bytes, tensor: Tensor, rows: int) -> Floats:
    import numpy as np
    from gguf import GGMLQuantizationType as Type
    from gguf.quants import dequantize

    try:
        return dequantize(np.frombuffer(piece, np.uint8).reshape(rows, -1), Type(tensor.kind)).astype(np.float32, copy=False)
    except (NotImplementedError, ValueError) as error:
        raise TrainError(
            f"{tensor.name} cannot be read as {Type(tensor.kind).name}: {error}", hint="use a base in F16, BF16 or Q8_0"
        ) from error


def _quantized(weights: Floats, target: Tensor) -> bytes:
    import numpy as np
    from gguf import GGMLQuantizationType as Type
    from gguf.quants import quantize

    largest = float(np.abs(weights).max())
    # Scales of blocks are F16 too: refused a little early for those.
    if not largest <= (np.finfo(np.float32).max if target.kind == Type.F32 else np.finfo(np.float16).max):
        raise TrainError(
            f"{target.name} has weights that cannot be held: up to {largest:.3g}", hint="export an earlier checkpoint"
        )
    # Scales so small that their inverse overflows become zero blocks, which is right; numpy would warn.
    with np.errstate(all="ignore"):
        return bytes(quantize(np.ascontiguousarray(weights), Type(target.kind)).tobytes())


def missing(base: Path, names: set[str]) -> TrainError:
    """An adapter that changes what the base does not have."""
    return TrainError(f"{base} has no {min(names)}, which the adapter changes", hint="use the base that was trained")


def misfit(name: str, has: tuple[int, ...], trained: tuple[int, ...]) -> TrainError:
    """A tensor whose shape differs."""
    return TrainError(f"{name} is {has} in the base and {trained} in what was trained", hint="use the base that was trained")
