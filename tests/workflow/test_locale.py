"""Files are UTF-8 on machines with another locale, too, and nothing fails because a letter cannot be shown."""

import json
import subprocess
import sys

from cisflow.io import h5_reader
from tests.workflow.conftest import environment, succeed

# An encoding of 7 bits, and none of the ways in which Python would take UTF-8 all the same.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WORD = "Zürich, µ, 染色体"
COPY = """
import locale, sys
from pathlib import Path
from cisflow.io import write_json, write_tsv
from cisflow.pwm import read_meme, write_meme
from cisflow.script import run
from cisflow.sources.checksums import Record, read_records, write_records
from cisflow.tables import read_tsv

def copy():
    assert locale.getpreferredencoding(False) == "ANSI_X3.4-1968"
    old, new = Path("old"), Path("new")
    write_meme(new / "a.meme", read_meme(old / "a.meme"))
    write_records(new, read_records(old))
    word = read_meme(new / "a.meme")[0].name
    write_tsv(new / "a.tsv", ["name"], [{"name": word}])
    write_json(new / "a.json", word)
    print(word)

run(copy)
"""
MEME = f"""MEME version 4

ALPHABET= ACGT

MOTIF {WORD.split(",")[0]}
letter-probability matrix: alength= 4 w= 2 nsites= 20
0.25 0.25 0.25 0.25
0.7 0.1 0.1 0.1
"""
RECORD = f"file\tbytes\tsha256\turl\tlicence\tfetched\none/a\t3\t{'0' * 64}\tu\t{WORD}\t2026-11-21\n"


def test_files_are_read_and_written_as_utf_8(root, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old/a.meme").write_text(MEME, encoding="utf-8")
    (tmp_path / "old/checksums.tsv").write_text(RECORD, encoding="utf-8")
    (tmp_path / "rewrite.py").write_text(COPY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "rewrite.py"], cwd=tmp_path, capture_output=True, check=False,
        env=environment() | ASCII | {"PYTHONPATH": str(root / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == rb"Z\xfcrich" + b"\n"
    assert (tmp_path / "new/checksums.tsv").read_text(encoding="utf-8") == RECORD
    assert (tmp_path / "new/a.tsv").read_text(encoding="utf-8") == "name\nZürich\n"
    assert "MOTIF Zürich" in (tmp_path / "new/a.meme").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "new/a.json").read_text(encoding="utf-8")) == "Zürich"


TASK = f"""
  letters:
    title: {WORD}
    dataset:
      kind: peaks
      genome: data/genome.fa
      endpoints:
        - {{file: data/peaks.bed, factor: GATA1, biosample: Zürich}}
        - {{file: data/peaks.bed, factor: CTCF, biosample: 染色体}}
      window: {{length: 100, label: 20}}
      split: {{valid: [chr2], test: [chr3]}}
    model: null
"""


def test_a_task_with_such_names_is_made(clone):
    (clone / "data").mkdir(exist_ok=True)
    contigs = [f">chr{number}\n{'ACGTTGCA' * 200}\n" for number in (1, 2, 3)]
    (clone / "data/genome.fa").write_text("".join(contigs))
    rows = [f"chr{number}\t{start}\t{start + 60}\n" for number in (1, 2, 3) for start in range(100, 1500, 200)]
    (clone / "data/peaks.bed").write_text("".join(rows))
    with (clone / "config/tasks.yaml").open("a", encoding="utf-8") as file:
        file.write(TASK)
    dataset = "results/tasks/letters/dataset.h5"
    succeed(clone, "--cores", "2", dataset, **ASCII)
    with h5_reader(clone / dataset) as h5:
        assert list(h5.attrs["targets"]) == ["z_rich_gata1", "ctcf"]
