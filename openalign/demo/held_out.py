"""Clean test sets for the miniature web: their scenes, and composed queries over them."""

from dataclasses import dataclass
from functools import cache

from openalign.demo.artwork import KINDS, LANGUAGES
from openalign.demo.backgrounds import BACKGROUNDS
from openalign.demo.captions import full_caption
from openalign.demo.scenes import (
    TEST_NUMBERS,
    Content,
    Scene,
    Stream,
    arranged,
    drawn_kinds,
    kept_out,
    random_of,
)

HELDOUT_ALONE = 0.47
"""Share of the held-out scenes with one object; each of these is the only one of its kind and background."""

UNSEEN_SHARE, UNSEEN_ALONE = 0.5, 0.672
"""Scenes of combinations kept out of training, as a share of the held-out ones, and how many have one object."""

OTHER_LANGUAGE_SHARE = 0.2
"""Scenes of the test set of each other language, as a share of the English one."""


_NUMBERS_A_SET = 1_000_000


@dataclass(frozen=True)
class TestScene:
    """One row of a test set."""

    __test__ = False  # pytest must not collect it

    file: str
    text: str
    language: str
    scene: Scene

    def row(self) -> dict[str, str]:
        """The row of `pairs.csv`; `objects` has a name for each object, joined by "|"."""
        objects = "|".join(self.scene.kinds)
        background = self.scene.background
        return {
            "file": self.file,
            "text": self.text,
            "objects": objects,
            "background": background,
            "language": self.language,
        }


@cache
def heldout(seed: int, count: int, language: str = "en") -> tuple[TestScene, ...]:
    """`count` scenes with different contents, hence different captions."""
    number = TEST_NUMBERS + (1 + LANGUAGES.index(language)) * _NUMBERS_A_SET
    rng = random_of(seed, Stream.HELDOUT, number)
    trained = [(kind.name, background) for kind in KINDS for background in BACKGROUNDS]
    trained = [pair for pair in trained if pair not in kept_out(seed)]
    contents: dict[Content, None] = {}
    for index in rng.permutation(len(trained))[: round(HELDOUT_ALONE * count)]:
        kind, background = trained[index]
        contents[background, (kind,)] = None
    while len(contents) < count:
        background = str(rng.choice(BACKGROUNDS))
        allowed = [kind for kind, at in trained if at == background]
        contents[_unordered(background, drawn_kinds(rng, allowed, 2 if rng.random() < 0.65 else 3))] = None
    return _captioned(seed, number, list(contents), language)


@cache
def unseen(seed: int, count: int) -> tuple[TestScene, ...]:
    """`count` scenes with a combination of kind and background that no training scene has."""
    rng = random_of(seed, Stream.UNSEEN, TEST_NUMBERS)
    combinations = sorted(kept_out(seed))
    alone = [combinations[index % len(combinations)] for index in range(round(UNSEEN_ALONE * count))]
    paired: dict[Content, None] = {}
    while len(alone) + len(paired) < count:
        kind, background = combinations[int(rng.integers(len(combinations)))]
        other = str(rng.choice([each.name for each in KINDS if each.name != kind]))
        paired[_unordered(background, (kind, other))] = None
    contents: list[Content] = [(background, (kind,)) for kind, background in alone]
    return _captioned(seed, TEST_NUMBERS, contents + list(paired), "en")


def composed_queries(tests: tuple[TestScene, ...], seed: int, folder: str) -> list[dict[str, str | list[str]]]:
    """Queries image + text -> image: the same objects on another background, for each test scene with such a partner.

    Each has `image`, `plus` and `minus` (names of backgrounds) and `targets`, files of the test set in `folder`.
    """
    rng = random_of(seed, Stream.HELDOUT, 1)
    files: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for test in tests:
        files.setdefault(tuple(sorted(test.scene.kinds)), {}).setdefault(test.scene.background, []).append(
            f"{folder}/{test.file}"
        )
    queries: list[dict[str, str | list[str]]] = []
    for test in tests:
        found = files[tuple(sorted(test.scene.kinds))]
        others = [background for background in found if background != test.scene.background]
        if others:
            plus = others[int(rng.integers(len(others)))]
            queries.append(
                {
                    "image": f"{folder}/{test.file}",
                    "plus": [plus],
                    "minus": [test.scene.background],
                    "targets": found[plus],
                }
            )
    return queries


def _unordered(background: str, kinds: tuple[str, ...]) -> Content:
    return background, tuple(sorted(kinds))


def _captioned(seed: int, number: int, contents: list[Content], language: str) -> tuple[TestScene, ...]:
    """Arrange the contents as scenes numbered from `number` on, each with a caption that is unique in the set."""
    captions: set[str] = set()
    tests = []
    for index, (background, kinds) in enumerate(contents):
        rng = random_of(seed, Stream.TEXT, number + index)
        scene = arranged(seed, number + index, (background, tuple(rng.permutation(kinds).tolist())))
        text = full_caption(scene, rng, language)
        for _ in range(20):
            if text not in captions:
                break
            text = full_caption(scene, rng, language)
        captions.add(text)
        tests.append(TestScene(f"images/{index:05}.jpg", text, language, scene))
    return tuple(tests)
