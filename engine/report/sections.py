"""What a report contains: title, answer, sections with figures and tables, data, and what determined it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import polars as pl

from engine.collections.structures import Collection
from engine.escaping import markdown
from engine.progress import Progress, silent
from engine.ranks import metrics
from engine.report import bias_tables, claims, record, results, sources
from engine.report.examples import Example, examples, introduction, open_texts
from engine.report.findings import Findings, corrected, detailed, name_of, quantity
from engine.report.picture import Picture
from engine.report.pictures import pictures
from engine.report.request import as_arguments
from engine.report.sources import Source
from engine.report.tables import Table, noted
from engine.significance.bootstrap import RESAMPLES
from engine.significance.comparison import FLIPS
from engine.storage.store import Store
from engine.sweeps import uncertainty
from engine.sweeps.picture_answer import whole_answer
from engine.sweeps.uncertainty import System


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A section of a report; `folded` tables are opened by the reader."""

    key: str
    title: str
    claims: Sequence[str] = ()
    texts: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    examples: Sequence[Example] = ()
    sources: Sequence[Source] = ()
    facts: dict[str, str] = field(default_factory=dict)
    code: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """A report before it is written.

    Attributes:
        title: Its title.
        question: What was asked.
        answer: The answer in sentences.
        sections: Its sections.
        data: Frames behind everything, by name.
        run: What determined the numbers.
        bibtex: Whom to cite.
        notes: What had to be left out, and why.
    """

    title: str
    question: str
    answer: Sequence[str]
    sections: Sequence[Section]
    data: dict[str, pl.DataFrame]
    run: dict[str, Any]
    bibtex: str
    notes: Sequence[str] = ()

    @property
    def pictures(self) -> list[Picture]:
        """All figures, in order."""
        drawn = [[*one.pictures, *(example.picture for example in one.examples)] for one in self.sections]
        return list(chain.from_iterable(drawn))

    @property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return list(chain.from_iterable([*one.tables, *one.folded] for one in self.sections))


def compose(found: Findings, store: Store, *, progress: Progress = silent) -> Content:
    """Put a report together.

    Args:
        found: What it tells.
        store: Where texts and checkpoints are.
        progress: Told what is measured.
    """
    family, evaluated_on = found.family, found.family.evaluations[0][1].manifest.collection
    texts = open_texts(found.family.evaluations[0][1], store)
    drawn, repeated = pictures(found), sources.commands(found, as_arguments(family, found.request))
    parts = [
        _ratio_section(found, drawn),
        _pairs_section(found, drawn),
        *_bias_section(found, drawn, texts, progress),
        *_paper_section(found),
        *_examples_section(found, texts),
        *_source_sections(found, store, repeated),
    ]
    parts = [_noted(one, sources.not_zero_shot(found, found.family.collection)) for one in parts]
    return Content(
        title=f"What the batch ratio does: {family.label}, evaluated on {family.collection}",
        question=f"How does alpha, the share of monolingual batches in training, change retrieval within a language, "
        f"across languages and in a pool of all languages, and the bias towards some languages? "
        f"{len(family.evaluations)} checkpoints of {markdown(family.recipe.encoder_name)}, trained on "
        f"{markdown(family.recipe.collection_name)} and evaluated on {markdown(family.collection)}: "
        f"{len(evaluated_on.languages)} languages, {evaluated_on.queries:,} queries, {evaluated_on.candidates:,} "
        "candidates.",
        answer=_answer(found),
        sections=[one for one in parts if _holds_something(one)],
        data=record.frames(found),
        run=record.run(found, repeated),
        bibtex=sources.bibtex(found),
        notes=_notes(found, texts),
    )


def _notes(found: Findings, texts: Collection | None) -> list[str]:
    in_app = "examples" in found.request.parts and not found.has_examples
    drawn = ["the examples: those of pictures are shown in the app, on the page of pictures"] if in_app else []
    wanted = {"examples": "the examples", "bias": "the bias measures but rank distance"}
    missing = [text for part, text in wanted.items() if part in found.request.parts and texts is None]
    if not missing:
        return drawn
    return [
        f"{' and '.join(missing)}: {found.family.collection} cannot be read any more as it was when it was evaluated; "
        "fetch it again, or evaluate the sweep anew"
    ]


def preview(found: Findings, store: Store) -> tuple[list[Picture], list[Table]]:
    """Figures and tables of the parts that were asked for, without what takes long: all bias measures, recipes.

    Args:
        found: What the report tells.
        store: Where texts are.
    """
    drawn, parts = pictures(found), found.request.parts
    texts = open_texts(found.family.evaluations[0][1], store) if found.has_examples else None
    drawn += [] if texts is None else [example.picture for example in examples(found, texts)]
    tables = []
    if "tables" in parts:
        tables = [results.settings_table(found), *_pair_tables(found)]
        tables += [bias_tables.distance_table(found)] if found.has_distances else []
        tables += [table] if (table := results.paper_table(found)) is not None else []
    return drawn, [noted(table, sources.not_zero_shot(found, found.family.collection)) for table in tables]


def _noted(section: Section, note: str) -> Section:
    """A section whose tables of results bear a note."""
    if section.key == "checkpoints":
        return section
    tables, folded = ([noted(table, note) for table in part] for part in (section.tables, section.folded))
    return replace(section, tables=tables, folded=folded)


def _holds_something(section: Section) -> bool:
    held = (section.claims, section.texts, section.pictures, section.tables, section.folded, section.examples)
    return any(held) or bool(section.sources or section.facts or section.code)


def _answer(found: Findings) -> list[str]:
    needed = {(measure, "multi") for measure in (found.request.metric, "rank_distance")}
    pool = needed <= set(found.figures)
    told = [whole_answer(found.family, markdown(found.family.collection), found.draws, found.seeds)] if pool else []
    others = [figure for figure in found.figures if not told or figure != ("map", "multi")]
    return [*told, *(claims.best_of(quantity(*one), found.choices[one], found.seeds) for one in others)]


def _comparisons(found: Findings) -> tuple[list[str], list[str]]:
    """What the best ratio does against the reference, and one end of the scale against the other.

    All these tests are corrected together.
    """
    best, ends = System("hybrid", found.best), [System("hybrid", alpha) for alpha in _ends(found)]
    sides = [(best, found.reference)] if best != found.reference else []
    sides += [(ends[1], ends[0])] if ends[0] != ends[1] and (ends[1], ends[0]) not in sides else []
    asked = [(one, other, figure) for one, other in sides for figure in found.figures]
    tested = corrected([found.difference(one, other, *figure) for one, other, figure in asked])
    told: dict[tuple[System, System], list[str]] = {}
    for (one, other, figure), difference in zip(asked, tested, strict=True):
        sentence = claims.compared(name_of(one), name_of(other), quantity(*figure), difference, found.seeds)
        told.setdefault((one, other), []).append(sentence)
    listed = list(told.values())
    return (listed[0] if best != found.reference else [], listed[-1] if len(listed) == len(sides) and sides else [])


def _ends(found: Findings) -> tuple[float, float]:
    trained = sorted(uncertainty.ratios_of(found.draws))
    return trained[0], trained[-1]


def _ratio_section(found: Findings, drawn: Sequence[Picture]) -> Section:
    told = list(dict.fromkeys(chain.from_iterable(_comparisons(found))))
    note = "p values of these sentences bear Holm's correction over all of them." if told else ""
    tables = [results.settings_table(found)] if "tables" in found.request.parts else []
    texts = [note] if note else []
    return Section("ratio", "What the ratio does", told, texts, _of(drawn, "curves"), tables)


def _pairs_section(found: Findings, drawn: Sequence[Picture]) -> Section:
    metric, told = found.request.metric, []
    crossed = [setting for setting in found.family.settings if setting not in ("mono", "multi")]
    cross = (pl.col("measure") == metric) & pl.col("setting").is_in(crossed) & pl.col("doc_lang").is_not_null()
    for alpha, tests in found.tests.items():
        one, other = name_of(System("hybrid", alpha)), name_of(found.reference)
        name = metrics.label(metric) if found.family.has_pictures else quantity(metric, "cross").name
        told.append(claims.over_pairs(one, other, name, tests.filter(cross), found.seeds))
    return Section(
        "pairs",
        "Which language pairs change",
        told,
        pictures=[*_of(drawn, "heatmaps"), *_of(drawn, "difference")],
        folded=_pair_tables(found) if "tables" in found.request.parts else [],
    )


def _pair_tables(found: Findings) -> list[Table]:
    """Matrices of the systems that are shown in detail, and of their differences from the reference."""
    matrices = [results.pairs_table(found, system) for system in detailed(found)]
    return matrices + [results.difference_table(found, alpha) for alpha in found.tests]


def _bias_section(
    found: Findings, drawn: Sequence[Picture], texts: Collection | None, progress: Progress
) -> list[Section]:
    if "bias" not in found.request.parts or not found.has_distances:
        return []
    told, tables = [], []
    if texts is not None:
        measured = bias_tables.bias_findings(found, texts, progress)
        told = bias_tables.chance_sentences(found, measured)
        tables = [bias_tables.measures_table(found, measured)]
    if "tables" not in found.request.parts:
        tables = []
    else:
        tables.append(bias_tables.distance_table(found))
    return [Section("bias", "Whom it favours", told, pictures=_of(drawn, "bias"), tables=tables)]


def _paper_section(found: Findings) -> list[Section]:
    table = results.paper_table(found) if "tables" in found.request.parts else None
    return [] if table is None else [Section("paper", "Beside the published figures", tables=[table])]


def _examples_section(found: Findings, texts: Collection | None) -> list[Section]:
    if not found.has_examples or texts is None:
        return []
    licence = sources.sources(found)[0]
    credit = f"The texts are from {markdown(licence.name)}, {markdown(licence.licence)}" + (
        f" ({markdown(licence.citation)})." if licence.citation else "."
    )
    shown = examples(found, texts)
    return (
        [Section("examples", "What is retrieved", texts=[introduction(found), credit], examples=shown)] if shown else []
    )


def _source_sections(found: Findings, store: Store, repeated: Sequence[str]) -> list[Section]:
    seen = sources.seen(found)
    how = (
        f"Intervals: BCa bootstrap, {RESAMPLES:,} draws of whole questions, the same for all systems, and of seeds "
        f"where there are three or more. Tests: paired randomisation with {FLIPS:,} flips, and a t-test over questions "
        "and seeds that must agree. The choice of a ratio: multiple comparisons with the best. All at the 5 % level."
    )
    return [
        Section(
            "checkpoints", "Recipe of every checkpoint", folded=[sources.checkpoints_table(found, store)], texts=seen
        ),
        Section("method", "How sure the numbers are", texts=[how]),
        Section("data", "Data and licences", sources=sources.sources(found)),
        Section("versions", "Versions", facts=sources.versions()),
        Section(
            "repeat",
            "How to reproduce",
            texts=["The same inputs give the same data files and tables, byte for byte."],
            code=["\n".join(repeated)],
        ),
        Section("cite", "How to cite", code=[sources.bibtex(found)]),
    ]


def _of(drawn: Sequence[Picture], part: str) -> list[Picture]:
    return [picture for picture in drawn if picture.part == part]
