"""Public benchmarks as tasks: where each lies, at which commit, under which licence, and how it was published to be measured.

Place: `catalog.py` looks names up here. A set comes from a folder of data sets where the user has one that holds it
(`local.py`), else from the Hugging Face hub (`hub.py`); `rows.py` and `code_rows.py` turn rows into problems. Nothing is loaded
before it is asked for, and no data is shipped.

Only `train` splits may be trained on, and only two sets have one here; everything else is for measuring, and belongs in the
reference of a decontamination. Left out: entailment_bank (its answers are free sentences that no rule can judge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from sixfold.core import Domain, Problem, Published, Split, Task
from sixfold.errors import TaskError
from sixfold.tasks import code_rows, hub, local, rows
from sixfold.tasks.hub import Repo
from sixfold.tasks.rows import Row

_BOXED = "Think step by step, and put the final answer in \\boxed{}."
_NUMBER = "Think step by step, and put the final number in \\boxed{}, without a unit."
_INTEGER = "Think step by step, and put the final answer, a whole number from 0 to 999, in \\boxed{}."
_LETTER = "Think step by step, then end with a line `Answer: X`, where X is the letter of the right option."
_WORD = "Think step by step, then end with a line `Answer: X`, where X is the answer alone."
_SHORT = "Think step by step, then end with a line `Answer: X`, where X is the answer alone, or the letter of the right option."
_PROGRAM = "Write the whole program in Python, as one block between ```python and ```."
_FUNCTION = "Write the whole function in Python, with the imports that it needs, as one block between ```python and ```."
_LITERAL = "Trace the code step by step, then end with a line `Answer: X`, where X is a Python literal."
_ARGUMENTS = "Think step by step, then end with a line `Answer: X`, where X is the call, such as f(1, 'a')."
_EXPRESSION = "Think step by step, then end with a line `Answer: X`, where X is the expression, without an equals sign."
_PEOPLE = "Think step by step, then end with a line `Answer: A: knight, B: knave`, naming every person in this way."
_GRID = "Think step by step, then end with `Answer:` and the grid as a JSON list of rows."
_RECORDS = "Think step by step, then end with `Answer:` and the JSON list."
_CELLS = "Think step by step, then end with a line `Answer: X`; put ` | ` between several answers."

_K2_THINK = Published("K2 Think (2025), model card and report: mean of 16 runs", 16, 1.0, 0.95, 65_536)
_GREEDY = Published(
    "greedy zero-shot chain of thought as in lm-evaluation-harness, with 2,048 tokens for its 256", max_tokens=2048
)
_REASONED = Published("greedy zero-shot chain of thought; lm-evaluation-harness compares likelihoods instead", max_tokens=2048)
_QWEN_MATH = Published("Qwen2.5-Math evaluation: zero-shot chain of thought, greedy", 1, 0.0, 1.0, 2048)
_GURU = Published("Guru / Reasoning360 offline evaluation", 1, 1.0, 0.7, 28_672)
_LIKE_GURU = Published("as Guru / Reasoning360 evaluates other sets of this kind", 1, 1.0, 0.7, 28_672)
_LOGIC_LM = Published("Logic-LM (2023): chain of thought, greedy", 1, 0.0, 1.0, 1024)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`folder` names a folder's file for each split, `hub` the hub's; a row of either becomes problems by its own function, and
    `keep` says which of them count. `floor` is what a fixed guess scores at most. `notes`: what a user should know."""

    domain: Domain
    licence: str
    source: str
    instruction: str
    published: Published | None
    floor: float = 0.0
    folder: Mapping[Split, str] = field(default_factory=dict)
    from_folder: Callable[[Row], list[Problem]] | None = None
    hub: Repo | None = None
    from_hub: Callable[[Row, int, str], list[Problem]] | None = None
    keep: Callable[[Problem], bool] | None = None
    notes: str = ""

    @property
    def splits(self) -> tuple[Split, ...]:
        here = {*self.folder, *(self.hub.files if self.hub else ())}
        return tuple(split for split in ("train", "validation", "test") if split in here)


_OMNI = Repo("KbsdJames/Omni-MATH", {"test": ("test.jsonl",)}, "40ba231d8f16e29ecd40e6407e2c8640145a8f62")
_CRUXEVAL = Repo("cruxeval-org/cruxeval", {"test": ("test.jsonl",)}, "b96af0450242eb4da433032b90998f25588a5d0f")
_NEVER = "Never train on it, and never put its text where a crawler finds it"

BENCHMARKS: Mapping[str, Benchmark] = {
    # Math.
    "gsm8k": Benchmark(
        "math", "MIT", "openai/grade-school-math", _NUMBER, _GREEDY, 0.04,
        {"train": "gsm8k/train", "test": "gsm8k/test"}, rows.gsm8k_folder,
        Repo(
            "openai/gsm8k",
            {"train": ("main/train-00000-of-00001.parquet",), "test": ("main/test-00000-of-00001.parquet",)},
            "740312add88f781978c0658806c59bc2815b9866",
        ),
        rows.gsm8k,
    ),
    "math500": Benchmark(
        "math", "MIT (MATH)", "Hendrycks et al. 2021; the 500 of Lightman et al. 2023", _BOXED,
        Published("lighteval math_500", 1, 0.0, 1.0, 32_768), 0.05,
        hub=Repo("HuggingFaceH4/MATH-500", {"test": ("test.jsonl",)}, "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"),
        from_hub=rows.math500,
    ),
    "aime24": Benchmark(
        "math", "none stated; problems by the MAA", "AIME 2024", _INTEGER, _K2_THINK, 0.07,
        hub=Repo(
            "HuggingFaceH4/aime_2024", {"test": ("data/train-00000-of-00001.parquet",)},
            "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
        ),
        from_hub=rows.aime24,
        notes="In the training data of many models: read its score beside aime25 and hmmt_feb25.",
    ),
    "aime25": Benchmark(
        "math", "CC BY-NC-SA 4.0", "AIME 2025, MathArena", _INTEGER, _K2_THINK, 0.07,
        hub=Repo(
            "MathArena/aime_2025", {"test": ("data/train-00000-of-00001.parquet",)}, "c94da77eb22bbd6439e62a323bec18493a421302"
        ),
        from_hub=partial(rows.matharena, "aime25"),
    ),
    "hmmt_feb25": Benchmark(
        "math", "CC BY-NC-SA 4.0", "HMMT February 2025, MathArena", _BOXED, _K2_THINK, 0.07,
        hub=Repo(
            "MathArena/hmmt_feb_2025", {"test": ("data/train-00000-of-00001.parquet",)},
            "6fdc4277120810ff75aa22d2d5489b91f7a262a1",
        ),
        from_hub=partial(rows.matharena, "hmmt_feb25"),
    ),
    "omni_math": Benchmark(
        "math", "Apache-2.0", "Omni-MATH, Gao et al. 2024", _BOXED, _K2_THINK, 0.03,
        {"test": "omni_math/test"}, rows.omni_math_folder, _OMNI, rows.omni_math,
        notes="The protocol is that of its hard part. A folder may hold the 2,821 problems that rules can judge, the hub has "
        "all 4,428; some references are doubtful.",
    ),
    "omni_hard": Benchmark(
        "math", "Apache-2.0", "Omni-MATH, difficulty 9 and more of 10", _BOXED, _K2_THINK, 0.09,
        {"test": "omni_math/test"}, rows.omni_math_folder, _OMNI, rows.omni_math, rows.hardest,
        notes="K2 Think reports 173 problems and does not name them.",
    ),
    "olympiadbench": Benchmark(
        "math", "MIT (hub copy: Apache-2.0)", "OlympiadBench, He et al. 2024: open, English, text only, mathematics",
        _BOXED, _QWEN_MATH, 0.04, {"test": "olympiadbench/test"}, rows.olympiadbench_folder,
        Repo(
            "Hothan/OlympiadBench", {"test": ("OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet",)},
            "91184b52131e7fc9455fef848035173aea8cc01a",
        ),
        rows.olympiadbench,
    ),
    "theoremqa": Benchmark(
        "math", "MIT", "TheoremQA, Chen et al. 2023", _WORD,
        Published("TheoremQA's own script: chain of thought, greedy", 1, 0.0, 1.0, 2048), 0.11,
        {"test": "theoremqa/test"}, rows.theoremqa_folder,
    ),
    "countdown": Benchmark(
        "math", "Apache-2.0", "countdown of liumy2010/UFT", _EXPRESSION, None, 0.0,
        {"test": "countdown/test"}, rows.target_folder,
    ),
    "game24": Benchmark(
        "math", "MIT", "Tree of Thoughts, Yao et al. 2023", _EXPRESSION,
        Published("Tree of Thoughts (2023): chain of thought, 100 samples", 100, 0.7, 1.0, 1000), 0.0,
        {"test": "game24/test"}, rows.target_folder,
        notes="The paper measures on ranks 901 to 1000 (see the ids).",
    ),
    # Code.
    "humaneval": Benchmark(
        "code", "MIT", "HumanEval, Chen et al. 2021", _FUNCTION,
        Published("lm-evaluation-harness: humaneval, greedy", 1, 0.0, 1.0, 1024), 0.0,
        {"test": "humaneval/test"}, code_rows.humaneval_folder,
        Repo(
            "openai/openai_humaneval", {"test": ("openai_humaneval/test-00000-of-00001.parquet",)},
            "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
        ),
        code_rows.humaneval,
    ),
    "mbpp": Benchmark(
        "code", "CC BY 4.0", "MBPP, Austin et al. 2021", _FUNCTION,
        Published("lm-evaluation-harness: mbpp, greedy; without its examples, 1,024 tokens for its 256", max_tokens=1024), 0.0,
        {"train": "mbpp/train", "validation": "mbpp/validation", "test": "mbpp/test"}, code_rows.mbpp_folder,
        Repo(
            "google-research-datasets/mbpp",
            {
                "train": ("full/train-00000-of-00001.parquet",), "validation": ("full/validation-00000-of-00001.parquet",),
                "test": ("full/test-00000-of-00001.parquet",),
            },
            "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
        ),
        code_rows.mbpp,
        notes="A question shows its tests, as the published evaluation does.",
    ),
    "livecodebench_v5": Benchmark(
        "code", "CC (as its card says)", "LiveCodeBench, Jain et al. 2024: release 5, contests from July 2024 on",
        _PROGRAM, _K2_THINK,
        hub=Repo(
            # The problems of July 2024 and later are in the parts that releases 3 to 5 added.
            "livecodebench/code_generation_lite", {"test": ("test3.jsonl", "test4.jsonl", "test5.jsonl")},
            "0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
        ),
        from_hub=code_rows.livecodebench,
    ),
    "scicode": Benchmark(
        "code", "Apache-2.0", "SciCode, Tian et al. 2024: main problems", _PROGRAM, _K2_THINK, 0.0,
        {"test": "scicode/test"}, code_rows.scicode_folder,
        Repo("SciCode1/SciCode", {"test": ("problems_test.jsonl",)}, "4510f6a6aa27c43fad7b43da2c59602a86e88480"),
        code_rows.scicode,
        notes="From the hub it is unscored: the numbers that its tests compare with are published apart. All steps are asked "
        "for at once, where the published evaluation asks for one after the other.",
    ),
    "cruxeval_output": Benchmark(
        "code", "MIT", "CRUXEval, Gu et al. 2024: output prediction", _LITERAL,
        Published("CRUXEval (2024): chain of thought, pass@1", 10, 0.2, 0.95, 2048), 0.04,
        {"test": "cruxeval/output"}, code_rows.cruxeval_output_folder, _CRUXEVAL, code_rows.cruxeval_output,
    ),
    "cruxeval_input": Benchmark(
        "code", "MIT", "CRUXEval, Gu et al. 2024: input prediction", _ARGUMENTS,
        Published("CRUXEval (2024): chain of thought, pass@1", 10, 0.2, 0.95, 2048), 0.05,
        {"test": "cruxeval/input"}, code_rows.cruxeval_input_folder, _CRUXEVAL, code_rows.cruxeval_input,
    ),
    "code_contests": Benchmark(
        "code", "CC BY 4.0", "CodeContests, Li et al. 2022", _PROGRAM, _LIKE_GURU, 0.0,
        {"test": "code_contests/test"}, code_rows.code_contests_folder,
        notes="No reference programs. Problems with several right outputs are judged too strictly: one output is known.",
    ),
    # Science.
    "gpqa_diamond": Benchmark(
        "science", "CC BY 4.0", "GPQA, Rein et al. 2023: diamond", _LETTER, _K2_THINK, 0.33,
        hub=Repo(
            "Idavidrein/gpqa", {"test": ("gpqa_diamond.csv",)}, "633f5ee89ab8ad4522a9f850766b73f62147ffdd",
            "sign in and agree not to publish its questions",
        ),
        from_hub=rows.gpqa,
        notes=f"{_NEVER}: every row carries a canary. Options are shuffled by the hash of the row's id.",
    ),
    "arc_challenge": Benchmark(
        "science", "CC BY-SA 4.0", "ARC, Clark et al. 2018: challenge", _LETTER, _REASONED, 0.27,
        {"test": "arc_challenge/test"}, rows.options_folder,
        Repo(
            "allenai/ai2_arc", {"test": ("ARC-Challenge/test-00000-of-00001.parquet",)},
            "210d026faf9955653af8916fad021475a3f00453",
        ),
        rows.arc_challenge,
    ),
    "hle": Benchmark(
        "science", "MIT", "Humanity's Last Exam, Phan et al. 2025: without pictures", _SHORT, _K2_THINK, 0.07,
        hub=Repo(
            "cais/hle", {"test": ("data/test-00000-of-00001.parquet",)}, "5a81a4c7271a2a2a312b9a690f0c2fde837e4c29",
            "sign in and agree to its terms",
        ),
        from_hub=rows.hle,
        notes=f"{_NEVER}: it carries a canary. A model judged the published scores; here rules do, which is stricter.",
    ),
    "mmlu_stem": Benchmark(
        "science", "MIT", "MMLU, Hendrycks et al. 2021: STEM subjects", _LETTER, _QWEN_MATH, 0.29,
        {"test": "mmlu_stem/test"}, rows.options_folder,
    ),
    "qasc": Benchmark(
        "science", "CC BY 4.0", "QASC, Khot et al. 2020: the public dev set", _LETTER, None, 0.15,
        {"test": "qasc/dev"}, rows.options_folder,
    ),
    # Logic.
    "bbh": Benchmark(
        "logic", "MIT", "BIG-Bench Hard, Suzgun et al. 2022: 27 tasks", _SHORT, _GREEDY, 0.17,
        {"test": "bbh/test"}, rows.bbh_folder,
        Repo("lukaemon/bbh", {"test": ("*/test-*.parquet",)}, "982bb89fd79532a8ac676a61fc42eb1aeec63f99"), rows.bbh,
        notes=f"{_NEVER}: it carries the BIG-bench canary. The floor is that of one guess for all tasks; those with two "
        "answers have one of 0.5 to 0.58 each. Three rows have broken options.",
    ),
    "knights_knaves": Benchmark(
        "logic", "CC BY-NC-SA 4.0 (a folder's copy: Apache-2.0)", "Knights and Knaves, Xie et al. 2024: 3 to 7 people", _PEOPLE,
        Published("Xie et al. 2024: chain of thought, greedy", 1, 0.0, 1.0, 2048), 0.01,
        {"test": "knights_knaves/test"}, rows.knights_knaves_folder,
        Repo(
            "K-and-K/knights-and-knaves", {"test": tuple(f"test/people{n}_num100.jsonl" for n in range(3, 8))},
            "2f68547989981b1af37cb3dde5fdefa847aa8619",
        ),
        rows.knights_knaves,
    ),
    "zebra_small": Benchmark(
        "logic", "Apache-2.0", "zebra puzzles of three and four persons, references by exhaustive search", _RECORDS, None, 0.02,
        {"test": "zebra_small/test"}, rows.zebra_folder,
    ),
    "prontoqa": Benchmark(
        "logic", "Apache-2.0", "ProntoQA, Saparov and He 2023, the 500 of Logic-LM", _LETTER, _LOGIC_LM, 0.52,
        {"test": "prontoqa/dev"}, rows.options_folder,
    ),
    "logical_deduction": Benchmark(
        "logic", "Apache-2.0", "BIG-bench logical deduction, the 300 of Logic-LM", _LETTER, _LOGIC_LM, 0.22,
        {"test": "logical_deduction/dev"}, rows.options_folder,
        notes="Overlaps with bbh, and like it carries the BIG-bench canary: never train on it.",
    ),
    "folio": Benchmark(
        "logic", "CC BY-SA 4.0", "FOLIO, Han et al. 2022: the validation set", _WORD, _LOGIC_LM, 0.36,
        {"test": "folio/validation"}, rows.folio_folder,
    ),
    # Simulation.
    "arc_agi": Benchmark(
        "simulation", "Apache-2.0", "ARC-AGI-1, Chollet 2019", _GRID,
        Published("Guru / Reasoning360 offline evaluation", 4, 1.0, 0.7, 16_384), 0.01,
        {"validation": "arc_agi/training", "test": "arc_agi/evaluation"}, rows.arc_agi_folder,
        notes="The public training tasks are its validation split here.",
    ),
    # Tabular.
    "finqa": Benchmark(
        "tabular", "MIT", "FinQA, Chen et al. 2021", _CELLS, _GURU, 0.02,
        {"validation": "finqa/dev", "test": "finqa/test"}, rows.finqa_folder,
        Repo("wujian123/finqa", {"validation": ("*validation*.parquet",), "test": ("*test*.parquet",)}), rows.finqa,
        notes="References are what the gold programs give. A folder's rows show the retrieved facts, the hub's the whole page.",
    ),
    "tatqa": Benchmark(
        "tabular", "CC BY 4.0", "TAT-QA, Zhu et al. 2021", _CELLS, _LIKE_GURU, 0.02,
        {"validation": "tatqa/dev"}, rows.tatqa_folder,
        Repo(
            "next-tat/TAT-QA", {"validation": ("tatqa_dataset_dev.json",), "test": ("tatqa_dataset_test_gold.json",)},
            "c96247f5077eac447f63527fd3dcfdc58bb56d6a",
        ),
        rows.tatqa,
    ),
    "wikitq": Benchmark(
        "tabular", "CC BY-SA 4.0", "WikiTableQuestions, Pasupat and Liang 2015", _CELLS, _LIKE_GURU, 0.06,
        {"validation": "wikitq/dev"}, rows.wikitq_folder,
        Repo(
            # A commit with the tables as Parquet; the newest one has a script, which is never run.
            "stanfordnlp/wikitablequestions",
            {"validation": ("random-split-1/*validation*.parquet",), "test": ("random-split-1/*test*.parquet",)},
            "20a01e1d62a85afcfd00e6112ce158d6e93e2f04",
        ),
        rows.wikitq,
    ),
}  # fmt: skip

NAMES: tuple[str, ...] = tuple(BENCHMARKS)


_NUMBERS_ALONE = frozenset(("countdown", "game24", "arc_agi"))
"""Sets whose questions are one sentence with other numbers."""


def make_task(name: str, data: Path | None = None) -> Task:
    """A benchmark as a task; `data` is the user's folder of data sets (else SIXFOLD_DATA). Loads nothing yet."""
    spec = BENCHMARKS[name]
    source = f"{spec.source}; hub: {spec.hub.name}@{spec.hub.revision or 'newest, then recorded'}" if spec.hub else spec.source
    return Task(
        name, spec.domain, partial(_load, name, spec, data), splits=spec.splits, floor=spec.floor, attack_limit=spec.floor,
        instruction=spec.instruction, licence=spec.licence, source=source, published=spec.published,
        masked=name not in _NUMBERS_ALONE,
    )  # fmt: skip


def revision_of(name: str) -> str | None:
    """The commit that the hub's rows come from; `None` where none is pinned and none was read yet."""
    repo = BENCHMARKS[name].hub
    return hub.recorded_commit(repo) if repo else None


def _load(name: str, spec: Benchmark, data: Path | None, split: Split, count: int | None) -> Iterable[Problem]:
    if split not in spec.splits:
        raise TaskError(f"{name} has no {split} split", hint=f"it has {', '.join(spec.splits)}")
    folder = local.data_folder(data)
    file = local.find_file(folder, spec.folder.get(split, ""))
    if file and spec.from_folder:
        problems = _from_folder(spec, file)
    elif spec.hub and split in spec.hub.files:
        problems = _from_hub(spec, spec.hub, split)
    else:
        where = f"{spec.folder[split]}.jsonl"
        raise TaskError(
            f"{name} is read from a folder, and there is no {where}", hint="set SIXFOLD_DATA to a folder that has it"
        )
    kept = (replace(p, domain=spec.domain) for p in problems if spec.keep is None or spec.keep(p))
    return islice(kept, count)


def _from_folder(spec: Benchmark, file: Path) -> Iterator[Problem]:
    assert spec.from_folder
    for row in local.read(file):
        try:
            problems = spec.from_folder(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TaskError(f"{file}, {row['id']}: {_said(error)}", hint="the row is not in the form that is known") from error
        for problem in problems:
            yield replace(
                problem, meta={**problem.meta, "source": row.get("source", str(file)), "licence": row.get("licence", "")}
            )


def _from_hub(spec: Benchmark, repo: Repo, split: Split) -> Iterator[Problem]:
    assert spec.from_hub
    commit = hub.commit_of(repo)
    for path, index, row in hub.read(repo, split):
        source = f"hf:{repo.name}@{commit}:{path}"
        try:
            problems = spec.from_hub({**row, "path": path}, index, split)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TaskError(
                f"{source}, row {index}: {_said(error)}", hint="the set is not in the form that is known"
            ) from error
        for problem in problems:
            yield replace(problem, meta={**problem.meta, "source": source, "licence": spec.licence})


def _said(error: Exception) -> str:
    """
    >>> _said(KeyError("tests")), _said(ValueError("no number"))
    ("it has no 'tests'", "ValueError('no number')")
    """
    return f"it has no {error}" if isinstance(error, KeyError) else repr(error)
