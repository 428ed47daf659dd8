"""A command killed at random moments and started again ends with the bytes of a run left alone."""

import shutil
from pathlib import Path

import pytest

from tests.torture.results import RESULTS, finished_work


@pytest.mark.parametrize("name", RESULTS)
def test_kills(commands, material, tmp_path, chance, rounds, name):
    arguments, result = getattr(material, name), RESULTS[name]
    began_with = material.index if name == "add_to_index" else None
    alone, folder = tmp_path / "alone", tmp_path / "out"
    start_over(alone, began_with)
    seconds = commands.run(*arguments, alone).check().seconds
    expected = result(alone)

    kills = ends = kept = 0
    start_over(folder, began_with)
    before: dict[str, int] = {}
    while kills < rounds or ends == 0:
        moment = chance.uniform(0, 1.1 * seconds) if kills < rounds else None
        ended = commands.run(*arguments, folder, kill_after=moment, kill=chance.choice(["all", "driver"])).check()
        if ended.killed and not (folder.exists() and result_or_nothing(folder, result) == expected):
            kills += 1
            now = finished_work(folder)
            remade = [name for name, inode in before.items() if now.get(name, inode) != inode]
            assert not remade, f"finished work was done again: {remade}"
            kept += len(before)
            before = now
            continue
        kills += ended.killed
        assert result(folder) == expected
        ends += 1
        before = {}
        start_over(folder, began_with)
    print(f"{name}: {kills} kills, {ends} ends with the same bytes, {kept} finished files kept; alone {seconds:.2f} s")


def result_or_nothing(folder: Path, result) -> dict[str, str]:
    try:
        return result(folder)
    except ValueError:  # no checkpoint yet
        return {}


def start_over(folder: Path, began_with: Path | None) -> None:
    """Remove a folder and all that killed runs left beside it; put there what the command begins with."""
    for leftover in [folder, *folder.parent.glob(f".{folder.name}.*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
    if began_with is not None:
        shutil.copytree(began_with, folder)
