"""What every test has: its own home folder, no settings from outside, and the embedded model where it asks for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from sixfold.engine import models
from sixfold.errors import ModelError

_REAL_HOME = Path(os.environ.get("SIXFOLD_HOME") or Path.home() / ".sixfold")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for this test, and an environment without keys, proxies and settings."""
    folder = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("SIXFOLD_", "HF_")) or name.endswith(("_API_KEY", "_proxy", "_PROXY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SIXFOLD_HOME", str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test talks to another machine by accident."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "localhost", "::1")):
            raise RuntimeError(f"a test connects to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The base of the embedded model, which `make test` pulls: it rambles and repeats itself, as tests of engines need."""
    try:
        return models.find(models.BASE, _REAL_HOME).path
    except ModelError as error:
        raise RuntimeError(f"the embedded model is not here ({error.args[0]}); run `make test`, which pulls it") from error


@pytest.fixture
def model_home(home: Path, model_path: Path) -> Path:
    """This test's home with the embedded model and its base in it, by link."""
    (home / "models").mkdir()
    for model in (models.find(name, _REAL_HOME).path for name in (models.DEFAULT, models.BASE)):
        for file in (model, model.with_suffix(".json")):
            (home / "models" / file.name).symlink_to(file)
    return home
