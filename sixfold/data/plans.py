"""A plan for every generated family: what to find out and in which order, without a number of the problem at hand.

Place: `traces.py` teaches a model to write these when it is asked for a plan, and to follow one that it is given. They say what
the worked solutions do; none can leak an answer, since none knows the problem.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

PLANS: Mapping[str, tuple[str, ...]] = {
    "math/chain_sum": ("write the numbers above each other", "add or subtract the digits from the right with carries"),
    "math/product": ("split the smaller factor into its places", "multiply digit by digit with carries", "add the parts"),
    "math/division": ("divide from the first digits on", "bring down the next digit each time", "keep what remains"),
    "math/gcd": ("divide the larger number by the smaller", "go on with the divisor and the remainder", "stop at remainder 0"),
    "math/expression": ("do brackets first, then products", "put each result into the expression", "add and subtract last"),
    "math/linear_equation": ("bring the plain numbers to one side", "divide by the factor of the unknown", "check it"),
    "math/fraction_sum": ("find a common denominator", "write both fractions with it", "add or subtract and reduce"),
    "math/percent": ("find a small share that is easy", "count how many of it make the percentage", "multiply"),
    "math/number_sequence": ("take the differences of neighbours", "see which rule they follow", "go one step further"),
    "math/sorting": ("pick the number that comes first", "take it away and pick again", "write them in that order"),
    "math/compare_decimals": ("give all numbers the same decimals", "compare them as whole numbers",
                              "write the originals in order"),
    "math/base_conversion": ("go through the digits or divide by the base", "keep each remainder", "read the result in order"),
    "math/counting": ("say what has to be counted", "count it step by step", "mind both ends"),
    "math/calendar": ("turn the times or dates into one unit", "add or subtract", "turn the result back"),
    "math/word_problem": ("say which quantities are known", "work out one after the other", "finish with what is asked"),
    "code/write_function": ("turn each instruction into a line of code", "keep their order", "return what is asked"),
    "code/output_prediction": ("start with the arguments", "work out line by line", "take what is returned"),
    "code/loop_trace": ("note the values at the start", "go through the loop round by round", "read the variable at the end"),
    "code/string_program": ("write the letters one by one", "do each step in turn", "join what is left"),
    "code/list_program": ("write the list down", "do each line in turn", "keep the list after the last one"),
    "code/complete_expression": ("try the options in order", "compute each example", "take the first that fits all"),
    "code/run_length": ("write the letters one by one", "count equal neighbours", "join counts and letters"),
    "code/brackets": ("read character by character", "count up when a bracket opens and down when it closes",
                      "collect what is asked"),
    "code/word_count": ("go through the words in order", "count each word so far", "collect the counts"),
    "science/unit_conversion": ("recall how the units relate", "multiply or divide by that factor"),
    "science/kinematics": ("write down what is given", "choose the formula of motion", "insert the numbers and compute"),
    "science/ohm": ("write down what is given", "choose the form of Ohm's law that fits", "insert and compute"),
    "science/density": ("write down what is given", "solve density = mass / volume for what is asked", "compute"),
    "science/energy_heat": ("write down what is given", "choose the formula for the energy", "insert and compute"),
    "science/stoichiometry": ("read the atoms or the coefficients", "multiply by the masses or the ratio", "add up"),
    "science/half_life": ("find how many half-lives pass", "halve the amount that many times"),
    "science/ph": ("say whether it is an acid or an alkali", "read the power of ten", "turn it into the pH"),
    "science/choice_physics": ("write down what is given", "compute with the right formula", "find the option with that value"),
    "science/choice_science": ("write down what is given", "compute what is asked", "find the option with that value"),
    "logic/knights_knaves": ("take what one of them says", "see what it forces", "check all the words"),
    "logic/ordering": ("fill the places from the first on", "rule out who cannot stand there", "go on with those left"),
    "logic/small_zebra": ("use the clues that fix a house", "rule houses out", "place what has one house left"),
    "logic/satisfying_assignment": ("try a value", "see what the rules force", "go back if a rule breaks"),
    "logic/propositional": ("insert the known values", "work out each formula from the inside"),
    "logic/venn_counts": ("write down the counts", "add groups and take away what is counted twice", "answer what is asked"),
    "logic/seating": ("fill the places from the left", "skip whoever breaks a clue", "go back if nobody fits"),
    "logic/family_tree": ("start with the person named last", "follow one relation at a time", "name who is reached"),
    "logic/odd_coin": ("take all as suspects", "use each weighing to rule some out", "name the one left"),
    "simulation/robot_grid": ("note place and direction", "carry out the commands one by one", "read the last state"),
    "simulation/stack_queue": ("begin empty", "do each operation in turn", "write what is left"),
    "simulation/cellular_automaton": ("look at each cell with its neighbours", "apply the rule", "write the new row"),
    "simulation/game_of_life": ("count the live neighbours of each cell", "apply the rule to each", "write the new grid"),
    "simulation/register_machine": ("note the registers", "do the instructions in order", "write the registers at the end"),
    "simulation/ledger": ("note what each has", "do the events in order", "read the last amounts"),
    "simulation/sorting_passes": ("write the list", "carry out each pass as described", "write the list after the last pass"),
    "simulation/water_jugs": ("note what is in the jugs", "do each step, minding what fits", "read the last amounts"),
    "simulation/die_rolling": ("note the faces", "turn the die move by move", "read the faces at the end"),
    "simulation/string_rewriting": ("write the letters one by one", "replace each by its rule",
                                    "join the letters of the last round"),
    "tabular/lookup": ("find the columns", "find the row", "read the cell"),
    "tabular/filter_count": ("go through the rows", "test the condition on each", "count those that pass"),
    "tabular/filter_list": ("go through the rows", "test the condition on each", "list those that pass"),
    "tabular/column_sum": ("collect the values of the rows that count", "add them one after the other"),
    "tabular/column_mean": ("collect the values of the rows that count", "add them", "divide by how many there are"),
    "tabular/extreme_row": ("go through the rows", "keep the best so far", "name it with its value"),
    "tabular/join": ("find the row in the first table", "look up its key in the second", "compute what is asked"),
    "tabular/compare": ("read both values", "subtract the smaller from the larger", "name the winner"),
    "tabular/top_k": ("find the highest value", "find the next ones", "list the names in that order"),
    "tabular/group_sum": ("collect the values of each group", "add up each group", "compare the totals"),
    "tabular/missing_value": ("collect the known values", "add them", "take the sum away from the total"),
    "tabular/percent_share": ("add up the column", "multiply the part by 100", "divide by the total"),
}  # fmt: skip


def write_plan(family: str, generator: random.Random) -> str:
    """The plan of a family in one of several wordings.

    >>> write_plan("tabular/join", random.Random(0))
    'First, find the row in the first table. Then look up its key in the second. Then compute what is asked.'
    """
    steps = PLANS[family]
    match generator.randrange(3):
        case 0:
            return "\n".join(f"{i}. {step[0].upper()}{step[1:]}." for i, step in enumerate(steps, 1))
        case 1:
            first, *rest = steps
            return " ".join([f"First, {first}.", *(f"Then {step}." for step in rest)])
        case _:
            return " ".join(f"{step[0].upper()}{step[1:]}." for step in steps)
