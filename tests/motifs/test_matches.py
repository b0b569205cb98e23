"""Match statistics on tables small enough to count by hand."""

import numpy as np
import polars as pl
import pytest
from pyjaspar import jaspardb

from cisflow.errors import CisflowError
from cisflow.motifs.compare import matches_of_task, tomtom_of_task
from cisflow.motifs.database import PROMISCUOUS_IDS, read_database
from cisflow.motifs.matches import best_hits, factor_of, match_statistics
from cisflow.pwm import Motif, write_meme
from cisflow.sources.jaspar import release_motifs
from cisflow.tables import FILTERS, TOMTOM

TRUTH = {"SRF": ["MA0083.2", "MA0083.3"], "YY1": ["MA0095.2"]}
FACTORS = factor_of(TRUTH)


def hit(query, target, q):
    return {
        "query": query,
        "target": target,
        "target_name": target.lower(),
        "p_value": q / 10,
        "q_value": q,
        "e_value": q,
    }


ROWS = [
    hit("filter0", "MA0083.3", 1e-6),
    hit("filter0", "MA0095.2", 1e-8),
    hit("filter1", "MA0001.1", 1e-9),
    hit("filter1", "MA0083.2", 1e-2),
    hit("filter3", "MA0001.1", 1e-3),
]


def test_a_hit_to_ground_truth_goes_before_a_better_one_to_another_motif():
    best = best_hits(ROWS, FACTORS)
    assert {query: row["target"] for query, row in best.items()} == {
        "filter0": "MA0095.2",
        "filter1": "MA0083.2",
        "filter3": "MA0001.1",
    }


def test_fractions_are_of_all_filters():
    assert match_statistics(ROWS, 8, FACTORS) == {"match_fraction": 2 / 8, "match_any": 3 / 8, "factors_found": 2}


def test_a_match_of_filter_number_zero_alone_counts():
    assert match_statistics(ROWS[:1], 4, FACTORS)["match_fraction"] == 0.25


def test_without_a_ground_truth_there_is_only_match_any():
    assert match_statistics(ROWS, 8, {}) == {"match_fraction": None, "match_any": 3 / 8, "factors_found": None}
    assert best_hits(ROWS, {})["filter1"]["target"] == "MA0001.1"


def test_no_hits():
    assert match_statistics([], 8, FACTORS) == {"match_fraction": 0, "match_any": 0, "factors_found": 0}


@pytest.fixture
def task(tmp_path):
    """Two trials of one run: the first has a motif of the database and one filter without matrix, the second none."""
    database = release_motifs("JASPAR2016", "CORE", "vertebrates")
    known = {m.id: m for m in database}
    about = {"task": "t", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu"}
    flat = Motif("filter1", "filter1", np.random.default_rng(0).dirichlet(np.full(4, 30), 9).T, 40)
    srf = Motif("filter0", "filter0", known["MA0083.3"].matrix, 40)
    write_meme(tmp_path / "cnn-2_relu" / "trial-0.meme", [srf, flat])
    write_meme(tmp_path / "cnn-2_relu" / "trial-1.meme", [])
    rows = [
        {**about, "trial": trial, "filter": f"filter{n}", "status": status, "sites": 40, "max_activation": 1.0,
         "start": 0, "end": 20, "bits": 1.0, "consensus": "A"}
        for trial, n, status in [(0, 0, "ok"), (0, 1, "ok"), (0, 2, "never active"), (1, 0, "never active")]
    ]  # fmt: skip
    return pl.DataFrame(rows).select(*FILTERS), tmp_path, database


def test_a_whole_task(task):
    filters, folder, database = task
    hits = pl.DataFrame(list(tomtom_of_task(filters, folder, database, 0.1, "memelite"))).select(*TOMTOM)
    own = hits.filter((pl.col("set") == "filters") & (pl.col("query") == "filter0"))
    assert own["target"][0] == "MA0083.3"
    matches, labels = matches_of_task(filters, hits, TRUTH)
    found = {(row["trial"], row["set"]): row for row in matches}
    assert (found[0, "filters"]["filters"], found[0, "filters"]["with_matrix"]) == (3, 2)
    assert found[0, "filters"]["match_fraction"] == 1 / 3
    assert found[1, "filters"]["match_fraction"] == 0
    assert (found[1, "filters"]["filters"], found[1, "filters"]["with_matrix"]) == (1, 0)
    assert set(found) == {(t, s) for t in (0, 1) for s in ("filters", "shuffled")}
    assert [(row["trial"], row["filter"], row["factor"]) for row in labels] == [
        (0, "filter0", "SRF"), (0, "filter1", None), (0, "filter2", None), (1, "filter0", None),
    ]  # fmt: skip


def named(query, target, p, kind="filters"):
    about = {"task": "t", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu", "trial": 0, "set": kind}
    rest = {"offset": 0, "overlap": 9, "orientation": "+", "engine": "memelite"}
    return about | hit(query, target, 10 * p) | {"p_value": p} | rest


def test_what_a_shuffled_copy_matches_as_well_is_no_label(task):
    filters, _, _ = task
    rows = [
        named("filter0", "MA0001.1", 1e-6), named("filter0", "MA0002.1", 1e-5),
        named("filter1", "MA0001.1", 1e-6), named("filter1", "MA0002.1", 1e-5),
        # The null withholds nothing. Of the copies one matches filter 0's best hit as well, and filter 1's less well.
        named("filter1", "MA0001.1", 1e-9, "shuffled"),
        named("filter0", "MA0001.1", 1e-3, "shuffled-1"), named("filter0", "MA0001.1", 1e-6, "shuffled-2"),
        named("filter1", "MA0001.1", 2e-6, "shuffled-2"),
    ]  # fmt: skip
    matches, labels = matches_of_task(filters, pl.DataFrame(rows).select(*TOMTOM), {})
    found = {(row["trial"], row["filter"]): (row["target"], row["withheld"]) for row in labels}
    assert found[0, "filter0"] == ("MA0002.1", "MA0001.1")
    assert found[0, "filter1"] == ("MA0001.1", None)
    assert found[1, "filter0"] == (None, None)
    assert [row["withheld"] for row in matches] == [1, 1, 0, 0]
    assert matches[0]["match_any"] == 2 / 3, "the fraction counts every hit, as that of the null"


def test_uninformative_filters_are_not_compared(task):
    filters, folder, database = task
    weak = pl.when(pl.col("filter") == "filter0").then(pl.lit("uninformative")).otherwise("status").alias("status")
    filters = filters.with_columns(weak)
    rows = list(tomtom_of_task(filters, folder, database, 10.0, "memelite", shuffles=2))
    hits = pl.DataFrame(rows).select(*TOMTOM)
    assert set(hits["query"]) == {"filter1"}
    assert set(hits["set"]) == {"filters", "shuffled", "shuffled-1", "shuffled-2"}
    matches, labels = matches_of_task(filters, hits, {})
    assert [labels[0][key] for key in ("filter", "status", "target")] == ["filter0", "uninformative", None]
    assert (matches[0]["with_matrix"], matches[0]["uninformative"]) == (2, 1)


def test_promiscuous_matrices_are_left_out_of_a_database_that_has_them(tmp_path):
    database = release_motifs("JASPAR2016", "CORE", "vertebrates")
    write_meme(tmp_path / "known.meme", database)
    left = [motif.id for motif in read_database(tmp_path / "known.meme", ["promiscuous", "MA0083.3"])]
    assert left == [motif.id for motif in database if motif.id not in ("MA0615.1", "MA0083.3")]
    with pytest.raises(CisflowError, match=r"known.meme has no motif MA9999.1\."):
        read_database(tmp_path / "known.meme", ["promiscuous", "MA9999.1"])


def test_promiscuous_matrices_bear_the_names_that_jaspar_gives_them():
    every = jaspardb(release="JASPAR2026")
    assert {key: every.fetch_motif_by_id(key).name for key in PROMISCUOUS_IDS} == PROMISCUOUS_IDS


def test_the_null_is_the_same_every_time(task):
    filters, folder, database = task
    once, again = (list(tomtom_of_task(filters, folder, database, 10.0, "memelite")) for _ in range(2))
    assert once == again
    assert any(row["set"] == "shuffled" for row in once)
