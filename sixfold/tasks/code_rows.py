"""Rows of public sets of programming problems, turned into problems with tests.

Place: beside `rows.py`, for `benchmarks.py`. Tests stay text: they run in the sandbox of `verify/` alone. No pickle is loaded.
"""

from __future__ import annotations

import base64
import json
import pickletools
import zlib
from collections.abc import Sequence
from typing import Any

from sixfold.core import Problem
from sixfold.errors import TaskError
from sixfold.tasks.rows import Row

_TEXT_OPCODES = frozenset(
    "PROTO FRAME STOP MEMOIZE BINPUT LONG_BINPUT PUT BINUNICODE SHORT_BINUNICODE BINUNICODE8 UNICODE".split()
)
_LARGEST_TESTS = 256 << 20
_TYPING = "from typing import *\nfrom collections import *\nimport bisect, functools, heapq, itertools, math, re, string"
"""What the published harness of LiveCodeBench has imported before the code."""


def code(name: str, question: str, answer: str | None, **meta: Any) -> Problem:
    return Problem(name, question, answer, verifier="code", meta=meta)


def humaneval(row: Row, index: int, split: str) -> list[Problem]:
    meta = {key: row[key] for key in ("prompt", "test", "entry_point")}
    return [code(row["task_id"], row["prompt"], row["canonical_solution"], **meta)]


def humaneval_folder(row: Row) -> list[Problem]:
    meta = row["meta"]
    return [
        code(
            row["id"], row["problem"], row["answer"], prompt=row["problem"], test=meta["test"], entry_point=meta["entry_point"]
        )
    ]


def mbpp(row: Row, index: int, split: str) -> list[Problem]:
    tests = list(row["test_list"])
    question = "\n".join([row["text"], "Your code should pass these tests:", *tests])
    return [_mbpp(f"mbpp/{row['task_id']}", question, row["code"], tests, row.get("test_setup_code") or "")]


def mbpp_folder(row: Row) -> list[Problem]:
    return [_mbpp(row["id"], row["problem"], row["answer"], row["meta"]["tests"], row["meta"]["setup"])]


def _mbpp(name: str, question: str, gold: str, tests: Sequence[str], setup: str) -> Problem:
    # The set-up of the two rows that have one uses a class that the answer defines, so it goes between the code and the tests.
    meta = {"tests": list(tests)} | ({"setup_after": _lines(setup)} if setup.strip() else {})
    return code(name, _lines(question), _lines(gold), **meta)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def livecodebench(row: Row, index: int, split: str) -> list[Problem]:
    """Problems from July 2024 on, the slice of the published evaluation. Tests are stdin and stdout, or calls of a method."""
    date = str(row["contest_date"])[:10]
    if date < "2024-07-01":
        return []
    tests = [*json.loads(row["public_test_cases"]), *json.loads(_private_tests(row["private_test_cases"]))]
    function = json.loads(row.get("metadata") or "{}").get("func_name")
    question, name = str(row["question_content"]), f"livecodebench/{row['question_id']}"
    meta: dict[str, Any] = {"date": date, "difficulty": row.get("difficulty"), "platform": row.get("platform")}
    if not function:
        question += "\n\nRead the input from standard input and print the answer to standard output."
        return [code(name, question, None, cases=[{"input": t["input"], "output": t["output"]} for t in tests], **meta)]
    question += f"\n\nComplete this class:\n{row['starter_code']}"
    calls = [method_test(function, t["input"], t["output"]) for t in tests]
    return [code(name, question, None, tests=calls, setup=_TYPING, **meta)]


def method_test(function: str, inputs: str, output: str) -> str:
    """One argument a line and the result, all JSON, as an assertion.

    >>> method_test("add", '[1]\\n"a"', "true")
    "assert Solution().add([1], 'a') == True"
    """
    arguments = ", ".join(repr(json.loads(line)) for line in inputs.splitlines() if line.strip())
    return f"assert Solution().{function}({arguments}) == {json.loads(output)!r}"


def _private_tests(text: str) -> str:
    """Hidden tests: JSON, or JSON as a text in a pickle, compressed. No pickle is loaded: its only text is read from its
    opcodes, and one that does anything else is refused."""
    if text.lstrip().startswith("["):
        return text
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(text), _LARGEST_TESTS)
    found = []
    for opcode, value, _ in pickletools.genops(data):
        if opcode.name not in _TEXT_OPCODES:
            raise TaskError(
                f"hidden tests hold a pickle that does {opcode.name}", hint="this file is not to be trusted; delete it"
            )
        found += [value] if isinstance(value, str) else []
    if len(found) != 1 or unpacker.unconsumed_tail:
        raise TaskError("hidden tests are not in the form that is known", hint="use the pinned revision of the set")
    return str(found[0])


def scicode(row: Row, index: int, split: str) -> list[Problem]:
    """A main problem with its steps. The numbers that its tests compare with are published apart from the set (an HDF5 file),
    so a row of the hub has no tests and is unscored; a folder's row may bring `tests`."""
    steps = [
        f"Step {s['step_number']}: {s['step_description_prompt'].strip()}\n{s['function_header']}" for s in row["sub_steps"]
    ]
    parts = [row["problem_description_main"], f"Use only:\n{row['required_dependencies']}", "Write every function:", *steps]
    question = "\n\n".join(part.strip() for part in parts)
    return [code(f"scicode/{row['problem_id']}", question, None, tests=list(row.get("tests") or ()), steps=len(steps))]


def scicode_folder(row: Row) -> list[Problem]:
    meta = row["meta"]
    return [code(row["id"], row["problem"], row.get("answer"), tests=meta["tests"], setup=meta.get("setup", ""))]


def cruxeval_output(row: Row, index: int, split: str) -> list[Problem]:
    question = f"Given this Python function, what does f({row['input']}) return? Give a Python literal.\n{row['code']}"
    return [Problem(f"cruxeval_o/{row['id']}", question, row["output"], verifier="literal")]


def cruxeval_input(row: Row, index: int, split: str) -> list[Problem]:
    question = f"Given this Python function, find arguments so that f(...) == {row['output']}.\n{row['code']}"
    meta = {"code": row["code"], "output": row["output"]}
    return [Problem(f"cruxeval_i/{row['id']}", question, f"f({row['input']})", verifier="code_input", meta=meta)]


def cruxeval_output_folder(row: Row) -> list[Problem]:
    return [Problem(row["id"], row["problem"], row["answer"], verifier="literal")]


def cruxeval_input_folder(row: Row) -> list[Problem]:
    meta = {"code": row["meta"]["code"], "output": row["meta"]["output"]}
    return [Problem(row["id"], row["problem"], f"f({row['answer']})", verifier="code_input", meta=meta)]


def code_contests_folder(row: Row) -> list[Problem]:
    tests = row["meta"]["tests"]
    cases = [{"input": i, "output": o} for i, o in zip(tests["inputs"], tests["outputs"], strict=True)]
    return [code(row["id"], row["problem"], None, cases=cases)]
