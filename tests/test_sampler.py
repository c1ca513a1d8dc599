"""The promises of the batch sampler, over random collections, small made ones, and the two real ones."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations
from math import inf, nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.collections.reading import read_collection
from engine.collections.structures import Collection, Corpus, Qrels, Queries
from engine.errors import InputError
from engine.training.sampler import STRATEGIES, HybridBatchSampler, TrainingPairs

CODES = ("de", "el", "en", "es", "zh")
DATA = Path(__file__).parents[2] / "shared" / "data"
many = settings(deadline=None, max_examples=60)


def make_collection(answers, languages=CODES, *, own_language_only=False, extra=False):
    """A collection from its answers: `answers[question, language]` is a passage's number there, -1 for no question.

    Each language's block starts with a candidate that answers nothing. With `extra`, every question has a second
    relevant passage, of its own, in front of the others.
    """
    answers = np.asarray(answers)
    queries = [(q, c) for c in range(answers.shape[1]) for q in range(len(answers)) if answers[q, c] >= 0]
    documents = []
    for c in range(answers.shape[1]):
        own = [("own", q, c) for q in range(len(answers)) if extra and answers[q, c] >= 0]
        documents += [("none", 0, c), *own, *(("shared", s, c) for s in sorted(set(answers[:, c]) - {-1}))]
    position = {document: i for i, document in enumerate(documents)}
    relevant = {q: [] for q, _ in queries}
    for q, c in queries:
        relevant[q] += [position["shared", answers[q, c], c]] + ([position["own", q, c]] if extra else [])
    judged = [
        (row, d)
        for row, (q, c) in enumerate(queries)
        for d in sorted(relevant[q])
        if not own_language_only or documents[d][2] == c
    ]
    return Collection(
        name="made",
        languages=languages[: answers.shape[1]],
        queries=Queries(
            tuple(f"q{q}" for q, _ in queries), tuple(languages[c] for _, c in queries), ("?",) * len(queries)
        ),
        corpus=Corpus(("p",) * len(documents), tuple(languages[d[2]] for d in documents), ("!",) * len(documents)),
        qrels=Qrels(*np.array(judged, np.int64).reshape(-1, 2).T),
    )


def full(questions, languages):
    """A parallel collection in which every question has a passage of its own."""
    return make_collection(np.repeat(np.arange(questions)[:, None], languages, axis=1))


def sampler(collection, **options):
    return HybridBatchSampler(TrainingPairs.from_collection(collection), **{"batches": 8, "batch_size": 4, **options})


@st.composite
def collections(draw, min_languages=2):
    shape = draw(st.integers(2, 24)), draw(st.integers(min_languages, 5))
    answers = draw(arrays(np.int64, shape, elements=st.integers(0, 4 * shape[0]), fill=st.nothing()))
    exists = draw(arrays(bool, shape, fill=st.nothing()))
    exists[np.arange(shape[0]), draw(arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))] = True
    rules = {"own_language_only": draw(st.booleans()), "extra": draw(st.booleans())}
    return make_collection(np.where(exists, answers, -1), **rules)


@st.composite
def samplers(draw, **options):
    """A random collection and a sampler that can draw from it."""
    collection = draw(collections())
    drawn = {
        "strategy": draw(st.sampled_from(STRATEGIES)),
        "alpha": draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])),
        "tau": draw(st.sampled_from([0.0, 0.5, 1.0])),
        "seed": draw(st.integers(0, 2**40)),
        "batch_size": draw(st.integers(2, 6)),
    }
    try:
        return collection, sampler(collection, **{**drawn, **options})
    except InputError:
        assume(False)


def relevant_to(collection):
    """Question -> all its relevant passages, in any language."""
    found = {}
    for query, document in zip(collection.qrels.queries, collection.qrels.documents, strict=True):
        found.setdefault(collection.queries.questions[query], set()).add(int(document))
    return found


def slow_groups(collection):
    """Question -> number of its passage group: sets are merged until no two overlap."""
    merged = []
    for documents in relevant_to(collection).values():
        apart = [group for group in merged if not group & documents]
        merged = [*apart, documents.union(*(group for group in merged if group & documents))]
    return {q: next(i for i, g in enumerate(merged) if g & found) for q, found in relevant_to(collection).items()}


def slow_largest(collection, strategy, alpha):
    """The largest batch by counting passage groups in plain loops."""
    groups, versions = slow_groups(collection), {}
    for question, language in zip(collection.queries.questions, collection.queries.languages, strict=True):
        versions.setdefault(question, set()).add(language)
    mono = [len({groups[q] for q, found in versions.items() if code in found}) for code in collection.languages]
    cross = len({groups[q] for q, found in versions.items() if len(found) > 1})
    return {
        "hybrid": min(max(mono) if alpha > 0 else inf, cross if alpha < 1 else inf),
        "x-x-mono": max(mono),
        "x-y": cross,
        "x-x": len(set(groups.values())),
        "en-en": mono[collection.languages.index("en")] if "en" in collection.languages else 0,
    }[strategy]


def same(one, other):
    rows = ("queries", "documents", "query_languages", "document_languages")
    return one.kind == other.kind and all(np.array_equal(getattr(one, row), getattr(other, row)) for row in rows)


def near(count, trials, share):
    """Within 4.5 standard deviations of a binomial; the seeds are fixed, so this passes always or never."""
    return abs(count - trials * share) <= 4.5 * sqrt(trials * share * (1 - share))


def check(collection, batch):
    """All that holds for every batch, from the collection's own judgements."""
    relevant, groups = relevant_to(collection), slow_groups(collection)
    questions = [collection.queries.questions[row] for row in batch.queries]
    assert all(d in relevant[q] for q, d in zip(questions, batch.documents, strict=True))
    assert len({groups[q] for q in questions}) == len(questions) == len(set(batch.documents))
    for code, query, document in zip(batch.query_languages, batch.queries, batch.documents, strict=True):
        assert collection.languages[code] == collection.queries.languages[query]
        assert batch.kind == "cross" or collection.corpus.languages[document] == collection.languages[code]
    for code, document in zip(batch.document_languages, batch.documents, strict=True):
        assert collection.languages[code] == collection.corpus.languages[document]
    if batch.kind == "cross":
        assert (batch.query_languages != batch.document_languages).all()
    if batch.kind == "mono":
        assert len({*batch.query_languages, *batch.document_languages}) == 1


@many
@given(collections(min_languages=1))
def test_the_pairs_are_the_collections_own_with_minus_one_where_there_is_none(collection):
    pairs, relevant, groups = (
        TrainingPairs.from_collection(collection),
        relevant_to(collection),
        slow_groups(collection),
    )
    assert set(pairs.questions) == set(relevant)
    versions = list(zip(collection.queries.questions, collection.queries.languages, strict=True))
    for i, question in enumerate(pairs.questions):
        for j, code in enumerate(pairs.languages):
            answers = [d for d in relevant[question] if collection.corpus.languages[d] == code]
            row = versions.index((question, code)) if (question, code) in versions else -1
            assert pairs.query_rows[i, j] == row
            assert pairs.document_rows[i, j] == min(answers, default=-1)
            assert (pairs.passage_groups[i, j] >= 0) == bool(answers)
    ids = {(groups[question], pairs.passage_groups[i].max()) for i, question in enumerate(pairs.questions)}
    assert len(ids) == len({a for a, _ in ids}) == len({b for _, b in ids})


@many
@given(samplers())
def test_every_batch_is_full_answers_its_queries_and_holds_no_passage_twice_in_any_language(drawn):
    collection, batches = drawn
    for batch in batches:
        assert len(batch.queries) == batches.batch_size
        check(collection, batch)


@many
@given(samplers())
def test_a_batch_is_never_mixed_and_only_the_kinds_of_the_strategy_occur(drawn):
    _, batches = drawn
    allowed = {"x-x-mono": {"mono"}, "en-en": {"mono"}, "x-y": {"cross"}, "x-x": {"mixed"}}
    ends = {0.0: {"cross"}, 1.0: {"mono"}}
    for batch in batches:
        crossing = batch.query_languages != batch.document_languages
        assert crossing.all() if batch.kind == "cross" else not crossing.any()
        hybrid = ends.get(batches.alpha, {"mono", "cross"})
        assert batch.kind in allowed.get(batches.strategy, hybrid)


@many
@given(samplers(), st.randoms(use_true_random=False))
def test_a_batch_depends_on_the_seed_and_its_number_only(drawn, random):
    collection, batches = drawn
    first = list(batches)
    assert len(first) == len(batches) == 8
    assert all(same(a, b) for a, b in zip(first, batches, strict=True))
    options = {"strategy": batches.strategy, "alpha": batches.alpha or 0.0, "tau": batches.tau, "seed": batches.seed}
    longer = sampler(collection, batches=1000, batch_size=batches.batch_size, **options)
    order = random.sample(range(8), 8)
    assert all(same(first[i], longer.batch(i)) for i in order)


@many
@given(samplers(strategy="hybrid", alpha=0.5))
def test_a_batch_that_is_monolingual_stays_the_same_when_only_alpha_rises(drawn):
    collection, batches = drawn
    options = {"tau": batches.tau, "seed": batches.seed, "batch_size": batches.batch_size}
    lower, higher = (sampler(collection, alpha=alpha, **options) for alpha in (0.25, 0.75))
    for i, batch in enumerate(batches):
        assert same(batch, (higher if batch.kind == "mono" else lower).batch(i))


@many
@given(samplers())
def test_the_ends_of_hybrid_are_the_strategies_named_after_them(drawn):
    collection, batches = drawn
    options = {"tau": batches.tau, "seed": batches.seed, "batch_size": batches.batch_size, "alpha": 0.5}
    for strategy, alpha in (("x-x-mono", 1), ("x-y", 0)):
        if slow_largest(collection, strategy, alpha) >= batches.batch_size:
            named = sampler(collection, **{**options, "strategy": strategy})
            hybrid = sampler(collection, **{**options, "alpha": alpha})
            assert all(same(a, b) for a, b in zip(named, hybrid, strict=True))


@settings(deadline=None, max_examples=150)
@given(collections(min_languages=1), st.sampled_from(STRATEGIES), st.sampled_from([0, 0.5, 1]), st.integers(2, 30))
def test_a_batch_too_large_is_refused_with_the_largest_possible_one_which_then_works(collection, strategy, alpha, size):
    largest = slow_largest(collection, strategy, alpha)
    options = {"strategy": strategy, "alpha": alpha}
    if size <= largest:
        sampler(collection, batch_size=size, **options)
    else:
        with pytest.raises(InputError) as error:
            sampler(collection, batch_size=size, **options)
        assert f"at most {largest} with" in str(error.value) or largest == 0
    if largest >= 2:
        for batch in sampler(collection, batch_size=largest, **options):
            check(collection, batch)


@many
@given(samplers())
def test_the_composition_counts_what_was_drawn_and_is_json(drawn):
    _, batches = drawn
    for upto in (None, 0, 3):
        found = batches.composition(upto)
        assert json.loads(json.dumps(found)) == found
        counted = [batches.batch(i) for i in range(8 if upto is None else upto)]
        assert {kind: n for kind, n in found["batches"].items() if n} == Counter(batch.kind for batch in counted)
        cells = Counter()
        for batch in counted:
            cells.update(zip(batch.query_languages.tolist(), batch.document_languages.tolist(), strict=True))
        codes = batches.pairs.languages
        rows = {(row["query_lang"], row["doc_lang"]): row["pairs"] for row in found["pairs"]}
        assert rows == {(codes[a], codes[b]): n for (a, b), n in cells.items()}
        assert len(rows) == len(found["pairs"])


def test_the_share_of_monolingual_batches_is_alpha():
    for alpha in (0.1, 0.5, 0.8):
        found = sampler(full(6, 3), alpha=alpha, batches=3000, seed=5).composition()
        assert near(found["batches"]["mono"], 3000, alpha)
        assert sum(found["batches"].values()) == 3000


def uneven():
    """Sixteen questions: all in de, the first eight in el too, the first four in en too."""
    return make_collection([[q, q if q < 8 else -1, q if q < 4 else -1] for q in range(16)])


@pytest.mark.parametrize(("tau", "shares"), [(0, [1 / 3] * 3), (1, [16 / 28, 8 / 28, 4 / 28])])
def test_monolingual_batches_draw_languages_uniformly_or_by_their_size_to_the_tau(tau, shares):
    batches = sampler(uneven(), strategy="x-x-mono", tau=tau, batches=3000, batch_size=3)
    languages = Counter(int(batch.query_languages[0]) for batch in batches)
    assert all(near(languages[code], 3000, share) for code, share in enumerate(shares))


@pytest.mark.parametrize("tau", [0, 1])
@pytest.mark.parametrize(("strategy", "sizes"), [("x-y", [8, 8, 4, 4, 4, 4]), ("x-x", [16, 8, 4])])
def test_each_pair_draws_among_the_language_pairs_of_its_question_uniformly_or_by_their_size(tau, strategy, sizes):
    counts, asked = Counter(), Counter()
    for batch in sampler(uneven(), strategy=strategy, tau=tau, batches=2000, batch_size=2):
        for row, a, b in zip(batch.queries, batch.query_languages, batch.document_languages, strict=True):
            question = uneven_questions[row]
            counts[question < 4, int(a), int(b)] += question < 8
            asked[question < 4] += question < 8
    crossing = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] if strategy == "x-y" else [(0, 0), (1, 1), (2, 2)]
    for everywhere, choices in ((True, crossing), (False, crossing[:2])):
        weights = np.array(sizes[: len(choices)], float) ** tau
        for cell, weight in zip(choices, weights, strict=True):
            assert near(counts[everywhere, *cell], asked[everywhere], weight / weights.sum())


uneven_questions = [int(question[1:]) for question in uneven().queries.questions]


@pytest.mark.parametrize("strategy", ["x-x-mono", "x-y", "x-x", "en-en"])
def test_every_question_has_the_same_chance_also_where_several_share_a_passage(strategy):
    passage = np.repeat([0, 1, 2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 2, 2, 3, 3])
    collection = make_collection(np.repeat(passage[:, None], 3, axis=1))
    counts = Counter()
    for batch in sampler(collection, strategy=strategy, batches=4000, batch_size=4):
        counts.update(collection.queries.questions[row] for row in batch.queries)
    assert len(counts) == 14
    assert all(near(count, 4000, 4 / 14) for count in counts.values())


def test_any_two_questions_of_different_passages_meet_equally_often():
    collection, met = full(8, 2), Counter()
    for batch in sampler(collection, strategy="x-y", batches=4000, batch_size=3):
        met.update(combinations(sorted(collection.queries.questions[row] for row in batch.queries), 2))
    assert len(met) == 28
    assert all(near(count, 4000, 3 / 28) for count in met.values())


def test_questions_of_one_passage_are_drawn_independently_of_those_of_another():
    collection = make_collection(np.repeat([[0], [0], [1], [1]], 2, axis=1))
    seen = Counter()
    for batch in sampler(collection, strategy="x-y", batches=2000, batch_size=2):
        seen[frozenset(collection.queries.questions[row] for row in batch.queries)] += 1
    assert len(seen) == 4
    assert all(near(count, 2000, 1 / 4) for count in seen.values())


def test_a_passage_of_more_questions_than_its_share_is_in_every_batch_and_the_rest_stay_even():
    collection = make_collection(np.repeat(np.array([0] * 6 + list(range(1, 7)))[:, None], 2, axis=1))
    counts = Counter()
    for batch in sampler(collection, strategy="x-y", batches=3000, batch_size=4):
        counts.update(collection.queries.questions[row] for row in batch.queries)
    assert sum(counts[f"q{q}"] for q in range(6)) == 3000
    assert all(near(counts[f"q{q}"], 3000, 1 / 6) for q in range(6))
    assert all(near(counts[f"q{q}"], 3000, 3 / 6) for q in range(6, 12))


def test_a_language_that_cannot_fill_a_batch_is_left_out_and_logged_and_the_others_share_its_part():
    found = sampler(uneven(), strategy="x-x-mono", batches=3000, batch_size=6).composition()
    assert found["excluded"] == {"en": 4}
    assert [(row["query_lang"], row["doc_lang"]) for row in found["pairs"]] == [("de", "de"), ("el", "el")]
    assert near(found["pairs"][0]["pairs"] / 6, 3000, 1 / 2)
    assert sampler(uneven(), batch_size=4).composition()["excluded"] == {}


def test_hybrid_is_bounded_by_the_smaller_of_its_two_kinds():
    in_two_of_three = make_collection([[-1 if (q + c) % 3 == 0 else q for c in range(3)] for q in range(9)])
    for collection, mono, cross in ((in_two_of_three, 6, 9), (uneven(), 16, 8)):
        with pytest.raises(InputError, match=f"must be at most {min(mono, cross)} with"):
            sampler(collection, batch_size=min(mono, cross) + 1)
        assert len(sampler(collection, strategy="x-x-mono", batch_size=mono)) == 8
        assert len(sampler(collection, strategy="x-y", batch_size=cross)) == 8


def test_questions_that_share_a_passage_in_a_language_they_are_not_drawn_in_still_exclude_each_other():
    collection = make_collection([[0, 0], [1, 0], [2, 2], [3, 3]])
    assert all(
        {*batch.queries} != {0, 1} for batch in sampler(collection, strategy="x-x-mono", batches=300, batch_size=2)
    )
    with pytest.raises(InputError, match="must be at most 3"):
        sampler(collection, strategy="x-x-mono", batch_size=4)


def test_the_baselines_mix_languages_within_a_batch_or_keep_to_english():
    mixed = sampler(full(20, 5), strategy="x-x", batch_size=10)
    assert all(len(set(batch.query_languages)) > 1 for batch in mixed)
    english = sampler(full(20, 5), strategy="en-en", alpha=0.0)
    assert [row["query_lang"] for row in english.composition()["pairs"]] == ["en"]


def test_a_query_may_be_answered_in_a_language_that_the_question_is_not_asked_in():
    collection = Collection(
        name="made",
        languages=("de", "en"),
        queries=Queries(("a", "b"), ("de", "de"), ("?", "?")),
        corpus=Corpus(("p", "q"), ("en", "en"), ("!", "!")),
        qrels=Qrels(np.array([0, 1]), np.array([0, 1])),
    )
    batch = sampler(collection, strategy="x-y", batch_size=2).batch(0)
    assert sorted(zip(batch.queries, batch.documents, strict=True)) == [(0, 0), (1, 1)]
    with pytest.raises(InputError, match="at most 0"):
        sampler(collection, strategy="x-x-mono", batch_size=2)


def test_seeds_and_batches_are_streams_of_their_own_even_for_huge_seeds():
    drawn = [sampler(full(30, 5), seed=seed).batch(i) for seed in (5, 6, 5 + 7 * 2**32) for i in (0, 7)]
    assert not any(same(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"alpha": -0.1}, "alpha must be .*, got -0.1"),
        ({"alpha": 1.01}, "alpha must be .*, got 1.01"),
        ({"alpha": nan}, "alpha must be .*, got nan"),
        ({"strategy": "x-x", "alpha": nan}, "alpha must be .*, got nan"),
        ({"tau": nan}, "tau must be .*, got nan"),
        ({"tau": -1}, "tau must be .*, got -1"),
        ({"strategy": "xx"}, "'xx' is unknown; allowed are hybrid"),
        ({"batch_size": 1}, "batch size must be .*, got 1"),
        ({"batches": 0}, "batches must be .*, got 0"),
        ({"seed": -1}, "seed must be .*, got -1"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(options, says):
    with pytest.raises(InputError, match=says):
        sampler(full(6, 3), **options)


@pytest.mark.parametrize("options", [{"strategy": "x-y"}, {"strategy": "hybrid", "alpha": 0.5}, {"alpha": 0}])
def test_cross_lingual_batches_need_a_question_in_two_languages(options):
    for collection in (full(6, 1), make_collection([[0, -1], [1, -1], [-1, 2], [-1, 3], [4, -1]])):
        with pytest.raises(InputError, match="no question exists in two languages"):
            sampler(collection, batch_size=2, **options)
        assert len(list(sampler(collection, batch_size=2, alpha=1))) == 8


def test_english_only_needs_english():
    with pytest.raises(InputError, match="the languages are de, el, without en"):
        sampler(full(6, 2), strategy="en-en")


@pytest.mark.parametrize("number", [-1, 8])
def test_a_batch_beyond_the_run_is_refused(number):
    with pytest.raises(InputError, match="must be from 0 to 7"):
        sampler(full(6, 3)).batch(number)


def test_pairs_that_could_let_a_passage_in_twice_are_refused():
    pairs = TrainingPairs.from_collection(full(6, 3))
    with pytest.raises(InputError, match="one group"):
        replace(pairs, passage_groups=np.arange(18).reshape(6, 3))
    with pytest.raises(InputError, match="one group"):
        replace(pairs, passage_groups=np.full((6, 3), -1))
    with pytest.raises(InputError, match="shape"):
        replace(pairs, query_rows=pairs.query_rows[:5])


@pytest.fixture(scope="module")
def real():
    def read(name):
        if not (DATA / name).is_dir():
            pytest.skip(f"{name} is not in the shared data")
        return read_collection(DATA / name)

    return read


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("name", "languages", "questions"), [("xquad-r", 11, 1190), ("mlqa-r", 7, 1148)])
def test_the_real_collections_fill_batches_of_a_hundred_in_all_their_languages(
    real, name, languages, questions, strategy
):
    collection = real(name)
    pairs = TrainingPairs.from_collection(collection)
    assert pairs.query_rows.shape == (questions, languages)
    versions = (pairs.query_rows >= 0).sum(axis=1)
    assert {*versions.tolist()} == ({11} if name == "xquad-r" else {2, 3, 4})
    batches = HybridBatchSampler(pairs, strategy=strategy, batches=150, seed=3)
    group_of = dict(zip(pairs.questions, pairs.passage_groups.max(axis=1).tolist(), strict=True))
    judged = {*zip(collection.qrels.queries.tolist(), collection.qrels.documents.tolist(), strict=True)}
    for batch in batches:
        assert judged.issuperset(zip(batch.queries.tolist(), batch.documents.tolist(), strict=True))
        assert len({group_of[collection.queries.questions[row]] for row in batch.queries}) == 100
    found = batches.composition()
    cells = {"hybrid": languages**2, "x-x-mono": languages, "x-y": languages * (languages - 1), "x-x": languages}
    assert len(found["pairs"]) == cells.get(strategy, 1)
    assert found["excluded"] == {}


def test_mlqa_r_leaves_out_the_languages_that_a_large_batch_exhausts(real):
    collection = real("mlqa-r")
    pairs = TrainingPairs.from_collection(collection)
    groups = dict(zip(pairs.questions, pairs.passage_groups.max(axis=1).tolist(), strict=True))
    asked = list(zip(collection.queries.questions, collection.queries.languages, strict=True))
    held = {code: len({groups[q] for q, language in asked if language == code}) for code in pairs.languages}
    found = HybridBatchSampler(pairs, batch_size=508, batches=20).composition()
    assert found["excluded"] == {code: n for code, n in held.items() if n < 508}
    assert found["excluded"]
    assert "en" not in found["excluded"]
