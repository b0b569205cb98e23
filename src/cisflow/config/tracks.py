"""A track: a file with signal along a genome, and how its values become one number a bin."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from cisflow.config.places import Place, first_repeated
from cisflow.config.strict import Strict
from cisflow.tracks.endings import format_of

Format = Literal["auto", "bigwig", "bedgraph", "bed", "bam"]
Statistic = Literal["mean", "sum", "max", "min", "median", "mean_sqrt", "sum_sqrt", "peak"]
NoData = Literal["zero", "nan", "mask", "median", "interpolate"]
RowsBeyondContig = Annotated[
    Literal["fail", "drop"],
    Field(
        description="Rows of BED and bedGraph files that end beyond their contig: an error, or left out and counted. "
        "Those of blacklists, gaps and unmappable regions are cut at the end of the contig instead of left out.",
        exclude_if=lambda value: value == "fail",
    ),
]
# Of the window as a whole; what is lifted may come in pieces.
OF_WINDOWS = ("median", "interpolate")


class Reads(Strict):
    """Which reads of a BAM file count, and which bases of them."""

    count: Literal["reads", "ends", "fragments"] = Field(
        "reads",
        description="'reads': the aligned bases of each read; 'ends': the first base of each read, in its direction; "
        "'fragments': all bases of each proper pair.",
    )
    shift: tuple[int, int] = Field(
        (0, 0), description="Bases that reads of the plus and of the minus strand are moved to the right (ATAC: 4, -5)."
    )
    extend: PositiveInt | None = Field(
        None, description="Length of the fragment that each read stands for, from its first base; only with 'reads'."
    )
    strand: Literal["both", "plus", "minus"] = Field("both", description="Strand of the reads that count.")
    min_mapping_quality: NonNegativeInt = Field(0, description="Lowest mapping quality of a read that counts.")
    exclude_flags: NonNegativeInt = Field(
        3844,
        description="Reads with one of these SAM flags do not count; 3844: unmapped, secondary, failed, duplicate, "
        "supplementary.",
    )
    max_fragment: PositiveInt = Field(1000, description="Longest fragment that counts, in bases.")

    @model_validator(mode="after")
    def _extended(self):
        if self.extend and self.count != "reads":
            raise ValueError(f"extend: it makes fragments of reads, and count is '{self.count}'")
        return self


class Blacklist(Strict):
    """Places whose signal is not trusted."""

    file: Place = Field(description="BED file or table of UCSC, in the assembly of the regions.")
    rule: Literal["mask", "clip"] = Field(
        "mask",
        description="'mask': bins that touch it were not measured; 'clip': its bases are clipped to plus and minus the "
        "median of the window.",
    )
    buffer: NonNegativeInt = Field(20, description="Bases by which each place is widened at both ends.")


class LiftRules(Strict):
    """When a bin is lifted; see `cisflow liftover --help`."""

    min_fraction: float = Field(0.95, gt=0, le=1, description="Part of its bases that one chain must carry.")
    max_length_change: float = Field(0.1, ge=0, description="How much its length may change, as a part of it.")
    same_strand: bool = Field(False, description="Refuse what turns round; otherwise its bins are turned back.")
    best: bool = Field(False, description="Take the best-scoring chain where several carry it.")


class Track(Strict):
    """A file of signal, or two whose ratio it is, and how values are made of it."""

    file: Place | None = Field(None, description="BigWig, bedGraph, BED, narrowPeak, broadPeak or BAM file.")
    numerator: Place | None = Field(None, description="File whose sum is divided; instead of `file`.")
    denominator: Place | None = Field(None, description="File whose sum divides; a bin where it is 0 is not measured.")
    format: Format = Field("auto", description="Needed where the end of the file's name does not tell it.")
    column: PositiveInt | None = Field(
        None,
        gt=3,
        description="Column of a BED file, from 1, that has the values (narrowPeak: 7); those of intervals that "
        "overlap add up. Without it each interval counts 1.",
    )
    statistic: Statistic = Field(
        "mean",
        description="Of the bases of a bin. sum_sqrt, mean_sqrt: sqrt(1 + x) - 1 of the sum or mean; peak: "
        "sqrt(4 x) of the mean, at most 1.",
    )
    no_data: NoData | None = Field(
        None,
        description="What a base is that the file says nothing about. 'zero': 0. 'nan': left out; a bin is measured if "
        "any base is. 'mask': left out; a bin is measured if `min_covered` of its bases are. 'median': the median of "
        "the window, 0 if it has fewer than 8 bins. 'interpolate': between its neighbours. Needed, but for ratios.",
    )
    min_covered: float = Field(0.5, gt=0, le=1, description="Part of a bin's bases with data, for no_data: mask.")
    absent_contigs: Literal["refuse", "no_data"] = Field(
        "refuse", description="What to do with regions on a contig that a BigWig or BAM file does not have."
    )
    rows_beyond_contig: RowsBeyondContig = "fail"
    exp2: bool = Field(False, description="The file has logarithms to the base 2; 2^x is taken of each base.")
    scale: PositiveFloat = Field(1.0, description="Factor, before roots and clipping.")
    soft_clip: PositiveFloat | None = Field(None, description="What is above c becomes c - 1 + sqrt(x - c + 1).")
    clip: PositiveFloat | None = Field(None, description="Largest value; its negative is the smallest.")
    blacklist: Blacklist | None = Field(None, description="Places whose signal is not trusted.")
    reads: Reads = Field(Reads(), description="Of BAM files.")
    lift: list[Place] = Field(
        [], description="Chain files, one after another, from the assembly of the regions to that of the file."
    )
    lift_rules: LiftRules = LiftRules()
    compat: Literal["cs282a"] | None = Field(
        None,
        description="'cs282a': as the original: only the first base of a region is lifted, contig and strand of the "
        "hit are ignored, and what was not measured is 0 and not masked.",
    )
    unit: str = Field("", description="Unit of the values.")
    description: str = Field("", description="What was measured.")

    @model_validator(mode="after")
    def _files(self):
        if bool(self.numerator) != bool(self.denominator) or bool(self.file) == bool(self.numerator):
            raise ValueError("a track has a file, or a numerator and a denominator")
        if self.numerator and (self.no_data or self.exp2 or self.statistic not in ("mean", "sum")):
            raise ValueError(
                "a ratio is one of sums, where bases without data count 0: no_data, exp2, statistic: not here"
            )
        if self.numerator and first_repeated((self.numerator, self.denominator)) is not None:
            raise ValueError(f"denominator: it is the numerator, '{self.numerator.title}', so that every ratio is 1")
        if self.file and not self.no_data:
            raise ValueError(f"no_data: this key is needed; it is one of {', '.join(get_args(NoData))}")
        for place in self.files():
            name = place.url_name if place.url else place.file
            if name and not format_of(name, self.format):
                raise ValueError(
                    f"format: the end of the name '{name}' does not tell it: give {', '.join(get_args(Format)[1:])}"
                )
        return self

    @model_validator(mode="after")
    def _lifted(self):
        if self.lift and (self.no_data in OF_WINDOWS or (self.blacklist and self.blacklist.rule == "clip")):
            raise ValueError(
                "lift: what is of a whole window is not lifted: no_data: median, interpolate; blacklist.rule: clip"
            )
        if self.compat and not self.lift:
            raise ValueError("compat: 'cs282a' is a way of lifting, and there is no lift")
        if self.numerator and self.blacklist and self.blacklist.rule == "clip":
            raise ValueError("blacklist.rule: a ratio is not clipped at places; use mask")
        return self

    def files(self) -> list[Place]:
        """Return the file, or numerator and denominator."""
        return [place for place in (self.file, self.numerator, self.denominator) if place]


Tracks = Annotated[dict[str, Track], Field(min_length=1, description="Name to track; the order is that of the labels.")]
