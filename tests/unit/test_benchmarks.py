"""Public benchmarks: whole from a folder, and from a hub that this test plays on the loopback."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sixfold.core import Problem, Split, Verdict
from sixfold.errors import TaskError
from sixfold.tasks import benchmarks, hub, local
from sixfold.tasks.benchmarks import BENCHMARKS, NAMES, make_task
from sixfold.tasks.hub import Repo
from sixfold.verify.arithmetic import makes_target
from sixfold.verify.choice import judge_choice
from sixfold.verify.puzzle import judge_assignment, judge_grid, judge_order
from sixfold.verify.table_answer import judge_table
from sixfold.verify.text_answer import judge_literal, judge_text

# Read before the fixture that empties the environment.
DATA = Path(os.environ.get("SIXFOLD_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no folder of data sets (SIXFOLD_DATA)")
COMMIT, OTHER = "a" * 40, "b" * 40

# As the folder's README says.
ROWS: dict[tuple[str, Split], int] = {
    ("gsm8k", "test"): 1319, ("gsm8k", "train"): 7473, ("omni_math", "test"): 2821, ("omni_hard", "test"): 45,
    ("olympiadbench", "test"): 675, ("theoremqa", "test"): 747, ("countdown", "test"): 1024, ("game24", "test"): 1362,
    ("humaneval", "test"): 164, ("mbpp", "test"): 500, ("mbpp", "validation"): 90, ("mbpp", "train"): 374,
    ("cruxeval_output", "test"): 800, ("cruxeval_input", "test"): 800, ("code_contests", "test"): 165,
    ("arc_challenge", "test"): 1172, ("mmlu_stem", "test"): 3018, ("qasc", "test"): 926, ("bbh", "test"): 6511,
    ("knights_knaves", "test"): 500, ("zebra_small", "test"): 92, ("prontoqa", "test"): 500, ("logical_deduction", "test"): 300,
    ("folio", "test"): 204, ("arc_agi", "validation"): 416, ("arc_agi", "test"): 419, ("finqa", "validation"): 883,
    ("finqa", "test"): 1147, ("tatqa", "validation"): 1668, ("wikitq", "validation"): 2831,
}  # fmt: skip
PURE: dict[str, Callable[[Problem, str], Verdict]] = {
    "choice": judge_choice, "table": judge_table, "text": judge_text, "literal": judge_literal, "assignment": judge_assignment,
    "grid": judge_grid, "order": judge_order, "countdown": makes_target,
}  # fmt: skip


def loaded(name: str, split: Split = "test", count: int | None = None, data: Path | None = None) -> list[Problem]:
    return list(make_task(name, data).load(split, count))


# From a folder.


@needs_data
@pytest.mark.parametrize(("name", "split"), ROWS)
def test_every_row_of_a_folder_is_a_problem(name: str, split: Split) -> None:
    problems = loaded(name, split, data=DATA)
    assert len(problems) == ROWS[name, split]
    assert len({p.id for p in problems}) == len(problems)
    for problem in problems:
        assert problem.domain == BENCHMARKS[name].domain
        assert problem.question.strip()
        assert problem.answer or problem.meta["cases"]
        assert "@" in problem.meta["source"]
        assert problem.meta["licence"]


def test_the_folder_has_no_set_that_is_not_counted_here() -> None:
    here = {(name, split) for name, spec in BENCHMARKS.items() for split in spec.folder} - {("scicode", "test")}
    assert here == set(ROWS)


@needs_data
@pytest.mark.parametrize(("name", "split"), [key for key in ROWS if key[0] not in ("gsm8k", "omni_math", "humaneval", "mbpp")])
def test_references_are_judged_right_and_others_wrong(name: str, split: Split) -> None:
    problems = [p for p in loaded(name, split, data=DATA) if p.verifier in PURE][: 100 if name == "arc_agi" else 800]
    wrong = 0
    for problem, other in zip(problems, problems[1:] + problems[:1], strict=True):
        judge = PURE[str(problem.verifier)]
        assert (
            judge(problem, f"Answer:\n{problem.answer}" if "\n" in str(problem.answer) else f"Answer: {problem.answer}").score
            == 1
        )
        assert judge(problem, "").score == 0
        wrong += problem.verifier != "choice" and judge(problem, f"Answer: {other.answer}").score == 1
    # A neighbour's answer may be right by chance: two small numbers are equal now and then.
    assert wrong <= 0.05 * len(problems)


@needs_data
@pytest.mark.parametrize("name", [n for n, s in BENCHMARKS.items() if s.folder and n != "scicode"])
def test_no_fixed_guess_is_over_the_declared_floor(name: str) -> None:
    split: Split = "test" if "test" in BENCHMARKS[name].folder else "validation"
    problems = loaded(name, split, data=DATA)
    if problems[0].verifier in ("code", "countdown"):
        assert BENCHMARKS[name].floor == 0
        return
    best = Counter(str(p.answer).casefold() for p in problems).most_common(1)[0][1] / len(problems)
    assert best <= BENCHMARKS[name].floor <= best + 0.05


@needs_data
def test_a_count_takes_the_first() -> None:
    assert loaded("gsm8k", count=3, data=DATA) == loaded("gsm8k", data=DATA)[:3]


@needs_data
def test_zebras_are_answered_as_a_list_of_objects() -> None:
    problem = loaded("zebra_small", count=1, data=DATA)[0]
    records = json.loads(str(problem.answer))
    assert judge_assignment(problem, "Answer: " + json.dumps(records[::-1])).score == 1
    records[0]["LinePosition"], records[1]["LinePosition"] = records[1]["LinePosition"], records[0]["LinePosition"]
    assert judge_assignment(problem, "Answer: " + json.dumps(records)).score == 0


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local.data_folder() is None
    monkeypatch.setenv("SIXFOLD_DATA", str(tmp_path))
    assert local.data_folder() == tmp_path
    (tmp_path / "folio").mkdir()
    row = {"id": "f/1", "problem": "So?", "answer": "True", "source": "x@1", "licence": "none"}
    (tmp_path / "folio" / "validation.jsonl").write_text(json.dumps(row) + "\n\n")
    assert [p.id for p in loaded("folio")] == ["f/1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "line 1"), ("[]", "needs `id`"), ('{"id": "a", "problem": "b", "answer": "Maybe"}', "none of the words")],
)
def test_a_broken_row_is_told_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "folio").mkdir()
    (tmp_path / "folio" / "validation.jsonl").write_text(text)
    with pytest.raises(TaskError, match=says):
        loaded("folio", data=tmp_path)


def test_what_a_row_lacks_is_named_and_a_solution_may_lack(tmp_path: Path) -> None:
    row = {"id": "g/1", "problem": "2 + 2?", "answer": "4"}
    for name in ("gsm8k/test", "mbpp/test"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
    assert [(p.answer, p.solution) for p in loaded("gsm8k", data=tmp_path)] == [("4", None)]
    with pytest.raises(TaskError, match=r"g/1: it has no '\w+'"):
        loaded("mbpp", data=tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no folder"):
        loaded("folio", data=tmp_path / "none")


def test_a_set_without_a_hub_says_which_file_it_wants(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=re.escape("folio/validation.jsonl")):
        loaded("folio", data=tmp_path)


def test_a_split_that_is_none_is_refused() -> None:
    with pytest.raises(TaskError, match="no train split"):
        loaded("folio", "train")


# What is declared.


def test_only_two_sets_may_be_trained_on() -> None:
    assert {name for name in NAMES if "train" in make_task(name).splits} == {"gsm8k", "mbpp"}


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_says_what_it_is(name: str) -> None:
    task, spec = make_task(name), BENCHMARKS[name]
    assert task.licence
    assert task.source
    assert task.instruction
    assert task.splits
    assert task.attack_limit == task.floor <= 0.6
    assert (spec.hub is None) == (spec.from_hub is None)
    assert bool(spec.folder) == (spec.from_folder is not None)
    if spec.hub and spec.hub.revision:
        assert re.fullmatch("[0-9a-f]{40}", spec.hub.revision)
        assert benchmarks.revision_of(name) == spec.hub.revision


@pytest.mark.parametrize(
    "name", ["aime24", "aime25", "hmmt_feb25", "omni_hard", "livecodebench_v5", "gpqa_diamond", "scicode", "hle"]
)
def test_the_protocol_of_k2_think_is_kept(name: str) -> None:
    published = make_task(name).published
    assert published
    assert (published.runs, published.temperature, published.top_p, published.max_tokens) == (16, 1.0, 0.95, 65_536)


# From a hub.


@dataclass
class Hub:
    """Repositories by name: a commit and files; those in `gated` want the token. `asked` are the requests that came."""

    url: str = ""
    commits: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path, _, _ = self.path.partition("?")
            state.asked.append(f"{self.command} {path}")
            token = self.headers.get("Authorization", "")
            state.tokens.append(token)
            match = re.fullmatch(r"(?:/api)?/datasets/([^/]+/[^/]+)/(resolve|revision|tree)/([^/]+)(?:/(.*))?", path)
            assert match, path
            repo, verb, revision, file = match.groups()
            if repo not in state.commits:
                return self.reply(404, X_Error_Code="RepoNotFound")
            commit = state.commits[repo]
            if repo in state.gated and token != "Bearer good":
                return self.reply(403 if token else 401, X_Error_Code="GatedRepo")
            if revision not in ("main", commit):
                return self.reply(404, X_Error_Code="RevisionNotFound")
            if verb == "revision":
                body = json.dumps({"id": repo, "sha": commit, "siblings": [], "tags": [], "downloads": 0, "likes": 0}).encode()
                return self.reply(200, body, Content_Type="application/json")
            if verb == "tree":
                files = [{"type": "file", "path": p, "size": len(b), "oid": "0" * 40} for p, b in state.files[repo].items()]
                return self.reply(200, json.dumps(files).encode(), Content_Type="application/json")
            content = state.files[repo].get(file)
            if content is None:
                return self.reply(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
            self.reply(200, content, ETag=f'"{hash(content) & 0xFFFFFFFF:x}"', X_Repo_Commit=commit)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    monkeypatch.setenv("HF_HOME", "/nonexistent")
    yield state
    running.shutdown()
    thread.join()
    running.server_close()


def parquet(rows: list[dict[str, Any]], folder: Path) -> bytes:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "x.parquet")
    return (folder / "x.parquet").read_bytes()


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


GSM = [{"question": f"What is {i} + 1?", "answer": f"{i}+1=<<{i}+1={i + 1}>>{i + 1}\n#### {i + 1}"} for i in range(150)]


@pytest.fixture
def gsm(server: Hub, tmp_path: Path) -> Hub:
    repo = BENCHMARKS["gsm8k"].hub
    assert repo
    server.commits[repo.name] = str(repo.revision)
    server.files[repo.name] = {repo.files["test"][0]: parquet(GSM, tmp_path)}
    return server


def test_a_pinned_set_comes_from_the_hub_once(gsm: Hub) -> None:
    problems = loaded("gsm8k")
    assert len(problems) == 150
    assert (problems[149].id, problems[149].answer) == ("gsm8k/test/149", "150")
    revision = benchmarks.revision_of("gsm8k")
    assert problems[0].meta["source"] == f"hf:openai/gsm8k@{revision}:main/test-00000-of-00001.parquet"
    assert any(asked.startswith("GET") for asked in gsm.asked)
    gsm.asked.clear()
    assert loaded("gsm8k") == problems
    assert loaded("gsm8k", count=2) == problems[:2]
    assert gsm.asked == []


def test_files_lie_in_the_home_of_this_program(gsm: Hub, home: Path) -> None:
    loaded("gsm8k", count=1)
    assert (home / "data" / "hub").is_dir()
    assert "openai/gsm8k" in json.loads((home / "data" / "revisions.json").read_text())


def test_a_folder_comes_first(gsm: Hub, tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    row = {"id": "g", "problem": "2?", "answer": "2", "solution": "It is 2."}
    (tmp_path / "gsm8k" / "test.jsonl").write_text(json.dumps(row))
    assert [p.id for p in loaded("gsm8k", data=tmp_path)] == ["g"]
    assert gsm.asked == []


def test_what_a_folder_lacks_comes_from_the_hub(gsm: Hub, tmp_path: Path) -> None:
    assert len(loaded("gsm8k", data=tmp_path)) == 150


def test_a_file_that_changed_on_the_disk_is_refused(gsm: Hub, home: Path) -> None:
    loaded("gsm8k", count=1)
    file = next(path for path in (home / "data" / "hub").rglob("*.parquet"))
    blob = file.resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes() + b"x")
    with pytest.raises(TaskError, match="is not what it was"):
        loaded("gsm8k", count=1)


def test_a_commit_that_is_another_is_refused(gsm: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    gsm.commits["openai/gsm8k"] = OTHER
    with pytest.raises(TaskError, match="no longer has the revision 740312"):
        loaded("gsm8k")


FREE = Repo("some/set", {"test": ("data/*test*.jsonl", "more.csv")})


@pytest.fixture
def free(server: Hub) -> Hub:
    """A set without a pinned revision."""
    server.commits["some/set"] = COMMIT
    server.files["some/set"] = {
        "data/b_test.jsonl": lines({"n": 2}), "data/a_test.jsonl": lines({"n": 1}), "data/train.jsonl": lines({"n": 9}),
        "more.csv": b'n,t\r\n3,"a\nb"\r\n',
    }  # fmt: skip
    return server


def test_the_newest_commit_is_taken_once_and_kept(free: Hub) -> None:
    assert hub.recorded_commit(FREE) is None
    first = list(hub.read(FREE, "test"))
    assert [(path, index, str(row["n"])) for path, index, row in first] == [
        ("data/a_test.jsonl", 0, "1"), ("data/b_test.jsonl", 0, "2"), ("more.csv", 0, "3"),
    ]  # fmt: skip
    assert first[2][2]["t"] == "a\nb"
    assert hub.recorded_commit(FREE) == COMMIT
    # The publisher moves on; this program does not, and needs no request for it.
    free.commits["some/set"], free.files["some/set"]["data/a_test.jsonl"] = OTHER, lines({"n": 100})
    free.asked.clear()
    assert list(hub.read(FREE, "test")) == first
    assert free.asked == []
    # On a disk without the files it asks for that commit, and says so where it is gone.
    with pytest.raises(TaskError, match=f"no longer has the revision {COMMIT}"):
        list(hub.read(replace(FREE, files={"test": ("data/train.jsonl",)}), "test"))


def test_a_record_that_cannot_be_read_is_not_begun_anew(free: Hub, home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "revisions.json").write_text("{")
    with pytest.raises(TaskError, match="revisions"):
        list(hub.read(FREE, "test"))


def test_a_missing_file_is_told(free: Hub) -> None:
    with pytest.raises(TaskError, match=r"some/set has no file none\.jsonl"):
        list(hub.read(replace(FREE, files={"test": ("none.jsonl",)}), "test"))
    with pytest.raises(TaskError, match=r"has no file \*nothing\*"):
        list(hub.read(replace(FREE, files={"test": ("*nothing*",)}), "test"))


def test_a_missing_set_is_told(server: Hub) -> None:
    with pytest.raises(TaskError, match="no data set some/set"):
        list(hub.read(FREE, "test"))


GPQA = {
    "Record ID": "rec1", "Question": "Which?", "Correct Answer": "this", "Incorrect Answer 1": "a", "Incorrect Answer 2": "b",
    "Incorrect Answer 3": "c", "High-level domain": "Physics",
}  # fmt: skip


@pytest.fixture
def gated(server: Hub, tmp_path: Path) -> Hub:
    repo = BENCHMARKS["gpqa_diamond"].hub
    assert repo
    server.commits[repo.name] = str(repo.revision)
    server.gated.add(repo.name)
    with (tmp_path / "g.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(GPQA))
        writer.writeheader()
        writer.writerow(GPQA)
    server.files[repo.name] = {"gpqa_diamond.csv": (tmp_path / "g.csv").read_bytes()}
    return server


def test_a_gated_set_says_what_to_do(gated: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TaskError, match=r"gated, and no HF_TOKEN is set") as none:
        loaded("gpqa_diamond")
    assert f"{gated.url}/datasets/Idavidrein/gpqa" in str(none.value)
    assert "SIXFOLD_DATA" in str(none.value)
    monkeypatch.setenv("HF_TOKEN", "bad")
    with pytest.raises(TaskError, match="this account has no access") as bad:
        loaded("gpqa_diamond")
    assert "Bearer" not in str(bad.value)
    assert none.value.exit_code == 6


def test_a_token_from_the_environment_or_a_file_opens_it(gated: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", " good\n")
    problem = loaded("gpqa_diamond")[0]
    assert problem.meta["choices"][problem.meta["labels"].index(problem.answer)] == "this"
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text("good\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    assert hub._token() == "good"
    monkeypatch.setenv("HF_TOKEN", "two words")
    with pytest.raises(TaskError, match="no token has"):
        hub._token()


def test_no_token_is_sent_where_there_is_none(free: Hub) -> None:
    list(hub.read(FREE, "test"))
    assert set(free.tokens) == {""}


def test_no_network_is_told(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TaskError, match=r"of HuggingFaceH4/MATH-500 .* cannot be reached") as error:
        loaded("math500")
    assert "SIXFOLD_DATA" in str(error.value)
    with pytest.raises(TaskError, match="cannot be reached"):
        list(hub.read(FREE, "test"))


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(TaskError, match=r"pip install 'sixfold\[hub\]'"):
        loaded("math500")


def test_a_row_that_is_not_as_expected_is_told(gsm: Hub) -> None:
    repo = BENCHMARKS["math500"].hub
    assert repo
    gsm.commits[repo.name], gsm.files[repo.name] = str(repo.revision), {"test.jsonl": lines({"problem": "?"})}
    with pytest.raises(TaskError, match=r"test\.jsonl, row 0"):
        loaded("math500")
    gsm.files[repo.name] = {"test.jsonl": b"{\n"}


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.json", "y.json", "x.csv", "x.tsv", "x.csv.gz"])
def test_files_are_read_by_the_end_of_their_names(name: str, tmp_path: Path) -> None:
    text = {
        "x.jsonl": '{"a": "1"}\n\n{"a": "2"}\n', "x.json": '[{"a": "1"}, {"a": "2"}]',
        "y.json": '{"note": 1, "rows": [{"a": "1"}, {"a": "2"}]}',
        "x.csv": "a,b\n1,x\n2,y\n", "x.tsv": "a\tb\n1\tx\n2\ty\n",
    }[name.removesuffix(".gz")]  # fmt: skip
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert [row["a"] for row in hub.read_rows(tmp_path / name)] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "text"), [("x.txt", ""), ("x.json", "{}"), ("x.json", "[1]"), ("x.jsonl", "[]"), ("x.parquet", "no")]
)
def test_files_that_are_not_rows_are_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"."):
        list(hub.read_rows(tmp_path / name))
