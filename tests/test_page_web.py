"""The page of pictures on pairs from the web: their captions are not parallel, and some pictures cannot be seen."""

from __future__ import annotations

import pytest

from engine.storage.store import Store
from engine.sweeps.run import run_sweep
from engine.sweeps.sweep import Sweep
from engine.training.recipe import Settings
from tests import web_builders as web
from tests.pages import chart_keys, open_page
from tests.picture_models import clip_folder


@pytest.fixture(params=["shards", "embeddings"])
def swept(request, tmp_path, store: Store, monkeypatch) -> str:
    """What a small sweep was evaluated on, as the page names it."""
    monkeypatch.setenv("HYBRID_BATCH_SHARE", "1")
    clip = str(clip_folder(tmp_path / "clip"))
    embeddings, _ = web.embedded(clip, tmp_path / "seen", store)
    shards = web.write_shard(tmp_path / "shards" / "0.tar", web.pairs(20)[12:]).parent
    training, evaluated = (embeddings, shards) if request.param == "shards" else (shards, embeddings)
    settings = Settings(steps=3, batch_size=4)
    failures = run_sweep(Sweep(clip, str(training), (str(evaluated),), (0.0, 1.0), settings=settings), store)
    assert failures == []
    return request.param


def test_the_page_shows_all_its_parts_but_rank_distance(swept: str) -> None:
    page = open_page("pictures")
    assert f"On **{swept}**" in page.markdown[0].value
    assert "rank distance" not in [metric.label for metric in page.metric]
    keys = set(chart_keys(page))
    assert {"curve-caption-picture_hit@1", "curve-picture-caption_hit@1", "curve-multi_map", "languages"} <= keys
    assert "curve-rank_distance" not in keys
    assert len(page.subheader) == 3
