"""The embedded model is a base with an adapter of ours merged into it: what `pull` makes of the two, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from exporting import make_adapter, make_gguf
from tiny_gguf import largest_file
from training import make_tiny

from sixfold.engine import models
from sixfold.engine.merge_gguf import write_gguf
from sixfold.engine.models import CATALOGUE, DEFAULT, Merged, find, list_models, pull, verify
from sixfold.errors import ModelError

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("merged") / "tiny")


@pytest.fixture
def place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Merged:
    gguf = make_gguf(folder, tmp_path / "tiny.gguf")
    sign(make_adapter(folder, tmp_path / "adapter"))
    place = Merged(f"file:{gguf}", tmp_path / "adapter", "MIT")
    monkeypatch.setitem(CATALOGUE, "mine", place)
    return place


def sign(adapter: Path) -> None:
    digest = hashlib.sha256((adapter / "adapter_model.safetensors").read_bytes()).hexdigest()
    (adapter / "adapter_model.safetensors.sha256").write_text(f"{digest}  adapter_model.safetensors\n")


def left(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "models").iterdir() if path.name != ".lock")


def test_the_embedded_model_is_its_base_with_the_adapter_in_it(place: Merged, tmp_path: Path) -> None:
    home, stages = tmp_path / "home", list[str]()
    model = pull("mine", home=home, progress=lambda stage, done, total: stages.append(stage))
    assert (model.name, model.gguf_type, model.licence) == ("mine-q8_0", "Q8_0", "MIT")
    assert model.origin == f"adapter:mine@{place.sha256[:12]}"
    assert list_models(home) == [model, find("tiny", home)]
    write_gguf(find("tiny", home).path, place.adapter, tmp_path / "by-hand.gguf", "Q8_0")
    assert model.path.read_bytes() == (tmp_path / "by-hand.gguf").read_bytes() != find("tiny", home).path.read_bytes()
    verify(model)
    assert "merging" in stages
    stages.clear()
    assert pull("mine", home=home, progress=lambda stage, done, total: stages.append(stage)) == model
    assert stages == []


def test_another_adapter_makes_another_embedded_model(place: Merged, folder: Path, tmp_path: Path) -> None:
    first = pull("mine", home=tmp_path)
    sign(make_adapter(folder, place.adapter, seed=6))
    second = pull("mine", home=tmp_path)
    assert first.path == second.path
    assert first.sha256 != second.sha256
    assert len(list_models(tmp_path)) == 2


def test_an_adapter_that_is_not_what_its_hash_says_is_refused(place: Merged, tmp_path: Path) -> None:
    weights = bytearray(place.weights.read_bytes())
    weights[-1] ^= 1
    place.weights.write_bytes(weights)
    with pytest.raises(ModelError, match=r"has the SHA-256 \w+, and should have"):
        pull("mine", home=tmp_path)
    place.weights.with_name("adapter_model.safetensors.sha256").unlink()
    with pytest.raises(ModelError, match="has no SHA-256 of its weights\n  next: install sixfold again"):
        pull("mine", home=tmp_path)
    assert left(tmp_path) == ["tiny-q8_0.gguf", "tiny-q8_0.json"]


def test_an_adapter_of_another_model_is_refused(place: Merged, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    narrow = {key: w[:, 1:].contiguous() if ".lora_A" in key else w for key, w in load_file(place.weights).items()}
    save_file(narrow, place.weights)
    sign(place.adapter)
    with pytest.raises(ModelError, match=r"in the base and .* in what was trained"):
        pull("mine", home=tmp_path)
    assert left(tmp_path) == ["tiny-q8_0.gguf", "tiny-q8_0.json"]


def test_a_full_disk_while_merging_leaves_the_base_alone(place: Merged, tmp_path: Path) -> None:
    base = pull(place.base, home=tmp_path)
    with largest_file(base.size_bytes // 2), pytest.raises(ModelError, match=r"cannot be written(.|\n)*free some space"):
        pull("mine", home=tmp_path)
    assert left(tmp_path) == ["tiny-q8_0.gguf", "tiny-q8_0.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from sixfold.engine import merge_gguf, models
models.CATALOGUE["mine"] = models.Merged(sys.argv[1], Path(sys.argv[2]), "MIT")
merge_gguf._write_sums = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
models.pull("mine", home=Path(sys.argv[3]))
"""


def test_a_merge_that_was_killed_is_made_good_by_the_next(place: Merged, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, place.base, str(place.adapter), str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(left(tmp_path)) == 3
    verify(pull("mine", home=tmp_path))
    assert left(tmp_path) == ["mine-q8_0.gguf", "mine-q8_0.json", "tiny-q8_0.gguf", "tiny-q8_0.json"]


def test_the_shipped_adapter_is_whole_small_and_described() -> None:
    place = CATALOGUE[DEFAULT]
    assert isinstance(place, Merged)
    assert hashlib.sha256(place.weights.read_bytes()).hexdigest() == place.sha256
    assert place.weights.stat().st_size <= 24e6
    assert (
        json.loads((place.adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == place.base == models.BASE
    )
    card = (place.adapter / "README.md").read_text()
    assert place.sha256 in card
    assert 'license: "apache-2.0"' in card
