"""lm-evaluation-harness and `sixfold eval` give one set of answers the same scores, and name the same things alike.

The first test needs nothing. The second installs lm-eval into a folder of its own with pip, so it runs only where
`SIXFOLD_LM_EVAL=1` is set (`make lm-eval-check`); `SIXFOLD_LM_EVAL_PYTHON` names a Python that has it already.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from evaluating import PUBLISHED, evaluate, right_answer, sums

from sixfold.config import EngineConfig, EvalConfig, load_config
from sixfold.core import Problem, Task
from sixfold.engine.open import open_engine
from sixfold.evals.lm_eval import export_lm_eval
from sixfold.evals.report import summarise_run
from sixfold.evals.run import run_eval
from sixfold.reason.prompts import SOLVER_SYSTEM
from sixfold.reason.solve import Engines
from sixfold.verify.verifiers import Judge

VERSION = "0.4.13"
_WANTED, _PYTHON = os.environ.get("SIXFOLD_LM_EVAL"), os.environ.get("SIXFOLD_LM_EVAL_PYTHON")
_TASK = """
task: sixfold_gcd
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["</s>"], max_gen_toks: 416, temperature: 0}
filter_list:
  - name: strict
    filter: [{function: regex, regex_pattern: "Answer: *(.+)", group_select: -1}, {function: take_first}]
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1}
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_an_export_has_the_fields_and_hashes_of_lm_eval(tmp_path: Path) -> None:
    def script(request: Any, served: int) -> str:
        right = right_answer(request)
        return [f"Answer: {right}", f"It is {right}", "Answer: 0"][served % 3]

    await evaluate(tmp_path, [sums(6), sums(2, "code/x:2", first=12)], "samples=3", script=script)
    files = export_lm_eval(tmp_path)
    assert [re.sub(r"_[\dT-]+\.", ".", f.name) for f in files] == [
        "samples_math_sums.jsonl", "samples_code_x_2.jsonl", "results.json",
    ]  # fmt: skip
    rows = lines(files[0])
    assert [(r["doc_id"], r["filter"]) for r in rows] == [(i, f) for f in ("strict", "flexible") for i in range(6)]
    assert {r["exact_match"] for r in rows if r["filter"] == "strict"} == {1 / 3}
    assert {r["exact_match"] for r in rows if r["filter"] == "flexible"} == {2 / 3}
    row = rows[0]
    assert set(row) == {
        "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
        "target_hash", "exact_match",
    }  # fmt: skip
    assert row["resps"] == [["Answer: 2", "It is 2", "Answer: 0"]]
    assert row["filtered_resps"] == ["2"]
    (prompt,) = row["arguments"]["gen_args_0"]["arg_0"]
    assert json.loads(prompt)[1] == {"role": "user", "content": "What is 2 + 0?"}
    assert row["prompt_hash"] == hashlib.sha256(prompt.encode()).hexdigest()
    found = json.loads(files[-1].read_text("utf-8"))
    assert found["results"]["math/sums"]["exact_match,flexible"] == pytest.approx(2 / 3)
    assert found["n-samples"]["code/x:2"] == {"original": 2, "effective": 1}, "a question about 13 cannot be judged"
    assert {"results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "config", "task_hashes"} <= set(found)


async def test_an_export_of_a_published_protocol_has_its_sampling(tmp_path: Path) -> None:
    tasks = [sums(2, published=PUBLISHED), sums(2, "math/b", first=20, published=replace(PUBLISHED, temperature=0.0))]
    await evaluate(tmp_path, tasks, "published=true", script=lambda request, served: "Answer: 1")
    found = json.loads(export_lm_eval(tmp_path)[-1].read_text("utf-8"))
    assert found["config"]["gen_kwargs"] == {"top_p": 0.9, "n": 1, "plan": "off", "select": "auto"}
    assert [c["generation_kwargs"]["temperature"] for c in found["configs"].values()] == [0.7, 0.0]


def said_of(question: str, answers: dict[str, str]) -> str:
    """Of four questions one is answered wrongly, and one without saying what its answer is."""
    kind = hashlib.sha256(question.encode()).digest()[0] % 4
    right = answers[question]
    return {0: f"Steps.\nAnswer: {int(right) + 1}", 1: "I do not know."}.get(kind, f"Steps.\nAnswer: {right}")


@contextmanager
def endpoint(answers: dict[str, str]) -> Iterator[str]:
    """An OpenAI-compatible server on loopback, streaming or not, that answers by the question."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _send(self, kind: str, body: str) -> None:
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self._send("application/json", json.dumps({"object": "list", "data": [{"id": "script", "object": "model"}]}))

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = said_of(asked["messages"][-1]["content"], answers)
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            message = {"role": "assistant", "content": text}
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
            whole = {"id": "1", "object": "chat.completion", "created": 1, "model": "script"}
            if not asked.get("stream"):
                self._send(
                    "application/json", json.dumps({**whole, "choices": [{**choice, "message": message}], "usage": usage})
                )
                return
            pieces = [
                {"choices": [{"index": 0, "delta": message, "finish_reason": None}]},
                {"choices": [{**choice, "delta": {}}]}, {"choices": [], "usage": usage},
            ]  # fmt: skip
            events = [json.dumps({**whole, "object": "chat.completion.chunk", **piece}) for piece in pieces] + ["[DONE]"]
            self._send("text/event-stream", "".join(f"data: {event}\n\n" for event in events))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _lm_eval_python(tmp_path: Path) -> str:
    """A Python with lm-eval: the one that was named, or a new environment."""
    if _PYTHON:
        return _PYTHON
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", f"lm-eval[api]=={VERSION}"]
    subprocess.run(install, check=True, timeout=1200)
    return python


def _run_lm_eval(python: str, url: str, problems: list[Problem], folder: Path) -> Path:
    """Run lm-eval over the problems; returns the folder with its files."""
    data = folder / "gcd.jsonl"
    data.write_text("".join(json.dumps({"id": p.id, "question": p.question, "answer": p.answer}) + "\n" for p in problems))
    (folder / "gcd.yaml").write_text(_TASK.replace("DATA", str(data)))
    # A home of its own, where a user's default profile of the harness cannot change the run, and nothing but loopback.
    env = os.environ | {
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "OPENAI_API_KEY": "none",
    }
    command = [
        python, "-m", "lm_eval", "run", "--model", "local-chat-completions", "--model_args",
        f"model=script,base_url={url}/chat/completions,num_concurrent=1,max_retries=1", "--include_path", folder, "--tasks",
        "sixfold_gcd", "--apply_chat_template", "--system_instruction", SOLVER_SYSTEM, "--output_path", folder / "out",
        "--log_samples",
    ]  # fmt: skip
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out" / "script"


def _run_sixfold(url: str, task: Task, folder: Path) -> None:
    config = load_config(EvalConfig, overrides=[f"solve.engine.spec={url}", "solve.temperature=0", "solve.engine.model=script"])

    async def run() -> None:
        engine = await open_engine(EngineConfig(spec=url, model="script"), slots=1, home=folder)
        try:
            with Judge(allow_unsafe_code=False) as judge:
                await run_eval(config.resolved(), [task], Engines(engine), judge, folder, asyncio.Event(), lambda reached: None)
        finally:
            await engine.aclose()

    asyncio.run(run())


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.skipif(not _WANTED, reason="installs lm-eval with pip; set SIXFOLD_LM_EVAL=1 (make lm-eval-check)")
def test_lm_eval_scores_the_same_answers_alike(tmp_path: Path) -> None:
    from sixfold.tasks.catalog import find_task

    found = find_task("math/gcd:1")
    problems = list(islice(found.load("test", 40), 40))
    task = Task("math/gcd", "math", lambda split, count: problems)
    with endpoint({p.question: str(p.answer) for p in problems}) as url:
        theirs = _run_lm_eval(_lm_eval_python(tmp_path), url, problems, tmp_path)
        _run_sixfold(url, task, tmp_path / "ours")
    (results,) = [json.loads(p.read_text("utf-8")) for p in theirs.glob("results_*.json")]
    (samples,) = [lines(p) for p in theirs.glob("samples_*.jsonl")]
    export = export_lm_eval(tmp_path / "ours")
    ours = [row for row in lines(export[0]) if row["filter"] == "strict"]
    score = results["results"]["sixfold_gcd"]["exact_match,strict"]
    assert 0.2 < score < 0.9, "the script says right and wrong things"
    assert summarise_run(tmp_path / "ours")["tasks"][0]["accuracy"]["value"] == pytest.approx(score)
    exported = json.loads(export[-1].read_text("utf-8"))["results"]["math/gcd"]
    assert exported["exact_match,strict"] == pytest.approx(score)
    assert exported["exact_match_stderr,strict"] == pytest.approx(
        results["results"]["sixfold_gcd"]["exact_match_stderr,strict"]
    )
    theirs_by_id = {row["doc_id"]: row for row in samples}
    assert len(ours) == len(theirs_by_id) == 40
    for row in ours:
        other = theirs_by_id[row["doc_id"]]
        for name in (
            "exact_match",
            "doc",
            "doc_hash",
            "prompt_hash",
            "target_hash",
            "target",
            "resps",
            "filtered_resps",
            "metrics",
        ):
            assert row[name] == other[name], name
        assert set(row) == set(other)
