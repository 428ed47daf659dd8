"""Two runs of one command into one folder: one of them writes it, the other one is told so."""

import pytest

from tests.torture.commands import Commands
from tests.torture.results import RESULTS


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory):
    with Commands(tmp_path_factory.mktemp("neighbour")) as started:
        yield started


@pytest.mark.parametrize("name", RESULTS)
def test_two_at_once(commands, neighbour, material, tmp_path, chance, rounds, name):
    arguments, result = getattr(material, name), RESULTS[name]
    seconds = commands.run(*arguments, tmp_path / "alone").check().seconds
    expected = result(tmp_path / "alone")
    refused = 0
    for number in range(max(rounds // 3, 2)):
        folder = tmp_path / str(number)
        commands.start(*arguments, folder)
        # The neighbour comes at any moment, by way of a command that is killed before it has done anything.
        neighbour.run("--version", kill_after=chance.uniform(0, 0.7 * seconds))
        late = neighbour.run(*arguments, folder).check((0, 1))
        early = commands.finish().check((0, 1))
        assert 0 in (early.status, late.status), (early.output, late.output)
        for ended in (early, late):
            if ended.status == 1:
                assert "is being written by another run" in ended.output
                refused += 1
        assert result(folder) == expected
    print(f"{refused} of {max(rounds // 3, 2)} second runs were refused, the others came when the first had ended")
