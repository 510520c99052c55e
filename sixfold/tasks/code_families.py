"""The generated families of the domain code.

Place: `catalog.py` reads the list. Problems are made in `code_functions.py`, `code_programs.py` and `code_strings.py`, and
proved in `proofs_code.py` and `proofs_functions.py`, which run every program in an interpreter of their own. Floors are
measured on 1,000 problems of each level (the most frequent answer), rounded up.
"""

from __future__ import annotations

from sixfold.tasks.code_functions import make_function, make_hole
from sixfold.tasks.code_programs import make_loop, make_output
from sixfold.tasks.code_strings import make_brackets, make_list_program, make_run_length, make_string_program, make_word_count
from sixfold.tasks.family import Family
from sixfold.tasks.proofs_code import (
    prove_brackets,
    prove_list_program,
    prove_loop,
    prove_output,
    prove_run_length,
    prove_string_program,
    prove_word_count,
)
from sixfold.tasks.proofs_functions import prove_function, prove_hole

FAMILIES: tuple[Family, ...] = (
    Family("write_function", "code", make_function, prove_function, levels=3, floor=0.01),
    Family("output_prediction", "code", make_output, prove_output, levels=3, floor=0.05),
    Family("loop_trace", "code", make_loop, prove_loop, levels=3, floor=0.03),
    Family("string_program", "code", make_string_program, prove_string_program, levels=3, floor=0.01),
    Family("list_program", "code", make_list_program, prove_list_program, levels=3, floor=0.01),
    Family("complete_expression", "code", make_hole, prove_hole, levels=3, floor=0.17),
    Family("run_length", "code", make_run_length, prove_run_length, levels=3, floor=0.01),
    Family("brackets", "code", make_brackets, prove_brackets, levels=3, floor=0.04),
    Family("word_count", "code", make_word_count, prove_word_count, levels=3, floor=0.01),
)
