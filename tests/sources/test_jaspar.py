"""JASPAR releases come from the package, without a network."""

import pytest

from cisflow.errors import CisflowError
from cisflow.pwm import read_jaspar, read_meme
from cisflow.sources.jaspar import export, release_ids, release_motifs

# Newest versions of CORE vertebrate matrices in each release, counted in the package's databases.
VERTEBRATES = {"JASPAR2016": 519, "JASPAR2018": 579, "JASPAR2024": 879, "JASPAR2026": 1019}


@pytest.mark.parametrize("release", VERTEBRATES)
def test_releases_have_their_matrices(release):
    motifs = release_motifs(release, "CORE", "vertebrates")
    assert len(motifs) == VERTEBRATES[release]
    assert [m.id for m in motifs] == sorted({m.id for m in motifs})
    assert next(m.name for m in motifs if m.id.startswith("MA0083.")) == "SRF"


def test_the_export_has_ids_names_and_counts(tmp_path):
    count = export("JASPAR2016", "CORE", "vertebrates", tmp_path / "m.jaspar", tmp_path / "m.meme")
    counts, meme = read_jaspar(tmp_path / "m.jaspar"), read_meme(tmp_path / "m.meme")
    assert len(counts) == len(meme) == count
    assert [(m.id, m.name) for m in counts] == [(m.id, m.name) for m in meme]
    assert all(m.sites > 0 for m in meme)


def test_groups_are_put_together():
    both = release_motifs("JASPAR2026", "CORE", ["vertebrates", "insects"])
    apart = [motif.id for group in ("vertebrates", "insects") for motif in release_motifs("JASPAR2026", "CORE", group)]
    assert [m.id for m in both] == sorted(set(apart))
    assert [m.id for m in both if m.name == "CTCF"] == ["MA0139.2", "MA0531.2", "MA1929.2", "MA1930.2"]


@pytest.mark.parametrize(
    ("release", "groups"),
    [("JASPAR2016", "vertebrates"), ("JASPAR2020", ["fungi", "plants"]), ("JASPAR2026", "insects")],
)
def test_ids_are_those_of_the_motifs(release, groups):
    assert release_ids(release, "CORE", groups) == {motif.id for motif in release_motifs(release, "CORE", groups)}


@pytest.mark.parametrize("ask", [release_motifs, release_ids])
def test_unknown_releases_and_groups_are_refused(ask):
    with pytest.raises(CisflowError, match=r"no release 'JASPAR2017'; it has JASPAR2014, JASPAR2016"):
        ask("JASPAR2017", "CORE", "vertebrates")
    with pytest.raises(CisflowError, match="has no motifs of collection 'CORE' and group 'dragons'"):
        ask("JASPAR2016", "CORE", "dragons")
    with pytest.raises(CisflowError, match="has no motifs of collection 'CORE' and group 'dragons'"):
        ask("JASPAR2016", "CORE", ["vertebrates", "dragons"])
