"""The families of the domain science: what is generated, how it is proved, and what guessing earns.

Place: `catalog.py` lists them with those of the other domains. Floors are bounds over all levels, measured with the verifier on
a thousand problems of a level, where a number alone may stand for one with its unit; for choices, one in five and chance.
"""

from __future__ import annotations

from sixfold.tasks.family import Family
from sixfold.tasks.proofs_choice import prove_choice_physics, prove_choice_science
from sixfold.tasks.proofs_matter import prove_half_life, prove_ph, prove_stoichiometry, prove_units
from sixfold.tasks.proofs_science import prove_density, prove_energy, prove_kinematics, prove_ohm
from sixfold.tasks.science_choice import make_choice_physics, make_choice_science
from sixfold.tasks.science_laws import make_density, make_energy, make_kinematics, make_ohm
from sixfold.tasks.science_matter import make_half_life, make_ph, make_stoichiometry, make_units

FAMILIES: tuple[Family, ...] = (
    Family("unit_conversion", "science", make_units, prove_units, levels=3, floor=0.03),
    Family("kinematics", "science", make_kinematics, prove_kinematics, levels=3, floor=0.08),
    Family("ohm", "science", make_ohm, prove_ohm, levels=3, floor=0.08),
    Family("density", "science", make_density, prove_density, levels=3, floor=0.08),
    Family("energy_heat", "science", make_energy, prove_energy, levels=3, floor=0.06),
    Family("stoichiometry", "science", make_stoichiometry, prove_stoichiometry, levels=3, floor=0.06),
    Family("half_life", "science", make_half_life, prove_half_life, levels=3, floor=0.05),
    Family("ph", "science", make_ph, prove_ph, levels=3, floor=0.13),
    Family("choice_physics", "science", make_choice_physics, prove_choice_physics, levels=3, floor=0.25),
    Family("choice_science", "science", make_choice_science, prove_choice_science, levels=3, floor=0.25),
)
