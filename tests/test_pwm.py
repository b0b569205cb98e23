"""Motif files: what is written is read back, and broken files are said to be so."""

import re

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


MEME = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF m1 SRF m1.SRF\n\n"
ROWS = "0.1 0.2 0.3 0.4\n.25 .25 0.5 0\n"
COUNTS = {"A": "1 0", "C": "2 0", "G": "3 1e1", "T": ".5 0"}


def jaspar(order="ACGT", form="{} [ {} ]", header=">m1\tSRF", **other):
    rows = "".join(form.format(base, (COUNTS | other)[base]) + "\n" for base in order)
    return f"{header}\n{rows}"


@pytest.mark.parametrize(
    ("header", "rows", "sites"),
    [
        ("", ROWS, None),
        (" alength= 4 w= 2 nsites= 20 E= 0", ROWS, 20),
        (" nsites= 1e+05", ROWS, 1e5),
        (" nsites=12.5", ROWS, 12.5),
        (" w= 2", "0.1 0.2 0.3 0.4 # first\n# a comment\n\n  .25\t.25 0.5 0", None),
        (" w= 2", f"{ROWS}URL http://x.org/1\n", None),
        ("", f"{ROWS}\nTime 1.2 secs\n", None),
        ("", f"{ROWS}{'-' * 80}\n\n{'*' * 80}\nMOTIF 0.25 s\n\nletter-probability matrix:\n1 0 0 0\n", None),
        ("", ROWS.replace("\n", "\r\n"), None),
    ],
)
def test_a_meme_file_is_read_to_the_end_of_each_matrix(tmp_path, header, rows, sites):
    path = tmp_path / "m.meme"
    path.write_bytes(f"\ufeff{MEME}letter-probability matrix:{header}\n{rows}".encode())
    motif = read_meme(path)[0]
    assert (motif.id, motif.name, motif.sites) == ("m1", "SRF", sites)
    assert motif.matrix.T.tolist() == [[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.5, 0]]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (jaspar(), "SRF"),
        (jaspar("TGCA"), "SRF"),
        (jaspar(form="{1}"), "SRF"),
        (jaspar(form="{}[{}]"), "SRF"),
        (jaspar(form="{} | {} # why"), "SRF"),
        (jaspar(header=">m1 SRF from chip"), "SRF"),
        (jaspar(header=">m1\tJUN (var.2)\tx"), "JUN (var.2)"),
        (jaspar(header="# a comment\n\n>m1"), "m1"),
        (jaspar(header="\ufeff>m1\tSRF"), "SRF"),
    ],
)
def test_rows_of_counts_are_those_of_their_letters(tmp_path, text, name):
    path = tmp_path / "m.jaspar"
    path.write_text(text, encoding="utf-8")
    (motif,) = read_jaspar(path)
    assert (motif.id, motif.name, motif.sites) == ("m1", name, 10)
    assert motif.matrix.tolist() == [[1, 0], [2, 0], [3, 10], [0.5, 0]]


def test_a_name_is_one_word_in_a_meme_file(tmp_path):
    write_meme(tmp_path / "m.meme", [Motif("MA0489.1", "JUN (var.2)", np.eye(4), 0.3)])
    (motif,) = read_meme(tmp_path / "m.meme")
    assert (motif.name, motif.sites) == ("JUN_(var.2)", 0.3)


def matrix(rows, header=""):
    return f"{MEME}letter-probability matrix:{header}\n{rows}"


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_meme, "MEME version 4\n\nALPHABET= ACGT\n", ": there is no motif in it"),
        (read_meme, jaspar(), ": not in MEME format"),
        (read_meme, MEME.replace("ACGT", "ACDEFGHIKLMNPQRSTVWY"), ", line 3: the alphabet is ACDEFGHIKLMNPQRSTVWY"),
        (read_meme, "MEME version 4\nMOTIF\n", ", line 2: the motif has no id"),
        (read_meme, MEME, ": the motif m1 has no letter-probability matrix"),
        (read_meme, matrix(""), ", line 7: the matrix of m1 has no rows"),
        (read_meme, matrix("0.1 0.2 0.7\n"), ", line 8: '0.1 0.2 0.7' is not four probabilities"),
        (read_meme, matrix(ROWS + "-0.1 0.5 0.5 0.1"), ", line 10: '-0.1 0.5 0.5 0.1' are not numbers of at least 0"),
        (read_meme, matrix(ROWS + "nan 0 0 1"), ", line 10: 'nan 0 0 1' are not numbers"),
        (read_meme, matrix(ROWS + "x 0 0 1"), ", line 10: 'x 0 0 1' are not numbers"),
        (read_meme, matrix("0 0 0 0\n" + ROWS), ", line 8: '0 0 0 0' is not four probabilities"),
        (read_meme, matrix("1 2 3 4\n"), ", line 8: '1 2 3 4' is not four probabilities"),
        (read_meme, matrix(ROWS, " w= 3"), ", line 7: the matrix of m1 has w= 3, but 2 rows"),
        (read_meme, matrix(ROWS, " w= 1"), ", line 7: the matrix of m1 has w= 1, but 2 rows"),
        (read_meme, matrix(ROWS, " alength= 20"), ", line 7: the matrix of m1 has alength= 20, but 4 columns"),
        (read_meme, matrix(ROWS[:-6], " w= 2"), ", line 9: '.25 .25' is not four"),
        (read_meme, matrix(ROWS, " nsites= 0"), ", line 7: nsites= 0; give"),
        (read_meme, matrix(ROWS, " nsites= -3"), ", line 7: '-3' are not numbers of at least 0"),
        (read_meme, matrix(ROWS, " nsites= many"), ", line 7: 'many' are not numbers"),
        (read_jaspar, "", ": there is no motif in it"),
        (read_jaspar, "A [ 1 ]\n", ", line 1: a header line '>id name' is expected"),
        (read_jaspar, jaspar(header="> "), ": the header '>' has no id"),
        (read_jaspar, jaspar("ACG"), ": the motif m1 has not four rows"),
        (read_jaspar, jaspar(T="1"), ": the motif m1 has not four rows of equally many"),
        (read_jaspar, jaspar("ACGG"), ", line 5: a motif has one row for each of A, C, G and T"),
        (read_jaspar, jaspar("ACGTA"), ", line 6: a motif has one row for each"),
        (read_jaspar, jaspar(C="2 -1"), ", line 3: '2 -1' are not numbers of at least 0"),
        (read_jaspar, jaspar(C="2 nan"), ", line 3: '2 nan' are not numbers"),
        (read_jaspar, jaspar(C="2 1-2"), ", line 3: '2 1-2' are not numbers"),
        (read_jaspar, jaspar(A="0 0", C="0 0", G="0 0", T="0 9"), ": the motif m1 has a position without any count"),
        (read_jaspar, jaspar().rstrip()[:-1], ", line 5: 'T [ .5 0' has one of the brackets"),
    ],
)
def test_broken_files_are_refused(tmp_path, read, text, message):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(CisflowError, match=re.escape(f"broken{message}")):
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
