"""What is exported computes what was trained: torch and llama.cpp give the same log-probabilities."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from embedded import engine_on
from exporting import make_adapter, make_gguf

from sixfold.engine import merge_gguf
from sixfold.engine.lora_gguf import CONFIG, write_lora_gguf
from sixfold.engine.merge_gguf import write_gguf
from sixfold.train.export import TOLERANCE, LogitsReport, check_logits, compare_logits, merge
from sixfold.train.weights import split_digits

pytest.importorskip("peft")
pytestmark = [pytest.mark.model, pytest.mark.slow]

TEXTS = [
    "<|im_start|>user\nTom has 3 boxes with 12 apples.<|im_end|>\n",
    "def add(a, b):\n    return a + b",
    "The sum of 17 and 25 is",
]
KINDS = ("llama", "qwen2", "qwen3", "smollm3")


@pytest.fixture(scope="module")
def tokenizer(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model's tokenizer as transformers has it, cut into digits as llama.cpp does."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    AutoTokenizer.from_pretrained(model_path.parent, gguf_file=model_path.name).save_pretrained(folder)
    split_digits(folder / "tokenizer.json")
    return folder


def make_model(kind: str, tokenizer: Path, folder: Path) -> Path:
    """Two random layers, so strong that attention to the wrong place changes what is said."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(3)
    config = AutoConfig.for_model(
        kind, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, vocab_size=49152, tie_word_embeddings=True, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
        pad_token_id=2, initializer_range=0.15, rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        rms_norm_eps=1e-5,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    for name, weights in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weights, std=0.3)
    model.save_pretrained(folder)
    for file in tokenizer.iterdir():
        shutil.copyfile(file, folder / file.name)
    return folder


def close(report: LogitsReport) -> bool:
    difference, kl = TOLERANCE[report.kind]
    return report.mean_difference <= difference and report.mean_kl <= kl


@pytest.mark.parametrize("kind", KINDS)
def test_merged_files_say_what_torch_says(kind: str, tokenizer: Path, model_path: Path, tmp_path: Path) -> None:
    base = make_model(kind, tokenizer, tmp_path / "base")
    gguf = make_gguf(base, tmp_path / "base.gguf", model_path)
    adapter = make_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "merged", "fp32")
    for weights, trained in (("F16", adapter), ("F16", tmp_path / "merged"), ("Q8_0", adapter)):
        write_gguf(gguf, trained, tmp_path / f"{weights}.gguf", weights)
        report = check_logits(tmp_path / "merged", tmp_path / f"{weights}.gguf", TEXTS)
        assert close(report), report
        assert (report.kind, report.positions) == (weights, 12)
        assert report.same_argmax == 1.0 or weights == "Q8_0"
        # transformers cuts by the rules of Qwen whatever the folder says.
        assert report.ok or kind.startswith("qwen")
    # The adapter matters, or all of this would prove nothing.
    assert check_logits(base, tmp_path / "F16.gguf", TEXTS).mean_difference > 10 * TOLERANCE["F16"][0]


def test_a_wrong_order_of_rows_and_a_wrong_scale_show(
    tokenizer: Path, model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_model("llama", tokenizer, tmp_path / "base")
    gguf = make_gguf(base, tmp_path / "base.gguf", model_path)
    adapter = make_adapter(base, tmp_path / "adapter")
    merge(base, adapter, tmp_path / "merged", "fp32")
    with monkeypatch.context() as patch:
        patch.setattr(merge_gguf, "to_gguf_rows", lambda rows, tensor, shape: rows)
        write_gguf(gguf, adapter, tmp_path / "rows.gguf", "F16")
    assert not close(check_logits(tmp_path / "merged", tmp_path / "rows.gguf", TEXTS))
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps(config | {"lora_alpha": 25}))
    write_gguf(gguf, adapter, tmp_path / "scale.gguf", "F16")
    assert not close(check_logits(tmp_path / "merged", tmp_path / "scale.gguf", TEXTS))


def test_other_tokens_show(tokenizer: Path, model_path: Path, tmp_path: Path) -> None:
    base = make_model("llama", tokenizer, tmp_path / "base")
    gguf = make_gguf(base, tmp_path / "base.gguf", model_path)
    pieces = json.loads((base / "tokenizer.json").read_text())
    pieces["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    (base / "tokenizer.json").write_text(json.dumps(pieces))
    report = check_logits(base, gguf, ["a  7"])
    assert (report.same_tokens, report.ok, close(report)) == (False, False, True)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
async def test_an_attached_adapter_says_what_the_merged_model_says(
    kind: str, tokenizer: Path, model_path: Path, tmp_path: Path
) -> None:
    base = make_model(kind, tokenizer, tmp_path / "base")
    gguf = make_gguf(base, tmp_path / "base.gguf", model_path)
    adapter = make_adapter(base, tmp_path / "adapter", use_rslora=True)
    merge(base, adapter, tmp_path / "merged", "fp32")
    write_lora_gguf(adapter, base, tmp_path / "lora.gguf")
    async with engine_on(
        gguf, slots=1, context_tokens=256, threads=1, cache_mib=0, lora_path=str(tmp_path / "lora.gguf")
    ) as engine:
        client, url = engine.remote.client, engine.remote.url.removesuffix("/v1")
        report = await compare_logits(tmp_path / "merged", client, url, TEXTS, "F16")
        assert close(report), report
        assert report.same_argmax == 1.0
        assert not close(await compare_logits(base, client, url, TEXTS, "F16"))
