"""Files are whole or absent, whatever happens while they are written."""

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from cisflow import cli
from cisflow.config.datasets import Hdf5
from cisflow.datasets.make import make_dataset
from cisflow.errors import CisflowError
from cisflow.io import (
    FAILING,
    atomic,
    check_md5,
    check_written,
    failing_message,
    h5_reader,
    h5_writer,
    md5,
    sha256,
    write_tsv,
)


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


@contextmanager
def read_only(folder):
    """A file system that can no longer be written, as after an error of its disk; where one can be mounted."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        (folder / "a.fa").write_text(">chr1\nACGT\n")
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("place", ["a.tsv", "new/a.tsv"])
def test_a_read_only_file_system_is_a_message(tmp_path, place):
    words = f"{place}: it cannot be written: the file system is read-only. Give another place"
    with read_only(tmp_path), pytest.raises(CisflowError, match=words):
        write_tsv(tmp_path / place, ["x"], [])


def test_a_program_on_a_read_only_file_system_ends_with_one_message(root, tmp_path):
    script = root / "workflow/scripts/tracks/index_genome.py"
    with read_only(tmp_path):
        done = subprocess.run(
            [sys.executable, script, "--fasta", tmp_path / "a.fa", "--out", tmp_path / "a.fa.gz"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}/a.fa.gz: it cannot be written: {FAILING[errno.EROFS]}.\n"


@pytest.mark.parametrize("number", FAILING)
def test_a_failing_file_system_is_a_message_and_leaves_nothing(tmp_path, number):
    """By the number of the error, which some libraries tell only inside their text."""
    errors = [OSError(number, os.strerror(number)), OSError(f"Can't write data (errno = {number}, ...)"),
              RuntimeError(f"cannot write (os error {number})")]  # fmt: skip
    for error in errors:
        with pytest.raises(CisflowError, match=r"a\.txt: .* written") as told, atomic(tmp_path / "a.txt"):
            raise error
        assert FAILING[number] in str(told.value)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_read_elsewhere_is_not_said_of_the_output(tmp_path):
    with pytest.raises(PermissionError), atomic(tmp_path / "out/a.txt"):
        raise PermissionError(errno.EACCES, "Permission denied", "/data/input.bed")
    error = PermissionError(errno.EACCES, "Permission denied", "/data/input.bed")
    assert failing_message(error) == f"/data/input.bed: {FAILING[errno.EACCES]} (Permission denied)."
    assert failing_message(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None


def test_an_input_that_cannot_be_read_ends_a_program_with_one_message(root, tmp_path):
    """The memory of a process is a file whose first byte is an input/output error."""
    code = """
        from pathlib import Path
        def main():
            with atomic("a.txt") as partial:
                partial.write_bytes(Path("/proc/self/mem").read_bytes())
        run(main)
    """
    done = limited(code, tmp_path, 100_000)
    assert done.returncode == 1
    what = "a file could not be read or written while this one was made"
    assert done.stderr == f"error: a.txt: {what}: {FAILING[errno.EIO]}.\n"
    assert os.listdir(tmp_path) == []


def test_the_command_line_says_so_too(tmp_path, monkeypatch, capsys):
    def fail():
        raise PermissionError(errno.EACCES, "Permission denied", "/data/[b]input.bed")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err.startswith("error: /data/[b]input.bed: permission is denied. Give another place")


def test_tables_are_tidy_and_exact(tmp_path):
    write_tsv(tmp_path / "t.tsv", ("a", "b"), [{"a": 0.1 + 0.2, "b": None}, {"a": 1, "b": "x"}])
    assert (tmp_path / "t.tsv").read_text() == "a\tb\n0.30000000000000004\t\n1\tx\n"
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_tsv(tmp_path / "t.tsv", ("a",), [{"c": 1}])


def writing(path, version):
    """Return a process that has an HDF5 file open for writing."""
    program = (
        f"import h5py, sys; h5 = h5py.File({str(path)!r}, 'a', libver={version!r}); print('open', flush=True); input()"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    return process


def test_an_hdf5_file_that_another_program_writes_is_no_other_file(tmp_path):
    path = tmp_path / "a.h5"
    for version, died in (("earliest", None), ("latest", "or the program that wrote it died. .* make the file again")):
        with h5py.File(path, "w", libver=version) as h5:
            h5["x"] = [1]
        with writing(path, version) as process:
            with (
                pytest.raises(CisflowError, match="a.h5: another program has it open for writing, and has locked it"),
                h5_reader(path),
            ):
                pass
            process.kill()
        if died:
            with pytest.raises(CisflowError, match=f"a.h5: the HDF5 file is open for writing, {died}"), h5_reader(path):
                pass
        else:
            with h5_reader(path) as h5:
                assert h5["x"][:].tolist() == [1]


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


def unwritten(folder, kind):
    """Write a file with an array `x` of which a part is not there, and return what is said of it."""
    rows = np.arange(1, 21)
    with h5py.File(folder / "a.h5", "w") as h5, h5py.File(folder / "b.h5", "w") as other:
        other["x"], other["z"] = rows[:10], rows[:4]
        if kind == "never written":
            h5.create_dataset("x", (20,), int)
            return "'/x' was never written. Was the program that wrote the file interrupted"
        if kind == "a chunk never written":
            h5.create_dataset("x", (20,), int, chunks=(5,))[:15] = rows[:15]
            return "'/x' has 3 of 4 chunks, and the others were never written"
        if kind == "rows added and not written":
            h5.create_dataset("x", (10,), int, maxshape=(None,), chunks=(4,), compression=1)[:] = rows[:10]
            h5["x"].resize((20,))
            return "'/x' has 3 of 5 chunks"
        if kind.startswith("external"):
            rows[: 10 if kind == "external, too short" else 20].tofile(folder / "x.bin")
            h5.create_dataset("x", (20,), int, external=[(str(folder / "x.bin"), 0, 160)])
            if kind == "external, missing":
                (folder / "x.bin").unlink()
            return "'/x' is in a file that is missing or too short: .*x.bin"
        if kind == "virtual, of numbered files":
            numbered(h5)
            return "'/x' is made of numbered files"
        first, second = VIRTUAL[kind]
        layout = h5py.VirtualLayout((20,), int)
        layout[:10] = h5py.VirtualSource(first, "x", (10,))
        if second:
            layout[10:] = h5py.VirtualSource(*second)
        h5.create_virtual_dataset("x", layout)
        if kind == "virtual, of one that was never written":
            other.create_dataset("y", (10,), int)
    return {
        "virtual, a file missing": "'/x' is made of files of which one is missing: .*c.h5. Make it again",
        "virtual, an array missing": "'/x' is made of 'y' of .*b.h5, which is missing or too small",
        "virtual, an array too small": "'/x' is made of 'z' of .*b.h5, which is missing or too small",
        "virtual, with a gap": "'/x' has parts that no file fills",
        "virtual, of one that was never written": "b.h5: '/y' was never written",
    }[kind]


def numbered(h5):
    """Make an array over f-0.h5, f-1.h5 and so on."""
    endless = h5py.h5s.UNLIMITED
    space, source = h5py.h5s.create_simple((20,), (endless,)), h5py.h5s.create_simple((10,))
    space.select_hyperslab((0,), (endless,), (10,), (10,))
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.VIRTUAL)
    settings.set_virtual(space, b"f-%b.h5", b"x", source)
    with h5py.File(Path(h5.filename).with_name("f-0.h5"), "w") as other:
        other["x"] = np.arange(10)
    h5py.h5d.create(h5.id, b"x", h5py.h5t.NATIVE_INT64, space, settings)


VIRTUAL = {
    "virtual, a file missing": ("b.h5", ("c.h5", "x", (10,))),
    "virtual, an array missing": ("b.h5", ("b.h5", "y", (10,))),
    "virtual, an array too small": ("b.h5", ("b.h5", "z", (10,))),
    "virtual, with a gap": ("b.h5", None),
    "virtual, of one that was never written": ("b.h5", ("b.h5", "y", (10,))),
}
KINDS = ("never written", "a chunk never written", "rows added and not written", "external, missing",
    "external, too short", "virtual, of numbered files", *VIRTUAL)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_fill_values_are_never_data(tmp_path, kind):
    message = unwritten(tmp_path, kind)
    with h5py.File(tmp_path / "a.h5") as h5, pytest.raises(CisflowError, match=message):
        check_written(h5["x"])
    # A file of ours is looked at as a whole, wherever the array is in it.
    with h5py.File(tmp_path / "a.h5", "a") as h5:
        h5.attrs["schema"] = "dataset/1"
        h5.move("x", "train/x")
    message = message.replace("'/x'", "'/train/x'")
    with pytest.raises(CisflowError, match=message), h5_reader(tmp_path / "a.h5", "dataset/1"):
        pass


def test_arrays_that_are_wholly_there_are_read(tmp_path):
    rows = np.arange(1, 21)
    rows.tofile(tmp_path / "x.bin")
    with h5py.File(tmp_path / "b.h5", "w") as h5:
        h5["part"] = rows.reshape(4, 5)
    with h5py.File(tmp_path / "a.h5", "w") as h5:
        h5.attrs["schema"] = "dataset/1"
        h5["contiguous"], h5["scalar"], h5["text"], h5["none"] = rows, 3.0, [b"a", b"b"], h5py.Empty("f4")
        h5.create_dataset("empty", (0, 5), int, maxshape=(None, 5))
        h5.create_dataset("chunks", data=rows, chunks=(7,), compression=1)
        h5.create_dataset("external", (20,), int, external=[(str(tmp_path / "x.bin"), 0, 160)])
        for name, file in (("virtual", "b.h5"), ("absolute", str(tmp_path / "b.h5"))):
            layout = h5py.VirtualLayout((2, 5), int)
            layout[0], layout[1] = (h5py.VirtualSource(file, "part", (4, 5))[row] for row in (3, 1))
            h5.create_virtual_dataset(name, layout)
        own = h5py.VirtualLayout((20,), int)
        own[:] = h5py.VirtualSource(".", "contiguous", (20,))
        h5.create_virtual_dataset("group/own", own)
    with h5_reader(tmp_path / "a.h5", "dataset/1") as h5:
        assert h5["virtual"][:].tolist() == h5["absolute"][:].tolist() == [[16, 17, 18, 19, 20], [6, 7, 8, 9, 10]]
        assert h5["group/own"][:].tolist() == h5["external"][:].tolist() == rows.tolist()


def test_what_a_program_that_was_killed_left_is_not_read(tmp_path):
    """It had written, and flushed, half of its rows."""
    code = """
        import os, h5py, numpy as np
        with h5py.File("a.h5", "w") as h5:
            for split in ("train", "valid", "test"):
                h5.create_dataset(f"X_{split}", (400, 4, 50), np.uint8, chunks=(20, 4, 50))
                h5.create_dataset(f"Y_{split}", (400, 1), np.uint8)
                h5[f"X_{split}"][:200, 0], h5[f"Y_{split}"][:200] = 1, 1
            h5.flush()
            os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, check=False)
    assert done.returncode == 9
    with h5py.File(tmp_path / "a.h5") as h5:
        assert h5["X_train"][:].sum() == 200 * 50
    spec = Hdf5(kind="hdf5", file=str(tmp_path / "a.h5")).model_dump()
    with pytest.raises(CisflowError, match="a.h5: '/X_train' has 10 of 20 chunks, and the others were never written"):
        make_dataset(spec, [str(tmp_path / "a.h5")], tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()
