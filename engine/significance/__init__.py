"""How sure a figure is: intervals, paired tests, the choice of a ratio. Pure functions of ranks.

The unit is the question. Its versions in several languages rise and fall together, so resampling draws whole
questions, the same ones for all systems, languages and settings. The steps:

    sums = question_sums(ranks, ["map"], pool=13_014)                  one evaluation, once
    found = resample({0.0: [sums_of_seed_0, ...], 1.0: [...]})          one list of seeds per system, draws shared
    intervals(found[0.0])                                              every cell and setting, from to
    compare(found[0.0], found[1.0])                                    paired difference, tests, corrections
    select({alpha: one.only("map", "multi") for alpha, one in found.items()})   which ratio is best, how surely

`Resampled` is the middle: arrays of one system that `intervals`, `difference`, `utility`, `compare` and `select` read
in milliseconds, so that it pays to keep it.
"""

from engine.significance.bootstrap import resample
from engine.significance.comparison import benjamini_hochberg, compare, holm, randomisation_test, smallest_detectable
from engine.significance.directions import by_direction
from engine.significance.draws import Resampled, difference, standard_error, utility
from engine.significance.intervals import TOO_WIDE, Method, intervals, mark_uncertain, wilson
from engine.significance.per_question import QuestionSums, question_sums
from engine.significance.selection import select

__all__ = [
    "TOO_WIDE",
    "Method",
    "QuestionSums",
    "Resampled",
    "benjamini_hochberg",
    "by_direction",
    "compare",
    "difference",
    "holm",
    "intervals",
    "mark_uncertain",
    "question_sums",
    "randomisation_test",
    "resample",
    "select",
    "smallest_detectable",
    "standard_error",
    "utility",
    "wilson",
]
