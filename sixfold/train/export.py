"""What a run trained, as files that others use: safetensors, GGUF, a small adapter, a repository on the hub.

Place: the last stage of a recipe. GGUF files are written by `engine/merge_gguf.py`; `check_logits` is the proof of them: a
wrong order of rows or a wrong scale gives fluent nonsense that nothing else notices. It trains and evaluates nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any, cast

from sixfold.engine.gguf_file import main_type, read_gguf
from sixfold.engine.llamacpp import Settings, open_llamacpp
from sixfold.engine.lora_gguf import (
    CONFIG,
    WEIGHTS,
    placed,
    read_adapter,
    read_json,
    read_safetensors,
)
from sixfold.engine.merge_gguf import misfit, missing
from sixfold.errors import TrainError

DTYPES = {"bf16": "bfloat16", "fp32": "float32"}
"""What merged weights can be written as, and torch's name for it."""
TOLERANCE = {"F32": (0.02, 1e-4), "F16": (0.02, 1e-4), "Q8_0": (0.3, 0.02), "Q4_0": (3.0, 0.6)}
"""Mean absolute difference and mean KL, in nats, that `check_logits` lets pass, by type of the weights: about twice what
SmolLM2-135M shows (F16: four times). llama.cpp rounds activations too: a wrong export is sure to show in F16 alone; the others
bound what rounding may cost."""
_BESIDE = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*")
_NOT_BESIDE = ("config.json", "source.json", CONFIG)
_PREFIXES = 4


@dataclass(frozen=True, slots=True)
class LogitsReport:
    """Next-token log-probabilities of torch (float32) and llama.cpp, at `positions` places, over the tokens that llama.cpp puts
    first. Differences are absolute, in nats; `mean_kl` is KL(torch || llama.cpp), everything but those tokens being one;
    `same_argmax` is a ratio; `same_tokens` says whether both cut the texts into the same tokens."""

    kind: str
    positions: int
    mean_difference: float
    max_difference: float
    mean_kl: float
    same_argmax: float
    same_tokens: bool

    @property
    def ok(self) -> bool:
        """Both within `TOLERANCE`, and the same tokens."""
        difference, kl = TOLERANCE.get(self.kind, TOLERANCE["Q4_0"])
        return self.same_tokens and self.mean_difference <= difference and self.mean_kl <= kl


def merge(base: Path, adapter: Path, out: Path, dtype: str = "bf16") -> None:
    """Write the folder `out`: the base model with an adapter in its weights (added in float32, written as `dtype`), tokenizer
    and chat template included. Shard by shard. Raises `TrainError`, and then `out` is not there."""
    import torch
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import save_file

    if dtype not in DTYPES:
        raise TrainError(f"weights cannot be written as {dtype!r}", hint=f"use one of {', '.join(DTYPES)}")
    if out.exists():
        raise TrainError(f"{out} is there already", hint="delete it, or choose another folder")
    lora, config = read_adapter(adapter), read_json(base / "config.json")
    if config.get("quantization_config"):
        raise TrainError(f"{base} is quantised", hint="merge into the base in half or full precision")
    shards = sorted(base.glob("model*.safetensors"))
    left, total = set(lora.products), 0
    try:
        with placed(out) as scratch:
            scratch.mkdir()
            for shard in shards:
                tensors = {}
                with safe_open(shard, "pt") as file:
                    for name in file.keys():  # noqa: SIM118
                        weights, module = file.get_tensor(name), name.removesuffix(".weight")
                        if module in left:
                            a, b = (torch.from_numpy(half) for half in lora.products[module])
                            if weights.shape != (len(b), a.shape[1]):
                                raise misfit(module, tuple(weights.shape), (len(b), a.shape[1]))
                            weights = weights.float().addmm_(b, a, alpha=lora.scale)
                            left.discard(module)
                        tensors[name] = weights.to(getattr(torch, DTYPES[dtype])) if weights.is_floating_point() else weights
                save_file(tensors, scratch / shard.name, {"format": "pt"})
                total += sum(t.numel() * t.element_size() for t in tensors.values())
            if left:
                raise missing(base, left)
            config.pop("torch_dtype", None)
            _write_json(scratch / "config.json", config | {"dtype": DTYPES[dtype]})
            # safetensors makes files that nobody else may read.
            for shard in scratch.glob("*.safetensors"):
                shutil.copymode(scratch / "config.json", shard)
            for file in sorted({found for pattern in _BESIDE for found in base.glob(pattern)}):
                if file.name not in _NOT_BESIDE:
                    shutil.copyfile(file, scratch / file.name)
            index = scratch / "model.safetensors.index.json"
            if index.is_file():
                entries = read_json(index)
                _write_json(index, entries | {"metadata": entries.get("metadata", {}) | {"total_size": total}})
    except SafetensorError as error:
        raise TrainError(
            f"merging into {out} failed: {error}", hint="check the base's files and the room on the disk"
        ) from error


def shrink_adapter(adapter: Path, out: Path, base_model: str = "") -> str:
    """Write the folder `out`: an adapter as bf16, its settings without paths of this machine, and a `.sha256` beside the
    weights. `base_model` is what the settings name as the base. Returns the SHA-256 (hex); one adapter always has the same."""
    import torch
    from safetensors.torch import save

    if out.exists():
        raise TrainError(f"{out} is there already", hint="delete it, or choose another folder")
    read_adapter(adapter)
    config = {key: _without_path(value) for key, value in read_json(adapter / CONFIG).items()}
    config["target_modules"] = sorted(config["target_modules"]) if isinstance(config["target_modules"], list) else "all-linear"
    config |= {"inference_mode": True, "base_model_name_or_path": base_model or config.get("base_model_name_or_path")}
    with placed(out) as scratch:
        scratch.mkdir()
        weights = {
            name: torch.from_numpy(values).to(torch.bfloat16).contiguous()
            for name, values in read_safetensors(adapter / WEIGHTS)
        }
        data = save(dict(sorted(weights.items())), {"format": "pt"})
        digest = hashlib.sha256(data).hexdigest()
        (scratch / WEIGHTS).write_bytes(data)
        (scratch / f"{WEIGHTS}.sha256").write_text(f"{digest}  {WEIGHTS}\n", encoding="utf-8")
        _write_json(scratch / CONFIG, dict(sorted(config.items())))
    return digest


def check_logits(folder: Path, gguf: Path, texts: Sequence[str], *, top: int = 32, threads: int = 0) -> LogitsReport:
    """Compare a Hugging Face folder under torch with a GGUF file under llama.cpp. `threads` 0: all cores.

    Raises `EngineError` where llama.cpp does not load the file."""
    from transformers import AutoTokenizer

    if not all(texts) or not texts:
        raise TrainError("there is no text to compare on", hint="give some texts, none of them empty")
    count = max(len(ids) for ids in AutoTokenizer.from_pretrained(folder)(list(texts), add_special_tokens=False)["input_ids"])

    async def run() -> LogitsReport:
        engine = await open_llamacpp(Settings(str(gguf), slots=1, context_tokens=count + 32, threads=threads, cache_mib=0))
        try:
            kind = main_type(read_gguf(gguf, gguf.name))
            return await compare_logits(folder, engine.remote.client, engine.remote.url.removesuffix("/v1"), texts, kind, top)
        finally:
            await engine.aclose()

    return asyncio.run(run())


async def compare_logits(folder: Path, client: Any, url: str, texts: Sequence[str], kind: str, top: int = 32) -> LogitsReport:
    """The same against a llama-server at `url` that runs already; `client` is an `httpx.AsyncClient` that it lets in."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    async def ask(what: str, body: dict[str, Any]) -> Any:
        reply = await client.post(f"{url}/{what}", json=body, timeout=300)
        reply.raise_for_status()
        return reply.json()

    differences: list[float] = []
    divergences: list[float] = []
    agreed, same_tokens = 0, True
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        cut = await ask("tokenize", {"content": text, "add_special": False, "parse_special": True})
        same_tokens &= cut["tokens"] == ids
        with torch.no_grad():
            ours = torch.log_softmax(model(torch.tensor([ids]), use_cache=False).logits[0], -1)
        for end in sorted({max(1, len(ids) * part // _PREFIXES) for part in range(1, _PREFIXES + 1)}):
            body = {"prompt": ids[:end], "n_predict": 1, "n_probs": top, "temperature": 0, "cache_prompt": False}
            first = (await ask("completion", body))["completion_probabilities"][0]["top_logprobs"]
            theirs = {entry["id"]: entry["logprob"] for entry in first}
            mine = {token: float(ours[end - 1, token]) for token in theirs}
            differences += [abs(mine[token] - theirs[token]) for token in theirs]
            divergences.append(_divergence(mine, theirs))
            agreed += int(ours[end - 1].argmax()) == first[0]["id"]
    return LogitsReport(
        kind, len(divergences), sum(differences) / len(differences), max(differences), sum(divergences) / len(divergences),
        agreed / len(divergences), same_tokens,
    )  # fmt: skip


def push(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload a folder (adapter, merged model or GGUF files with a README.md) to `repo` on the hub; returns its address.

    The token is HF_TOKEN, or what `hf auth login` saved; HF_ENDPOINT names another hub. Raises `TrainError`.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if not (folder / "README.md").is_file():
        raise TrainError(f"{folder} has no model card", hint="write one to README.md first: sixfold.train.card makes it")
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.gguf")):
        raise TrainError(f"{folder} holds no weights", hint="export something into it first")
    token = get_token()
    if not token:
        raise TrainError("there is no token for the hub", hint="set HF_TOKEN to one that may write, or run `hf auth login`")
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    api = HfApi(endpoint=endpoint, token=token)
    # Which HTTP library it is depends on the version of huggingface_hub; the hub's errors are among those of that library.
    network = cast("tuple[type[Exception], ...]", (*HfHubHTTPError.__bases__, OSError))
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Upload by sixfold", ignore_patterns=[".*"])
    except HFValidationError as error:
        raise TrainError(f"{repo!r} is no repository: {error}", hint="give OWNER/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "use a token that may write there" if status in (401, 403) else "try again later"
        raise TrainError(f"{endpoint} refused {repo} with status {status}", hint=hint) from error
    except network as error:
        raise TrainError(f"{endpoint} cannot be reached: {error}", hint="check the connection and HF_ENDPOINT") from error
    return f"{endpoint}/{made.repo_id}"


def _divergence(ours: dict[int, float], theirs: dict[int, float]) -> float:
    """KL(ours || theirs) in nats over the tokens given and the rest as one."""
    rest = [max(1.0 - sum(map(exp, side.values())), 1e-12) for side in (ours, theirs)]
    return sum(exp(p) * (p - theirs[token]) for token, p in ours.items()) + rest[0] * log(rest[0] / rest[1])


def _without_path(value: Any) -> Any:
    """A setting, where it is a path of this machine only its last part."""
    is_path = isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", ".")) or "\\" in value)
    return Path(value.replace("\\", "/")).name if is_path else value


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
