"""Where a file of a task is: in a source, at a path, at an address, or at ENCODE."""

import os.path
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt, model_validator

from cisflow.config.assemblies import assembly_of
from cisflow.config.sources import Md5, Sha256
from cisflow.config.strict import ACCESSION, Name, Strict
from cisflow.config.text import local_path

GIVEN = ("file", "url", "accession", "modified")
# A text that is meant to be an accession, perhaps in small letters or of an experiment.
_ACCESSION = re.compile(r"ENC[A-Z]{2}\d\w*", re.IGNORECASE)


class Place(Strict):
    """A file. A text alone is a path, an address (http...), or the accession of a file at ENCODE."""

    file: str | None = Field(None, description="Path of a file, or its name in `source`.")
    source: Name | None = Field(None, description="Source that has the file (config/sources.yaml).")
    url: str | None = Field(None, pattern="^https?://", description="Address that it is fetched from.")
    accession: str | None = Field(None, pattern=ACCESSION, description="File at ENCODE, once it is pinned.")
    modified: "Modified | None" = Field(None, description="BigWig file of calls, made from a BAM file.")
    md5: Md5 | None = Field(None, description="Of the file at `url`.")
    sha256: Sha256 | None = Field(None, description="Of the file at `url`.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith(("http://", "https://")):
            return {"url": value}
        return {"accession" if _ACCESSION.fullmatch(value) else "file": value}

    @model_validator(mode="after")
    def _one_place(self):
        given = [key for key in GIVEN if getattr(self, key) is not None]
        if len(given) != 1:
            found = f", and there are {', '.join(given)}" if given else ""
            raise ValueError(f"a file is given by one of {', '.join(GIVEN)}{found}")
        if self.source and not self.file:
            raise ValueError("source: the name of the file in it is needed: file")
        if (self.md5 or self.sha256) and not self.url:
            raise ValueError("md5, sha256: they belong to a url; config/sources.yaml has those of sources")
        return self

    @model_validator(mode="after")
    def _a_path(self):
        if self.file and not self.source:
            # Set as it is read, so that nothing else has to know of the home folder.
            object.__setattr__(self, "file", local_path(self.file))
        return self

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.file or self.url or self.accession or "calls of modified bases"

    @property
    def url_name(self) -> str:
        """Name of the file at `url`."""
        return PurePosixPath(unquote(urlsplit(self.url or "").path)).name


class Genome(Place):
    """A FASTA file of whole chromosomes, gzipped or not. A text that has no dot and no slash is a source."""

    records: bool = Field(
        False,
        description="The file has stretches, with places and strands in the headers, as chr2L:101-200(-); the rest "
        "is N.",
    )
    sizes: dict[str, PositiveInt] = Field(
        {}, description="With `records`: bases of contigs. Those that are not named end with their last record."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_source(cls, value: Any) -> Any:
        # The file of the source is looked up where sources are known.
        if isinstance(value, str) and not {".", "/"} & set(value):
            return {"source": value, "file": "*.fa*"}
        return value

    @property
    def assembly(self) -> str | None:
        """ENCODE's name of the assembly that its source or file is called after; None if that is not known."""
        names = (self.source, PurePosixPath(self.file or "").name, self.url_name)
        return next(filter(None, (assembly_of(name) for name in names if name)), None)

    @model_validator(mode="after")
    def _sizes_of_records(self):
        if self.sizes and not self.records:
            raise ValueError("sizes: whole chromosomes have their own; they are needed for records only")
        return self


class Modified(Strict):
    """Calls of modified bases, base by base, of the reads of a BAM file with MM and ML tags (DiMeLo-seq)."""

    bam: Place = Field(description="BAM file.")
    genome: Genome = Field(description="Genome that its reads are aligned to.")
    calls: Literal["modmA", "validmA", "modCpG", "validCpG"] = Field(
        description="Reads that call an A, or a CpG, modified; or that call it at all (valid)."
    )
    threshold: int = Field(129, ge=1, le=255, description="Lowest probability of a modification, of 255.")
    min_mapping_quality: NonNegativeInt = Field(10, description="Of the reads that count.")


Place.model_rebuild()
Genome.model_rebuild()


def _left_out(model: BaseModel, name: str, value: Any) -> bool:
    condition = type(model).model_fields[name].exclude_if
    return condition is not None and condition(value)


def places_of(value: Any) -> Iterator[Place]:
    """Yield all places in a model, in lists and mappings too, in their order."""
    for _, found in located_places(value):
        yield found


def first_repeated(places: Iterable[Place]) -> int | None:
    """Return the number of the first place that was there before, also by another spelling of its path, or None."""
    seen = set()
    for number, place in enumerate(places):
        path = place.file and os.path.normpath(place.file)
        key = place.model_copy(update={"file": path}).model_dump_json()
        if key in seen:
            return number
        seen.add(key)
    return None


def located_places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Place]]:
    """Yield all places in a model with the keys that lead to each; `path` leads to the model."""
    if isinstance(value, Place):
        yield path, value
        if value.modified:
            yield from located_places(value.modified, (*path, "modified"))
    elif isinstance(value, BaseModel):
        for name, item in value:
            yield from located_places(item, (*path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from located_places(item, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from located_places(item, (*path, str(number)))


def with_paths(value: Any, path_of: Callable[[Place], str]) -> Any:
    """Return a model as plain data, with the path of each place instead of the place.

    As in `model_dump`, a field whose `exclude_if` holds is left out. That of a new key holds for its default, so that
    an upgrade changes the settings of no rule.
    """
    if isinstance(value, Place):
        return path_of(value)
    if isinstance(value, BaseModel):
        return {name: with_paths(item, path_of) for name, item in value if not _left_out(value, name, item)}
    if isinstance(value, dict):
        return {name: with_paths(item, path_of) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_paths(item, path_of) for item in value]
    return value
