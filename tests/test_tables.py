"""Tables are read by their schemas, whatever is in their columns."""

import polars as pl
import pytest

from cisflow import tables
from cisflow.errors import CisflowError
from cisflow.io import write_tsv
from cisflow.tables import METRICS, RECORDS, read_tsv, real, text, whole, write_table

ONE = {pl.String: "0012", pl.Int64: 3, pl.Float64: 0.5}
SCHEMAS = {name: value for name, value in vars(tables).items() if name[0] != "_" and isinstance(value, dict)}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
@pytest.mark.parametrize("rows", ["none", "empty", "one", "both"])
def test_types_do_not_depend_on_what_is_in_a_table(tmp_path, name, rows):
    schema = SCHEMAS[name]
    empty, one = dict.fromkeys(schema), {column: ONE[kind] for column, kind in schema.items()}
    wanted = {"none": [], "empty": [empty], "one": [one], "both": [empty, one]}[rows]
    write_tsv(tmp_path / "t.tsv", schema, wanted)
    table = read_tsv(tmp_path / "t.tsv", schema)
    assert table.schema == schema
    assert table.to_dicts() == wanted


def test_a_table_that_is_written_again_is_the_same(tmp_path):
    """As the quality of attributions of all runs, of which one has diverged."""
    row = {column: ONE[kind] for column, kind in METRICS.items()}
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    write_tsv(paths[0], METRICS, [row | {"value": None}])
    write_tsv(paths[1], METRICS, [row])
    write_table(tmp_path / "c.tsv", pl.concat([read_tsv(path, METRICS) for path in paths]))
    assert read_tsv(tmp_path / "c.tsv", METRICS)["value"].to_list() == [None, 0.5]


def test_further_columns_are_text_unless_it_is_said_what_they_are(tmp_path):
    (tmp_path / "t.tsv").write_text("epoch\tvalid_auroc\n1\t\n2\t0.5\n")
    assert read_tsv(tmp_path / "t.tsv", whole("epoch")).dtypes == [pl.Int64, pl.String]
    table = read_tsv(tmp_path / "t.tsv", whole("epoch"), others=pl.Float64)
    assert table["valid_auroc"].to_list() == [None, 0.5]


def test_numbers_that_are_not_finite_stay_what_they_are(tmp_path):
    write_tsv(tmp_path / "t.tsv", ["value"], [{"value": float(text)} for text in ("nan", "inf", "-inf", "1e-300")])
    values = read_tsv(tmp_path / "t.tsv", real("value"))["value"].to_list()
    assert values[0] != values[0]
    assert values[1:] == [float("inf"), float("-inf"), 1e-300]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name\tn\na\t1\nb\t2.5\n", r"row 2: n is '2\.5', not a whole number"),
        ("name\tn\na\tmany\n", "row 1: n is 'many', not a whole number"),
        ("name\tn\na\t1\t7\n", "not a whole table"),
        ("name\na\n", "no column n; there are name"),
        ("", "the file is empty"),
    ],
)
def test_a_table_that_is_not_as_its_schema_is_refused(tmp_path, content, words):
    (tmp_path / "t.tsv").write_text(content)
    with pytest.raises(CisflowError, match=words):
        read_tsv(tmp_path / "t.tsv", text("name") | whole("n"))


def test_a_table_that_is_not_there_is_said_to_be(tmp_path):
    with pytest.raises(CisflowError, match="there is no such file"):
        read_tsv(tmp_path / "t.tsv", RECORDS)
