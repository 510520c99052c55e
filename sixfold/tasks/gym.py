"""reasoning-gym behind a guard: the data sets that may be used, with the settings and the guess floors that were measured.

Place: `catalog.py` looks names up here; `verify/gym_job.py` scores. Items are made by the library in a child process with a
fixed hash seed, as some generators follow the order of sets; they become problems of a split by the hash of their question, and
each question comes once. Seeds are spaced: in the library, item i of seed s is item i-1 of seed s+1.

Left out is what cannot be judged, or can be guessed or fooled; `LEFT_OUT` says why, with what was measured on 300 items of
version 0.1.25 (`tests/unit/test_gym.py` measures again). Not here: its curricula, its composite, its system prompts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from sixfold.core import Domain, Problem, Split, Task
from sixfold.errors import TaskError
from sixfold.tasks.family import normalised, split_of

_SPACING = 10_000_000
"""Seeds of the library for each seed here, so that the items of two seeds never meet."""
_TRIES = 1000
"""How many items in a row may bring nothing new before a data set counts as exhausted."""
_COUNT = 200
"""Problems where no count is given: a data set has no end."""
_ITEM_S = 60
"""How long the library may take over one item."""
_INSTRUCTION = "Think step by step, then end with `Answer:` and the answer alone, in the form that is asked for."


@dataclass(frozen=True, slots=True)
class Allowed:
    """A data set that may be used. `floor` is what the best fixed guess scored on 300 items, rounded up; `settings` are the
    library's, where its own are far too hard for a small model."""

    domain: Domain
    floor: float
    settings: Mapping[str, Any]


ALLOWED: Mapping[str, Allowed] = {
    "advanced_geometry": Allowed("math", 0.01, {}),
    "base_conversion": Allowed("math", 0.01, {}),
    "basic_arithmetic": Allowed("math", 0.03, {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2}),
    "bitwise_arithmetic": Allowed("math", 0.01, {"difficulty": 1}),
    "calendar_arithmetic": Allowed("math", 0.11, {}),
    "chain_sum": Allowed("math", 0.03, {"min_terms": 2, "max_terms": 4, "min_digits": 1, "max_digits": 3}),
    "complex_arithmetic": Allowed("math", 0.01, {}),
    "count_bits": Allowed("math", 0.21, {"max_n": 65535}),
    "count_primes": Allowed("math", 0.09, {"max_n": 200}),
    "countdown": Allowed(
        "math", 0.01, {"min_numbers": 3, "max_numbers": 4, "max_value": 30, "min_target": 10, "max_target": 100}
    ),
    "decimal_arithmetic": Allowed(
        "math", 0.01, {"min_num_decimal_places": 1, "max_num_decimal_places": 2, "min_terms": 2, "max_terms": 3}
    ),
    "decimal_chain_sum": Allowed(
        "math", 0.01, {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2, "max_decimal_places": 2}
    ),
    "dice": Allowed("math", 0.06, {"num_dice": 3, "max_dice_size": 12}),
    "fraction_simplification": Allowed("math", 0.03, {"max_value": 50, "max_factor": 20}),
    "gcd": Allowed("math", 0.28, {"max_value": 200}),
    "gsm_symbolic": Allowed("math", 0.03, {}),
    "lcm": Allowed("math", 0.02, {}),
    "leg_counting": Allowed("math", 0.03, {"min_animals": 2, "max_animals": 5}),
    "number_format": Allowed("math", 0.01, {}),
    "number_sequence": Allowed("math", 0.14, {"max_complexity": 2}),
    "polynomial_multiplication": Allowed("math", 0.01, {}),
    "prime_factorization": Allowed("math", 0.02, {}),
    "products": Allowed("math", 0.08, {"min_digits": 1, "max_digits": 3}),
    "simple_equations": Allowed("math", 0.05, {"min_terms": 2, "max_terms": 3, "max_value": 50}),
    "simple_geometry": Allowed("math", 0.02, {}),
    "ab": Allowed("code", 0.05, {"length": 6}),
    "bf": Allowed("code", 0.01, {}),
    "binary_alternation": Allowed("code", 0.19, {}),
    "caesar_cipher": Allowed("code", 0.02, {"min_words": 3, "max_words": 8, "max_rotation": 5}),
    "group_anagrams": Allowed("code", 0.01, {"max_anagram_groups": 3, "max_words_per_group": 3}),
    "letter_counting": Allowed("code", 0.27, {"min_words": 10, "max_words": 20}),
    "letter_jumble": Allowed("code", 0.01, {"max_word_len": 8, "max_words": 5}),
    "palindrome_generation": Allowed("code", 0.01, {}),
    "palindrome_partitioning": Allowed("code", 0.01, {"max_string_len": 8}),
    "sentence_reordering": Allowed("code", 0.03, {"max_words_in_sentence": 6}),
    "spell_backward": Allowed("code", 0.01, {"max_word_len": 7}),
    "string_insertion": Allowed("code", 0.01, {}),
    "string_manipulation": Allowed("code", 0.01, {}),
    "string_splitting": Allowed("code", 0.02, {"max_initial_machines": 9}),
    "string_synthesis": Allowed("code", 0.01, {"max_initial_blocks": 9}),
    "word_sequence_reversal": Allowed("code", 0.01, {}),
    "word_sorting": Allowed("code", 0.01, {"max_words": 6}),
    "aiw": Allowed("logic", 0.2, {}),
    "arc_1d": Allowed("logic", 0.01, {}),
    "cryptarithm": Allowed("logic", 0.01, {}),
    "family_relationships": Allowed("logic", 0.15, {}),
    "futoshiki": Allowed("logic", 0.01, {"max_board_size": 4, "max_difficulty": 1}),
    "kakurasu": Allowed("logic", 0.01, {}),
    "knights_knaves": Allowed("logic", 0.01, {}),
    "largest_island": Allowed("logic", 0.19, {}),
    "maze": Allowed("logic", 0.29, {}),
    "mini_sudoku": Allowed("logic", 0.02, {"min_empty": 4, "max_empty": 8}),
    "n_queens": Allowed("logic", 0.03, {"max_remove": 4}),
    "path_star": Allowed("logic", 0.01, {}),
    "shortest_path": Allowed("logic", 0.14, {"min_rows": 3, "max_rows": 5, "min_cols": 3, "max_cols": 5, "p_blocked": 0.3}),
    "sudoku": Allowed("logic", 0.01, {}),
    "survo": Allowed("logic", 0.01, {}),
    "tsumego": Allowed("logic", 0.03, {}),
    "color_cube_rotation": Allowed("simulation", 0.09, {}),
    "game_of_life": Allowed(
        "simulation", 0.01, {"grid_size_x": 5, "grid_size_y": 5, "filled_cells": 6, "filled_cells_weights": 0.3}
    ),
    "jugs": Allowed("simulation", 0.1, {"difficulty": 6}),
    "rotten_oranges": Allowed("simulation", 0.26, {"min_n": 3, "max_n": 6, "p_oranges": 0.95}),
    "binary_matrix": Allowed("tabular", 0.02, {"max_n": 4}),
    "manipulate_matrix": Allowed("tabular", 0.02, {"max_rows": 4, "max_cols": 4, "max_transforms": 2}),
    "modulo_grid": Allowed("tabular", 0.08, {"size_x": 6, "size_y": 6, "max_divisor": 6, "max_target": 6}),
    "number_filtering": Allowed("tabular", 0.01, {"max_numbers": 6, "max_decimals": 1}),
    "pool_matrix": Allowed("tabular", 0.03, {"max_rows": 5, "max_cols": 5}),
    "rectangle_count": Allowed("tabular", 0.21, {"width": 30, "height": 15, "max_rectangles": 5}),
    "rotate_matrix": Allowed("tabular", 0.01, {"max_n": 4, "max_rotations": 4}),
    "spiral_matrix": Allowed("tabular", 0.01, {"max_n": 4}),
}

LEFT_OUT: Mapping[str, str] = {
    "acre": "it makes all its items before the first: 10 million of them had not come after 200 s",
    "arc_agi": "a reference scores 0 once its entry has been through JSON (lists for tuples)",
    "boxnet": "no reference; its scorer raises TypeError",
    "circuit_logic": "guess floor: 0 scores 0.61",
    "codeio": "questions up to 17,553 characters, references to 71,563; terms of its source unclear",
    "coin_flip": "0 scores 0.93: a part of a reference counts",
    "composite": "a mixture of the others",
    "course_schedule": "guess floor: False scores 0.51",
    "emoji_mystery": "decoding, not reasoning",
    "figlet_font": "reading pictures of letters, not reasoning",
    "game_of_life_halting": "every text scores 1",
    "graph_color": "no reference",
    "intermediate_integration": "slow to score: up to 3.5 s; its items follow the order of sets",
    "isomorphic_strings": "guess floor: True scores 0.52",
    "knight_swap": "slow: 0.26 s for an item",
    "list_functions": "its items differ between processes, whatever the hash seed",
    "mahjong_puzzle": "guess floor: Pass scores 0.34; questions up to 3,184 characters",
    "needle_haystack": "looking up, not reasoning",
    "number_sorting": "a list with a changed number scores 1 for 99 %",
    "polynomial_equations": "guess floor: 0 scores 0.25 to 0.31",
    "power_function": "an answer that is one off scores 0.99 for 16 %",
    "propositional_logic": "no reference",
    "puzzle24": "any expression that makes 24 scores 1, whatever its numbers",
    "quantum_lock": "the word banana scores 1 for 4 % of the items",
    "ransom_note": "guess floor: False scores 0.50",
    "rearc": "a reference scores 0 once its entry has been through JSON (lists for tuples)",
    "rubiks_cube": "no reference",
    "rush_hour": "no reference",
    "self_reference": "guess floor: 2 scores 0.40",
    "simple_integration": "two answers side by side score 1 for 3 of 12",
    "sokoban": "the question itself scores 1 for 1 % of the items, several answers in one for 7 %",
    "syllogism": "guess floor: Yes scores 0.70",
    "time_intervals": "an answer that is seconds off scores 0.999",
    "tower_of_hanoi": "52 distinct questions among 300",
    "word_ladder": "it refuses to be longer than its list of words; its items follow the order of sets",
    "zebra_puzzles": "guess floor: 0.37 with three people; slow with four (0.18 s for an item)",
}

NAMES: tuple[str, ...] = tuple(f"gym/{name}" for name in ALLOWED)


def make_task(name: str) -> Task:
    """A data set as a task, such as "gym/lcm". Makes nothing yet."""
    spec = ALLOWED[name.removeprefix("gym/")]
    return Task(
        name, spec.domain, partial(_load, name.removeprefix("gym/")), splits=("train", "validation", "test"), floor=spec.floor,
        attack_limit=spec.floor, instruction=_INSTRUCTION, licence="Apache-2.0", source="reasoning-gym", masked=False,
    )  # fmt: skip


def generate(dataset: str, split: Split, seed: int = 0) -> Iterator[Problem]:
    """Distinct problems of one split, the same in every process, until the data set has no more."""
    seen: set[str] = set()
    barren = 0
    for item in make_items(dataset, seed):
        text = normalised(item["question"])
        barren += 1
        if barren > _TRIES:
            return
        if split_of(text) != split or text in seen:
            continue
        seen.add(text)
        barren = 0
        yield _problem(dataset, split, text, item)


def make_items(dataset: str, seed: int = 0) -> Iterator[dict[str, Any]]:
    """The library's items, as JSON gives them back, from a child process that ends with this iterator.

    Raises `TaskError` where the library is not there, or fails.
    """
    if importlib.util.find_spec("reasoning_gym") is None:
        raise TaskError("reasoning-gym is not installed, which gym/ tasks need", hint="pip install 'sixfold[gym]'")
    order = json.dumps({"dataset": dataset, "settings": ALLOWED[dataset].settings, "seed": seed * _SPACING})
    child = subprocess.Popen(
        [sys.executable, "-m", "sixfold.tasks.gym", order], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": "0"}, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    try:
        for line in child.stdout:
            yield json.loads(line)
        said = child.stderr.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        if child.wait() != 0:
            why = said[-1][:300] if said else "it was killed"
            raise TaskError(f"reasoning-gym cannot make {dataset}: {why}", hint="pip install 'reasoning-gym==0.1.25'")
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def _load(dataset: str, split: Split, count: int | None) -> Iterator[Problem]:
    return islice(generate(dataset, split), _COUNT if count is None else count)


def _problem(dataset: str, split: Split, text: str, item: dict[str, Any]) -> Problem:
    answer = str(item["answer"])
    steps = (item.get("metadata") or {}).get("answer_cot")
    solution = re.sub(r"\s*####.*", "", str(steps), flags=re.DOTALL).strip() + f"\nAnswer: {answer}" if steps else None
    return Problem(
        f"gym/{dataset}/{split}/{hashlib.sha256(text.encode()).hexdigest()[:12]}", item["question"], answer,
        domain=ALLOWED[dataset].domain, verifier="gym", meta={"dataset": dataset, "entry": item}, solution=solution,
    )  # fmt: skip


def _main(order: dict[str, Any]) -> int:
    """The child: items as JSON lines until nobody reads them. An item that the library fails to make, that has no answer, or
    that JSON cannot hold is passed over."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints is no item
    import reasoning_gym

    made = reasoning_gym.create_dataset(order["dataset"], size=_SPACING, seed=order["seed"], **order["settings"])
    failures = 0
    for index in range(_SPACING):
        faulthandler.dump_traceback_later(_ITEM_S, exit=True)
        try:
            item = made[index]
            text = json.dumps({key: item[key] for key in ("question", "answer", "metadata")})
        except Exception as error:  # noqa: BLE001 - whatever the library raises, the next item may go well
            failures += 1
            if failures > 100:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return 1
            continue
        if not str(item["answer"] or "").strip():
            continue
        failures = 0
        faulthandler.cancel_dump_traceback_later()
        try:
            print(text, file=lines, flush=True)
        except BrokenPipeError:
            os._exit(0)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(_main(json.loads(sys.argv[1])))
