"""Clean test sets beside the miniature web: which scenes they show, and the composed queries over them."""

from dataclasses import dataclass
from functools import cache

from openalign.demo.artwork import KINDS
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

HELDOUT, HELDOUT_ALONE = 1_000, 470
"""Scenes of the English test set, and how many of them show one object."""

UNSEEN, UNSEEN_ALONE_EACH = 500, 6
"""Scenes of combinations kept out of training, and how many show each such combination alone."""

OTHER_LANGUAGES = 200
"""Scenes of the test set of each other language."""


@dataclass(frozen=True)
class TestScene:
    """One row of a test set."""

    __test__ = False  # no test of pytest's

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
def heldout(seed: int, language: str = "en") -> tuple[TestScene, ...]:
    """Scenes that differ in what they show, every kind among them; in English with distinct captions."""
    number = TEST_NUMBERS + 1_000_000 * (1 + ["en", "de", "fr", "es", "pt"].index(language))
    rng = random_of(seed, Stream.HELDOUT, number)
    count = HELDOUT if language == "en" else OTHER_LANGUAGES
    seen = [(kind.name, background) for kind in KINDS for background in BACKGROUNDS]
    seen = [pair for pair in seen if pair not in kept_out(seed)]
    alone = rng.permutation(len(seen))[: HELDOUT_ALONE * count // HELDOUT]
    contents: dict[Content, None] = {(seen[place][1], (seen[place][0],)): None for place in alone}
    while len(contents) < count:
        background = str(rng.choice(BACKGROUNDS))
        allowed = [kind for kind, at in seen if at == background]
        contents[_unordered(background, drawn_kinds(rng, allowed, 2 if rng.random() < 0.65 else 3))] = None
    return _told(seed, number, list(contents), language)


@cache
def unseen(seed: int) -> tuple[TestScene, ...]:
    """Scenes with a combination of kind and background that no training scene shows, alone or beside another object."""
    number = TEST_NUMBERS
    rng = random_of(seed, Stream.UNSEEN, number)
    combinations = sorted(kept_out(seed))
    contents: list[Content] = [(background, (kind,)) for kind, background in combinations] * UNSEEN_ALONE_EACH
    paired: dict[Content, None] = {}
    while len(contents) + len(paired) < UNSEEN:
        kind, background = combinations[int(rng.integers(len(combinations)))]
        other = str(rng.choice([each.name for each in KINDS if each.name != kind]))
        paired[_unordered(background, (kind, other))] = None
    return _told(seed, number, contents + list(paired), "en")


def composed_queries(tests: tuple[TestScene, ...], seed: int, folder: str) -> list[dict[str, str | list[str]]]:
    """Image + text -> image: the same objects on another background, for each test scene that has such a partner.

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


def _told(seed: int, number: int, contents: list[Content], language: str) -> tuple[TestScene, ...]:
    """Lay out the contents as scenes from `number` on, and caption each as no other of the set."""
    captions: set[str] = set()
    tests = []
    for place, (background, kinds) in enumerate(contents):
        rng = random_of(seed, Stream.TEXT, number + place)
        scene = arranged(seed, number + place, (background, tuple(rng.permutation(kinds).tolist())))
        text = full_caption(scene, rng, language)
        for _ in range(20):
            if text not in captions:
                break
            text = full_caption(scene, rng, language)
        captions.add(text)
        tests.append(TestScene(f"images/{place:05}.jpg", text, language, scene))
    return tuple(tests)
