"""The ways by which files come into cisflow, as rules and commands take them, for the corpus of broken inputs.

Each makes its output below `out`, and returns what came of it: values, to be compared with those of a sound file, and
what it told or counted, as text.
"""

import io
import os
import resource
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from tests.config.conftest import project
from tests.datasets.genomes import BY_CHROMOSOME, SPLITS, make_genome
from tests.tracks.signals import SIZES, settings

from cisflow import cli
from cisflow.config.datasets import Hdf5
from cisflow.config.places import with_paths
from cisflow.config.preflight import check_files
from cisflow.config.windows import Peaks, Windows
from cisflow.datasets.make import make_dataset, table_path
from cisflow.errors import CisflowError
from cisflow.io import h5_reader
from cisflow.sources.fetch import Wanted, fetch
from cisflow.tracks.genome import Genome, index_genome
from cisflow.tracks.matrix import bin_track

ROOT = Path(__file__).parents[2]
REGIONS = "chrom\tstart\tend\tsplit\nchr1\t0\t400\ttrain\nchr1\t400\t800\tvalid\nchr2\t0\t400\ttest\n"
Came = tuple[Any, str]


def windows(folder: Path, file: Path, **changes: Any) -> Came:
    """Make a data set of windows from a BED or FASTA file and a genome of four contigs."""
    item = {"fasta" if ".fa" in file.name else "bed": str(file), "target": changes.pop("label", 1)}
    spec = {"kind": "windows", "genome": str(folder / "genome.fa.gz"), "length": 50, "split": BY_CHROMOSOME}
    return _made(folder, windows_of(spec | {"sets": [item]} | changes))


def windows_of(dataset: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a data set of windows as rules hand them on."""
    return with_paths(Windows(**dataset), lambda place: place.file)


def peaks(folder: Path, file: Path, **changes: Any) -> Came:
    """Make a data set of many labels from a file of peaks, or from it again as another label."""
    names = changes.pop("names", ("CTCF",))
    return _made(folder, peaks_of(str(folder / "genome.fa.gz"), str(file), names) | changes)


def peaks_of(genome: str, file: str, names: tuple[str, ...] = ("CTCF",)) -> dict[str, Any]:
    """Return the settings of a data set of peaks as rules hand them on."""
    endpoints = [{"file": file, "factor": name, "biosample": "K562"} for name in names]
    window = {"length": 100, "label": 20}
    model = Peaks(kind="peaks", genome=genome, window=window, split=BY_CHROMOSOME, endpoints=endpoints)
    return with_paths(model, lambda place: place.file)


def _made(folder: Path, spec: dict[str, Any]) -> Came:
    make_genome(folder)
    out = folder / "out" / "dataset.h5"
    make_dataset(spec, [], out)
    with h5_reader(out, "dataset/1") as h5:
        splits = [[h5[name][key][:].tolist() for key in ("id", "x", "y")] for name in SPLITS]
    rows = sorted(row for split in splits for row in zip(*split, strict=True))
    counted = (line.split("\t") for line in table_path(out, "accounting").read_text().splitlines()[1:])
    return rows, "; ".join(f"{reason} {rows}" for *_, reason, rows in counted)


def arrays(folder: Path, file: Path) -> Came:
    """Make a data set from arrays in an HDF5 file."""
    return None, str(make_dataset(Hdf5(kind="hdf5", file=str(file)).model_dump(), [str(file)], folder / "out" / "d.h5"))


def track(folder: Path, file: Path, **changes: Any) -> Came:
    """Bin a track over regions of a genome of two contigs."""
    (folder / "regions.tsv").write_text(REGIONS)
    lift = [str(folder / name) for name in changes.pop("lift", [])]
    sizes = changes.pop("sizes", SIZES)
    spec = settings(file, **{"no_data": "nan", "lift": lift} | changes)
    out = folder / "out"
    notes = bin_track(folder / "regions.tsv", "a", spec, sizes, "toy.fa", 10, 0, 1, out / "0.h5", out / "0.tsv")
    with h5_reader(out / "0.h5", "track/1") as h5:
        return h5["values"][:].tobytes(), "; ".join([*notes, (out / "0.tsv").read_text()])


def genome(folder: Path, file: Path) -> Came:
    """Index a genome."""
    counts = index_genome(file, folder / "out" / "g.fa.gz")
    return (folder / "out" / "g.fa.gz").read_bytes(), str(counts)


def indexed_genome(folder: Path, file: Path) -> Came:
    """Read a genome with the indices that are beside it."""
    with Genome(file) as found:
        return [found.letters(np.array([name]), np.array([0]), n).tobytes() for name, n in found.sizes.items()], ""


def lifted(folder: Path, file: Path, chain: str = "a.chain", out: str = "out/b.bed") -> Came:
    """Lift a BED file by the command line."""
    told = command("liftover", "--chain", folder / chain, "--in", file, "--out", folder / out)
    return (folder / out).read_text(), told


def command(*words: object) -> str:
    """Run the command line; return what it tells, or raise what it tells if it fails."""
    out, err = io.StringIO(), io.StringIO()
    with mock.patch.object(sys, "argv", ["cisflow", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as end:
            if end.code:
                raise CisflowError(err.getvalue()) from None
    return out.getvalue()


def fetched(folder: Path, server: Any, name: str, **known: Any) -> Came:
    """Fetch a file from a server that misbehaves."""
    waits = []
    fetch(Wanted(name, server.url, **known), folder / "out" / name, wait=waits.append)
    return (folder / "out" / name).read_bytes(), f"{len(server.requests)} requests; waited {waits}"


def limited(folder: Path, server: Any, size: int, words: list[str]) -> Came:
    """Run a script of a rule, or a command, in a process that may not write files of more than so many bytes."""
    make_genome(folder)
    (folder / "regions.tsv").write_text(REGIONS)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    script = [ROOT / "workflow/scripts" / words[0]]
    first = script if script[0].is_file() else ["-c", "from cisflow.cli import main; main()", words[0]]
    rest = [word.replace("@", f"{folder}/").replace("URL", server.url) for word in words[1:]]
    done = subprocess.run(
        [sys.executable, *first, *rest], capture_output=True, text=True, preexec_fn=limit, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "POLARS_MAX_THREADS": "1"},
    )  # fmt: skip
    if done.returncode:
        # What h5py tells when it lets go of what it could not write comes before.
        last = done.stderr.splitlines()[-1]
        assert (done.returncode, last[:6]) == (1, "error:"), done.stderr
        raise CisflowError(last)
    return None, done.stderr


def configured(folder: Path, dataset: str) -> Came:
    """Load a configuration with a task, as the Snakefile does before the first job."""
    (folder / "settings").mkdir()
    text = f"tasks:\n  mine:\n    dataset: {dataset.replace('@', f'{folder}/')}\n    model: {{name: cnn-2}}\n"
    check_files(project(ROOT, folder / "settings", text))
    return None, ""
