"""A disk that fills up at any moment: one sentence, what was there stays whole, and the same command goes on later."""

import shutil
import subprocess

import pytest

from tests.torture.results import RESULTS

DISK_BYTES = 64 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize("name", RESULTS)
def test_a_full_disk(commands, material, small_disk, tmp_path, chance, rounds, name):
    arguments, result = getattr(material, name), RESULTS[name]
    commands.run(*arguments, tmp_path / "alone").check()
    expected = result(tmp_path / "alone")
    needed = sum(path.stat().st_size for path in (tmp_path / "alone").rglob("*") if path.is_file())
    ends = []
    for number in range(max(rounds // 2, 2)):
        folder, filler = small_disk / "out", small_disk / "filler"
        if name == "add_to_index":
            shutil.copytree(material.index, folder)
        before = result(folder) if folder.exists() else None
        free = shutil.disk_usage(small_disk).free
        most = int(1.5 * needed) if number else needed  # at first there is too little room, whatever the chance
        filler.write_bytes(bytes(max(0, free - chance.randrange(most))))
        ended = commands.run(*arguments, folder).check((0, 1))
        ends.append(ended.status)
        if ended.status == 1 and before is not None:
            now = result(folder)  # an index may have more images already
            assert before.items() - now.items() <= {("finished", "True")} and before.keys() <= now.keys()
        filler.unlink()
        commands.run(*arguments, folder).check()
        assert result(folder) == expected
        for path in small_disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{ends.count(1)} of {len(ends)} runs met a full disk and ended with a sentence, then went on")
