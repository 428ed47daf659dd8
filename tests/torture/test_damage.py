"""A byte changed or a file cut anywhere in what was written: refused in a sentence, mended, or without effect."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.torture.commands import Commands
from tests.torture.results import RESULTS

Verdict = Callable[[Path], str]
"""Uses a damaged folder and says what came of it: `refused`, `mended` or `without effect`."""


def damage(path: Path, chance: random.Random) -> str:
    """Change one byte, or cut the file or lengthen it; returns what was done."""
    whole = path.read_bytes()
    offset = chance.randrange(len(whole))
    kind = chance.choices(["changed", "cut", "lengthened"], [8, 3, 1])[0]
    path.unlink()  # it may be a hard link
    if kind == "changed":
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ chance.randrange(1, 256)]) + whole[offset + 1 :])
    elif kind == "cut":
        path.write_bytes(whole[:offset])
    else:
        path.write_bytes(whole + b"\0" * chance.randrange(1, 4096))
    return f"{path.name} {kind} at byte {offset} of {len(whole)}"


def damage_again_and_again(original: Path, work: Path, chance: random.Random, rounds: int, verdict: Verdict) -> None:
    """Copy a folder, damage one of its files, and see what comes of it, `rounds` times."""
    verdicts: Counter[str] = Counter()
    files = sorted(path.relative_to(original) for path in original.rglob("*") if path.is_file() and path.stat().st_size)
    for _ in range(rounds):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        copy = work / original.name
        shutil.copytree(original, copy)
        file = chance.choice(files)
        done = damage(copy / file, chance)
        try:
            verdicts[verdict(copy)] += 1
        except AssertionError as error:
            raise AssertionError(f"{file.parent / done}: {error}") from None
    shutil.rmtree(work, ignore_errors=True)
    print(f"{rounds} damages: {dict(verdicts)}")


def used(commands: Commands, checker: str, expected: object) -> Verdict:
    """The verdict of one of the checkers."""

    def verdict(path: Path) -> str:
        ended = commands.call(f"checkers:{checker}", str(path)).check()
        if ended.result["answer"] == expected:
            return "without effect"
        assert ended.result["told"], f"{path} gives another answer in silence"
        return "refused"

    return verdict


def answer(commands: Commands, checker: str, path: Path) -> object:
    found = commands.call(f"checkers:{checker}", str(path)).check().result
    assert found["answer"] is not None, found["told"]
    return found["answer"]


def test_the_pairs_of_a_curated_folder(commands, material, tmp_path, chance, rounds):
    commands.run(*material.curate, tmp_path / "out").check()
    verdict = used(commands, "pairs", answer(commands, "pairs", tmp_path / "out"))
    damage_again_and_again(tmp_path / "out", tmp_path / "damaged", chance, 3 * rounds, verdict)


@pytest.mark.parametrize("name", ["curate", "make_index"])
def test_an_output_that_is_made_again(commands, material, tmp_path, chance, rounds, name):
    arguments = getattr(material, name)
    commands.run(*arguments, tmp_path / "out").check()
    expected = RESULTS[name](tmp_path / "out")

    def verdict(folder: Path) -> str:
        ended = commands.run(*arguments, folder).check((0, 1))
        if ended.status == 1:
            return "refused"
        if name == "make_index" and "refused" in RESULTS[name](folder):  # what is not read again is not mended
            commands.run(*arguments, folder, "--re-embed").check()
        assert RESULTS[name](folder) == expected
        return "mended"

    damage_again_and_again(tmp_path / "out", tmp_path / "damaged", chance, rounds, verdict)


@pytest.mark.parametrize("name", ["curate", "make_index", "add_to_index", "train"])
def test_what_a_killed_run_left(commands, material, tmp_path, chance, rounds, name):
    arguments, result = getattr(material, name), RESULTS[name]
    seconds = commands.run(*arguments, tmp_path / "alone").check().seconds
    expected = result(tmp_path / "alone")
    left = kill_midway(commands, arguments, seconds, tmp_path / "killed")

    def verdict(folder: Path) -> str:
        ended = commands.run(*arguments, folder / "out").check((0, 1))
        if ended.status == 1:
            return "refused"
        found = result(folder / "out")
        assert found == expected or "refused" in found
        return "refused" if found != expected else "mended or without effect"

    damage_again_and_again(left, tmp_path / "damaged", chance, rounds, verdict)


def test_an_index_that_is_searched(commands, material, tmp_path, chance, rounds):
    verdict = used(commands, "search", answer(commands, "search", material.index))
    damage_again_and_again(material.index, tmp_path / "damaged", chance, 3 * rounds, verdict)


def test_a_model_folder(commands, material, tmp_path, chance, rounds):
    verdict = used(commands, "model", answer(commands, "model", material.model))
    damage_again_and_again(material.model, tmp_path / "damaged", chance, 2 * rounds, verdict)


def test_an_export(commands, material, tmp_path, chance, rounds):
    shutil.copytree(material.model, tmp_path / "model")
    commands.run("export", tmp_path / "model", "--to", tmp_path / "model" / "onnx").check()
    verdict = used(commands, "export", answer(commands, "export", tmp_path / "model"))
    damage_again_and_again(tmp_path / "model", tmp_path / "damaged", chance, 2 * rounds, verdict)


def test_a_tokenizer(commands, material, tmp_path, chance, rounds):
    (tmp_path / "made").mkdir()
    for file in material.folder.glob("tokenizer.json*"):
        shutil.copy(file, tmp_path / "made")
    check = used(commands, "tokenizer", answer(commands, "tokenizer", tmp_path / "made" / "tokenizer.json"))
    damage_again_and_again(
        tmp_path / "made", tmp_path / "damaged", chance, rounds, lambda folder: check(folder / "tokenizer.json")
    )


def kill_midway(commands: Commands, arguments: list[object], seconds: float, folder: Path) -> Path:
    """What a command leaves in `folder` when it is killed, late enough to have left something that can be damaged."""
    for share in (0.8, 0.6, 0.9, 0.7, 0.5, 0.4, 0.3):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        ended = commands.run(*arguments, folder / "out", kill_after=share * seconds).check()
        if ended.killed and any(path.is_file() and path.stat().st_size > 200 for path in folder.rglob("*")):
            return folder
    raise AssertionError("the command was never killed midway")
