"""True captions of a scene, in English and four other languages."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from openalign.demo.artwork import KIND, name_in
from openalign.demo.scenes import Placed, Scene

PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "sky": {
        "en": ("in the sky", "against a blue sky", "among the clouds", "up in the sky"),
        "de": ("am Himmel", "vor blauem Himmel"),
        "fr": ("dans le ciel", "sur fond de ciel bleu"),
        "es": ("en el cielo", "entre las nubes del cielo"),
        "pt": ("no céu", "entre as nuvens do céu"),
    },
    "grass": {
        "en": ("on the grass", "in the grass", "on a green meadow", "on green grass"),
        "de": ("auf Gras", "auf der grünen Wiese"),
        "fr": ("sur l'herbe", "sur l'herbe verte"),
        "es": ("sobre la hierba", "en la hierba verde"),
        "pt": ("na grama", "sobre a grama verde"),
    },
    "sand": {
        "en": ("on the sand", "in the sand", "on a sandy beach", "on golden sand"),
        "de": ("auf Sand", "im Sand"),
        "fr": ("sur le sable", "sur du sable doré"),
        "es": ("sobre la arena", "en la arena"),
        "pt": ("na areia", "sobre a areia"),
    },
    "night": {
        "en": ("at night", "in the night", "on a starry night", "at night under the stars"),
        "de": ("bei Nacht", "in der Nacht unter Sternen"),
        "fr": ("la nuit", "dans la nuit étoilée"),
        "es": ("de noche", "en la noche estrellada"),
        "pt": ("à noite", "na noite estrelada"),
    },
    "brick": {
        "en": ("in front of a brick wall", "against a brick wall", "on a brick wall", "by a red brick wall"),
        "de": ("vor einer Ziegelmauer", "an der Ziegelmauer"),
        "fr": ("devant un mur de briques", "contre un mur de briques rouges"),
        "es": ("ante un muro de ladrillo", "contra el muro de ladrillo rojo"),
        "pt": ("diante de um muro de tijolos", "contra o muro de tijolos"),
    },
    "snow": {
        "en": ("in the snow", "on the snow", "in falling snow", "on white snow"),
        "de": ("auf Schnee", "im Schnee"),
        "fr": ("sur la neige", "dans la neige"),
        "es": ("sobre la nieve", "en la nieve"),
        "pt": ("na neve", "sobre a neve"),
    },
    "water": {
        "en": ("in the water", "on the water", "in blue water", "in the water among waves"),
        "de": ("im Wasser", "auf dem Wasser"),
        "fr": ("dans l'eau", "sur l'eau"),
        "es": ("en el agua", "sobre el agua"),
        "pt": ("na água", "sobre a água"),
    },
    "paper": {
        "en": ("on paper", "on a sheet of paper", "on a paper page", "drawn on paper"),
        "de": ("auf Papier", "auf einem Blatt Papier"),
        "fr": ("sur papier", "sur une feuille de papier"),
        "es": ("sobre papel", "en una hoja de papel"),
        "pt": ("no papel", "em uma folha de papel"),
    },
    "wood": {
        "en": ("on wood", "on a wooden floor", "on wooden planks", "on a table of wood"),
        "de": ("auf Holz", "auf einem Holzboden"),
        "fr": ("sur du bois", "sur un plancher en bois"),
        "es": ("sobre madera", "en un suelo de madera"),
        "pt": ("sobre madeira", "no chão de madeira"),
    },
    "leaves": {
        "en": ("on autumn leaves", "in the leaves", "among fallen leaves", "on brown leaves"),
        "de": ("im Laub", "auf Herbstlaub"),
        "fr": ("sur des feuilles mortes", "dans les feuilles d'automne"),
        "es": ("sobre hojas de otoño", "entre las hojas secas"),
        "pt": ("sobre folhas de outono", "entre as folhas secas"),
    },
}
"""Phrases for each background; the first English one is the plainest."""

_OPENINGS = {
    "en": ("", "", "", "photo of ", "a photo of ", "picture of ", "a picture of ", "image of ", "here is ", "we saw "),
    "de": ("", "Foto: ", "Bild: ", "Unser Foto: ", "Gesehen: "),
    "fr": ("", "Photo : ", "Image : ", "Notre photo : ", "Vu : "),
    "es": ("", "Foto: ", "Imagen: ", "Nuestra foto: ", "Visto: "),
    "pt": ("", "Foto: ", "Imagem: ", "Nossa foto: ", "Visto: "),
}
_AND = {"en": "and", "de": "und", "fr": "et", "es": "y", "pt": "e"}
_ENDINGS = (
    "from our album",
    "this morning",
    "(part 2)",
    "for Anna's calendar",
    "- a card for friends & family",
    'from the series "little things"',
    "on Sunday",
    "as seen today",
)
_BIG, _SMALL = ("big", "large", "huge"), ("small", "little", "tiny")
_NUMBERS = ("no", "one", "two", "three")
_OMITTED = 0.12  # share of the web's captions without the background
_ENDED = 0.15  # share of them that end with something the picture does not show
_LONGEST_ENDED = 13  # words; _ENDINGS add at most seven

BIG_SHARE, SMALL_SHARE = 0.68, 0.55
"""Ratio of a lone object's longest side to the picture's shorter side, from which it is called big or small."""


def caption(scene: Scene, rng: np.random.Generator, language: str = "en") -> str:
    """One of the captions that a page may have for a scene: 3 to 20 words, true, sometimes without the background."""
    place = "" if rng.random() < _OMITTED else _place(scene, rng, language)
    opening = _one_of(rng, _OPENINGS[language])
    if language != "en":
        return " ".join(f"{opening}{_noun_list(scene, language)} {place or _place(scene, rng, language)}".split())
    subject = _subject(scene, rng)
    if not place and not opening and len(subject.split()) < 3:
        opening = "a photo of "
    if place and not opening and rng.random() < 0.1:
        return f"{place}: {subject}"
    caption = " ".join(f"{opening}{subject} {place}".split())
    if rng.random() < _ENDED and len(caption.split()) <= _LONGEST_ENDED:
        return f"{caption} {_one_of(rng, _ENDINGS)}"
    return caption


def full_caption(scene: Scene, rng: np.random.Generator, language: str = "en") -> str:
    """A caption that names every object and the background; in English also sizes, positions and counts."""
    if language != "en":
        return f"{_noun_list(scene, language)} {_place(scene, rng, language)}"
    return f"{_subject(scene, rng, full=True)} {_place(scene, rng, language)}"


def _subject(scene: Scene, rng: np.random.Generator, full: bool = False) -> str:
    """The objects of a scene in English, with their relation in half of the cases; always if `full`."""
    detailed = full or rng.random() < 0.5
    if len(scene.objects) == 1:
        return _alone(scene, rng, detailed)
    counts = Counter(scene.kinds)
    if len(counts) == 1:
        return _several(scene, rng, detailed)
    if len(counts) == 2 and len(scene.objects) == 3:
        return _and([_counted(kind, count) for kind, count in counts.items()])
    named = [article(kind) for kind in scene.kinds]
    if detailed and len(named) == 2:
        return _related(scene.arrangement, rng, *named)
    if detailed and scene.arrangement == "row":
        return f"{_and(named)} in a row"
    if len(named) == 2 and rng.random() < 0.3:
        return f"{named[0]} {_one_of(rng, ('next to', 'beside', 'with'))} {named[1]}"
    return _and([named[index] for index in rng.permutation(len(named))])


def _alone(scene: Scene, rng: np.random.Generator, detailed: bool) -> str:
    placed = scene.objects[0]
    share = placed.size / scene.shorter
    adjectives = _BIG if share >= BIG_SHARE else _SMALL if share <= SMALL_SHARE else ()
    subject = article(placed.kind, _one_of(rng, adjectives) if detailed and adjectives else "")
    side = _side(scene, placed)
    return f"{subject} {side}" if detailed and side and rng.random() < 0.6 else subject


def _side(scene: Scene, placed: Placed) -> str:
    """The position of a lone object in the picture, if it is clearly off the middle."""
    across, down = placed.x / scene.width - 0.5, placed.y / scene.height - 0.5
    if max(abs(across), abs(down)) < 0.12:
        return ""
    if abs(across) >= abs(down):
        return "on the left" if across < 0 else "on the right"
    return "at the top" if down < 0 else "at the bottom"


def _several(scene: Scene, rng: np.random.Generator, detailed: bool) -> str:
    kind, count = scene.kinds[0], len(scene.objects)
    if detailed and scene.arrangement == "row":
        return f"{_counted(kind, count)} {_one_of(rng, ('side by side', 'in a row'))}"
    if detailed and scene.arrangement == "column":
        return f"{_counted(kind, count)}, one above the other"
    if count == 2 and rng.random() < 0.25:
        return f"a pair of {KIND[kind].plural}"
    return _counted(kind, count)


def _related(arrangement: str, rng: np.random.Generator, first: str, second: str) -> str:
    """Two different objects: `first` is the left one of a row, the upper one of a column."""
    if arrangement == "row":
        ways = (
            f"{first} to the left of {second}",
            f"{second} to the right of {first}",
            f"{first} on the left and {second} on the right",
        )
    else:
        ways = (f"{first} above {second}", f"{second} below {first}", f"{first} over {second}")
    return _one_of(rng, ways)


def _place(scene: Scene, rng: np.random.Generator, language: str) -> str:
    """A phrase for the background; in English often the plainest one."""
    places = PLACES[scene.background][language]
    return places[0] if language == "en" and rng.random() < 0.4 else _one_of(rng, places)


def _noun_list(scene: Scene, language: str) -> str:
    """Nouns without articles, which would need genders: "Hund und Katze", "2 x Hund"."""
    counts = Counter(scene.kinds)
    nouns = [(f"{count} x " if count > 1 else "") + name_in(language, kind) for kind, count in counts.items()]
    return _and(nouns, _AND[language])


def article(kind: str, adjective: str = "") -> str:
    """ "a dog", "an apple", "a tiny apple"."""
    words = f"{adjective} {kind}".strip()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _counted(kind: str, count: int) -> str:
    return article(kind) if count == 1 else f"{_NUMBERS[count]} {KIND[kind].plural}"


def _and(parts: Sequence[str], word: str = "and") -> str:
    *others, last = parts
    return f"{', '.join(others)} {word} {last}" if others else last


def _one_of(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
