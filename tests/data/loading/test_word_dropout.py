"""Words are dropped as often as asked, at random, and never all of a text."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.loading.word_dropout import drop_words


def keys(count: int, seed: int = 0) -> np.ndarray:
    return np.random.Philox(key=[seed, 0]).random_raw(count)


@given(texts=st.lists(st.text(max_size=40), max_size=8), probability=st.floats(0, 0.999), seed=st.integers(0, 99))
def test_what_is_left_is_some_of_the_words_in_their_order(texts: list[str], probability: float, seed: int) -> None:
    for text, left in zip(texts, drop_words(texts, probability, keys(len(texts), seed)), strict=True):
        words = iter(text.split())
        assert all(word in words for word in left.split())
        assert bool(left.split()) == bool(text.split())


def test_words_go_as_often_as_asked() -> None:
    texts = ["a b c d e f g h i j"] * 2000
    left = [len(text.split()) for text in drop_words(texts, 0.3, keys(2000))]
    assert abs(np.mean(left) - 7) < 0.1


def test_a_text_that_keeps_all_its_words_keeps_its_spaces() -> None:
    assert drop_words(["a  dog\tran", "一只狗"], 0.0, keys(2)) == ["a  dog\tran", "一只狗"]


def test_a_text_is_left_the_same_whatever_stands_beside_it() -> None:
    texts, drawn = [f"word{i} and some more words here" for i in range(50)], keys(50)
    together = drop_words(texts, 0.5, drawn)
    assert together == [drop_words([text], 0.5, drawn[i : i + 1])[0] for i, text in enumerate(texts)]
    assert together != drop_words(texts, 0.5, keys(50, seed=1))
