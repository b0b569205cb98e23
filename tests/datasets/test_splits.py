import numpy as np
import pytest

from cisflow.config.splitting import Splitting
from cisflow.datasets.account import Account
from cisflow.datasets.splits import assign
from cisflow.errors import CisflowError

CHROM = np.array(["chr1", "chr2", "chr3", "chr4", "chr1"])
SIZES = {f"chr{n}": 100 for n in range(1, 6)}


def split(chrom=CHROM, **keys) -> list[str]:
    return assign(Splitting(**keys).model_dump(), chrom, SIZES).tolist()


def test_chromosomes_decide():
    assert split(valid=["chr2"], test=["chr3"]) == ["train", "valid", "test", "train", "train"]
    assert split(valid=["2"], test=["3"]) == ["train", "valid", "test", "train", "train"], (
        "the genome's names are found"
    )
    left = split(valid=["chr2"], test=["chr3"], leave_out=["chr4"])
    assert left == ["train", "valid", "test", "", "train"]
    assert split(valid=["chr2"], test=["chr3"], train=["chr1"]) == left


def test_a_column_decides():
    words = ["train", "validation", "test", "val", "training"]
    found = assign(Splitting(column=3).model_dump(), CHROM, SIZES, words).tolist()
    assert found == ["train", "valid", "test", "valid", "train"]


def test_fractions_are_exact_and_follow_the_seed():
    chrom = np.array(["chr1"] * 1000)
    first = split(chrom, fractions=(0.7, 0.1, 0.2))
    assert [first.count(name) for name in ("train", "valid", "test")] == [700, 100, 200]
    assert first == split(chrom, fractions=(0.7, 0.1, 0.2))
    assert first != split(chrom, fractions=(0.7, 0.1, 0.2), seed=1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"valid": ["chr2"], "test": ["chr9"]}, "names chr9, and there is no such chromosome"),
        ({"valid": ["chr2"], "test": ["3"]}, "named in two ways"),
        ({"valid": ["chr2"], "test": ["chr5"]}, "no row is in test"),
    ],
)
def test_chromosomes_that_do_not_serve_are_refused(keys, message):
    with pytest.raises(CisflowError, match=message):
        split(**keys)


def test_another_word_is_no_split():
    with pytest.raises(CisflowError, match="'dev' is not one of train, valid, test"):
        assign(Splitting(column=3).model_dump(), CHROM, SIZES, ["train", "dev", "test", "valid", "train"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give one"),
        ({"valid": ["a"]}, "both need chromosomes"),
        ({"valid": ["a"], "test": ["a"]}, "'a' is in valid and in test"),
        ({"valid": ["a"], "test": ["b"], "column": 3}, "give one"),
        ({"fractions": (0.5, 0.1, 0.1)}, "sum to 0.7"),
    ],
)
def test_a_splitting_that_contradicts_itself_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        Splitting(**keys)


def test_an_account_that_adds_up_is_written(tmp_path):
    account = Account("windows")
    account.enter(10, "read", input="a.bed")
    account.drop(3, "expand", "duplicate", "a.bed")
    account.drop(0, "expand", "off_contig", "a.bed")
    account.enter(2, "reverse_complement")
    account.enter(5, "read", unit="peaks")
    account.keep(5, unit="peaks")
    account.keep(9, "train")
    account.write(tmp_path / "a.tsv")
    rows = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    assert rows[0] == ["unit", "input", "step", "reason", "rows"]
    assert rows[2] == ["windows", "a.bed", "expand", "duplicate", "-3"]
    assert len(rows) == 7, "nothing is said of reasons that no row had"


def test_an_account_that_does_not_add_up_is_a_defect(tmp_path):
    account = Account("windows")
    account.enter(10)
    account.keep(9)
    with pytest.raises(CisflowError, match="10 came in and were not dropped, and 9 are kept"):
        account.write(tmp_path / "a.tsv")
    assert not (tmp_path / "a.tsv").exists()
