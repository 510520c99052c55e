"""Adapters and merged weights on disk: the same numbers as PEFT's, nothing of this machine in them, never half a file."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import make_adapter, make_gguf, peft_merged
from tiny_gguf import largest_file, read_weights, write_tiny
from training import make_tiny

from sixfold.engine import merge_gguf
from sixfold.engine.gguf_file import GGUF_TYPES, main_type, read_gguf
from sixfold.engine.lora_gguf import CONFIG, WEIGHTS, read_adapter, read_safetensors, read_shape, write_lora_gguf
from sixfold.engine.merge_gguf import find_gguf, write_gguf
from sixfold.errors import ModelError, SixfoldError, TrainError
from sixfold.train.export import check_logits, merge, push, shrink_adapter

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def gguf(base: Path) -> Path:
    return make_gguf(base, base.parent / "tiny.gguf")


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    return make_adapter(base, tmp_path / "adapter")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_merged_weights_are_those_of_peft(base: Path, adapter: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merge(base, adapter, tmp_path / "fp32", "fp32")
    merge(base, adapter, tmp_path / "bf16")
    wanted = peft_merged(base, adapter)
    for folder, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        model = AutoModelForCausalLM.from_pretrained(tmp_path / folder, dtype="auto")
        assert model.dtype == dtype
        for name, weights in model.state_dict().items():
            assert torch.allclose(
                weights.float(), wanted[name].to(dtype).float(), atol=1e-6, rtol=2**-8 if dtype.itemsize == 2 else 0
            )
    assert AutoTokenizer.from_pretrained(tmp_path / "bf16").chat_template == AutoTokenizer.from_pretrained(base).chat_template
    assert names(tmp_path) == ["adapter", "bf16", "fp32"]
    assert (tmp_path / "bf16" / "model.safetensors").stat().st_mode & 0o777 == (
        tmp_path / "bf16" / "config.json"
    ).stat().st_mode & 0o777


def test_shards_stay_shards(base: Path, adapter: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path / "many", max_shard_size="30KB")
    merge(tmp_path / "many", adapter, tmp_path / "out")
    shards = list((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) > 2
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(w.nbytes // 2 for s in shards for _, w in read_safetensors(s))
    wanted = peft_merged(base, adapter)
    for name, weights in AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict().items():
        assert torch.allclose(weights.float(), wanted[name], atol=1e-6, rtol=2**-8)


def test_a_base_that_does_not_fit_is_told(base: Path, gguf: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    adapter = make_adapter(base, tmp_path / "adapter")
    weights = load_file(adapter / WEIGHTS)
    strange = {name.replace("layers.1", "layers.7"): value for name, value in weights.items()}
    save_file(strange, adapter / WEIGHTS)
    for make in (merge, write_gguf):
        with pytest.raises(TrainError, match=r"(has no|has no place).*\n  next: use the base that was trained"):
            make(gguf if make is write_gguf else base, adapter, tmp_path / "out")
    narrow = {name: value[:, :8].contiguous() if "lora_A" in name else value for name, value in weights.items()}
    save_file(narrow, adapter / WEIGHTS)
    for make in (merge, write_gguf):
        with pytest.raises(TrainError, match=r"is \(\d+, \d+\) in the base and \(\d+, 8\) in what was trained"):
            make(gguf if make is write_gguf else base, adapter, tmp_path / "out")
    assert names(tmp_path) == ["adapter"]


def test_a_small_adapter_is_the_same_adapter(base: Path, adapter: Path, tmp_path: Path) -> None:
    import torch

    rewrite(adapter / CONFIG, base_model_name_or_path="/home/someone/models/tiny", revision="~/x/main")
    digest = shrink_adapter(adapter, tmp_path / "small")
    assert names(tmp_path / "small") == [CONFIG, WEIGHTS, f"{WEIGHTS}.sha256"]
    assert hashlib.sha256((tmp_path / "small" / WEIGHTS).read_bytes()).hexdigest() == digest
    assert (tmp_path / "small" / f"{WEIGHTS}.sha256").read_text() == f"{digest}  {WEIGHTS}\n"
    text = (tmp_path / "small" / CONFIG).read_text()
    assert "someone" not in text
    assert json.loads(text)["base_model_name_or_path"] == "tiny"
    assert json.loads(text)["revision"] == "main"
    whole, half = read_adapter(adapter), read_adapter(tmp_path / "small")
    assert half.scale == whole.scale == 3.0
    wanted, found = peft_merged(base, adapter), peft_merged(base, tmp_path / "small")
    assert all(torch.allclose(found[name], wanted[name], atol=0.02) for name in wanted)
    # Once more, from what was made, and with another name: the same bytes.
    assert shrink_adapter(tmp_path / "small", tmp_path / "again", "owner/tiny") == digest
    assert json.loads((tmp_path / "again" / CONFIG).read_text())["base_model_name_or_path"] == "owner/tiny"
    values = sum(a.size + b.size for a, b in half.products.values())
    assert (tmp_path / "small" / WEIGHTS).stat().st_size < 2 * values + 300 * len(half.products)


def test_what_is_there_is_not_written_over(base: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainError, match="is there already"):
        merge(base, adapter, tmp_path / "out")
    with pytest.raises(TrainError, match="is there already"):
        shrink_adapter(adapter, tmp_path / "out")


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16"])
def test_safetensors_are_read_as_their_library_reads_them(kind: str, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    dtype = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]
    weights = {
        "a": torch.randn(3, 5).to(dtype),
        "b": torch.tensor([1e-7, -0.0, 65504.0, 3.3895e38 if kind != "F16" else 1]).to(dtype),
    }
    save_file(weights, tmp_path / "x.safetensors", {"format": "pt"})
    found = dict(read_safetensors(tmp_path / "x.safetensors"))
    assert set(found) == {"a", "b"}
    for name, values in found.items():
        assert values.dtype == np.float32
        assert np.array_equal(values, weights[name].float().numpy())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "not a whole safetensors"),
        (lambda data: data[:20], "not a whole safetensors"),
        (lambda data: b"", "not a whole safetensors"),
        (lambda data: b"\xff" * 8 + data[8:], "not a whole safetensors"),
        (lambda data: data.replace(b'"F32"', b'"I32"'), "as I32"),
        (lambda data: data.replace(b'"dtype"', b'"dtipe"'), "not a whole safetensors"),
        (lambda data: data[:-4] + b"\x00\x00\xc0\x7f", "not finite"),
    ],
)
def test_broken_weights_are_refused(adapter: Path, tmp_path: Path, gguf: Path, change: Any, said: str) -> None:
    file = adapter / WEIGHTS
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(TrainError, match=said):
        write_gguf(gguf, adapter, tmp_path / "out.gguf")
    assert names(tmp_path) == ["adapter"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "no LoRA adapter but 'IA3'"),
        ({"use_dora": True}, "use_dora = True"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base"),
        ({"r": None}, "no rank and alpha"),
        ({"r": 4}, "no whole product of rank 4"),
    ],
)
def test_adapters_that_are_more_than_a_product_are_refused(adapter: Path, changes: dict[str, object], said: str) -> None:
    rewrite(adapter / CONFIG, **changes)
    with pytest.raises(TrainError, match=said):
        read_adapter(adapter)


def test_a_folder_that_is_no_adapter(tmp_path: Path, gguf: Path) -> None:
    with pytest.raises(TrainError, match=r"there is no .*adapter_config.json"):
        read_adapter(tmp_path)
    with pytest.raises(TrainError, match="neither an adapter nor a model folder"):
        write_gguf(gguf, tmp_path, tmp_path / "out.gguf")
    (tmp_path / CONFIG).write_text("[1]")
    with pytest.raises(TrainError, match="holds no object"):
        read_adapter(tmp_path)


@pytest.mark.parametrize("kind", GGUF_TYPES)
def test_merged_gguf_has_the_merged_weights(base: Path, gguf: Path, adapter: Path, tmp_path: Path, kind: str) -> None:
    import torch
    from safetensors.torch import save_file

    write_gguf(gguf, adapter, tmp_path / "sum.gguf", kind)
    made = read_gguf(tmp_path / "sum.gguf", "sum")
    assert main_type(made) == kind
    assert made.values["general.file_type"] == GGUF_TYPES[kind]
    assert {k: v for k, v in made.values.items() if not k.startswith("general.")}.items() <= read_gguf(gguf, "b").values.items()
    # From PEFT's weights, through the other route: all weights of a folder, written by the test's own converter.
    other = tmp_path / "other"
    shutil.copytree(base, other)
    wanted = {name: value.contiguous() for name, value in peft_merged(base, adapter).items() if name != "lm_head.weight"}
    save_file(wanted, other / "model.safetensors")
    plain = read_weights(make_gguf(other, tmp_path / "other.gguf"))
    found = read_weights(tmp_path / "sum.gguf")
    assert set(found) == set(plain)
    for name, weights in found.items():
        step = {"F16": 2**-10, "Q8_0": 1 / 127, "Q4_0": 1 / 7}[kind] * np.abs(plain[name]).max()
        assert np.abs(weights - plain[name]).max() <= step, name
    changed = read_weights(gguf)
    assert np.abs(changed["blk.1.attn_k.weight"] - plain["blk.1.attn_k.weight"]).max() > 0.2
    # All weights of a folder give the same file, up to what float32 rounds.
    write_gguf(gguf, other, tmp_path / "whole.gguf", kind)
    for name, weights in read_weights(tmp_path / "whole.gguf").items():
        assert np.mean(np.abs(weights - found[name])) < 1e-3
    assert torch.get_default_dtype() == torch.float32


def test_transformers_reads_the_merged_file_as_peft_merges(base: Path, gguf: Path, adapter: Path, tmp_path: Path) -> None:
    """Its reader undoes the order of rows by code of its own."""
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    write_gguf(gguf, adapter, tmp_path / "sum.gguf", "F16")
    found, wanted = read_weights(tmp_path / "sum.gguf"), peft_merged(base, adapter)
    reader = LlamaTensorProcessor(config={"num_attention_heads": 4, "num_key_value_heads": 2})
    for layer in (0, 1):
        for ours, theirs in (("attn_q", "q_proj"), ("attn_k", "k_proj")):
            name = f"blk.{layer}.{ours}.weight"
            weights = reader.process(found[name], name).weights
            assert np.allclose(weights, wanted[f"model.layers.{layer}.self_attn.{theirs}.weight"].numpy(), atol=2e-3)


def test_large_tensors_are_written_in_pieces(
    gguf: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(gguf, adapter, tmp_path / "one.gguf", "Q8_0")
    monkeypatch.setattr(merge_gguf, "_CHUNK_FLOATS", 100)
    write_gguf(gguf, adapter, tmp_path / "many.gguf", "Q8_0")
    one, many = read_weights(tmp_path / "one.gguf"), read_weights(tmp_path / "many.gguf")
    assert all(np.allclose(one[name], many[name], atol=np.abs(one[name]).max() / 120) for name in one)


def test_gguf_files_are_written_without_torch(gguf: Path, adapter: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "for name in ('torch', 'safetensors', 'transformers', 'peft'): sys.modules[name] = None\n"
        "from sixfold.engine.merge_gguf import write_gguf\n"
        "from sixfold.engine.lora_gguf import write_lora_gguf\n"
        "base, adapter, out = map(Path, sys.argv[1:])\n"
        "write_gguf(base, adapter, out / 'sum.gguf'); write_lora_gguf(adapter, base, out / 'lora.gguf')\n"
    )
    subprocess.run([sys.executable, "-c", code, gguf, adapter, tmp_path], check=True)
    assert names(tmp_path) == ["adapter", "lora.gguf", "sum.gguf"]


def test_the_lora_file_says_what_the_adapter_says(base: Path, gguf: Path, tmp_path: Path) -> None:
    adapter = make_adapter(base, tmp_path / "adapter", use_rslora=True)
    write_lora_gguf(adapter, gguf, tmp_path / "a.gguf", "F32")
    write_lora_gguf(adapter, base, tmp_path / "b.gguf", "F32")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    values = read_gguf(tmp_path / "a.gguf", "a").values
    assert (values["general.type"], values["adapter.type"], values["general.architecture"]) == ("adapter", "lora", "llama")
    # 24 / sqrt(8), times the rank that llama.cpp divides by.
    assert values["adapter.lora.alpha"] == pytest.approx(24 * 8**0.5)
    found, lora = read_weights(tmp_path / "a.gguf"), read_adapter(adapter)
    a, b = lora.products["model.layers.1.self_attn.q_proj"]
    assert np.array_equal(found["blk.1.attn_q.weight.lora_a"], a)
    assert not np.array_equal(found["blk.1.attn_q.weight.lora_b"], b)
    assert np.array_equal(found["blk.1.attn_q.weight.lora_b"][:8], b[[0, 4, 1, 5, 2, 6, 3, 7]])
    assert np.array_equal(found["blk.1.attn_v.weight.lora_b"], lora.products["model.layers.1.self_attn.v_proj"][1])
    assert len(found) == 2 * len(lora.products) == 28


def test_architectures_whose_tensors_are_unknown_are_refused(adapter: Path, tmp_path: Path) -> None:
    write_tiny(tmp_path / "gemma.gguf", architecture="gemma3")
    with pytest.raises(TrainError, match=r"'gemma3', whose tensors are not known here; known are llama.*\n  next: merge"):
        write_gguf(tmp_path / "gemma.gguf", adapter, tmp_path / "out.gguf")
    write_tiny(tmp_path / "llama.gguf")
    with pytest.raises(TrainError, match="does not say how many layers"):
        read_shape(tmp_path / "llama.gguf")
    (tmp_path / "out.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        write_gguf(tmp_path / "out.gguf", adapter, tmp_path / "out2.gguf")


def test_the_gguf_file_of_a_converted_folder_is_found(tmp_path: Path, gguf: Path) -> None:
    folder = tmp_path / "hf" / "tiny"
    folder.mkdir(parents=True)
    with pytest.raises(TrainError, match="there is no GGUF file of"):
        find_gguf(folder)
    (tmp_path / "models").mkdir()
    shutil.copyfile(gguf, tmp_path / "models" / "tiny.gguf")
    (folder / "source.json").write_text('{"gguf": "tiny.gguf"}')
    assert find_gguf(folder) == tmp_path / "models" / "tiny.gguf"
    assert find_gguf(gguf) == gguf


def test_unknown_kinds_are_refused(base: Path, gguf: Path, adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="use one of Q8_0, Q4_0, F16"):
        write_gguf(gguf, adapter, tmp_path / "x.gguf", "Q3_K")
    with pytest.raises(TrainError, match="use F16 or F32"):
        write_lora_gguf(adapter, gguf, tmp_path / "x.gguf", "Q8_0")
    with pytest.raises(TrainError, match="use one of bf16, fp32"):
        merge(base, adapter, tmp_path / "x", "fp8")


@pytest.mark.parametrize("texts", [[], ["a", ""]])
def test_logits_are_compared_on_some_text(base: Path, gguf: Path, texts: list[str]) -> None:
    with pytest.raises(TrainError, match="there is no text"):
        check_logits(base, gguf, texts)


@pytest.mark.parametrize("what", ["gguf", "lora", "merge", "shrink"])
def test_a_full_disk_leaves_no_half_file(base: Path, gguf: Path, adapter: Path, tmp_path: Path, what: str) -> None:
    out = tmp_path / "out" / "made"
    make = {
        "gguf": lambda: write_gguf(gguf, adapter, out), "lora": lambda: write_lora_gguf(adapter, gguf, out),
        "merge": lambda: merge(base, adapter, out), "shrink": lambda: shrink_adapter(adapter, out),
    }[what]  # fmt: skip
    if what in ("gguf", "lora"):
        out.parent.mkdir()
        out.write_bytes(b"from before")
    with largest_file(4096), pytest.raises(TrainError, match=r"made (cannot be written|failed)(.|\n)*next: .*(space|room)"):
        make()
    assert names(out.parent) == (["made"] if what in ("gguf", "lora") else [])
    assert what not in ("gguf", "lora") or out.read_bytes() == b"from before"
    make()
    assert names(out.parent) == ["made"]


def test_too_little_room_is_noticed_before_writing(
    gguf: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 1000))
    with pytest.raises(TrainError, match=r"MB and the disk has 0 MB free"):
        write_gguf(gguf, adapter, tmp_path / "x.gguf")
    assert names(tmp_path) == ["adapter"]


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload of small files needs. `commits` are what was uploaded: lines of JSON."""

    commits: list[list[dict[str, Any]]]
    status = 200

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b"".join(iter(self.chunk, b""))
        reply: dict[str, Any] = {}
        if self.path.endswith("/repos/create"):
            assert self.headers["Authorization"] == "Bearer hf_secret"
            reply = {"url": f"http://{self.headers['Host']}/me/{json.loads(body)['name']}"}
        elif "/preupload/" in self.path:
            files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]]
            reply = {"files": files}
        elif "/commit/" in self.path:
            self.commits.append([json.loads(line) for line in body.splitlines()])
            reply = {"commitUrl": "https://huggingface.co/me/tiny/commit/1", "commitOid": "1", "success": True}
        data = json.dumps(reply).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    kind = type("ThisHub", (Hub,), {"commits": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield kind
        server.shutdown()


@pytest.fixture
def ready(adapter: Path) -> Path:
    (adapter / "README.md").write_text("# Card")
    (adapter / ".hidden").write_text("mine")
    return adapter


def test_a_folder_is_pushed_without_what_is_hidden(ready: Path, hub: type[Hub]) -> None:
    assert push(ready, "me/tiny").startswith("http://127.0.0.1:")
    [commit] = hub.commits
    paths = {line["value"]["path"] for line in commit if line["key"] == "file"}
    assert {"README.md", CONFIG, WEIGHTS} == paths


@pytest.mark.parametrize(
    ("status", "said"), [(403, "refused me/tiny with status 403\n  next: use a token"), (400, "try again later")]
)
def test_a_hub_that_refuses_is_told(ready: Path, hub: type[Hub], status: int, said: str) -> None:
    hub.status = status
    with pytest.raises(TrainError, match=said):
        push(ready, "me/tiny")


def test_pushing_without_network_token_card_or_weights(ready: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(TrainError, match="there is no token"):
        push(ready, "me/tiny")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secret")
    with pytest.raises(TrainError, match="cannot be reached") as error:
        push(ready, "me/tiny")
    assert "hf_secret" not in str(error.value)
    with pytest.raises(TrainError, match="is no repository"):
        push(ready, "a/b/c")
    (ready / "README.md").unlink()
    with pytest.raises(TrainError, match="no model card"):
        push(ready, "me/tiny")
    (tmp_path / "README.md").write_text("# Card")
    with pytest.raises(SixfoldError, match="holds no weights"):
        push(tmp_path, "me/tiny")
