"""Files are whole or absent, whatever happens while they are written."""

import os
import resource
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from cisflow.errors import CisflowError
from cisflow.io import atomic, check_md5, h5_reader, h5_writer, md5, sha256, write_tsv


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as first:
        first.write_text("first")
        with atomic(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nothing_is_written_through_a_link(tmp_path):
    """Neither where the file is to stand, nor where its temporary file could be expected."""
    (tmp_path / "precious").write_text("kept")
    path = tmp_path / "a.txt"
    for name in ("a.txt", ".a.txt.partial"):
        (tmp_path / name).symlink_to(tmp_path / "precious")
    with atomic(path) as partial:
        partial.write_text("new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert path.read_text() == "new"
    assert not path.is_symlink()


def test_a_file_has_the_permissions_of_a_new_file(tmp_path):
    with atomic(tmp_path / "a.txt") as partial:
        partial.write_text("x")
    (tmp_path / "b.txt").write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode


def test_names_may_be_as_long_as_file_systems_allow(tmp_path):
    path = tmp_path / ("n" * 255)
    with atomic(path) as partial:
        partial.write_text("x")
    assert path.read_text() == "x"


def limited(code: str, folder, size: int) -> subprocess.CompletedProcess:
    """Run code in a process that may not write files of more than `size` bytes."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    program = "from cisflow.script import run\nfrom cisflow.io import *\n" + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, preexec_fn=limit, check=False
    )


WRITERS = {
    "TSV by polars": """
        import polars
        from cisflow.tables import write_table
        def main():
            write_table("out/a.tsv", polars.DataFrame({"x": range(200_000)}))
        run(main)
    """,
    "Parquet": """
        import numpy, polars
        def main():
            with atomic("out/a.parquet") as partial:
                polars.DataFrame({"x": numpy.random.default_rng(0).random(200_000)}).write_parquet(partial)
        run(main)
    """,
    "HDF5 that is let go": """
        import numpy
        def write(h5, name):
            h5.create_dataset(name, data=numpy.random.default_rng(0).random(9000), chunks=(1000,), compression=1)
        def main():
            with atomic("out/b.tsv"), h5_writer("out/a.h5", "dataset/1") as h5:
                for name in "abcdefghij":
                    write(h5, name)
        run(main)
    """,
    "HDF5 in chunks": """
        import numpy
        def main():
            with h5_writer("out/a.h5", "dataset/1") as h5:
                x = numpy.random.default_rng(0).random(200_000)
                h5.create_dataset("x", data=x, chunks=(1000,), compression=1, fletcher32=True)
        run(main)
    """,
    "text": """
        def main():
            with atomic("out/a.txt") as partial:
                partial.write_text("x" * 1_000_000)
        run(main)
    """,
    "HDF5": """
        import numpy
        def main():
            with h5_writer("out/a.h5", "dataset/1") as h5:
                h5["x"] = numpy.random.default_rng(0).random(200_000)
        run(main)
    """,
    "table": """
        def main():
            write_tsv("out/a.tsv", ["x"], ({"x": number} for number in range(200_000)))
        run(main)
    """,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_said_and_nothing_partial_is_left(tmp_path, kind):
    done = limited(WRITERS[kind], tmp_path, 100_000)
    assert done.returncode == 1
    assert "no space left to write it" in done.stderr
    assert "Nothing partial was left" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    # When h5py lets go of chunks that it could not write, it tells each of them before that.
    assert kind in ("HDF5 in chunks", "HDF5 that is let go") or "Traceback" not in done.stderr
    assert os.listdir(tmp_path / "out") == []


def test_a_really_full_disk(tmp_path):
    """On a file system of one megabyte, where one can be mounted."""
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        with (
            pytest.raises(CisflowError, match="a.h5: no space left to write it"),
            h5_writer(tmp_path / "a.h5", "x") as h5,
        ):
            h5["x"] = np.random.default_rng(0).random(400_000)
        with (
            pytest.raises(CisflowError, match="a.txt: no space left to write it"),
            atomic(tmp_path / "a.txt") as partial,
        ):
            partial.write_bytes(os.urandom(3_000_000))
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_tables_are_tidy_and_exact(tmp_path):
    write_tsv(tmp_path / "t.tsv", ("a", "b"), [{"a": 0.1 + 0.2, "b": None}, {"a": 1, "b": "x"}])
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n0.30000000000000004\t\n1\tx\n"
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_tsv(tmp_path / "t.tsv", ("a",), [{"c": 1}])


def test_hdf5_says_what_it_is_and_is_checked(tmp_path):
    with h5_writer(tmp_path / "a.h5", "dataset/1", {"motifs.jaspar": "0" * 64}) as h5:
        h5["x"] = [1, 2]
    with h5_reader(tmp_path / "a.h5", "dataset/1") as h5:
        assert h5["x"][:].tolist() == [1, 2]
        assert "motifs.jaspar" in h5.attrs["inputs"]
    with (
        pytest.raises(CisflowError, match="its schema is 'dataset/1', and 'tracks/1' is needed"),
        h5_reader(tmp_path / "a.h5", "tracks/1"),
    ):
        pass
    with (
        pytest.raises(CisflowError, match="The rule 'make_dataset' makes it"),
        h5_reader(tmp_path / "none.h5", "dataset/1"),
    ):
        pass


def test_the_same_content_is_the_same_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        with h5_writer(tmp_path / name, "x") as h5:
            h5["x"] = [1, 2, 3]
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")
    assert h5py.File(tmp_path / "a.h5").attrs["created_by"].startswith("cisflow ")


def test_checksums_are_the_standard_ones(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert md5(tmp_path / "a") == "900150983cd24fb0d6963f7d28e17f72"


def test_bytes_that_are_not_the_pinned_ones_are_refused(tmp_path):
    path = tmp_path / "a.bed.gz"
    path.write_bytes(b"one")
    check_md5({str(path): md5(path)})
    with pytest.raises(CisflowError, match="a.bed.gz: its md5 is f97c.*, and 0+ is pinned. Delete the file, and it is"):
        check_md5({str(path): "0" * 32})
