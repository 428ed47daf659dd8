"""The noise of the web's alt texts, at known rates: the contents of `alt` in place of a caption."""

from collections.abc import Mapping

import numpy as np

from openalign.demo.artwork import KIND, name_in
from openalign.demo.captions import caption
from openalign.demo.scenes import Scene, training_scene

TEXTS_OF_SCENES: Mapping[str, float] = {
    "clean": 0.917,
    "wrong_caption": 0.03,
    "file_name": 0.01,
    "boilerplate": 0.01,
    "dimensions": 0.004,
    "random_id": 0.004,
    "keyword_spam": 0.005,
    "too_short": 0.005,
    "too_long": 0.005,
    "no_alt": 0.005,
    "empty_alt": 0.005,
}
"""Shares of the kinds of text in the first <img> of a scene."""

TEXTS_OF_REPEATS: Mapping[str, float] = {
    "clean": 0.30,
    "wrong_caption": 0.05,
    "file_name": 0.14,
    "boilerplate": 0.16,
    "dimensions": 0.08,
    "random_id": 0.08,
    "keyword_spam": 0.05,
    "too_short": 0.05,
    "too_long": 0.03,
    "no_alt": 0.03,
    "empty_alt": 0.03,
}
"""The same for the <img> of other pages with the scene: thumbnails, teasers, previews."""

DESCRIBING = ("clean", "too_short", "too_long")
"""Kinds of text that are true of the image; the paper's rules drop two of them nevertheless."""

_BOILERPLATE = (
    "click to enlarge", "click here to view the full size image", "photo by admin", "product image preview",
    "share this picture with your friends", "image may be subject to copyright", "no description available",
    "picture uploaded by guest", "view larger image", "sponsored content", "thumbnail", "untitled image",
    "please enable cookies to see more", "photo of the day", "read the whole story",
)  # fmt: skip
_UNRELATED = (
    "terms and conditions apply to all orders", "our office is closed on public holidays",
    "free shipping this week only", "meet the team behind the scenes", "the quarterly report is now online",
    "how we make our products better", "subscribe to our weekly newsletter today",
    "opening hours and directions to the store",
)  # fmt: skip
_SALES = (
    "buy",
    "cheap",
    "best",
    "online",
    "sale",
    "2024",
    "free",
    "shop",
    "discount",
    "wallpaper",
    "download",
    "hd",
    "price",
)
_ASIDES = (
    "I took it with my old camera while we were waiting for the bus and thought you might like it",
    "More of these will follow as soon as I find the time to sort all the pictures of the last years",
    "Please write to us if you want to use it in your own work and tell your friends about this page",
)


def drawn(rates: Mapping[str, float], rng: np.random.Generator) -> str:
    """A random key of `rates`, drawn by its share."""
    return str(rng.choice(list(rates), p=list(rates.values())))


def text_of(kind: str, scene: Scene, rng: np.random.Generator, language: str) -> str | None:
    """The alt text of `scene` with noise of this kind; None for a tag without `alt`."""
    match kind:
        case "clean":
            return caption(scene, rng, language)
        case "no_alt":
            return None
        case "empty_alt":
            return ""
        case "wrong_caption":
            return _wrong(scene, rng, language)
        case "too_short":
            return name_in(language, scene.kinds[0])
        case "too_long":
            asides = [_ASIDES[index] for index in rng.permutation(len(_ASIDES))[: rng.integers(1, 4)]]
            return ". ".join([caption(scene, rng, language), *asides])
        case "keyword_spam":
            return _spam(scene, rng)
        case "boilerplate":
            return str(rng.choice(_BOILERPLATE))
        case "file_name":
            return file_name(rng)
        case "dimensions":
            return _dimensions(rng)
        case "random_id":
            return _random_id(rng)
        case _:
            raise ValueError(f"no such noise: {kind}")


def file_name(rng: np.random.Generator) -> str:
    number = int(rng.integers(10_000))
    forms = (
        f"IMG_{number:04}.JPG",
        f"DSC{number:05}.jpg",
        f"image{number}.png",
        f"P10{number:04}.JPG",
        f"foto-{number}.jpeg",
    )
    return forms[int(rng.integers(len(forms)))]


def _wrong(scene: Scene, rng: np.random.Generator, language: str) -> str:
    """The caption of another scene, or a sentence about something else."""
    if rng.random() < 0.2:
        return str(rng.choice(_UNRELATED))
    while True:
        other = training_scene(scene.seed, int(rng.integers(1 << 32)))
        if other.background != scene.background and not set(other.kinds) & set(scene.kinds):
            return caption(other, rng, language)


def _spam(scene: Scene, rng: np.random.Generator) -> str:
    """Search keywords; about 40 % of the texts have at most the paper's 20 words."""
    nouns = [word for kind in set(scene.kinds) for word in (kind, KIND[kind].plural)]
    count = int(rng.integers(6, 13) if rng.random() < 0.4 else rng.integers(21, 60))
    return " ".join(rng.choice([*sorted(nouns), *sorted(nouns), *_SALES], count))


def _dimensions(rng: np.random.Generator) -> str:
    width = int(rng.choice((640, 800, 1024, 1280, 1600, 1920)))
    height = int(width / rng.choice((4 / 3, 1.5, 16 / 9)))
    return str(rng.choice((f"{width}x{height}", f"{width}×{height}", f"{width} x {height}")))


def _random_id(rng: np.random.Generator) -> str:
    digits = rng.bytes(int(rng.integers(4, 17))).hex()
    return digits if rng.random() < 0.7 else f"{digits[:8]}-{digits[-4:]}"
