"""Code hashes change with the code and with nothing else; seeds come from names."""

import json

import pytest

from cisflow import provenance
from cisflow.provenance import code_hash, record
from cisflow.seeds import generator, seed_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of three modules, of which a script imports one, which imports another."""
    folder = tmp_path / "cisflow"
    folder.mkdir()
    (folder / "__init__.py").write_text('__version__ = "1"\n')
    (folder / "near.py").write_text("from cisflow.deep import f\n")
    (folder / "deep.py").write_text('def f():\n    """Say it."""\n    return 1\n')
    (folder / "other.py").write_text("x = 1\n")
    script = tmp_path / "script.py"
    script.write_text("import numpy\nfrom cisflow import near\nprint(near.f())\n")
    monkeypatch.setattr(provenance, "PACKAGE", folder)

    def digest():
        provenance._digest.cache_clear()
        return code_hash(script)

    yield folder, script, digest
    provenance._digest.cache_clear()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("deep.py", "return 1", "return 2"),
        ("near.py", "import f", "import f as f"),
        ("../script.py", "print(", "repr("),
    ],
)
def test_code_counts_wherever_it_is(package, file, old, new):
    folder, _, digest = package
    before = digest()
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    assert digest() != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("deep.py", "Say it.", "Say something else."),
        ("deep.py", "return 1", "return 1  # why"),
        ("other.py", "x = 1", "x = 2"),
        ("__init__.py", '"1"', '"2"'),
        ("../script.py", "\n", "\n\n\n"),
    ],
)
def test_words_layout_and_other_modules_do_not(package, file, old, new):
    folder, _, digest = package
    before = digest()
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    assert digest() == before


def test_a_notebook_counts_by_its_code(tmp_path):
    def notebook(code, text, outputs):
        cells = [
            {"cell_type": "code", "source": [code], "outputs": outputs},
            {"cell_type": "markdown", "source": [text]},
        ]
        (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
        provenance._digest.cache_clear()
        return code_hash(tmp_path / "n.ipynb")

    assert notebook("x = 1", "a", []) == notebook("x = 1", "b", [{"text": "1"}])
    assert notebook("x = 1", "a", []) != notebook("x = 2", "a", [])


def test_scripts_find_their_modules(root):
    """A change in the engine changes the hash of the training script, and not that of the Tomtom script."""
    seen = {path.name for path in provenance._digest(root / "workflow/scripts/training/train.py")[1]}
    assert {"engine.py", "run.py"} <= seen


def test_the_record_has_checksums_versions_and_time(tmp_path):
    (tmp_path / "in.txt").write_text("abc")
    record(tmp_path / "p.json", [tmp_path / "in.txt"], {"epochs": 3}, 0.0, device="cpu")
    found = json.loads((tmp_path / "p.json").read_text())
    assert found["inputs"][str(tmp_path / "in.txt")].startswith("ba7816bf")
    assert (found["parameters"], found["device"]) == ({"epochs": 3}, "cpu")
    assert {"python", "cisflow", "torch", "numpy"} <= set(found["versions"])
    assert found["seconds"] > 0


def test_the_record_has_no_passwords(tmp_path):
    record(tmp_path / "p.json", [], {"file": {"url": "https://ada:hunter2@x.org/a.bed?v=1&token=s3cret"}}, None)
    assert json.loads((tmp_path / "p.json").read_text())["parameters"] == {
        "file": {"url": "https://***@x.org/a.bed?v=1&token=***"}
    }


def test_seeds_depend_on_names_and_not_on_each_other():
    assert seed_of("task1", "cnn-2_relu", "trial-0") == seed_of("task1", "cnn-2_relu", "trial-0")
    names = [("task1", f"trial-{n}") for n in range(100)] + [("task", "1trial-0"), ("task1trial-0",)]
    assert len({seed_of(*name) for name in names}) == len(names)
    assert all(0 <= seed_of(*name) < 2**63 for name in names)
    assert generator("a").random() == generator("a").random()
