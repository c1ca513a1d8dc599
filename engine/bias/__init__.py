"""Language bias: does a retriever favour some languages over others? Ranks, the first k, and vectors -> measures.

Everything looks at the pool of all languages, in which a query's relevant passages are translations of each other.
What each measure is, its source, which way is better and what a language-blind random ranking gives stands in one
place, `MEASURES`. The steps:

    found = suite(ranks, top, candidates_of(collection))           all measures that ranks tell, with intervals
    found.measures, found.query_languages, found.document_languages
    curves({0.0: [bias_sums(...), ...], 1.0: [...]})               against the ratio, one list of seeds each
    compare_systems([...], [...])                                  which of two is more biased, tested

and for the details `rank_distance`, `advantage_matrix`, `language_shares`, `outcomes`, `document_effect`, `pushed`,
`agreement_matrix`, `one_target`, `removals`; of vectors `identity`.

PEER (Yang and others, arXiv 2405.00978) is left out on purpose. It asks, query by query, whether relevant documents of
all languages have the same rank distribution, by a Kruskal-Wallis test. Where a query has exactly one relevant passage
in each language, as in all collections here, each group has one member: the ranks of L groups of one are always a
permutation of 1 to L, so the statistic and its p are the same constants for any ranking. `document_effect` asks the
same of all questions together, where the answer can differ.
"""

from engine.bias.advantage import (
    advantage_matrix,
    advantages,
    language_shares,
    own_shares,
    pool_rank_quantiles,
    pool_ranks,
)
from engine.bias.agreement import agreement_matrix, rank_correlations
from engine.bias.distance import distances, random_distance, rank_distance
from engine.bias.documents import DocumentEffect, document_blocks, document_effect, pushed
from engine.bias.first_result import first_results, outcomes
from engine.bias.measures import DIRECTIONS, MEASURES, OUTCOMES, RANK_MEASURES, Measure
from engine.bias.per_question import TOP_K, BiasSums, bias_sums, candidates_of, even_candidates
from engine.bias.probes import one_target, one_target_ranks, removals
from engine.bias.suite import Suite, compare_systems, curves, headline, suite

__all__ = [
    "DIRECTIONS",
    "MEASURES",
    "OUTCOMES",
    "RANK_MEASURES",
    "TOP_K",
    "BiasSums",
    "DocumentEffect",
    "Measure",
    "Suite",
    "advantage_matrix",
    "advantages",
    "agreement_matrix",
    "bias_sums",
    "candidates_of",
    "compare_systems",
    "curves",
    "distances",
    "document_blocks",
    "document_effect",
    "even_candidates",
    "first_results",
    "headline",
    "language_shares",
    "one_target",
    "one_target_ranks",
    "outcomes",
    "own_shares",
    "pool_rank_quantiles",
    "pool_ranks",
    "pushed",
    "random_distance",
    "rank_correlations",
    "rank_distance",
    "removals",
    "suite",
]
