"""Tomtom finds what was planted, says where, and its two engines fill one table."""

import shutil

import numpy as np
import pytest
from scipy import stats

from cisflow.errors import CisflowError
from cisflow.motifs.tomtom import benjamini_hochberg, parse_meme, tomtom
from cisflow.pwm import Motif
from cisflow.sources.jaspar import release_motifs
from cisflow.tables import HITS

PICKED = ("MA0083.3", "MA0137.3", "MA0095.2", "MA0052.3")


@pytest.fixture(scope="module")
def database():
    return release_motifs("JASPAR2016", "CORE", "vertebrates")


@pytest.fixture(scope="module")
def queries(database):
    """Known motifs as filters would see them: noisy, cut, padded, from the other strand."""
    rng = np.random.default_rng(0)
    known = {m.id: m for m in database}
    changed = []
    for number, identifier in enumerate(PICKED):
        motif = known[identifier].reverse_complement() if number % 2 else known[identifier]
        ppm = np.hstack([np.full((4, number), 0.25), motif.probabilities[:, 1:]])
        changed.append(
            Motif(f"filter{number}", f"filter{number}", 0.9 * ppm + 0.1 * rng.dirichlet(np.ones(4), ppm.shape[1]).T)
        )
    return changed


def test_each_query_finds_its_motif_with_place_and_strand(queries, database):
    rows = tomtom(queries, database, 0.1)
    best = {}
    for row in rows:
        assert list(row) == list(HITS)
        best.setdefault(row["query"], row)
    assert [best[query.id]["target"] for query in queries] == list(PICKED)
    assert [best[query.id]["orientation"] for query in queries] == ["+", "-", "+", "-"]
    assert all(
        row["e_value"] <= 0.1 and row["e_value"] == pytest.approx(row["p_value"] * len(database)) for row in rows
    )
    # Query number n has n columns of padding, and lacks the target's first (or, on the other strand, its last) column.
    assert [best[query.id]["offset"] for query in queries] == [1, 0, -1, -2]


def test_rows_are_sorted_and_a_repeat_is_identical(queries, database):
    rows = tomtom(queries, database, 0.1)
    assert rows == tomtom(queries, database, 0.1)
    keys = [(int(row["query"][6:]), row["p_value"]) for row in rows]
    assert keys == sorted(keys)


def test_no_queries_no_rows(database):
    assert tomtom([], database, 0.1) == []


def test_adjusted_p_values_equal_scipy():
    p = np.random.default_rng(0).random((3, 50)) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p, axis=1), rtol=1e-12)


# As MEME 5.4.1 prints it with -text.
COLUMNS_OF_MEME = (
    "Query_ID", "Target_ID", "Optimal_offset", "p-value", "E-value", "q-value", "Overlap", "Query_consensus",
    "Target_consensus", "Orientation",
)  # fmt: skip
TABLE = (
    "\t".join(COLUMNS_OF_MEME)
    + """
filter0\tMA0083.3\t-2\t1.5e-12\t7.77e-10\t1.55e-09\t14\tTGACCATATATGGT\tTTGCCATATATGGTAA\t-

# Tomtom (Motif Comparison Tool): Version 5.4.1 compiled on Nov 21 2026 at 00:00:00
# The format of this file is described at https://meme-suite.org/meme/doc/tomtom-output-format.html.
# tomtom -evalue -thresh 0.1 -text queries.meme targets.meme
"""
)


def test_the_meme_suites_table_has_no_rows_of_comments():
    assert parse_meme(TABLE, {"MA0083.3": "SRF"}) == [
        {
            "query": "filter0", "target": "MA0083.3", "target_name": "SRF", "p_value": 1.5e-12, "e_value": 7.77e-10,
            "q_value": 1.55e-09, "offset": -2, "overlap": 14, "orientation": "-", "engine": "meme",
        }
    ]  # fmt: skip


def test_the_meme_suites_program_is_called_and_its_failure_said(queries, database, tmp_path, monkeypatch):
    program = tmp_path / "tomtom"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{TABLE}END\n")
    program.chmod(0o755)
    for engine in ("meme", "auto"):
        assert [row["engine"] for row in tomtom(queries, database, 0.1, engine)] == ["meme"]
    program.write_text("#!/bin/sh\necho 'no such alphabet' >&2\nexit 3\n")
    with pytest.raises(CisflowError, match="failed with status 3: no such alphabet"):
        tomtom(queries, database, 0.1, "meme")


def test_without_the_program_auto_takes_memelite_and_meme_says_how_to_get_it(queries, database, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert {row["engine"] for row in tomtom(queries, database, 0.1, "auto")} == {"memelite"}
    with pytest.raises(CisflowError, match="needs the MEME Suite's program tomtom on PATH.*non-commercial"):
        tomtom(queries, database, 0.1, "meme")


@pytest.mark.skipif(shutil.which("tomtom") is None, reason="the MEME Suite's tomtom is not on PATH")
def test_both_engines_agree(queries, database):
    ours = {(r["query"], r["target"]): r for r in tomtom(queries, database, 0.1)}
    theirs = {(r["query"], r["target"]): r for r in tomtom(queries, database, 0.1, "meme")}
    shared = ours.keys() & theirs.keys()
    # Hits that only one engine has are at the edge of the threshold; the engines bin their scores differently.
    assert all(0.08 < (ours | theirs)[key]["e_value"] <= 0.1 for key in ours.keys() ^ theirs.keys())
    differences = [abs(np.log10(ours[key]["p_value"] / theirs[key]["p_value"])) for key in shared]
    assert np.median(differences) < 0.02
    assert max(differences) < 0.5
    for key in shared:
        for column in ("offset", "overlap", "orientation"):
            assert ours[key][column] == theirs[key][column]
        # A q-value follows its p-value, and Storey's estimate lowers the MEME Suite's by a tenth or so.
        assert 0.5 < theirs[key]["q_value"] / ours[key]["q_value"] < 2
