"""Code judged by its tests: forms of tests and programs, wrong and not to be judged; arguments for a given function."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.code_tests import judge_code, judge_code_input, make_orders, read_arguments, same_output
from sixfold.verify.harness import Unsendable, decode, encode
from sixfold.verify.sandbox import Sandbox, open_sandbox
from sixfold.verify.workers import Tools, Workers

SANDBOX = open_sandbox()
needs_sandbox = pytest.mark.skipif(SANDBOX is None, reason="bubblewrap is missing or may not start here")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(st.integers())
        | st.frozensets(st.text())
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)  # fmt: skip


def _judge(code: str, sandbox: Sandbox | None = SANDBOX, **meta: object) -> tuple[float | None, str]:
    answer = str(meta.pop("answer", ""))
    verdict = judge_code(Problem("1", "", answer, "code", "code", meta), f"```python\n{code}\n```", Tools(Workers(), sandbox))
    return verdict.score, verdict.reason


@given(PLAIN)
def test_values_cross_unchanged_with_their_types(value: object) -> None:
    back = decode(encode(value))
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)
    assert type(back) is type(value)


@given(st.binary(max_size=60) | st.text("ltdSZsbhk0123456789;NTFi-x.efc", max_size=40).map(str.encode))
def test_what_is_no_message_is_refused(data: bytes) -> None:
    try:
        decode(data)
    except ValueError:
        return
    decode(encode(decode(data)))


def test_what_is_not_plain_is_not_sent() -> None:
    deep: list[object] = []
    for _ in range(1000):
        deep = [deep]
    for value in (object(), lambda: 0, deep, Path("x")):
        with pytest.raises(Unsendable):
            encode(value)
    for data in (b"l99999999999;", b"h0;", b"k4;open", b"i" + b"f" * 9, b"s5;abc", b"N" * 2, b"d1;l0;N", b"l1;" * 5000):
        with pytest.raises(ValueError, match=r"not a message|int"):
            decode(data)


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "tests"),
    [
        ("def f(x): return x + 1", ["assert f(1) == 2"]),
        ("def f(x, *, k=0): return {x: [k, None]}", ["assert f((1, 2), k=3.5) == {(1, 2): [3.5, None]}"]),
        ("class P:\n    def __init__(s, a): s.a = a\ndef f(p): return p.a", ["assert f(P(3)) == 3", "assert P(4).a == 4"]),
        ("def f(n):\n    for i in range(n): yield i", ["assert list(f(3)) == [0, 1, 2]", "assert sum(f(4)) == 6"]),
        ("from collections import Counter, namedtuple\ndef f(s): return Counter(s)", ["assert f('aab') == {'a': 2, 'b': 1}"]),
        (
            "def f(x):\n    if x < 0: raise ValueError('no')\n    return x",
            ["try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass"],
        ),
        ("def f(t, x): return t(x)", ["assert f(int, '7') == 7"]),
        (
            "print('hello'); input_ = 1\nif __name__ == '__main__': raise SystemExit\ndef f(): print('x'); return 1",
            ["assert f() == 1"],
        ),
        ("from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\ndef f(): return A(2)", ["assert f().x == 2"]),
        ("def f(): return 10**5000", ["assert f() == 10**5000"]),
        (
            "class E(ValueError): pass\ndef f(): raise E('no')",
            ["try:\n    f()\n    assert 0\nexcept ValueError as e:\n    assert str(e) == 'no'"],
        ),
        (
            "class P:\n    def __str__(s): return 'p'\n    def __repr__(s): return 'P()'",
            ["assert str(P()) == f'{P()}' == 'p' and repr(P()) == 'P()'"],
        ),
        ("def f():\n    yield 1\n    yield 2", ["g = f()\nassert next(g) == 1 and next(g) == 2"]),
        (
            "import functools, sys\nsys.setrecursionlimit(10**6)\n@functools.cache\ndef f(n): return n and 1 + f(n - 1)",
            ["assert f(50_000) == 50_000"],
        ),
        (
            "def f(): return float('inf'), 1j, b'x', bytearray(b'y')",
            ["assert f() == (float('inf'), 1j, b'x', bytearray(b'y'))"],
        ),
    ],
)
def test_right_programs_pass(code: str, tests: list[str]) -> None:
    assert _judge(code, tests=tests)[0] == 1.0


@needs_sandbox
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def f(x): return x", "test 2 of 2 failed: AssertionError"),
        ("def g(x): return x", "f is not defined"),
        ("def f(x): return None", "test 1 of 2"),
        ("def f(x) return x", "SyntaxError"),
        ("def f(x): raise KeyError('k')", "KeyError"),
        ("import nowhere", "ModuleNotFoundError"),
        ("f = 7", "TypeError"),
        ("def f(x): return str(x)", "AssertionError"),
    ],
)
def test_wrong_programs_fail_and_say_where(code: str, why: str) -> None:
    score, reason = _judge(code, tests=["assert f(1) == 1", "assert f(2) == 3"])
    assert score == 0.0
    assert why in reason


@needs_sandbox
def test_a_body_continues_the_prompt_with_or_without_its_indentation() -> None:
    meta = {
        "prompt": "import math\ndef helper(x): return x * 2\ndef f(x):\n    '''Doubles.'''\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(2) == helper(2)\n",
    }
    for body in ("    return helper(x)", "return helper(x)", "y = x\nreturn y + y", "def f(x):\n    return math.floor(2 * x)"):
        assert _judge(body, **meta)[0] == 1.0, body
    for body in ("    return x", "def helper(x): return 1\ndef f(x): return 1", "def g(x): return 2 * x"):
        assert _judge(body, **meta)[0] == 0.0, body


@needs_sandbox
def test_set_up_comes_before_or_after_and_imports_are_the_tests_own() -> None:
    assert _judge("def f(x): return x + K", setup="K = 2", tests=["assert f(1) == 1 + K"])[0] == 1.0
    future = "from __future__ import annotations\ndef f(x: Later): return x + K"
    assert _judge(future, setup="K = 2", tests=["assert f(1) == 3"])[0] == 1.0
    code = "class Node:\n    def __init__(s, v): s.v, s.next = v, None\ndef f(n): return 1 + f(n.next) if n else 0"
    assert _judge(code, setup_after="root = Node(1)\nroot.next = Node(2)", tests=["assert f(root) == 2"])[0] == 1.0
    assert (
        _judge("def f(x): return x / 3", answer="import math\ndef f(x): 0", tests=["assert math.isclose(f(1), 1 / 3)"])[0]
        == 1.0
    )
    assert _judge("def sum(a): return -1", answer="def sum(a): return 0", tests=["assert sum([1]) == -1"])[0] == 1.0
    assert _judge("def sum(a): return -1\ndef f(x): return x", tests=["assert sum(f([1, 2])) == -1"])[0] == 0.0


@needs_sandbox
def test_programs_that_read_the_standard_input() -> None:
    cases = [{"input": "1 2\n", "output": "3"}, {"input": "2 2\n", "output": "4 \n"}]
    assert _judge("a, b = map(int, input().split())\nprint(a + b)\nexit()", cases=cases)[0] == 1.0
    main = "def main(): print(sum(map(int, input().split())))"
    assert _judge("print(sum(map(int, open(0).read().split())), end=__file__[:0])", cases=cases)[0] == 1.0
    pool = "from concurrent.futures import ThreadPoolExecutor\nimport time\np = ThreadPoolExecutor(30)\n"
    assert _judge(f"{pool}[p.submit(time.sleep, 0.1) for _ in range(30)]\n{main}\nmain()", cases=cases)[0] == 1.0
    thread = "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**26)"
    assert _judge(f"{thread}\n{main}\nt = threading.Thread(target=main)\nt.start()\nt.join()", cases=cases)[0] == 1.0
    for code, why in (
        ("print(3)", "case 2 of 2: another output"),
        ("print(int(input()))", "ValueError"),
        ("print('x' * 10**7)", "wrote too much"),
        ("def f(: pass", "SyntaxError"),
        ("import sys\nprint(sum(map(int, input().split())))\nsys.exit(1)", "exit code 1"),
        ("data = bytearray(10 * 2**30)", "memory"),
        ("for n in range(10**7): open(str(n), 'w').close()", "too many files"),
        ("while True: pass", "time"),
    ):
        score, reason = _judge(code, cases=cases, timeout_s=1)
        assert score == 0.0, code
        assert why in reason, (code, reason)


def test_an_endless_number_is_near_to_no_other() -> None:
    for endless in ("1e999", "-1e999", "9" * 400 + ".0"):
        assert not same_output(endless, "3.14")
        assert not same_output("3.14", endless)
    assert same_output("1e999", "1e999")
    assert same_output("3.1400001", "3.14")


def test_what_cannot_be_judged_is_unscored_with_the_next_step(tmp_path: Path) -> None:
    score, reason = _judge("def f(x): return x", None, tests=["assert f(1) == 1"])
    assert score is None
    assert "--allow-unsafe-code" in reason
    assert _judge("def f(x): return x", Sandbox("bubblewrap", str(tmp_path / "gone")), tests=["assert f(1) == 1"])[0] is None
    unsafe = Sandbox("unsafe")
    assert _judge("def f(x): return x", unsafe)[0] is None
    assert _judge("def f(x): return x", unsafe, tests=["assert f(1 == 1"])[0] is None
    assert _judge("def f(x): return x", unsafe, test="def check(c): pass")[0] is None
    assert _judge("def f(x): return x", unsafe, tests=["assert f(1) == 1"], setup="import nowhere")[0] is None
    assert _judge("def f(x): return x", unsafe, tests=["assert f(lambda: 0) == 1"])[0] is None


@pytest.mark.parametrize("text", ["", "I cannot do it.", "```python\n```", "```python\n" + "x = 1\n" * 100_000 + "```"])
def test_no_code_is_wrong(text: str) -> None:
    problem = Problem("1", "", meta={"tests": ["assert f(1) == 1"]})
    assert judge_code(problem, text, Tools(Workers(), Sandbox("unsafe"))).score == 0.0


def test_thinking_is_not_judged_and_the_form_is_told() -> None:
    problem = Problem("1", "", meta={"tests": ["assert f(1) == 1"]})
    tools = Tools(Workers(), Sandbox("unsafe"))
    assert judge_code(problem, "<think>```python\ndef f(x): return x\n```", tools).score == 0.0
    strict = judge_code(problem, "```python\ndef f(x): return x\n```", tools)
    assert (strict.score, strict.form, strict.answer) == (1.0, "strict", "def f(x): return x")
    assert judge_code(problem, "def f(x):\n    return x", tools).form == "flexible"


def test_which_names_are_the_models_follows_from_the_tests_alone() -> None:
    problem = Problem(
        "1", "", "import math\ndef f(x): 0\nclass A: 0", meta={"tests": ["y = A()\nassert f(math.pi, len(y)) == os.sep"]}
    )
    orders = make_orders(problem, "def len(x): 0\nclass math: 0")
    assert sorted(orders.remote) == ["A", "f"]
    assert sorted(orders.local) == ["import math", "import os"]


INVERSE = {"code": "def f(a, b=1):\n    return [a] * b", "output": "['x', 'x']"}


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("[ANSWER]'x', 2[/ANSWER]", 1.0),
        ("<answer>f('x', b=2)</answer>", 1.0),
        ("Answer: `f('x', 2)`.", 1.0),
        ("assert f('x', 2) == ['x', 'x']", 1.0),
        ("\\boxed{f('x', 2)}", 1.0),
        ("Answer: f('x', 3)", 0.0),
        ("Answer: f('x', 2), f('y', 2)", 0.0),
        ("Answer: f(['x'], 2)", 0.0),
        ("Answer: f(*['x', 2])", 0.0),
        ("Answer: f(**{'a': 'x', 'b': 2})", 0.0),
        ("Answer: f(open('x'), 2)", 0.0),
        ("Answer: f(__import__('os').system('true'), 2)", 0.0),
        ("Answer: f((lambda: f)(), 2)", 0.0),
        ("Answer: f('{0.__class__}'.format(1), 2)", 0.0),
        ("Answer: f('x', 2) or True", 0.0),
        ("Answer: f('x', 2)) or (True", 0.0),
        ("Answer: f(f, 2)", 0.0),
        ("Answer: f(x := 'x', 2)", 0.0),
        ("Answer: f('x', b=2, b=2)", 0.0),
        ("Answer: f('x', dict(a=1, a=2))", 0.0),
        ("Answer: f('x', lambda a, a: 1)", 0.0),
        ("Answer: f('x', 9**9**9)", 0.0),
        ("Answer: f('x', [0] * 10 ** 10)", 0.0),
        ("Answer: f(" + "[" * 3000, 0.0),
        ("", 0.0),
        ("Answer: " + "1 " * 500_000, 0.0),
    ],
)
@needs_sandbox
def test_arguments_are_literals_and_judged_by_what_the_function_returns(text: str, score: float) -> None:
    assert judge_code_input(Problem("1", "", meta=INVERSE), text, Tools(Workers(), SANDBOX)).score == score


def test_arguments_unscored_and_quotes_kept() -> None:
    assert judge_code_input(Problem("1", ""), "Answer: 1", Tools(Workers(), None)).score is None
    broken = Problem("1", "", meta={**INVERSE, "output": "['x'"})
    assert judge_code_input(broken, "Answer: 'x', 2", Tools(Workers(), Sandbox("unsafe"))).score is None
    assert judge_code_input(Problem("1", "", meta=INVERSE), "Answer: 'x', 2", Tools(Workers(), None)).score is None
    assert read_arguments("Answer: '\"a\"'")[1] == repr('"a"')
    assert read_arguments("It is so.")[1] is None


@needs_sandbox
def test_a_function_that_hangs_or_exits_on_the_given_arguments_is_answered_wrong() -> None:
    for body in ("while True: pass", "exit()", "import os; os._exit(0)", "raise ValueError", "return 'x' * 10**10"):
        problem = Problem("1", "", meta={"code": f"def f(a):\n    {body}", "output": "1", "timeout_s": 1})
        assert judge_code_input(problem, "Answer: 1", Tools(Workers(), SANDBOX)).score == 0.0, body
