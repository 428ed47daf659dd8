"""The test sets: clean, distinct, and apart from training."""

import pytest

from openalign.demo.artwork import KINDS, LANGUAGES
from openalign.demo.held_out import composed_queries, heldout, unseen
from openalign.demo.scenes import kept_out, training_scene

TESTS = heldout(0, 1000)


def test_held_out_scenes_differ_in_contents_and_captions() -> None:
    assert len(TESTS) == len({test.text for test in TESTS}) == 1000
    contents = {(test.scene.background, tuple(sorted(test.scene.kinds))) for test in TESTS}
    assert len(contents) == 1000


def test_one_object_scenes_cover_every_kind() -> None:
    alone = [test.scene.kinds[0] for test in TESTS if len(test.scene.kinds) == 1]
    assert len(alone) >= 400
    assert set(alone) == {kind.name for kind in KINDS}


def test_held_out_scenes_have_only_combinations_of_training() -> None:
    assert not {(kind, test.scene.background) for test in TESTS for kind in test.scene.kinds} & kept_out(0)


def test_every_unseen_scene_has_a_combination_that_is_not_in_training() -> None:
    tests = unseen(0, 500)
    assert len(tests) == 500
    for test in tests:
        assert {(kind, test.scene.background) for kind in test.scene.kinds} & kept_out(0)


@pytest.mark.slow
def test_test_scenes_are_not_scenes_of_the_web() -> None:
    sets = [TESTS, unseen(0, 500), *(heldout(0, 200, language) for language in LANGUAGES[1:])]
    numbers = [test.scene.number for tests in sets for test in tests]
    assert len(numbers) == len(set(numbers))
    assert min(numbers) > 1 << 39
    layouts = {training_scene(0, number).objects for number in range(3000)}
    assert not layouts & {test.scene.objects for test in TESTS}


def test_a_composed_query_keeps_the_objects_and_changes_the_background() -> None:
    shown = {f"heldout/{test.file}": test.scene for test in TESTS}
    queries = composed_queries(TESTS, 0, "heldout")
    assert len(queries) >= 300
    for query in queries:
        source = shown[str(query["image"])]
        assert query["minus"] == [source.background]
        assert query["plus"] != query["minus"]
        for target in query["targets"]:
            assert [shown[target].background] == query["plus"]
            assert sorted(shown[target].kinds) == sorted(source.kinds)
