"""A service whose index folder is written to while it runs."""

import logging
import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from openalign.search import Index
from openalign.search.store import Store
from openalign.serve import current as module
from openalign.serve.app import create_app
from openalign.serve.current import CurrentIndex


@pytest.fixture
def grow(index, tmp_path, paint, paint_encoder):
    """Adds a picture to the indexed photos and indexes again."""

    def grow(name: str, model=paint_encoder, **options) -> None:
        paint(tmp_path / "photos" / name, "blue", (900, 90), "rectangle")
        with (tmp_path / "photos" / "pairs.csv").open("a") as table:
            table.write(f"{name},a new blue,\n")
        Index.build([tmp_path / "photos"], model=model, to=index.store.folder, **options).store.close()

    return grow


def warnings(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.name == "uvicorn.error"]


@pytest.mark.slow
def test_a_running_service_answers_from_what_was_added(index, grow, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.02)
    with TestClient(create_app(index)) as client:
        assert client.get("/health").json()["rows"] == 48
        grow("new.png")
        for _ in range(500):
            if client.get("/health").json()["rows"] == 49:
                break
            threading.Event().wait(0.02)
        assert client.get("/info").json()["rows"] == 49
        found = client.get("/search", params={"text": "blue", "top": 9}).json()["hits"]
        (new,) = [hit for hit in found if hit["text"] == "a new blue"]
        assert client.get(new["thumbnail"]).status_code == 200
        assert client.get(new["original"]).status_code == 200


def test_the_state_before_is_closed_when_its_last_request_has_let_go(index, grow, monkeypatch):
    closed = []
    monkeypatch.setattr(Store, "close", lambda store: closed.append(store.folder))
    current = CurrentIndex(Index(index.store, index.model))
    request = current.index
    grow("new.png")
    closed.clear()
    assert current.look() and len(current.index) == 49
    assert len(request) == 48 and request.search("blue", top=3)[0].text.startswith("blue")
    assert closed == []
    del request
    assert closed == [index.store.folder]


def test_nothing_is_opened_while_nothing_has_changed(index):
    current = CurrentIndex(index)
    before = current.index
    assert not current.look() and current.index is before


def test_an_index_of_another_model_is_told_once_and_not_taken(index, grow, paint_encoder, caplog):
    current = CurrentIndex(index)
    other = type(paint_encoder)()
    other.fingerprint = "f" * 64
    grow("new.png", model=other, re_embed=True)
    with caplog.at_level(logging.WARNING, "uvicorn.error"):
        assert not current.look() and not current.look()
    assert len(current.index) == 48
    assert warnings(caplog) == [
        "The index has changed and cannot be taken: another model has made it: restart the service to take it"
    ]


def test_a_damaged_index_is_told_and_the_good_one_stays(index, grow, caplog):
    current = CurrentIndex(index)
    grow("new.png")
    database = index.store.folder / "rows.sqlite"
    good = database.read_bytes()
    database.write_bytes(b"no database" * 100)
    with caplog.at_level(logging.WARNING, "uvicorn.error"):
        assert not current.look()
    assert len(warnings(caplog)) == 1 and len(current.index) == 48
    database.write_bytes(good)
    assert current.look() and len(current.index) == 49


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


@pytest.mark.slow
def test_files_of_earlier_states_are_closed_however_often_the_index_is_opened_again(index, grow):
    current = CurrentIndex(index)
    with TestClient(create_app(index)) as client:
        held = []
        for number in range(6):
            grow(f"new-{number}.png")
            assert current.look()
            assert current.index.search("blue", top=3) and client.get("/facets").status_code == 200
            held.append(open_files())
        assert held[-1] < held[0] + 5  # a file left at each of the five further states would be as many


def test_following_goes_on_after_a_failure_of_any_kind(index, grow, monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    opened_again, failures = Store.opened_again, iter([OSError("gone"), ValueError("odd"), RuntimeError("odder")])

    def fails(store):
        for error in failures:
            raise error
        return opened_again(store)

    monkeypatch.setattr(Store, "opened_again", fails)
    grow("new.png")
    with caplog.at_level(logging.WARNING, "uvicorn.error"), TestClient(create_app(index)) as client:
        for _ in range(500):
            if client.get("/health").json()["rows"] == 49:
                break
            threading.Event().wait(0.02)
        assert client.get("/health").json()["rows"] == 49
    assert [message.partition("taken: ")[2] for message in warnings(caplog)] == [
        "OSError: gone", "ValueError: odd", "RuntimeError: odder"
    ]  # fmt: skip
