"""The named sizes, as the command prints them."""

import pytest
from rich.console import Console

from openalign.model.scales import IMAGE_TOWERS, TEXT_TOWERS, image_tower, scales_tables, text_tower


def test_both_families_fit_eighty_columns() -> None:
    console = Console(width=80, record=True)
    for table in scales_tables():
        console.print(table)
    shown = console.export_text()
    assert "…" not in shown
    for name in [*IMAGE_TOWERS, *TEXT_TOWERS]:
        assert name in shown


@pytest.mark.parametrize(("name", "width", "layers"), [("mini", 256, 4), ("base", 768, 12), ("large", 1024, 24)])
def test_text_towers_are_the_published_ones(name: str, width: int, layers: int) -> None:
    tower = text_tower(name)
    assert (tower.width, tower.layers, tower.inner_width, tower.width // tower.heads) == (width, layers, 4 * width, 64)


def test_compound_scaling_of_l2() -> None:
    tower = image_tower("l2")
    assert (tower.width_multiplier, tower.depth_multiplier, tower.width) == (4.3, 5.3, 1376)
