"""The labels of the CS282A project (github.com/OberonDixon/basenji2_cs282a_cpg-lmnb1): a preset of `kind: matrix`.

The original's table of tracks is dataset_14-lmnb1_4-cpg.h5: `128bp_bins`, and `single_bin` of 114,688 bp.
"""

from typing import Any

CELLS = {
    "CardiacMyocytes": "GSM5669183", "APS": "GSM5669188", "BorderEctoderm": "GSM5669193", "D5Midbrain": "GSM5669198",
    "DefEctoderm": "GSM5669203", "EarlySomite": "GSM5669209", "EndoProgenitor": "GSM5669214",
    "Epicardium": "GSM5669220", "H9ESC": "GSM5669226", "Liver": "GSM5669232", "MidHindgut": "GSM5669238",
    "ParaxMesoderm": "GSM5669244",
}  # fmt: skip
# Regions are lifted to the assembly of the reads, CHM13 v1.1, by way of v1.0.
LIFT = [
    {"source": "chains-chm13-ucsc", "file": "hg38.t2t-chm13-v1.0.over.chain.gz"},
    {"source": "chains-chm13", "file": "v1.0_to_v1.1_rdna_merged.chain"},
]
READS = {"HEK293": "mod_mappings.10.sorted.bam", "GM12878": "mod_mappings.01.sorted.bam"}
ASSEMBLY = {"source": "chm13", "file": "chm13.draft_v1.1.fasta.gz"}
SMALL, LARGE = 128, 114_688


def cs282a(bin: int = SMALL, compat: bool = False) -> dict[str, Any]:
    """Return the settings of the preset.

    Parameters
    ----------
    bin
        128 or 114,688: which of the two label sets.
    compat
        As the original made them: a base without ChIP signal is 2^0, a region is lifted by its first base alone and
        read from the contig of the same name, and what was not measured is 0. Otherwise what was not measured is
        masked, and sums over 128 bases are 128 times the mean of those that were.
    """
    tracks = {f"LMNB1_{cell}": _chip(f"{number}_{cell}_rep1_LB1.bigwig", cell, bin, compat)
        for cell, number in CELLS.items()}  # fmt: skip
    for cell in ("HEK293", "GM12878"):
        tracks[f"LMNB1_{cell}"] = _ratio(cell, "mA", f"lamin B1 in {cell}: methylated of all valid A", compat)
    for cell in ("HEK293", "GM12878"):
        tracks[f"CpG_{cell}"] = _ratio(cell, "CpG", f"CpG methylation in {cell}", compat)
        tracks[f"CpG_valid_{cell}"] = _valid(cell, bin, compat)
    return {
        "genome": {"source": "hg38", "file": "*.fa*"},
        "regions": {"bed": {"source": "cs282a", "file": "sequences.bed"}, "window": "input", "split": {"column": 3}},
        "length": 131_072, "crop": 8192, "bin": bin, "labels": "bins" if bin == SMALL else "window",
        "shards": 32, "tracks": tracks,
    }  # fmt: skip


def _chip(file: str, cell: str, bin: int, compat: bool) -> dict[str, Any]:
    """Return a track of log2 enrichment: the sum of 2^v over 128 bases, and the mean of such sums over a window."""
    original = {"statistic": "sum", "no_data": "zero", "scale": SMALL / bin}
    corrected = {"statistic": "mean", "no_data": "mask", "scale": float(SMALL)}
    return {
        "file": {"source": "lmnb1-shah2023", "file": file}, "exp2": True, **(original if compat else corrected),
        "unit": "enrichment, sum over 128 bp", "description": f"lamin B1 ChIP-seq, {cell}",
    }  # fmt: skip


def _ratio(cell: str, base: str, description: str, compat: bool) -> dict[str, Any]:
    return {
        "numerator": _counts(cell, "mod", base), "denominator": _counts(cell, "valid", base), "scale": 500.0,
        "unit": "methylated part, times 500", "description": description, **_lifted(compat),
    }  # fmt: skip


def _valid(cell: str, bin: int, compat: bool) -> dict[str, Any]:
    # Nothing was counted where the file has nothing: that is a measurement, unlike a place that is not in the assembly.
    return {
        "file": _counts(cell, "valid", "CpG"), "statistic": "sum", "no_data": "zero",
        "scale": 10.0 if bin == SMALL else 0.01, "unit": f"CpG bases read, times {10 if bin == SMALL else 0.01}",
        "description": f"valid CpG bases in reads of {cell}", **_lifted(compat),
    }  # fmt: skip


def _counts(cell: str, what: str, base: str) -> dict[str, Any]:
    reads = {"source": "dimelo-lmnb1", "file": READS[cell]}
    return {"modified": {"bam": reads, "genome": ASSEMBLY, "calls": what + base}}


def _lifted(compat: bool) -> dict[str, Any]:
    return {"lift": LIFT, **({"compat": "cs282a"} if compat else {})}
