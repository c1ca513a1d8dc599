"""The bias measures by name: what each is, where it comes from, which way is better, what a random ranking gives.

The one place that pages, reports and curves read. A new measure gets an entry here and a function in `suite`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "near", "neither"]

DIRECTIONS: dict[Direction, str] = {
    "lower": "lower is less biased",
    "higher": "higher is less biased",
    "near": "nearer to random is less biased",
    "neither": "no verdict",
}
"""How each is told."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What is to be known of a bias measure.

    Attributes:
        name: Its name in frames.
        label: What it is called on pages and in figures.
        definition: What is measured, in a sentence or two.
        source: Where it comes from.
        direction: Which values are less biased: lower or higher ones, those near what a random ranking gives, or
            neither (it describes and does not judge).
        random: Why a language-blind random ranking gives what it gives. In such a ranking every order of the pool is
            as likely as any other, for each query anew.
        pattern: How to write a value; "%" for shares of 100.
        needs: Whether it is made of ranks (and the first k), or of vectors.
    """

    name: str
    label: str
    definition: str
    source: str
    direction: Direction
    random: str
    pattern: str = "{:.3f}"
    needs: Literal["ranks", "vectors"] = "ranks"

    def write(self, value: float | None) -> str:
        """A value as text, with a true minus sign; a dash if there is none."""
        if value is None:
            return "–"
        if not value:
            return "0"
        return self.pattern.format(value).replace("-", "−").replace("%", " %")


_LAREQA = "after LAReQA, arXiv 2004.05484"
_MLAIRE = "the four-way split of arXiv 2605.07249, of the first result"
_EXCHANGE = "0: the relevant passages of a query are exchangeable, so none is expected before another."

_ALL = (
    Measure(
        "rank_distance",
        "rank distance",
        "Pool rank of a query's lowest relevant passage minus that of its highest; they are translations of each "
        "other. Mean over queries, then query languages.",
        "arXiv 2408.10536",
        "lower",
        "(N + 1)(k − 1) / (k + 1): the range of k draws without replacement from 1 to N.",
        "{:,.0f}",
    ),
    Measure(
        "bias",
        "rank distance, share of random",
        "Rank distance divided by that of a random ranking, so that collections of different size can be compared.",
        "arXiv 2408.10536, normalised here",
        "lower",
        "1, by definition.",
    ),
    Measure(
        "own_advantage",
        "own-language advantage",
        "By how many doublings of the pool rank the relevant passage in the query's language stands before its "
        "translations: mean log2 rank of the others minus its own. Where all languages have all questions, languages "
        "that are put first for every query cancel out.",
        "this project",
        "near",
        _EXCHANGE,
        "{:+.2f}",
    ),
    Measure(
        "own_share",
        "own language in the top k",
        "Share of the query's language among the first k of the pool, relevant or not.",
        "this project",
        "near",
        "The language's share of the pool, since any candidate fills a place alike; over all languages 1 / L.",
        "{:.1%}",
    ),
    Measure(
        "first_right_own",
        "first result right, own language",
        "Share of queries whose first result in the pool is relevant and in the query's language.",
        _MLAIRE,
        "neither",
        "Relevant passages in the language / N.",
        "{:.1%}",
    ),
    Measure(
        "first_right_other",
        "first result right, another language",
        "Share of queries whose first result is relevant and in another language.",
        _MLAIRE,
        "neither",
        "Relevant passages in the other languages / N.",
        "{:.1%}",
    ),
    Measure(
        "first_wrong_own",
        "first result wrong, own language",
        "Share of queries whose first result is not relevant but in the query's language: the language counted for "
        "more than the answer.",
        _MLAIRE,
        "lower",
        "Other candidates in the language / N.",
        "{:.1%}",
    ),
    Measure(
        "first_wrong_other",
        "first result wrong, another language",
        "Share of queries whose first result is not relevant and in another language: a plain miss.",
        _MLAIRE,
        "neither",
        "Other candidates in the other languages / N.",
        "{:.1%}",
    ),
    Measure(
        "document_effect",
        "document-language effect",
        "Kendall's W: how far the questions agree on the order of the document languages, from 0 (not at all) to 1 "
        "(all have the same order). A question's order is that of the mean log2 pool ranks of its parallel "
        "passages over all its queries. Passages that differ in length between languages are part of it.",
        "Friedman 1937, Kendall and Babington Smith 1939; with incomplete questions Skillings and Mack 1981",
        "lower",
        "(L − 1) / Σ(k − 1) over questions with k languages (1 / n for n whole ones): the expectation of Friedman's "
        "statistic is exactly its degrees of freedom.",
    ),
    Measure(
        "rank_correlation",
        "rank correlation between query languages",
        "Spearman's correlation of the pool rankings of two versions of a question, mean over the pairs of languages. "
        "Only the first k of each are known: all behind them share the mean of the places that are left. In a large "
        "pool that comes close to the share of passages that both have in their first k.",
        "MRC@k, arXiv 2509.06195; how it treats passages that only one list holds is set here",
        "higher",
        "0: two independent random orders are uncorrelated on average.",
    ),
    Measure(
        "one_target_gap",
        "one target: own minus other languages",
        "Each relevant passage alone in the pool, its translations taken out: mean reciprocal rank where it is in the "
        "query's language, minus where it is in another.",
        _LAREQA,
        "near",
        _EXCHANGE,
        "{:+.3f}",
    ),
    Measure(
        "own_removal",
        "own answer removed",
        "mAP in the pool after taking the relevant passage of another language out, minus mAP after taking out that of "
        "the query's language: how much more the score hangs on it.",
        f"{_LAREQA}; set against the removal of another language here",
        "near",
        "0 where every language has equally many relevant passages (they are exchangeable), else the difference of the "
        "expected average precisions of random rankings.",
        "{:+.3f}",
    ),
    Measure(
        "language_probe",
        "language read from vectors",
        "Share of passages whose language a linear classifier (multinomial logistic regression) reads from the vector, "
        "mean over languages; it is trained on other questions' passages.",
        "linear probing as in Alain and Bengio 2017",
        "lower",
        "1 / L: a guess that ignores the vector is right in one language as often as it is wrong in the others.",
        "{:.1%}",
        "vectors",
    ),
    Measure(
        "language_variance",
        "variance that languages explain",
        "Share of the variance of the answering passages' vectors that lies between the languages' means, less what "
        "means of so many passages show by chance (the jackknife over groups of questions).",
        "one-way analysis of variance; jackknife after Quenouille 1956",
        "lower",
        "0: languages dealt out to the vectors at random have means that differ by chance alone.",
        "{:.1%}",
        "vectors",
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
"""By name, in the order in which they are shown."""

RANK_MEASURES = tuple(name for name, measure in MEASURES.items() if measure.needs == "ranks")
OUTCOMES = ("first_right_own", "first_right_other", "first_wrong_own", "first_wrong_other")
"""They sum to 1."""
