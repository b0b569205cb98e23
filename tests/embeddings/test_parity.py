"""Basenji2 is held against TensorFlow's, which runs where it is installed; the comparison itself is tested anywhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest
import torch
from tests.basenji import SMALL, random_basenji

from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.parity import compare, take_windows
from cisflow.embeddings.weights import load_basenji, read_params
from cisflow.errors import CisflowError
from cisflow.io import h5_writer, sha256
from cisflow.models.basenji import GELUS
from cisflow.models.folded import inference
from cisflow.sequence import decode, one_hot

LENGTH = SMALL["seq_length"]
CONTIG = 3 * LENGTH


@pytest.fixture
def folder(tmp_path):
    """A folder with a genome, windows on it, the settings of a small model, and its weights."""
    x = np.random.default_rng(0).integers(0, 5, CONTIG, dtype=np.uint8)
    (tmp_path / "genome.fa").write_text(f">chr1\n{decode(x)}\n")
    starts = (0, 1000, 2000, 5000, CONTIG - LENGTH)
    (tmp_path / "windows.bed").write_text("".join(f"1\t{start}\t{start + LENGTH}\n" for start in starts))
    (tmp_path / "params.json").write_text(json.dumps({"model": SMALL}))
    write_keras(tmp_path / "model.h5", random_basenji())
    take_windows(tmp_path / "genome.fa", tmp_path / "windows.bed", LENGTH, 2, tmp_path / "windows.h5")
    return tmp_path


def reference(folder: Path, change=None, **attributes) -> Path:
    """Write what TensorFlow would, computed here; `change` may alter the arrays."""
    model = random_basenji()
    with h5py.File(folder / "windows.h5") as h5:
        x = torch.from_numpy(one_hot(h5["x"][:])).transpose(1, 2)
    with torch.no_grad():
        arrays = {"embeddings": model.embed(x).numpy(), "tracks": model(x).numpy()}
    if change:
        change(arrays)
    with h5_writer(folder / "reference.h5", "basenji2-reference/1") as h5:
        h5.attrs.update({name: sha256(folder / f"{file}.h5") for name, file in FILES.items()} | attributes)
        for name, array in arrays.items():
            h5[name] = array
    return folder / "reference.h5"


FILES = {"weights": "model", "windows": "windows"}


def compared(folder: Path, tolerance: float = 1e-3) -> float:
    model = inference(load_basenji(folder / "model.h5", read_params(folder / "params.json")))
    files = [folder / f"{name}.h5" for name in ("model", "windows", "reference")]
    return compare(model, *files, tolerance, folder / "parity.tsv")


def test_equal_numbers_pass_and_are_tabulated(folder):
    reference(folder)
    assert compared(folder) < 1e-5
    table = pl.read_csv(folder / "parity.tsv", separator="\t")
    assert table["window"].to_list() == [f"chr1:0-{LENGTH}"] * 2 + [f"chr1:{CONTIG - LENGTH}-{CONTIG}"] * 2
    assert table["values"].to_list() == ["embeddings", "tracks"] * 2
    assert (table["spread"] > 0.01).all()


@pytest.mark.parametrize(("value", "told"), [(0.25, "The largest difference is 0.25"), (np.nan, "difference is nan")])
@pytest.mark.parametrize("kind", ["embeddings", "tracks"])
def test_a_single_number_beyond_the_tolerance_fails_and_is_named(folder, kind, value, told):
    def change(arrays):
        arrays[kind][1, 100, 3] += value

    reference(folder, change)
    with pytest.raises(CisflowError, match=rf"{told}, in {kind} of chr1:8192-12288, bin 100, channel 3: .* here and"):
        compared(folder)
    assert not (folder / "parity.tsv").exists()
    if not np.isnan(value):
        assert compared(folder, 0.3) == pytest.approx(0.25, abs=1e-4)


def test_another_gelu_is_no_parity(folder):
    """What this is for: with the GELU of 2022 in the place of that of 2020 all shapes fit, and the numbers do not."""
    reference(folder)
    model = inference(load_basenji(folder / "model.h5", read_params(folder / "params.json"), "tanh"))
    with pytest.raises(CisflowError, match="our numbers are not TensorFlow's.* GELU 'tanh' in torch.float32"):
        compare(model, folder / "model.h5", folder / "windows.h5", folder / "reference.h5", 1e-3, folder / "parity.tsv")


@pytest.mark.parametrize("name", FILES)
def test_a_reference_of_other_files_is_refused(folder, name):
    reference(folder, **{name: "0" * 64})
    with pytest.raises(CisflowError, match=f"reference.h5: it was made from other {name} than .*. Make it again"):
        compared(folder)


def test_a_reference_of_another_shape_is_refused(folder):
    reference(folder, lambda arrays: arrays.pop("tracks"))
    with pytest.raises(CisflowError, match=r"TensorFlow's tracks have the shape none, and ours \(248, 7\)"):
        compared(folder)


def test_windows_are_those_of_the_genome(folder):
    assert take_windows(folder / "genome.fa", folder / "windows.bed", LENGTH, 9, folder / "all.h5") == 5
    letters = (folder / "genome.fa").read_text().splitlines()[1]
    with h5py.File(folder / "all.h5") as h5:
        found = [decode(row) for row in h5["x"][:]]
        assert h5["id"][1] == f"chr1:1000-{1000 + LENGTH}".encode()
    assert found == [letters[start : start + LENGTH] for start in (0, 1000, 2000, 5000, CONTIG - LENGTH)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"chr1\t0\t{LENGTH - 1}", r"line 1: chr1:0-4095 has 4,095 bases, and the model's windows have 4,096"),
        (f"chr7\t0\t{LENGTH}", r"none of its contigs \(chr7\) is in"),
        (f"chr1\t0\t{LENGTH}\nchr7\t0\t{LENGTH}", "the contig 'chr7' is not in"),
    ],
)
def test_windows_that_cannot_be_taken(folder, row, message):
    (folder / "windows.bed").write_text(row + "\n")
    with pytest.raises(CisflowError, match=message):
        take_windows(folder / "genome.fa", folder / "windows.bed", LENGTH, 2, folder / "none.h5")
    assert not (folder / "none.h5").exists()


def verify(root: Path, python, script: str, *flags) -> subprocess.CompletedProcess:
    command = [python, root / f"workflow/scripts/embeddings/{script}.py", *flags]
    variables = os.environ | {"PYTHONPATH": str(root / "src")}
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=variables, check=False)


def test_the_script_ends_with_what_differs(root, folder):
    def change(arrays):
        arrays["tracks"][0, 0, 0] += 1

    for alter, status, told in ((None, 0, "equal to TensorFlow"), (change, 1, "error: .* not TensorFlow's")):
        flags = ["--weights", folder / "model.h5", "--params", folder / "params.json", "--windows"]
        flags += [folder / "windows.h5", "--reference", reference(folder, alter), "--out", folder / "parity.tsv"]
        done = verify(root, sys.executable, "verify", *flags)
        assert done.returncode == status, done.stderr
        assert re.search(told, done.stderr)


@pytest.fixture(scope="session")
def tensorflow(root) -> str:
    """An interpreter that has TensorFlow and its Keras of old; tests of it skip where there is none."""
    python = os.environ.get("CISFLOW_TENSORFLOW_PYTHON", str(root / ".venv-tensorflow/bin/python"))
    if not Path(python).is_file():
        pytest.skip(f"no TensorFlow: there is no {python} ('make benchmark-keras' installs it)")
    done = subprocess.run([python, "-c", "import tensorflow, tf_keras, h5py"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{python} has no TensorFlow: {done.stderr.splitlines()[-1]}")
    return python


def made_by_tensorflow(root, python: str, weights: Path, windows: Path, out: Path) -> None:
    done = verify(root, python, "verify_tensorflow", "--weights", weights, "--windows", windows, "--out", out)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("gelu", GELUS)
def test_tensorflow_computes_the_same_from_our_file(root, tensorflow, folder, gelu):
    write_keras(folder / "model.h5", random_basenji(gelu))
    made_by_tensorflow(root, tensorflow, *(folder / f"{name}.h5" for name in ("model", "windows", "reference")))
    # 1.7e-6 is reached.
    assert compared(folder, 1e-5) > 0


@pytest.mark.real_data
@pytest.mark.parametrize("file", ["model_small.h5", "model_small_2020style.h5"])
def test_tensorflow_computes_the_same_from_its_own_file(root, tensorflow, real_data, tmp_path, file):
    golden = real_data / "basenji2"
    take_windows(golden / "gata4.fa", golden / "gata4.bed", 131072, 2, tmp_path / "windows.h5")
    made_by_tensorflow(root, tensorflow, golden / file, tmp_path / "windows.h5", tmp_path / "reference.h5")
    model = inference(load_basenji(golden / file, read_params(golden / "params_small.json")))
    files = (golden / file, tmp_path / "windows.h5", tmp_path / "reference.h5")
    # 3.8e-5 is reached.
    assert 0 < compare(model, *files, 1e-3, tmp_path / "parity.tsv") < 1e-3
