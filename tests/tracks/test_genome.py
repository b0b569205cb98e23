import gzip

import numpy as np
import pytest

from cisflow.errors import CisflowError
from cisflow.sequence import encode
from cisflow.tracks import genome as module
from cisflow.tracks.genome import Genome, codes, index_genome, soft_masked

rng = np.random.default_rng(0)
CONTIGS = {name: "".join(rng.choice(list("ACGTNacgt"), size)) for name, size in (("chr1", 5000), ("chr2", 321))}


def fasta(contigs=CONTIGS, width=61, end="\n") -> str:
    parts = []
    for name, text in contigs.items():
        parts += [f">{name} a contig", *(text[start : start + width] for start in range(0, len(text), width))]
    return end.join(parts) + end


def index(folder, text, zipped=True):
    path = folder / f"g.fa{'.gz' * zipped}"
    path.write_bytes(gzip.compress(text.encode("latin-1")) if zipped else text.encode("latin-1"))
    return index_genome(path, folder / "out" / "g.fa.gz")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("block", [1 << 22, 100])
def test_windows_are_those_of_the_text(tmp_path, monkeypatch, zipped, end, block):
    monkeypatch.setattr(module, "BLOCK", block)
    assert index(tmp_path, fasta(end=end), zipped) == {}
    with Genome(tmp_path / "out/g.fa.gz") as genome:
        assert genome.sizes == {"chr1": 5000, "chr2": 321}
        for length in (1, 40, 700):
            chrom, start = rng.choice(list(CONTIGS), 50), rng.integers(-length - 5, 5200, 50)
            letters = genome.letters(chrom, start, length)
            outside = genome.outside(chrom, start, length)
            for row, (name, first) in enumerate(zip(chrom, start, strict=True)):
                text = CONTIGS[name]
                places = range(first, first + length)
                wanted = "".join(text[place] if 0 <= place < len(text) else "N" for place in places)
                assert letters[row].tobytes().decode() == wanted
                assert outside[row] == sum(not 0 <= place < len(text) for place in places)
                assert np.array_equal(codes(letters[row]), encode(wanted))


def test_ambiguous_letters_are_counted_and_unknown(tmp_path):
    assert index(tmp_path, ">a\nACGTRYacgtm\n") == {"R": 1, "Y": 1, "m": 1}
    with Genome(tmp_path / "out/g.fa.gz") as genome:
        found = genome.encode(np.array(["a"]), np.array([0]), 11)
        assert found.tolist() == [[0, 1, 2, 3, 4, 4, 0, 1, 2, 3, 4]]
        assert soft_masked(genome.letters(np.array(["a"]), np.array([0]), 10)).tolist() == [0.4]


def test_a_genome_that_is_not_indexed(tmp_path):
    with pytest.raises(CisflowError, match="The rule 'index_genome' makes it"):
        Genome(tmp_path / "out/g.fa.gz")
