"""What a visitor may do: nothing but look on a shared app; typed paths stay within the owner's folders."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import streamlit

from dashboard import access
from engine.errors import InputError
from engine.storage.store import Store
from tests.pages import APP, open_page, opened, text_of

Started = list[tuple[str, ...]]


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that the owner names."""
    folder = tmp_path / "owned"
    folder.mkdir()
    monkeypatch.setenv(access.FOLDERS, str(folder))
    return folder


@pytest.fixture
def shared_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRID_BATCH_SHARE", "1")


def test_the_app_listens_to_this_machine_alone_with_its_protections_on() -> None:
    text = (APP.parents[1] / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    server = tomllib.loads(text)["server"]
    assert server["address"] == "127.0.0.1"
    assert server["enableXsrfProtection"] is server["enableCORS"] is True


@pytest.mark.parametrize("path", ["/etc/passwd", "~/../../etc/passwd", "{owner}/../secret", "/proc/self/environ"])
def test_a_path_outside_the_owners_folders_is_refused(owner: Path, path: str) -> None:
    with pytest.raises(InputError, match="paths must be under"):
        access.permitted(path.format(owner=owner))


def test_a_link_is_judged_by_where_it_leads(owner: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token", encoding="utf-8")
    (owner / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="paths must be under"):
        access.permitted(str(owner / "link"))
    assert access.permitted(str(owner / "mine")) == owner / "mine"


def test_a_filter_of_pairs_does_not_hide_a_path(owner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()
    monkeypatch.chdir(owner)
    for place in (tmp_path / "secret", "up/../../secret", "../secret"):
        (owner / "up").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="paths must be under"):
            access.check_name(f"{place}:lang=de")
    assert access.check_name(f"{owner}:lang=de") == f"{owner}:lang=de"


def test_a_folders_own_links_must_stay_inside(owner: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token", encoding="utf-8")
    (owner / "sub").mkdir()
    (owner / "sub" / "inside").symlink_to(owner / "elsewhere")
    assert access.permitted(str(owner)) == owner
    (owner / "sub" / "run").symlink_to(tmp_path / "secret")
    for ask in (access.permitted, access.check_name):
        with pytest.raises(InputError, match="its link sub/run and all paths must be under"):
            ask(str(owner))


@pytest.mark.parametrize(
    "text", ["/x" * 5000, "/" + "x" * 500, "/a\0b", "~nobody-of-this-name/x", "/etc/hosts/x", "{owner}/ring"]
)
def test_what_is_no_path_is_one_line(owner: Path, text: str) -> None:
    (owner / "ring").symlink_to(owner / "ring")
    with pytest.raises(InputError) as caught:
        access.check_name(text.format(owner=owner))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 12_000


@pytest.mark.parametrize("name", ["explorer", "pairs", "bias", "examples", "report", "published", "train", "evaluate"])
def test_an_empty_cache_that_cannot_be_written_is_at_most_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").write_bytes(b"")  # no folder can be made under a file, whoever asks
    monkeypatch.setenv("HYBRID_BATCH_CACHE", str(tmp_path / "file" / "cache"))
    streamlit.cache_data.clear()
    streamlit.cache_resource.clear()
    page = opened(name)
    assert not page.exception
    assert len(page.error) + len(page.warning) <= 1
    assert all("\n" not in element.value for element in page.error)


@pytest.mark.parametrize("name", ["xquad-r", "intfloat/multilingual-e5-small"])
def test_a_name_that_is_no_path_passes(owner: Path, name: str) -> None:
    assert access.check_name(name) == name


def test_a_typed_secret_is_not_quoted_on_the_page(owner: Path, store: Store, tmp_path: Path) -> None:
    secret = tmp_path / ".env"
    secret.write_text("PASSWORD=hunter2", encoding="utf-8")
    page = open_page("exchange")
    page.text_input(key="import-path").set_value(str(secret)).run()
    page.button(key="import").click().run()
    [error] = page.error
    assert "paths must be under" in error.value
    assert "hunter2" not in text_of(page)


def test_a_shared_app_offers_no_work(shared_app: None, demo_cache: Store, started: Started) -> None:
    page = open_page(alpha="0.3")
    assert [button.key for button in page.button if button.key == "train-now"] == []
    links = [element.proto.label for element in page.get("page_link")]
    assert not {"Fetch and evaluate", "Train ratios of your own"} & set(links)
    for name in ("train", "evaluate", "exchange", "report"):
        with pytest.raises(ValueError, match="navigation page"):
            page.switch_page(f"screens/{name}/{name}.py")
    assert started == []


def test_a_shared_app_with_an_empty_cache_trains_nothing(shared_app: None, store: Store, started: Started) -> None:
    assert "has not trained anything yet" in text_of(open_page())
    assert started == []


def test_no_path_is_taken_on_a_shared_app(shared_app: None, owner: Path) -> None:
    with pytest.raises(InputError, match="shared for reading"):
        access.permitted(str(owner))


@pytest.mark.parametrize(("arguments", "shared"), [(["app.py"], False), (["app.py", "--share"], True)])
def test_an_argument_shares_the_app(monkeypatch: pytest.MonkeyPatch, arguments: list[str], *, shared: bool) -> None:
    monkeypatch.setattr("sys.argv", arguments)
    assert access.is_shared() is shared
