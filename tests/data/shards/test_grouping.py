"""Members become samples whatever their order; names that come more than once never put a text to another image."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openalign.data.shards.grouping import grouped
from openalign.data.shards.members import Member, parsed


def members(*names: str) -> list[Member]:
    return [Member(*parsed(name), offset=1024 * at, size=1, content=None) for at, name in enumerate(names)]


def shown(*names: str) -> list[tuple[str, list[str]]]:
    return [(key, sorted(sample)) for key, sample in grouped(members(*names)).samples]


def offsets(*names: str) -> tuple[list[dict[str, int]], int]:
    """The place of each sample's members among the names, and how many members are in none."""
    found = grouped(members(*names))
    samples = [{suffix: each.offset // 1024 for suffix, each in sample.items()} for _, sample in found.samples]
    return samples, len(found.repeated)


def test_parts_of_a_sample_are_brought_to_it() -> None:
    assert shown("a.seg.png", "a.jpg", "a.txt", "a.meta.json", "a.depth.raw.png") == [
        ("a", ["depth.raw.png", "jpg", "meta.json", "seg.png", "txt"])
    ]
    assert shown("1.left.jpg", "1.right.jpg", "1.txt") == [("1", ["left.jpg", "right.jpg", "txt"])]
    assert shown("a.jpg", "a.jpg.txt", "x.y/b.jpg", "x.y/b.txt") == [
        ("a", ["jpg", "jpg.txt"]),
        ("x.y/b", ["jpg", "txt"]),
    ]


def test_a_dot_in_a_name_is_not_the_end_of_its_key() -> None:
    assert shown("shop.jpg", "shop.txt", "shop.v2.jpg", "shop.v2.txt") == [
        ("shop", ["jpg", "txt"]),
        ("shop.v2", ["jpg", "txt"]),
    ]
    assert shown("img.jpg", "img.0002.jpg", "img.v3.jpg") == [
        ("img", ["jpg"]),
        ("img.0002", ["jpg"]),
        ("img.v3", ["jpg"]),
    ]
    assert shown("3.5 mm jack.png", "3.5 mm jack.txt") == [("3.5 mm jack", ["png", "txt"])]


def test_numbered_parts_come_to_the_sample_that_they_complete() -> None:
    assert shown("k.0.png", "k.1.png", "k.txt", "l.0.png", "l.json") == [
        ("k", ["0.png", "1.png", "txt"]),
        ("l", ["0.png", "json"]),
    ]
    assert shown("a.jpg", "a.0.txt", "a.1.txt", "v/c.txt", "v/c.f001.jpg", "v/c.f002.jpg") == [
        ("a", ["0.txt", "1.txt", "jpg"]),
        ("v/c", ["f001.jpg", "f002.jpg", "txt"]),
    ]


def test_numbered_parts_stay_apart_where_numbers_tell_samples_apart() -> None:
    names = ("f.1.jpg", "f.1.txt", "f.2.jpg", "f.3.txt", "f.txt", "g.jpg", "g.4.txt")
    assert shown(*names) == [
        ("f.1", ["jpg", "txt"]),
        ("f.2", ["jpg"]),
        ("f.3", ["txt"]),
        ("f", ["txt"]),
        ("g", ["jpg"]),
        ("g.4", ["txt"]),
    ]


def test_parts_of_which_none_has_the_plain_name_are_a_sample() -> None:
    parts = ("image.jpg", "caption.txt", "mask.png", "meta.json")
    assert shown(*(f"x/{key}.{part}" for part in parts for key in "ab")) == [
        ("x/a", ["caption.txt", "image.jpg", "mask.png", "meta.json"]),
        ("x/b", ["caption.txt", "image.jpg", "mask.png", "meta.json"]),
    ]
    assert shown("0.img.png", "0.prompt.txt", "1.IMG.png", "1.prompt.txt") == [
        ("0", ["img.png", "prompt.txt"]),
        ("1", ["img.png", "prompt.txt"]),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("shop.red.jpg", "shop.blue.txt"),
        ("shop.red.jpg", "shop.blue.txt", "cafe.blue.jpg", "cafe.red.txt"),
        ("v.1.jpg", "v.2.txt", "w.1.jpg", "w.2.txt"),
        ("a.big.jpg", "b.big.jpg", "c.old.txt", "d.old.txt"),
    ],
)
def test_names_that_may_be_of_two_samples_are_not_joined(names: tuple[str, ...]) -> None:
    assert [key for key, _ in shown(*names)] == [name.rpartition(".")[0] for name in names]


@given(st.randoms(use_true_random=False), st.integers(1, 6))
def test_the_order_of_members_does_not_matter(draw: random.Random, count: int) -> None:
    names = [f"d/{i}.x.{suffix}" for i in range(count) for suffix in ("jpg", "txt", "json")]
    draw.shuffle(names)
    assert sorted(shown(*names)) == [(f"d/{i}.x", ["jpg", "json", "txt"]) for i in range(count)]


def test_joined_tars_give_two_samples_of_a_key() -> None:
    assert offsets("0.jpg", "0.txt", "1.jpg", "1.txt", "0.jpg", "0.txt") == (
        [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}, {"jpg": 4, "txt": 5}],
        0,
    )
    assert offsets("0.jpg", "1.jpg", "0.txt", "1.txt", "0.jpg", "1.jpg", "0.txt", "1.txt") == (
        [{"jpg": 0, "txt": 2}, {"jpg": 1, "txt": 3}, {"jpg": 4, "txt": 6}, {"jpg": 5, "txt": 7}],
        0,
    )


@pytest.mark.parametrize(
    ("names", "samples"),
    [
        (
            ("0.jpg", "1.jpg", "0.jpg", "0.txt", "1.txt", "0.txt"),
            [{"jpg": 0, "txt": 3}, {"jpg": 1, "txt": 4}, {"jpg": 2, "txt": 5}],
        ),
        (("0.jpg", "0.jpg", "0.txt", "0.txt"), [{"jpg": 0, "txt": 2}, {"jpg": 1, "txt": 3}]),
        (("0.txt", "0.jpg", "0.jpg", "0.txt"), [{"txt": 0, "jpg": 1}, {"jpg": 2, "txt": 3}]),
    ],
)
def test_neighbours_by_accident_are_no_sample(names: tuple[str, ...], samples: list[dict[str, int]]) -> None:
    assert offsets(*names) == (samples, 0)


@pytest.mark.parametrize(
    ("names", "samples", "unused"),
    [
        (("0.jpg", "0.txt", "0.txt"), [], 3),
        (("1.jpg", "0.jpg", "0.txt", "1.txt", "0.txt"), [{"jpg": 0, "txt": 3}], 3),
        (("0.jpg", "0.txt", "1.jpg", "1.txt", "0.txt"), [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}], 1),
        (("0.jpg", "0.txt", "1.jpg", "1.txt", "0.jpg"), [{"jpg": 0, "txt": 1}, {"jpg": 2, "txt": 3}], 1),
        (("0.jpg", "1.jpg", "0.jpg", "1.txt", "0.txt"), [{"jpg": 1, "txt": 3}], 3),
        (("0.jpg", "1.jpg", "0.jpg"), [{"jpg": 0}, {"jpg": 1}, {"jpg": 2}], 0),
    ],
)
def test_members_that_no_sample_can_be_told_for_are_not_used(
    names: tuple[str, ...], samples: list[dict[str, int]], unused: int
) -> None:
    assert offsets(*names) == (samples, unused)
