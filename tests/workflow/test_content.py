"""Whether a data set is made again is decided by what is in a user's files, not by their times."""

import os
import shutil

import pytest

from tests.workflow.conftest import copy_of_repository, succeed, write_user_data

TASKS = """
  arrays:
    dataset:
      kind: hdf5
      file: data/mine.h5
      keys: {x: "{split}/sequences", y: "{split}/bound"}
    model: null

  peaks:
    dataset:
      kind: windows
      genome: data/g.fa
      length: 30
      sets: [{bed: data/a.bed, target: 1}]
      split: {valid: [two], test: [three]}
    model: null
"""
# Snakemake itself compares checksums of files below this size; here none are.
LOCAL = ("--profile", "profiles/local", "--cores", "2", "--max-checksum-file-size", "0")
TARGETS = [f"results/tasks/{task}/dataset.h5" for task in ("arrays", "peaks")]
FILES = {
    "data/mine.h5": {"make_dataset"},
    "data/a.bed": {"make_dataset"},
    "data/g.fa": {"index_genome", "make_dataset"},
}


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    clone = copy_of_repository(root, tmp_path_factory.mktemp("content") / "clone")
    write_user_data(clone / "data/mine.h5")
    (clone / "data/g.fa").write_text("".join(f">{name}\n{'ACGGT' * 20}\n" for name in ("one", "two", "three")))
    (clone / "data/a.bed").write_text("".join(f"{name}\t40\t50\n" for name in ("one", "two", "three")))
    with (clone / "config/tasks.yaml").open("a") as tasks:
        tasks.write(TASKS)
    succeed(clone, *LOCAL, *TARGETS)
    return clone


def planned(clone) -> set[str]:
    lines = succeed(clone, *LOCAL, "-n", *TARGETS).splitlines()
    return {line.split()[1].rstrip(":") for line in lines if line.startswith("rule ")}


@pytest.mark.parametrize("file", FILES)
def test_a_touch_and_a_copy_make_nothing_again(made, file):
    path = made / file
    os.utime(path)
    assert planned(made) == set()
    shutil.copy(path, made / "copy")
    (made / "copy").replace(path)
    assert planned(made) == set()


@pytest.mark.parametrize("file", FILES)
def test_an_older_file_of_other_content_makes_all_of_it_again(made, file):
    path = made / file
    before, stat = path.read_bytes(), path.stat()
    content = bytearray(before)
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(0, 10**9))
    assert planned(made) == FILES[file]
    path.write_bytes(before)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert planned(made) == set()
