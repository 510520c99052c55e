"""The child process that holds llama.cpp: reads its settings from standard input, serves on loopback, dies with its parent.

Run as `python -m sixfold.engine.child`. The settings (key included) come over a pipe, so neither the process list nor the
environment shows them. The pipe stays open; when it closes, the parent is gone, however it went, and so is this process,
even in the middle of loading.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
from typing import Any

_SPECULATIVE = {
    "ngram-simple": "NGRAM_SIMPLE",
    "ngram-mod": "NGRAM_MOD",
    "ngram-cache": "NGRAM_CACHE",
    "draft": "DRAFT_SIMPLE",
}


def make_params(settings: dict[str, Any]) -> Any:
    """llama.cpp's parameters for `settings` (see `llamacpp.Settings`)."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["alias"]}
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context_tokens"]
    params.port = settings["port"]
    params.api_keys = [settings["key"]]
    params.cors_origins = "http://127.0.0.1"
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.ui = False
    params.verbosity = 1
    params.cache_ram_mib = settings["cache_mib"]
    if settings["lora_path"]:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(settings["lora_path"], 1.0)]
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = settings["threads"]
    kind, draft_path = settings["speculate"], settings["draft_path"]
    if kind != "off":
        prefix = "COMMON_SPECULATIVE_TYPE_"
        params.speculative.types = [getattr(xllamacpp.common_speculative_type, prefix + _SPECULATIVE[kind])]
    # The library's 12 and 48 look for longer repeats than a chain of thought of a few hundred tokens has.
    params.speculative.ngram_simple.size_n, params.speculative.ngram_simple.size_m = 4, 16
    if kind == "draft":
        draft = params.speculative.draft
        draft.mparams.path = draft_path
        for cpu in (draft.cpuparams, draft.cpuparams_batch):
            cpu.n_threads = settings["threads"]
    return params


def end_with_parent() -> None:
    """Let the kernel end this process when the pipe closes. A thread that reads the pipe could not: loading a model holds the
    interpreter's lock. PR_SET_PDEATHSIG would fire when the *thread* ends that started this process, not the parent.
    Where SIGIO does not end a process (macOS), the end of the pipe is seen after loading."""
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        # It was closed before the kernel was asked to watch it.
        os._exit(0)


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    end_with_parent()
    import xllamacpp

    server = xllamacpp.Server(make_params(settings))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # A graceful stop would wait for running requests; nobody is left to read them.
    os._exit(0)


if __name__ == "__main__":
    main()
