"""Motif files: what is written is read back, and broken files are said to be so."""

import numpy as np
import pytest

from cisflow.errors import CisflowError
from cisflow.pwm import Motif, information, read_jaspar, read_meme, write_jaspar, write_meme
from cisflow.sources.jaspar import release_motifs

MOTIFS = [
    Motif("MA1.1", "Fos::Jun", np.array([[8, 0, 1], [0, 10, 2], [1, 0, 3], [1, 0, 4]], float), 10),
    Motif("MA2.1", "SP1", np.array([[1], [0], [0], [3]], float), 4),
]


def test_counts_are_written_exactly(tmp_path):
    exact = [Motif("a", "b", np.array([[0.1], [1 / 3], [2e-7], [12345.678]]), None)]
    write_jaspar(tmp_path / "m.jaspar", exact)
    assert np.array_equal(read_jaspar(tmp_path / "m.jaspar")[0].matrix, exact[0].matrix)


def test_meme_keeps_names_sites_and_probabilities(tmp_path):
    write_meme(tmp_path / "m.meme", MOTIFS)
    found = read_meme(tmp_path / "m.meme")
    assert [(m.id, m.name, m.sites, m.width) for m in found] == [("MA1.1", "Fos::Jun", 10, 3), ("MA2.1", "SP1", 4, 1)]
    # Six decimals are written.
    np.testing.assert_allclose(found[0].matrix, MOTIFS[0].probabilities, atol=5e-7)


def test_information_is_two_bits_for_a_certain_base_and_none_for_no_base():
    ppm = np.array([[1, 0.25, 0.5], [0, 0.25, 0.5], [0, 0.25, 0], [0, 0.25, 0]])
    # The small number in the logarithm is worth less than a millionth of a bit.
    np.testing.assert_allclose(information(ppm), [2, 0, 1], atol=1e-6)


def test_the_other_strand_is_reversed_and_complemented():
    flipped = MOTIFS[0].reverse_complement()
    assert flipped.matrix[:, 0].tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_meme, "MEME version 4\n\nALPHABET= ACGT\n", "there is no motif in it"),
        (read_meme, ">a\nA [ 1 ]\n", "not in MEME format"),
        (
            read_meme,
            "MEME version 4\nMOTIF m1\nletter-probability matrix: w= 1\n0.1 0.2 0.7\n",
            "m1 has no letter-prob",
        ),
        (read_meme, "MEME version 4\nMOTIF m1\n\n", "m1 has no letter-probability matrix of four columns"),
        (read_jaspar, "", "there is no motif in it"),
        (read_jaspar, ">m1\tx\nA [ 1 2 ]\nC [ 1 2 ]\nG [ 1 2 ]\n", "m1 has not four rows"),
        (read_jaspar, ">m1\tx\nA [ 1 2 ]\nC [ 1 2 ]\nG [ 1 2 ]\nT [ 1 ]\n", "m1 has not four rows of equally many"),
    ],
)
def test_broken_files_are_refused(tmp_path, read, text, message):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(CisflowError, match=f"broken: .*{message}"):
        read(path)


@pytest.mark.real_data
def test_the_package_has_the_papers_matrices(real_data):
    """pyjaspar's JASPAR 2016 has the counts of the paper's file, and its database's probabilities but one motif."""
    ours = {motif.id: motif for motif in release_motifs("JASPAR2016", "CORE", "vertebrates")}
    counts = read_jaspar(real_data / "exponential_activations" / "pfm_vertebrates.txt")
    assert {m.id for m in counts} == set(ours)
    assert all(np.array_equal(m.matrix, ours[m.id].matrix) and m.name == ours[m.id].name for m in counts)
    database = read_meme(real_data / "exponential_activations" / "JASPAR_CORE_2016_vertebrates.meme")
    assert set(ours) - {m.id for m in database} == {"MA0615.1"}
    for motif in database:
        # The file has six decimals, of counts that it first rounded to thousands of sites.
        np.testing.assert_allclose(motif.probabilities, ours[motif.id].probabilities, atol=2e-3)
