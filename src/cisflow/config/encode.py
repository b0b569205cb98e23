"""Which files of ENCODE a data set takes: a query, and the names of the columns that it is about."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, StringConstraints, model_validator

from cisflow.config.assemblies import assembly_of, organism_of
from cisflow.config.strict import ACCESSION, Grid, KeyProblem, Strict

Accession = Annotated[str, StringConstraints(pattern=ACCESSION)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
# The more usual ones of ENCODE; others may be asked for as well.
FILE_TYPES = (
    "bed narrowPeak", "bed broadPeak", "bed idr_peak", "bed bed3", "bed bed3+", "bed bed6", "bed bed6+", "bed bed9",
    "bed bed9+", "bed bedMethyl", "bigBed narrowPeak", "bigBed broadPeak", "bigWig", "bam", "tsv", "hic",
)  # fmt: skip


def _as_encode_writes_it(value: str) -> str:
    for known in FILE_TYPES:
        if value not in FILE_TYPES and value.lower() in (known.lower(), known.partition(" ")[2].lower()):
            raise ValueError(f"ENCODE writes '{value}' as '{known}'")
    return value


def _numbers(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", value):
        raise ValueError(f"{value!r} is no text with the numbers of biological replicates, as '1' or '1, 2'")
    return ", ".join(value.replace(" ", "").split(","))


FileType = Annotated[Text, AfterValidator(_as_encode_writes_it)]
# As ENCODE writes them.
Replicates = Annotated[str, BeforeValidator(_numbers)]
# Columns of ENCODE's metadata table that may have to be empty, and what they are called in a manifest.
METADATA = {
    "Biosample treatments": "treatments",
    "Biosample genetic modifications methods": "modification_methods",
    "Biosample genetic modifications categories": "modification_categories",
    "Library crosslinking method": "crosslinking",
    "Audit WARNING": "audit_warning",
    "Audit NOT_COMPLIANT": "audit_not_compliant",
    "Audit ERROR": "audit_error",
}
Metadata = Literal[
    "Biosample treatments",
    "Biosample genetic modifications methods",
    "Biosample genetic modifications categories",
    "Library crosslinking method",
    "Audit WARNING",
    "Audit NOT_COMPLIANT",
    "Audit ERROR",
]
UNTREATED = tuple(column for column in METADATA if not column.startswith("Audit"))
AUDITED = ("Audit ERROR", "Audit NOT_COMPLIANT")
# Best first; the newer names of ENCODE's pipelines follow those of the older ones that they replaced.
OUTPUT_TYPES = {
    "bed": [
        "optimal IDR thresholded peaks",
        "IDR thresholded peaks",
        "replicated peaks",
        "stable peaks",
        "pseudoreplicated IDR thresholded peaks",
        "pseudoreplicated peaks",
    ],
    "bigWig": ["signal p-value", "read-depth normalized signal"],
}
Rule = Literal["replicates", "uncrosslinked", "output_type", "preferred_default"]
Column = Literal[
    "experiment",
    "assay",
    "target",
    "factor",
    "biosample",
    "biosample_type",
    "project",
    "lab",
    "output_type",
    "file_type",
]


class Query(Strict):
    """Files of ENCODE: what the experiments are, what the files are, and which of several are taken."""

    assay: Grid[Text] = Field([], description="Titles of assays, as 'TF ChIP-seq', 'Histone ChIP-seq', 'DNase-seq'.")
    organism: Text = Field("Homo sapiens", description="Scientific name.")
    biosample: Grid[Text] = Field([], description="Terms, as K562 or 'heart left ventricle'; none: all.")
    target: Grid[Text] = Field([], description="Labels of targets, as CTCF or H3K27ac; none: all.")
    assembly: Text = Field("GRCh38", description="Assembly that the files are in.")
    file_type: Grid[FileType] = Field(
        ["bed narrowPeak"], min_length=1, description="Format and its type: 'bed narrowPeak', 'bed broadPeak', bigWig."
    )
    status: Text = Field("released", description="Of experiment, file, and the analysis that it comes from.")
    require_empty: Grid[Metadata] | None = Field(
        None,
        description="Columns of ENCODE's metadata that must be empty. Default: treatments, genetic modifications "
        "(methods, categories) and crosslinking method; of ChIP-seq the audits ERROR and NOT_COMPLIANT, too.",
    )
    group_by: Grid[Column] = Field(
        ["biosample", "factor", "project"], min_length=1, description="Files that are equal in these are compared."
    )
    prefer: list[Rule] = Field(
        ["replicates", "uncrosslinked", "output_type"],
        description="In this order, which files of a group are kept; preferred_default is ENCODE's own mark.",
    )
    replicates: Grid[Replicates] | None = Field(
        None, description="Biological replicates, best first, as '1, 2, 3'. Default: the more, the better."
    )
    output_type: Grid[Text] | None = Field(
        None, description="Output types, best first. Default: those of peaks, or of signal, in file_type."
    )
    keep_all_if_none: bool = Field(
        True, description="A group without a preferred file is kept whole by that rule; false: it is left out."
    )
    max_files: PositiveInt | None = Field(None, description="Files in all; the rest is left out.")
    accessions: Grid[Accession] = Field([], description="Files that are taken whatever the query says of them.")

    @model_validator(mode="after")
    def _asks_for_something(self):
        if not self.searches and not self.accessions:
            raise ValueError("it would take all of ENCODE; name assay, biosample, target or accessions")
        return self

    @model_validator(mode="after")
    def _of_one_organism(self):
        known = assembly_of(self.assembly)
        if not self.searches or known is None:
            return self
        if not self.assembly.startswith(known):
            raise KeyProblem(("assembly",), f"ENCODE calls the assembly {self.assembly} '{known}'")
        if self.organism != organism_of(known):
            raise KeyProblem(("organism",), f"{known} is of {organism_of(known)}, and the query is for {self.organism}")
        return self

    @property
    def searches(self) -> bool:
        """Whether ENCODE is searched; else it is only asked for the accessions."""
        return bool(self.assay or self.biosample or self.target)

    def empty_columns(self, assay: str) -> Sequence[str]:
        """Return the columns that must be empty for a file of an assay."""
        if self.require_empty is not None:
            return self.require_empty
        return (*UNTREATED, *AUDITED) if "ChIP-seq" in assay else UNTREATED

    def output_types(self) -> list[str]:
        """Return the preferred output types, best first."""
        if self.output_type is not None:
            return self.output_type
        kinds = dict.fromkeys(file_type.split()[0] for file_type in self.file_type)
        return [name for kind in kinds for name in OUTPUT_TYPES.get(kind, [])]


def wanted_of(queries: Iterable[Query], accessions: Iterable[str]) -> dict[str, Any]:
    """Return as plain data what a task wants of ENCODE: its queries, and the accessions among its files."""
    return {"queries": [query.model_dump() for query in queries], "accessions": sorted(set(accessions))}


def hash_of(wanted: dict[str, Any]) -> str:
    """Return a hash of what a task wants, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
