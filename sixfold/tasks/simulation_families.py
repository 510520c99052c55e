"""The generated families of the domain simulation.

Place: `catalog.py` reads the list. Problems are made in `simulation_machines.py` and `simulation_rows.py`, and proved in
`proofs_simulation.py` and `proofs_rows.py`. Floors are measured on 1,000 problems of each level (the most frequent answer),
rounded up.
"""

from __future__ import annotations

from sixfold.tasks.family import Family
from sixfold.tasks.proofs_rows import prove_automaton, prove_life, prove_rewriting, prove_sorting
from sixfold.tasks.proofs_simulation import (
    prove_die,
    prove_jugs,
    prove_ledger,
    prove_registers,
    prove_robot,
    prove_stack_queue,
)
from sixfold.tasks.simulation_machines import make_die, make_jugs, make_ledger, make_registers, make_robot, make_stack_queue
from sixfold.tasks.simulation_rows import make_automaton, make_life, make_rewriting, make_sorting

FAMILIES: tuple[Family, ...] = (
    Family("robot_grid", "simulation", make_robot, prove_robot, levels=3, floor=0.04),
    Family("stack_queue", "simulation", make_stack_queue, prove_stack_queue, levels=3, floor=0.01),
    Family("cellular_automaton", "simulation", make_automaton, prove_automaton, levels=3, floor=0.02),
    Family("game_of_life", "simulation", make_life, prove_life, levels=3, floor=0.03),
    Family("register_machine", "simulation", make_registers, prove_registers, levels=3, floor=0.02),
    Family("ledger", "simulation", make_ledger, prove_ledger, levels=3, floor=0.01),
    Family("sorting_passes", "simulation", make_sorting, prove_sorting, levels=3, floor=0.01),
    Family("water_jugs", "simulation", make_jugs, prove_jugs, levels=3, floor=0.04),
    Family("die_rolling", "simulation", make_die, prove_die, levels=3, floor=0.05),
    Family("string_rewriting", "simulation", make_rewriting, prove_rewriting, levels=3, floor=0.02),
)
