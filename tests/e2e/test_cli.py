"""The command line as a user meets it: real processes, what they print where, and what they exit with."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def sixfold(*args: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sixfold.cli.app", *args], input=stdin, capture_output=True, env=os.environ | (env or {})
    )
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(args, done.returncode, out, err)


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(["2 + 2 = 4\nAnswer: 4"]))
    return f"scripted:{path}"


@pytest.fixture
def slow_script(tmp_path: Path) -> str:
    path = tmp_path / "slow.json"
    path.write_text(json.dumps([{"text": "hmm " * 2000 + "\nAnswer: 4", "token_s": 0.02}]))
    return f"scripted:{path}"


def test_the_answer_is_on_stdout_and_the_rest_on_stderr(script: str) -> None:
    done = sixfold("solve", "What is 2 + 2?", "--engine", script, "--n", "3")
    assert (done.returncode, done.stdout) == (0, "4\n")
    for shown in ("question: What is 2 + 2?", "candidate 0: 4", "chosen: candidate", "cost:"):
        assert shown in done.stderr


def test_quiet_prints_only_the_answer(script: str) -> None:
    done = sixfold("solve", "-", "-q", "--engine", script, stdin="2足す2は?".encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")


def test_json_prints_the_whole_result(script: str) -> None:
    done = sixfold("solve", "What is 2 + 2?", "--json", "--engine", script, "--n", "2")
    result = json.loads(done.stdout)
    assert (result["answer"], result["engine"], len(result["attempts"])) == ("4", "scripted", 2)
    assert result["usage"]["total"]["completion_tokens"] == sum(a["tokens"] for a in result["attempts"])


BAD_INPUT = [
    (["solve", ""], 2, "the question is empty"),
    (["solve", "  \n "], 2, "the question is empty"),
    (["solve", "-"], 2, "the question is empty"),
    (["solve", b"What is \xff\xfe?"], 2, "not valid UTF-8"),
    (["solve", "nothing.jsonl"], 2, "cannot be read"),
    (["solve", "2+2", "--n", "0"], 2, "n: input should be greater than or equal to 1, not 0"),
    (["solve", "2+2", "--n", "10000"], 2, "n: input should be less than or equal to 64, not 10000"),
    (["solve", "2+2", "--n", "two"], 2, "Invalid value for '--n'"),
    (["solve", "2+2", "--set", "think_tokens=-5"], 2, "think_tokens: input should be greater than or equal to 1"),
    (["solve", "2+2", "--deadline", "-1"], 2, "deadline_s: input should be greater than 0"),
    (["solve", "2+2", "--set", "think_token=5"], 2, "did you mean think_tokens?"),
    (["solve", "2+2", "--set", "nonsense"], 2, "is not key=value"),
    (["solve", "2+2", "--effort", "huge"], 2, "effort: input should be 'low', 'medium' or 'high'"),
    (["solve", "2+2", "--engine", "vlm"], 2, "unknown engine 'vlm'"),
    (["solve", "2+2", "--engine", "vllm:somewhere"], 2, "is not an http or https URL"),
    (["solve", "2+2", "--engine", "scripted:nothing.json"], 2, "is not a script"),
    (["solve", "2+2", "--engine", "http://127.0.0.1:9/v1"], 3, "cannot be reached"),
    (["solve", "2+2", "--speculate", "magic"], 2, "unknown speculation 'magic'"),
    (["solve", "2+2", "--select", "verifier"], 2, "a plain question carries no check"),
    (["solve", "2+2", "--recipe", "nothing.toml"], 2, "the recipe nothing.toml cannot be read"),
    (["solve", "2+2", "--model", "gpt-9"], 5, "there is no model 'gpt-9'"),
    (["solve", "2+2"], 5, "sixfold pull"),
    (["trace", "show", "nothing.jsonl"], 2, "cannot be read"),
    (["pull", "nonsense"], 5, "next:"),
    (["pull", "--type", "Q9_9"], 5, "use one of Q8_0, Q4_0, F16"),
    (["models", "--remove", "nothing"], 5, "there is no model 'nothing'"),
    (["engine", "probe", "http://127.0.0.1:9/v1"], 3, "cannot be reached"),
]


@pytest.mark.parametrize(
    ("args", "code", "says"), BAD_INPUT, ids=lambda v: " ".join(map(str, v)) if isinstance(v, list) else ""
)
def test_bad_input_gets_a_clear_error_the_next_step_and_its_code(args: list[str | bytes], code: int, says: str) -> None:
    done = sixfold(*args)
    assert says in done.stderr
    assert done.returncode == code
    assert done.stdout == ""
    assert "next:" in done.stderr or "Usage:" in done.stderr


def test_invalid_utf8_on_standard_input_is_refused() -> None:
    done = sixfold("solve", "-", stdin=b"What is \xff?")
    assert done.returncode == 2
    assert "not valid UTF-8 (byte 8)" in done.stderr


class _Html(BaseHTTPRequestHandler):
    status, kind, body = 200, "text/html", b"<html><body>Welcome</body></html>"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Type", self.kind)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *args: object) -> None:
        pass


class _WrongKey(_Html):
    status, kind, body = 401, "application/json", b'{"error": {"message": "Incorrect API key provided"}}'


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("served", [_Html], indirect=True)
def test_an_engine_url_that_answers_html_is_named(served: str) -> None:
    done = sixfold("solve", "2+2", "--engine", served)
    assert done.returncode == 3
    assert "text/html" in done.stderr
    assert "/v1" in done.stderr


@pytest.mark.parametrize("served", [_WrongKey], indirect=True)
def test_a_wrong_key_is_named_and_never_shown(served: str) -> None:
    done = sixfold("solve", "2+2", "--engine", f"openai:{served}", env={"OPENAI_API_KEY": "sk-very-secret"})
    assert done.returncode == 3
    assert "Incorrect API key" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
    assert "very-secret" not in done.stderr


def test_a_home_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = sixfold("pull", env={"SIXFOLD_HOME": str(blocked / "home")})
    assert done.returncode == 5
    assert "SIXFOLD_HOME" in done.stderr or "next:" in done.stderr


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_a_disk_that_takes_no_more_is_said_so(tmp_path: Path, script: str, option: str) -> None:
    """No full disk to be had in a test: a limit on the size of files makes the same write fail."""
    questions, target = tmp_path / "q.jsonl", tmp_path / "target.jsonl"
    questions.write_text('{"question": "2+2?"}\n')
    args = [sys.executable, "-m", "sixfold.cli.app", "solve", str(questions), "--engine", script, option, str(target)]
    limit = (200, resource.RLIM_INFINITY)
    done = subprocess.run(
        args, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    assert done.returncode == 2, done.stderr
    assert f"{target} cannot be written: File too large" in done.stderr
    assert "next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_results_never_go_into_the_questions(tmp_path: Path, script: str) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "2+2?"}\n')
    done = sixfold("solve", str(questions), "--engine", script, "--out", str(questions))
    assert (done.returncode, questions.read_text()) == (2, '{"question": "2+2?"}\n')
    assert "must be different files" in done.stderr


def test_closed_and_full_standard_streams_are_said_so(script: str) -> None:
    base = f"{sys.executable} -m sixfold.cli.app solve"
    for command, code, says in (
        (f"{base} - --engine {script} <&-", 2, "next:"),
        (f"{base} 2+2 --engine {script} >/dev/full", 2, "standard output cannot be written"),
        (f"{base} 2+2 --engine {script} >&-", 0, "chosen"),
    ):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        assert says in done.stderr


def test_results_go_into_a_regular_file_only(tmp_path: Path, script: str) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "2+2?"}\n')
    done = sixfold("solve", str(questions), "--engine", script, "--out", "/dev/null")
    assert (done.returncode, "is not a file" in done.stderr) == (2, True)


def test_a_file_is_answered_past_its_bad_lines(tmp_path: Path, script: str) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_bytes(
        b'{"id": "a", "question": "2+2?", "answer": "4"}\nnot json\n{"id": "b", "problem": "3+3?", "answer": "6"}\n\n'
        b'{"question": 5}\n{"question": "\xff"}\n{"id": "a", "question": "again"}\n'
    )
    done = sixfold("solve", str(questions), "--engine", script)
    assert done.stdout == "a\t4\nb\t4\n"
    for line in (2, 5, 6, 7):
        assert f"line {line}:" in done.stderr
    assert "2 of 2 answered, 1 of 2 right, 4 bad lines" in done.stderr
    assert done.returncode == 2


def test_a_killed_file_run_goes_on_where_it_was(tmp_path: Path) -> None:
    reply = tmp_path / "s.json"
    reply.write_text(json.dumps([{"text": "so\nAnswer: 4", "first_s": 0.15}]))
    questions, out = tmp_path / "q.jsonl", tmp_path / "out.jsonl"
    questions.write_text("".join(f'{{"id": "q{i}", "question": "{i}+1?"}}\n' for i in range(12)))
    args = ["solve", str(questions), "--engine", f"scripted:{reply}", "--out", str(out), "--n", "1", "--set", "concurrency=2"]
    process = subprocess.Popen([sys.executable, "-m", "sixfold.cli.app", *args], stderr=subprocess.DEVNULL)
    while not out.exists() or out.read_text().count("\n") < 3:
        time.sleep(0.01)
    process.kill()
    process.wait()
    with out.open("a") as file:
        file.write('{"id": "q1')
    before = out.read_text().count("\n")
    assert before < 12
    done = sixfold(*args)
    assert done.returncode == 0
    assert f"{before} of 12 questions are in {out} already" in done.stderr
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines() if line.endswith("}")]
    assert sorted(ids) == sorted(f"q{i}" for i in range(12))
    other = sixfold(*args, "--seed", "5")
    assert other.returncode == 2
    assert "made with other settings" in other.stderr


def test_a_file_exits_with_the_gravest_of_its_rows(tmp_path: Path, script: str) -> None:
    silent, broken = tmp_path / "silent.json", tmp_path / "broken.json"
    silent.write_text(json.dumps(["<think>hmm"]))
    broken.write_text(json.dumps([{"text": "x", "fails_after": 0}]))
    questions, out = tmp_path / "q.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"question": "2+2?"}\n')
    args = ["solve", str(questions), "--n", "1", "--set", "retries=0"]
    assert sixfold(*args, "--engine", script).returncode == 0
    assert sixfold(*args, "--engine", f"scripted:{broken}").returncode == 3
    assert sixfold(*args, "--engine", f"scripted:{silent}", "--out", str(out)).returncode == 4
    again = sixfold(*args, "--engine", f"scripted:{silent}", "--out", str(out))
    assert again.returncode == 4, "what went on where it was has no more answers than before"
    questions.write_text('{"question": "2+2?"}\nbad\n')
    assert sixfold(*args, "--engine", script).returncode == 2


def test_a_reader_that_leaves_early_gets_no_traceback(tmp_path: Path, script: str) -> None:
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "2+2?"}\n' * 1 + "".join(f'{{"id": "q{i}", "question": "2+2?"}}\n' for i in range(200)))
    command = f"{sys.executable} -m sixfold.cli.app solve {questions} -q --engine {script} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.endswith("4\n")
    assert "Traceback" not in done.stderr


def test_nothing_that_a_model_wrote_reaches_the_terminal_as_control_characters(tmp_path: Path) -> None:
    evil = tmp_path / "evil.json"
    evil.write_text(json.dumps(["Answer: \x1b]0;pwn\x07\x1b[31m4\u202e"]))
    done = sixfold("solve", "2+2?", "--engine", f"scripted:{evil}", "--n", "1")
    assert "\x1b" not in done.stderr
    assert "\u202e" not in done.stderr
    command = f"{sys.executable} -m sixfold.cli.app solve 2+2? -q --n 1 --engine scripted:{evil}"
    screen = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert "4" in screen.stdout
    assert "\x1b]0" not in screen.stdout


def test_an_answer_that_the_terminal_cannot_encode_is_printed_all_the_same(tmp_path: Path) -> None:
    reply = tmp_path / "s.json"
    reply.write_text(json.dumps(["答え: 日曜日"]))
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = sixfold("solve", "What day?", "-q", "--n", "1", "--engine", f"scripted:{reply}", env=env)
    assert (done.returncode, done.stdout) == (0, "\\u65e5\\u66dc\\u65e5\n")


def test_a_question_reaches_the_program_as_it_was_given() -> None:
    question = '-5 + 3 costs $5 and $$2, `no` "quotes" 100 %?'
    make = Path(__file__).resolve().parents[2] / "Makefile"
    line = next(part for part in make.read_text().splitlines() if "sixfold solve" in part and "$${Q" in part)
    makefile = "override export Q := $(value Q)\nall:\n" + re.sub(r"\$\(BIN\)/sixfold solve .*--", "printf %s", line)
    done = subprocess.run(["make", "-s", "-f", "-", "all", f"Q={question}"], input=makefile, capture_output=True, text=True)
    assert done.stdout == question


def _interrupt_when(process: subprocess.Popen[str], shown: str, times: int = 1) -> None:
    assert process.stderr
    for line in process.stderr:
        if shown in line:
            break
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)


def _start(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sixfold.cli.app", *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_ctrl_c_once_finishes_with_what_is_there(tmp_path: Path) -> None:
    script = tmp_path / "s.json"
    script.write_text(json.dumps([{"text": "hmm " * 5000, "token_s": 0.02}, {"text": "hmm " * 5000, "token_s": 0.02}, " 4"]))
    process = _start("solve", "2+2?", "--engine", f"scripted:{script}", "--n", "2")
    _interrupt_when(process, "candidate 1: started")
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "4\n")
    assert "finishing with what is there" in err


def test_ctrl_c_twice_quits(slow_script: str) -> None:
    process = _start("solve", "2+2?", "--engine", slow_script, "--n", "2")
    _interrupt_when(process, "candidate 1: started", times=2)
    out, _ = process.communicate()
    # Asked twice the slow script still says "hmm", so nothing may be answered before the second Ctrl-C.
    assert (process.returncode, out) == (130, "")


def test_sigterm_quits(slow_script: str) -> None:
    process = _start("solve", "2+2?", "--engine", slow_script, "--n", "1")
    assert process.stderr
    for line in process.stderr:
        if "started" in line:
            break
    process.terminate()
    process.communicate()
    assert process.returncode == 143


def test_a_trace_is_written_and_shown_again(tmp_path: Path, script: str) -> None:
    trace = tmp_path / "t.jsonl"
    first = sixfold("solve", "What is 2 + 2?", "--engine", script, "--trace", str(trace), "--plan")
    shown = sixfold("trace", "show", str(trace))
    assert shown.returncode == 0
    for line in first.stderr.splitlines():
        if line.startswith(("question", "plan", "candidate", "chosen", "cost")):
            assert line in shown.stdout
    assert "answer: 4" in shown.stdout


def test_doctor_says_what_is_missing_and_how_to_fix_it(tmp_path: Path) -> None:
    done = sixfold("doctor", env={"SIXFOLD_HOME": str(tmp_path / "none")})
    assert done.returncode == 3
    assert "sixfold pull" in done.stderr
    rows = json.loads(sixfold("doctor", "--json").stdout)
    assert {r["name"]: r["ok"] for r in rows} == {
        "python": True, "machine": True, "home": True, "sandbox": True, "llama.cpp": True, "model": False, "engine": False,
    }  # fmt: skip
    [sandbox] = [r["found"] for r in rows if r["name"] == "sandbox"]
    assert sandbox == "bubblewrap" or "apt-get install bubblewrap" in sandbox


def test_models_says_that_there_are_none() -> None:
    done = sixfold("models")
    assert (done.returncode, done.stdout) == (0, "")
    assert "sixfold pull" in done.stderr


@pytest.mark.parametrize(
    ("words", "position", "offered"),
    [("sixfold mo", "1", "models"), ("sixfold solve 2+2 --select ma", "4", "majority"), ("sixfold trace ", "2", "show")],
)
def test_shell_completion_knows_commands_and_values(words: str, position: str, offered: str) -> None:
    command = Path(sys.executable).with_name("sixfold")
    env = os.environ | {"_SIXFOLD_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
    done = subprocess.run([command], capture_output=True, text=True, env=env)
    assert offered in done.stdout.split()


@pytest.mark.model
def test_the_embedded_model_answers_and_the_doctor_is_content(model_home: Path) -> None:
    done = sixfold("solve", "What is 7 + 5?", "--seed", "1", "--n", "2", "--json")
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["answer"]
    assert result["model"] == "sixfold-135m-q8_0"
    healthy = sixfold("doctor")
    assert healthy.returncode == 0
    assert "tokens/s" in healthy.stdout


@pytest.mark.model
def test_a_question_of_a_megabyte_is_refused_with_counts(model_home: Path) -> None:
    done = sixfold("solve", "-", "--n", "1", stdin=b"How much is 12 and 7? " * 50_000)
    assert done.returncode == 3
    assert "tokens, the engine's context is 2048" in done.stderr
