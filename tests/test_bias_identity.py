"""engine.bias.language_probe: how much language vectors hold, against numpy, scikit-learn and planted structure."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bias.language_probe import answering_passages, identity, language_means, language_variance, probe, project
from engine.errors import InputError
from engine.ranks.schema import RANKS
from tests.bias_builders import LANGUAGES


def answers(rows: list[tuple[str, int, str]]) -> pl.DataFrame:
    """Ranks from question, candidate, its language."""
    full = [(question, "en", code, doc, 1, place, 0.0) for place, (question, doc, code) in enumerate(rows, start=1)]
    return pl.DataFrame(full, schema=RANKS, orient="row")


def grouped(groups: int, *, languages: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Language and group of a passage in each language of each group."""
    return np.tile(np.arange(languages), groups), np.repeat(np.arange(groups), languages)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1, max_size=14))
def test_groups_are_the_connected_parts_of_questions_and_passages(pairs):
    found = answering_passages(answers([(f"q{q}", doc, LANGUAGES[doc % 4]) for q, doc in pairs]))
    label = {doc: doc for _, doc in pairs}
    for _ in pairs:  # slow: the least passage of those that a question joins, until nothing changes
        for question in {q for q, _ in pairs}:
            joined = [doc for q, doc in pairs if q == question]
            least = min(label[doc] for doc in joined)
            label |= dict.fromkeys(joined, least)
    assert found["doc"].to_list() == sorted(label)
    of = dict(found.select("doc", "group").iter_rows())
    assert all((of[a] == of[b]) == (label[a] == label[b]) for a in label for b in label)


def test_many_questions_are_grouped():
    rows = [(f"q{i}", 2 * i + side, LANGUAGES[side]) for i in range(700) for side in (0, 1)]
    found = answering_passages(answers(rows))
    assert found["group"].n_unique() == 700
    assert found.height == 1400


def test_a_language_that_a_direction_tells_is_read():
    rng = np.random.default_rng(1)
    code, group = grouped(60)
    vectors = rng.standard_normal((240, 16)) + 4 * np.eye(16)[code]
    assert probe(vectors, code, group).mean() > 0.95


def test_in_noise_the_language_is_read_by_chance():
    rng = np.random.default_rng(2)
    code, group = grouped(150)
    share = probe(rng.standard_normal((600, 8)), code, group).mean()
    assert abs(share - 0.25) < 3.5 * (0.25 * 0.75 / 600) ** 0.5


def test_a_group_is_never_on_both_sides():
    # Every passage is there twice, in one group: a probe that saw one of the two would know the other by heart.
    rng = np.random.default_rng(3)
    code, group = grouped(40)
    vectors = np.repeat(rng.standard_normal((160, 200)), 2, axis=0)
    code, group = np.repeat(code, 2), np.repeat(group, 2)
    kept, split = probe(vectors, code, group), probe(vectors, code, np.arange(320))
    assert kept.mean() < 0.4
    assert split.mean() > 0.8


def plain_share(vectors: np.ndarray, code: np.ndarray) -> float:
    """The share of the variance between means, one number after the other."""
    centre = vectors.mean(axis=0)
    between = sum(
        (code == one).sum() * ((vectors[code == one].mean(axis=0) - centre) ** 2).sum() for one in np.unique(code)
    )
    return between / ((vectors - centre) ** 2).sum()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_variance_is_the_jackknife_of_the_plain_share(seed):
    rng = np.random.default_rng(seed)
    code, group = grouped(8)
    group = group.copy()
    group[group == 7] = 0  # one of them twice as large
    vectors = rng.standard_normal((32, 5)) + code[:, None]
    without = np.array([plain_share(vectors[group != one], code[group != one]) for one in range(7)])
    whole = plain_share(vectors, code)
    value, low, high = language_variance(vectors, code, group)
    assert value == pytest.approx(7 * whole - 6 * without.mean())
    assert (low + high) / 2 == pytest.approx(value)
    error = (6 / 7 * ((without - without.mean()) ** 2).sum()) ** 0.5
    assert (high - low) / 2 == pytest.approx(2.446912 * error, rel=1e-5)  # Student's t, 6 degrees of freedom


def test_languages_dealt_out_at_random_explain_nothing_beyond_chance():
    rng = np.random.default_rng(4)
    code, group = grouped(30)
    values, plain = [], []
    for _ in range(60):
        vectors = rng.standard_normal((30, 6))[group] + rng.standard_normal((120, 6))
        values.append(language_variance(vectors, code, group)[0])
        plain.append(plain_share(vectors, code))
    error = np.std(values) / len(values) ** 0.5
    assert abs(np.mean(values)) < 3.5 * error + 1e-3
    assert np.mean(plain) > 5 * error


def test_the_interval_covers_the_truth_in_most_cases():
    rng = np.random.default_rng(5)
    code, group = grouped(80)
    truth = 0.75 / 2.75  # four means at the corners of a simplex of variance 3/4, noise of variance 2
    corners = np.eye(4)
    held = 0
    for _ in range(60):
        noise = rng.standard_normal((320, 4)) * (2 / 4) ** 0.5
        _, low, high = language_variance(corners[code] + noise, code, group)
        held += low <= truth <= high
    assert held >= 51


def test_means_and_spread_are_numpys():
    rng = np.random.default_rng(6)
    code, _ = grouped(10)
    vectors = rng.standard_normal((40, 3))
    means, spread = language_means(vectors, code)
    assert means[2] == pytest.approx(vectors[code == 2].mean(axis=0))
    residuals = [np.linalg.norm(vectors[i] - vectors[code == code[i]].mean(axis=0)) for i in range(40)]
    assert spread == pytest.approx(np.sqrt(np.mean(np.square(residuals))))


def test_the_projection_is_scikit_learns_up_to_signs():
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(7).standard_normal((50, 6)) * np.arange(1, 7)
    found, explained = project(vectors)
    expected = PCA(2, svd_solver="full").fit(vectors)
    assert np.abs(found) == pytest.approx(np.abs(expected.transform(vectors)))
    assert explained == pytest.approx(expected.explained_variance_ratio_)
    assert project(vectors[::-1].copy())[0][::-1] == pytest.approx(found)


def test_all_is_told_of_the_passages_that_answer():
    rng = np.random.default_rng(8)
    rows = [(f"q{i}", 4 * i + place, code) for i in range(25) for place, code in enumerate(LANGUAGES)]
    code = np.arange(120) % 4
    vectors = (rng.standard_normal((120, 12)) + 3 * np.eye(12)[code]).astype(np.float32)  # 20 of them answer nothing
    found = identity(vectors, answers(rows))
    assert found.measures["measure"].to_list() == ["language_probe", "language_variance"]
    assert found.measures["random"].to_list() == [0.25, 0]
    assert found.measures["passages"].to_list() == [100, 100]
    assert (
        (found.measures["low"] <= found.measures["value"]) & (found.measures["value"] <= found.measures["high"])
    ).all()
    assert found.languages["doc_lang"].to_list() == list(LANGUAGES)
    assert found.languages["recognised"].mean() == pytest.approx(found.measures["value"][0])
    assert found.points.height == 100
    assert found.points["group"].n_unique() == 25
    means, spread = language_means(vectors[:100].astype(float), code[:100])
    gap = found.distances.filter(doc_lang="ar", other_lang="hi")["distance"].item()
    assert gap == pytest.approx(np.linalg.norm(means[0] - means[3]) / spread)
    assert found.distances.height == 12


def test_where_all_are_read_the_interval_still_has_a_width():
    rows = [(f"q{i}", 2 * i + place, code) for i in range(20) for place, code in enumerate(("de", "en"))]
    vectors = np.eye(8)[np.arange(40) % 2] + 0.01 * np.random.default_rng(9).standard_normal((40, 8))
    found = identity(vectors, answers(rows))
    assert found.measures["value"][0] == found.measures["high"][0] == 1
    assert 0.8 < found.measures["low"][0] < 0.9  # Wilson's of 20 groups
    assert found.languages["low"].to_list() == pytest.approx([found.measures["low"][0]] * 2)


def test_few_groups_make_fewer_folds():
    rows = [(f"q{i}", 2 * i + place, code) for i in range(3) for place, code in enumerate(("de", "en"))]
    vectors = np.eye(2)[np.arange(6) % 2] + 0.01 * np.random.default_rng(9).standard_normal((6, 2))
    assert identity(vectors, answers(rows)).measures["value"][0] == 1


def test_one_language_or_too_few_groups_are_refused():
    with pytest.raises(InputError, match="passages in one language only"):
        identity(np.ones((3, 2)), answers([("q", 0, "de"), ("r", 1, "de")]))
    with pytest.raises(InputError, match="all answering passages share questions"):
        identity(np.eye(3), answers([("q", 0, "de"), ("q", 1, "en"), ("r", 0, "de"), ("r", 2, "en")]))
    with pytest.raises(InputError, match="folds must be from 2 to 3"):
        probe(np.eye(6), *grouped(3, languages=2))
