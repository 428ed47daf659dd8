import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from openalign.serve.work.batching import SharedModel


class Slow:
    """Holds the first call back until told, so that others wait behind it."""

    def __init__(self, encoder) -> None:
        self.calls: list[int] = []
        self.called, self.go = Event(), Event()
        inner = encoder._embed_text_batch

        def embed(texts):
            self.called.set()
            self.go.wait(60)
            self.calls.append(len(texts))
            return inner(texts)

        encoder._embed_text_batch = embed


@pytest.fixture
def shared(paint_encoder):
    shared = SharedModel(paint_encoder)
    yield shared
    shared.close()


def test_waiting_requests_form_one_batch(paint_encoder):
    slow = Slow(paint_encoder)
    shared = SharedModel(paint_encoder)
    colours = ["red", "green", "blue", "yellow", "violet", "white"] * 3
    with ThreadPoolExecutor(len(colours)) as threads:
        found = [threads.submit(shared.embed_texts, colours[:1])]
        assert slow.called.wait(60)  # the others come while the model is busy, however the threads are scheduled
        found += [threads.submit(shared.embed_texts, [colour]) for colour in colours[1:]]
        deadline = time.monotonic() + 60
        while shared._jobs.qsize() < len(colours) - 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # a busy loop would keep the threads from putting anything there
        slow.go.set()
        vectors = np.concatenate([each.result() for each in found])
    assert slow.calls == [1, len(colours) - 1]
    assert np.array_equal(vectors, paint_encoder.embed_texts(colours))
    shared.close()


def test_images_and_texts_equal_the_models_own(shared, paint_encoder):
    images = [np.full((4, 5, 3), value, np.uint8) for value in (10, 90, 250)]
    assert np.array_equal(shared.embed_images(images), paint_encoder.embed_images(images))
    assert np.array_equal(shared.embed_texts(["red", "blue"]), paint_encoder.embed_texts(["red", "blue"]))


def test_one_failing_request_does_not_fail_its_neighbours(paint_encoder):
    slow = Slow(paint_encoder)
    shared = SharedModel(paint_encoder)
    with ThreadPoolExecutor(3) as threads:
        good = [threads.submit(shared.embed_texts, [colour]) for colour in ("red", "blue")]
        bad = threads.submit(shared.embed_texts, ["colourless"])
        slow.go.set()
        with pytest.raises(StopIteration):
            bad.result()
        assert [each.result().shape for each in good] == [(1, 3), (1, 3)]
    shared.close()
