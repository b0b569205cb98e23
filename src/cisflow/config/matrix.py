"""Data sets of signal along a genome: tracks over regions (`matrix`), and windows that come with it (`tfrecord`)."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from cisflow.config.cs282a import cs282a
from cisflow.config.places import Genome, Place, first_repeated
from cisflow.config.splitting import Fractions, Splitting
from cisflow.config.strict import Name, Strict
from cisflow.config.tracks import Blacklist, RowsBeyondContig, Tracks
from cisflow.config.yaml import Section

Split = Literal["train", "valid", "test"]
Part = Annotated[float, Field(gt=0, le=1)]


class Folds(Strict):
    """Parts of about equal size that take turns."""

    count: int = Field(ge=3, description="Number of folds.")
    test: NonNegativeInt = Field(0, description="The fold that tests, from 0.")
    valid: NonNegativeInt = Field(1, description="The fold that validates, from 0; the others train.")

    @model_validator(mode="after")
    def _there(self):
        if self.test == self.valid or max(self.test, self.valid) >= self.count:
            raise ValueError(f"test and valid are two of the folds 0 to {self.count - 1}")
        return self


class Contigs(Strict):
    """Windows over what of the genome is no gap, as the preprocessing of Basenji lays them."""

    gaps: Place | None = Field(
        None, description="Assembly gaps: a BED file, or the table gap.txt of UCSC, whose first column is a bin number."
    )
    break_above: PositiveInt | None = Field(
        786_432, description="Contigs longer than this are broken in half, and their parts come to any split."
    )
    stride_train: PositiveFloat = Field(
        1.0, description="Bases from one window to the next in train; up to 1, a fraction of `length`."
    )
    stride_test: PositiveFloat = Field(1.0, description="The same in valid and test.")
    snap: PositiveInt = Field(1, description="First positions of target windows are multiples of this.")
    folds: Folds | None = Field(None, description="Folds, instead of `split`; all have the stride of train.")
    seed: int = Field(44, ge=0, lt=2**32, description="Of the random choices.")
    unmappable: Place | None = Field(
        None, description="Regions that reads cannot be mapped to: a BED file, or a table of UCSC."
    )
    umap_threshold: Part = Field(
        0.5, description="Windows with this fraction of unmappable bins, or more, are left out."
    )
    compat: Literal["basenji"] | None = Field(
        None, description="'basenji': one of the largest contigs is lost after the breaking, as in basenji_data.py."
    )


class Regions(Strict):
    """Which regions are rows: those of a BED file, or windows laid over the genome."""

    bed: Place | None = Field(None, description="BED file whose rows all have the length of a window.")
    window: Literal["input", "target"] = Field(
        "input", description="What the rows of the BED file are: input windows, or target windows (without the crop)."
    )
    contigs: Contigs | None = Field(None, description="Windows over the contigs of the genome, instead of `bed`.")
    rows_beyond_contig: RowsBeyondContig = "fail"
    split: Splitting | None = Field(
        None, description="With `bed`: of its rows. With `contigs`: chromosomes, or fractions of the bases."
    )

    @model_validator(mode="after")
    def _one_way(self):
        if (self.bed is None) == (self.contigs is None):
            raise ValueError("regions are given by one of bed and contigs")
        folds = self.contigs is not None and self.contigs.folds is not None
        if folds == (self.split is not None):
            raise ValueError("one of split and contigs.folds says what trains, validates and tests")
        if self.contigs and self.split:
            if self.split.column is not None:
                raise ValueError("split.column: contigs have no columns; give chromosomes or fractions")
            if "seed" in self.split.model_fields_set:
                raise ValueError("split.seed: the seed of windows over contigs is contigs.seed")
        return self


class Matrix(Strict):
    """Windows of a genome with the signal of tracks in bins along them (Basenji, Kelley et al. 2018)."""

    kind: Literal["matrix"]
    preset: Literal["cs282a"] | None = Field(
        None, description="'cs282a': regions and 18 tracks of the CS282A project; `bin` is 128 or 114688."
    )
    compat: Literal["cs282a"] | None = Field(
        None, description="With the preset: its labels with the defects of the original, and without its mask."
    )
    genome: Genome = Field(description="Genome of the regions.")
    regions: Regions
    length: PositiveInt = Field(131_072, description="Length of an input window, in bases.")
    crop: NonNegativeInt = Field(8192, description="Bases at both ends of the input window that have no labels.")
    bin: PositiveInt = Field(128, description="Length of a bin, in bases.")
    labels: Literal["bins", "window"] = Field(
        "window", description="'bins': a label for each bin; 'window': one for the window, pooled over its bins."
    )
    pool: Literal["mean", "sum", "max"] = Field("mean", description="Of the measured bins, for labels: window.")
    min_measured: Part = Field(
        0.5, description="Part of a window's bins that must be measured for a label of the window."
    )
    tracks: Tracks
    blacklist: Blacklist | None = Field(None, description="Of all tracks that name none of their own.")
    edges: Literal["pad", "drop", "fail"] = Field(
        "pad",
        description="Windows beyond the end of a contig: filled with N and bins not measured, left out, or an error. "
        "All are counted.",
    )
    shards: PositiveInt = Field(1, description="Parts of the regions that are binned by jobs of their own.")
    target: Literal["real"] = "real"
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

    @model_validator(mode="before")
    @classmethod
    def _of_the_preset(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("preset") == "cs282a":
            bin = data.get("bin", 128)
            given = {key: value for key, value in data.items() if key != "tracks"}
            found = cs282a(bin if bin in (128, 114_688) else 128, data.get("compat") == "cs282a")
            return _laid(data, found | given | {"tracks": found["tracks"] | dict(data.get("tracks", {}))})
        return data

    @model_validator(mode="after")
    def _bins_fit(self):
        target = self.length - 2 * self.crop
        if target <= 0 or target % self.bin:
            raise ValueError(
                f"bin: {self.bin} bases do not divide the target window, length {self.length} less twice the crop "
                f"{self.crop}, which is {target}"
            )
        if self.compat and not self.preset:
            raise ValueError("compat: 'cs282a' belongs to the preset of that name")
        if self.preset and self.bin not in (128, 114_688):
            raise ValueError(f"bin: the labels of the preset are of 128 or 114688 bases, not of {self.bin}")
        return self

    @model_validator(mode="after")
    def _names(self):
        for name, meaning in {"mean": "their average", "pooled": "all of them together"}.items():
            if name in self.tracks:
                raise ValueError(f"tracks: '{name}' is the name of {meaning}")
        if self.blacklist:
            # Frozen for users; this is still the making of it.
            tracks = {
                name: track if track.blacklist else track.model_copy(update={"blacklist": self.blacklist})
                for name, track in self.tracks.items()
            }
            object.__setattr__(self, "tracks", tracks)
        return self

    @property
    def bins(self) -> int:
        """Number of bins of a window."""
        return (self.length - 2 * self.crop) // self.bin


def _laid(data: dict, found: dict[str, Any]) -> dict[str, Any]:
    """Return settings as a document that knows the lines of the keys in `data`, where that does."""
    if not isinstance(data, Section):
        return found
    document = Section(data.path)
    document.update(found)
    document.lines.update(data.lines)
    return document


class TfRecord(Strict):
    """Windows with signal in TFRecord files, as Basenji's programs write them."""

    kind: Literal["tfrecord"]
    files: list[Place] = Field(min_length=1, description="The files; records are numbered through, from 0.")
    targets: list[Name] = Field(min_length=1, description="Names of all targets in the files, in their order.")
    columns: list[NonNegativeInt] = Field([], description="Targets that are taken, from 0, in this order; default all.")
    bin: PositiveInt = Field(128, description="Bases of a bin in the files.")
    crop: NonNegativeInt = Field(0, description="Bases at both ends of the sequences in the files that have no bins.")
    take: Literal["tiles", "centre"] = Field(
        "tiles", description="Of each record, all windows of `length` beside each other, or the one in its middle."
    )
    length: PositiveInt = Field(description="Length of a window, in bases; a multiple of `bin`.")
    statistic: Literal["mean", "sum", "max"] = Field("mean", description="Of the bins of a window: its label.")
    transform: Literal["log1p"] | None = Field(None, description="Of the labels, after the statistic: log(1 + x).")
    records: dict[Split, list[NonNegativeInt]] | None = Field(
        None, description="Numbers of the records of each split. All windows of a record are in one split."
    )
    split: Fractions | None = Field(None, description="Instead of `records`: records at random.")
    seed: int = Field(0, ge=0, description="Of the random split.")
    target: Literal["real"] = "real"
    reverse_complement: list[Split] = Field([], description="Splits to which the other strand of each row is appended.")

    @model_validator(mode="after")
    def _whole_bins(self):
        if self.length % self.bin:
            raise ValueError(f"length: {self.length} is no multiple of bin, {self.bin}")
        if len(set(self.targets)) < len(self.targets) or "mean" in self.targets:
            raise ValueError("targets: each name must be there once, and 'mean' is the name of their average")
        if len(set(self.columns)) < len(self.columns) or max(self.columns, default=0) >= len(self.targets):
            raise ValueError(f"columns: each is there once, and is one of 0 to {len(self.targets) - 1}")
        return self

    @model_validator(mode="after")
    def _each_file_once(self):
        again = first_repeated(self.files)
        if again is not None:
            raise ValueError(f"files: '{self.files[again].title}' is there twice; a record is in one split")
        return self

    @model_validator(mode="after")
    def _one_split(self):
        if (self.records is None) == (self.split is None):
            raise ValueError("records and split: one of them says what trains, validates and tests")
        if self.split and (abs(sum(self.split) - 1) > 1e-9 or min(self.split) <= 0):
            raise ValueError(f"split: fractions are above 0, and sum to 1; they sum to {sum(self.split):g}")
        if self.records is not None:
            numbers = [number for own in self.records.values() for number in own]
            if empty := [name for name in ("train", "valid", "test") if not self.records.get(name)]:
                raise ValueError(f"records: there is none for {', '.join(empty)}")
            if len(set(numbers)) < len(numbers):
                raise ValueError("records: a record is there twice")
        return self
