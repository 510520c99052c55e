"""The families of the domain math: what is generated, how it is proved, and what guessing earns.

Place: `catalog.py` lists them with those of the other domains. Floors are bounds over all levels: what the best fixed answer
was measured to score on a thousand problems of a level, and something on top; where the items themselves stand in the question,
also what a random order scores.
"""

from __future__ import annotations

from sixfold.tasks.family import Family
from sixfold.tasks.math_algebra import make_equation, make_expression, make_fractions, make_percent, make_sequence
from sixfold.tasks.math_calendar import make_calendar
from sixfold.tasks.math_numbers import (
    make_base,
    make_chain,
    make_counting,
    make_decimals,
    make_division,
    make_gcd,
    make_product,
    make_sorting,
)
from sixfold.tasks.math_words import make_words
from sixfold.tasks.proofs_algebra import prove_equation, prove_expression, prove_fractions, prove_percent, prove_sequence
from sixfold.tasks.proofs_calendar import prove_calendar
from sixfold.tasks.proofs_math import (
    prove_base,
    prove_chain,
    prove_counting,
    prove_decimals,
    prove_division,
    prove_gcd,
    prove_product,
    prove_sorting,
)
from sixfold.tasks.proofs_words import prove_words

FAMILIES: tuple[Family, ...] = (
    Family("chain_sum", "math", make_chain, prove_chain, levels=4, floor=0.03),
    Family("product", "math", make_product, prove_product, levels=4, floor=0.02),
    Family("division", "math", make_division, prove_division, levels=4, floor=0.03),
    Family("gcd", "math", make_gcd, prove_gcd, levels=3, floor=0.09),
    Family("expression", "math", make_expression, prove_expression, levels=4, floor=0.03),
    Family("linear_equation", "math", make_equation, prove_equation, levels=4, floor=0.09),
    Family("fraction_sum", "math", make_fractions, prove_fractions, levels=3, floor=0.06),
    Family("percent", "math", make_percent, prove_percent, levels=3, floor=0.03),
    Family("number_sequence", "math", make_sequence, prove_sequence, levels=3, floor=0.03),
    Family("sorting", "math", make_sorting, prove_sorting, levels=4, floor=0.05),
    Family("compare_decimals", "math", make_decimals, prove_decimals, levels=3, floor=0.18),
    Family("base_conversion", "math", make_base, prove_base, levels=3, floor=0.03),
    Family("counting", "math", make_counting, prove_counting, levels=3, floor=0.1),
    Family("calendar", "math", make_calendar, prove_calendar, levels=3, floor=0.09),
    Family("word_problem", "math", make_words, prove_words, levels=4, floor=0.03, masked=True),
)
