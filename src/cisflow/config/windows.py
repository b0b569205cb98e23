"""Data sets of windows: two classes or numbers (`windows`), many labels from peaks (`peaks`), and matched negatives."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from cisflow.config.assemblies import assembly_of
from cisflow.config.encode import Query
from cisflow.config.places import Genome, Place, first_repeated
from cisflow.config.splitting import Splitting
from cisflow.config.strict import KeyProblem, Listed, Name, Strict, did_you_mean
from cisflow.config.tracks import RowsBeyondContig

Split = Literal["train", "valid", "test"]
Edges = Annotated[
    Literal["drop", "pad", "fail"],
    Field(description="Windows beyond the end of a contig: left out, filled with N, or an error. All are counted."),
]
Unknown = Annotated[float, Field(ge=0, le=1, description="Windows with a larger fraction of N are left out.")]


class Negatives(Strict):
    """Negatives that are like the positives, drawn for each split by itself, in a finite number of steps."""

    ratio: float = Field(1.0, gt=0, description="Negatives for each positive.")
    match: list[Literal["gc", "repeats", "kmers"]] = Field(
        ["gc"],
        description="What they match: GC content, soft-masked fraction, k-mers (by the discriminant that best "
        "tells positives from candidates).",
    )
    step: float = Field(0.02, gt=0, le=1, description="Width of the bins of GC content and soft-masked fraction.")
    kmer: int = Field(3, ge=1, le=4, description="Length of the k-mers.")
    distance: NonNegativeInt = Field(0, description="Bases between a negative and any window of the sets, or any peak.")
    candidates: PositiveInt = Field(50, description="Windows that are looked at for each negative wanted, at most.")
    pool: Place | None = Field(
        None, description="Candidates: the windows of a BED file or the sequences of a FASTA file. Default: the genome."
    )
    seed: NonNegativeInt = Field(0, description="Of the draw.")

    @field_validator("match")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        if not value or len(set(value)) < len(value):
            raise ValueError("match: each of gc, repeats, kmers at most once, and at least one")
        return value


class Column(Strict):
    """A column of a BED file."""

    column: NonNegativeInt = Field(description="Column of the file, from 0; '.' or NA: not measured.")


class Set(Strict):
    """Windows of a BED file, or the sequences of a FASTA file, with their labels."""

    bed: Place | None = Field(None, description="BED, narrowPeak or broadPeak file.")
    fasta: Place | None = Field(None, description="FASTA file of sequences of the windows' length.")
    target: float | Column | list[float | Column] = Field(
        description="The label of all its rows, or the column that has it; a list where there are several targets."
    )
    split: Split | None = Field(None, description="The split of all its rows. Default: as the data set's `split` says.")

    @model_validator(mode="after")
    def _one_file(self):
        if (self.bed is None) == (self.fasta is None):
            raise ValueError("a set is one of bed and fasta")
        if self.fasta and any(isinstance(label, Column) for label in self.labels()):
            raise ValueError("target: a FASTA file has no columns; give a number")
        return self

    def labels(self) -> list[float | Column]:
        """Return the label of each target."""
        return self.target if isinstance(self.target, list) else [self.target]


class Windows(Strict):
    """Windows of one length with one label or a few: two classes, or numbers."""

    kind: Literal["windows"]
    genome: Genome | None = Field(None, description="Genome of the BED files.")
    sets: list[Set] = Field(min_length=1, description="The files. Of a window that is there twice, the first counts.")
    length: PositiveInt = Field(description="Length of a window, in bases.")
    centre: Literal["middle", "summit"] = Field(
        "middle", description="Middle of a window: that of the interval, or the summit of a narrowPeak file."
    )
    strand: bool = Field(
        False,
        description="Whether the strand of BED files (column 6) is read: the sequence of a row with '-' is the reverse "
        "complement. Default: all sequences of BED files are of the forward strand.",
        exclude_if=lambda value: value is False,
    )
    target: Literal["binary", "real"] = Field("binary", description="Labels 0 and 1, or numbers.")
    targets: list[Name] = Field(["label"], min_length=1, description="Names of the labels.")
    edges: Edges = "drop"
    rows_beyond_contig: RowsBeyondContig = "fail"
    max_unknown: Unknown = 0.5
    contradicting: Literal["fail", "first", "drop"] = Field(
        "fail", description="A window that is there twice with unequal labels: an error, the first counts, or none."
    )
    blacklist: Listed[Place] = Field(
        [], description="BED files or tables of UCSC; windows that overlap them are left out."
    )
    split: Splitting | None = Field(None, description="Needed unless every set names its split.")
    negatives: Negatives | None = Field(None, description="Negatives to be added. Default: none.")
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

    @model_validator(mode="after")
    def _labels(self):
        if len(set(self.targets)) < len(self.targets) or "mean" in self.targets:
            raise ValueError("targets: each name must be there once, and 'mean' is the name of their average")
        for item in self.sets:
            labels = item.labels()
            if len(labels) != len(self.targets):
                raise ValueError(f"sets: a target has {len(labels)} labels, and targets has {len(self.targets)} names")
            wrong = [label for label in labels if not isinstance(label, Column) and label not in (0, 1)]
            if self.target == "binary" and wrong:
                raise ValueError(f"sets: the label {wrong[0]:g} is not 0 or 1; for numbers say 'target: real'")
        if self.negatives and self.target != "binary":
            raise ValueError("negatives: they need binary labels")
        return self

    @model_validator(mode="after")
    def _places(self):
        of_genome = [item.bed for item in self.sets if item.bed] + self.blacklist
        if of_genome and self.genome is None:
            raise ValueError("genome: it is needed for BED files")
        if self.negatives and self.negatives.pool is None and self.genome is None:
            raise ValueError("genome: negatives are drawn from it, unless they have a pool")
        if self.strand and not any(item.bed for item in self.sets):
            raise ValueError("strand: it is that of BED files; the sequences of FASTA files are as they are written")
        if self.split is None and any(item.split is None for item in self.sets):
            raise ValueError("split: it is needed, since a set does not name its split")
        if self.split and self.split.column is not None and any(s.fasta and not s.split for s in self.sets):
            raise ValueError("split: a FASTA file has no columns; name the split of its set")
        return self


class Endpoint(Strict):
    """A file of peaks, and what it tells of."""

    file: Place = Field(description="BED, narrowPeak or broadPeak file.")
    factor: str = Field(min_length=1, description="What was measured: a protein, a histone mark, DNase, ATAC.")
    biosample: str = Field(min_length=1, description="Cell line, cell type or tissue.")
    biosample_type: str = Field("", description="Cell line, primary cell, tissue, ...")
    project: str = Field("", description="Who measured it.")
    name: Name | None = Field(None, description="Name of the label. Default: from what the files are grouped by.")


class AtLeast(Strict):
    """Peaks that several files support."""

    at_least: PositiveInt = Field(description="Files that cover a base of the peak; all, where there are fewer.")


class PeakWindow(Strict):
    """The windows of a genome that are looked at."""

    length: PositiveInt = Field(1000, description="Length of a sequence, in bases.")
    label: PositiveInt = Field(200, description="Length of the bin in its middle that the labels are of.")
    overlap: float = Field(0.5, gt=0, le=1, description="Part of the bin that the peaks of a label cover at least.")

    @model_validator(mode="after")
    def _inside(self):
        if self.label > self.length or (self.length - self.label) % 2:
            raise ValueError(f"length {self.length} less label {self.label} must be even and not negative")
        return self


class Regions(Strict):
    """Which bins of the genome are rows."""

    use: Literal["any", "without", "balanced"] = Field(
        "any",
        description="Bins with any label; with a label of a factor that is not in `without`; or these, and as many "
        "that have only labels in `without`.",
    )
    without: list[str] = Field([], description="Factors, such as DNase and ATAC.")
    background: float = Field(0.0, ge=0, description="Random bins without any label, for each bin with one.")
    seed: NonNegativeInt = Field(0, description="Of the draws.")

    @model_validator(mode="after")
    def _named(self):
        if (self.use == "any") != (not self.without):
            raise ValueError("without: it names factors if use is 'without' or 'balanced', and only then")
        return self


class Peaks(Strict):
    """Windows of a genome with many labels, each from the peaks of a biosample and factor (DeepSEA, Zhou 2015)."""

    kind: Literal["peaks"]
    genome: Genome = Field(description="Genome of the files.")
    endpoints: list[Endpoint] = Field([], description="Files of peaks.")
    encode: Listed[Query] = Field(
        [], description="Queries for files of peaks at ENCODE (pinned), one or a list; or a list of accessions."
    )
    group_by: list[Literal["biosample", "biosample_type", "factor", "project"]] = Field(
        ["biosample", "factor"], min_length=1, description="Files that are alike in these make one label."
    )
    replicates: Literal["union", "all"] | AtLeast = Field(
        "union",
        description="Peaks of the files of a label: all; or those with a base that all files cover, or k.",
    )
    slop: dict[str, PositiveInt] = Field(
        {}, description="Bases by which the peaks of a factor are extended at both ends. Default: none."
    )
    window: PeakWindow = PeakWindow()
    regions: Regions = Regions()
    edges: Edges = "drop"
    rows_beyond_contig: RowsBeyondContig = "fail"
    max_unknown: Unknown = 0.5
    blacklist: Listed[Place] = Field(
        [], description="BED files or tables of UCSC; windows that overlap them are left out."
    )
    split: Splitting = Field(description="By chromosomes; or at random, windows that overlap together.")
    negatives: Negatives | None = Field(None, description="Negatives to be added. Default: none.")
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

    @field_validator("encode", mode="before")
    @classmethod
    def _accessions(cls, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        named = isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
        return [{"accessions": texts}] if named else value

    @model_validator(mode="after")
    def _known_factors(self):
        if not self.endpoints and not self.encode:
            raise ValueError("endpoints, encode: no file of peaks is named")
        # What ENCODE has is not known before it is pinned.
        problem = None if self.encode else self.unknown_factor(endpoint.factor for endpoint in self.endpoints)
        if problem:
            raise ValueError(problem)
        if self.split.column is not None:
            raise ValueError("split: bins have no column; give chromosomes or fractions")
        return self

    @model_validator(mode="after")
    def _each_file_once(self):
        labels: dict[tuple, list[int]] = {}
        for number, endpoint in enumerate(self.endpoints):
            parts = (endpoint.name,) if endpoint.name else tuple(getattr(endpoint, part) for part in self.group_by)
            labels.setdefault((bool(endpoint.name), *parts), []).append(number)
        for numbers in labels.values():
            again = first_repeated(self.endpoints[number].file for number in numbers)
            if again is not None:
                number = numbers[again]
                raise KeyProblem(
                    ("endpoints", str(number), "file"),
                    f"the label has '{self.endpoints[number].file.title}' twice; a file is no replicate of itself",
                )
        return self

    @model_validator(mode="after")
    def _peaks_of_the_genome(self):
        assembly = self.genome.assembly
        for query in self.encode:
            if query.searches and (wrong := [kind for kind in query.file_type if not kind.startswith("bed ")]):
                raise KeyProblem(("encode", "file_type"), f"peaks are read from BED files, and not from '{wrong[0]}'")
            other = assembly_of(query.assembly) if query.searches else None
            if assembly and other and assembly != other:
                raise KeyProblem(
                    ("encode", "assembly"), f"the files would be of {other}, and the genome is {assembly}; say which"
                )
        return self

    def unknown_factor(self, factors: Iterable[str]) -> str | None:
        """Return what is wrong if a factor is named in `slop` or `regions.without` that no endpoint is of."""
        known = sorted(set(factors))
        for key, named in (("slop", self.slop), ("regions.without", self.regions.without)):
            if wrong := [factor for factor in named if factor not in known]:
                return f"{key}: no endpoint has the factor '{wrong[0]}'.{did_you_mean(wrong[0], known)}"
        return None

    @staticmethod
    def endpoint(path: str, row: Mapping[str, str]) -> dict[str, str | None]:
        """Return a pinned file of ENCODE as an endpoint, with its path; `row` is that of its manifest."""
        known = {key: row[key] for key in ("factor", "biosample", "biosample_type", "project")}
        return {"file": path, "name": None} | known
