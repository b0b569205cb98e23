"""A finished figure as an RO-Crate 1.1, by the profile Provenance Run Crate 0.5: files, workflow, and how it was made.

https://www.researchobject.org/workflow-run-crate/profiles/provenance_run_crate
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import yaml
from rocrate.model import ContextEntity, Entity
from rocrate.rocrate import ROCrate

from cisflow import __version__
from cisflow.checksums import describe, files_below
from cisflow.config.project import Project
from cisflow.config.sources import Source
from cisflow.errors import CisflowError, without_secrets
from cisflow.io import partial_folder, remove_partial
from cisflow.records.chain import Chain, File, chain_of
from cisflow.records.places import Places
from cisflow.records.read import Attempt, Job, read_jobs
from cisflow.records.table import memory

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
# Terms that RO-Crate 1.1 has not.
TERMS = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in ("sha256", "resourceUsage")}
WORKFLOW = "Snakefile"
# What it takes to run the workflow again.
FOLDERS = ("workflow", "config", "profiles", "src")
FILES = ("pyproject.toml", "requirements.lock", "Makefile", "CITATION.cff", "LICENSE")
# Of these, the user's own: what they say of this machine is left out.
OWN = ("config", "profiles")
LEFT_OUT = ("__pycache__", "*.pyc", "*.egg-info", ".*")
FORMATS = {
    ".pdf": "application/pdf", ".png": "image/png", ".tsv": "text/tab-separated-values", ".json": "application/json",
    ".jsonl": "application/jsonl", ".html": "text/html", ".md": "text/markdown", ".yaml": "application/yaml",
    ".py": "text/x-python", ".h5": "application/x-hdf5", ".parquet": "application/vnd.apache.parquet",
    ".meme": "text/plain", ".cff": "application/yaml", ".toml": "application/toml",
}  # fmt: skip
README = """# {title}

{caption}

{files}

Made by cisflow {version}, a Snakemake workflow, which is in this crate (`{workflow}`). `ro-crate-metadata.json` says
how, and `ro-crate-preview.html` shows it: {jobs} jobs with their inputs, outputs, checksums and software.
`records.jsonl` has the records of these jobs. To make it again, install the environment (`make environment`), and run

    {command} {target}
"""
# Formats of text in which cisflow writes where files are.
TEXTS = (".json", ".jsonl", ".yaml", ".md", ".html", ".tsv")
# QUDT's units.
SECOND, MEBIBYTE = "http://qudt.org/vocab/unit/SEC", "http://qudt.org/vocab/unit/MebiBYTE"


def write_crate(project: Project, target: str | Path, out: Path, with_data: bool = False) -> list[str]:
    """Write a result and all that tells how it was made as an RO-Crate.

    Parameters
    ----------
    project
        The configuration that it was made with.
    target
        A file that a job of the workflow wrote, as results/figures/fig1.pdf.
    out
        A new folder, or a new file that ends in .zip.
    with_data
        Copy everything from the sources on into it, too; else only what the target's job wrote, and describe the rest.

    Returns
    -------
    list of str
        What to tell of it, a sentence each.

    Raises
    ------
    CisflowError
        There is no complete record of how it was made, a file is not what was recorded, or `out` exists.
    """
    if out.exists():
        raise CisflowError(f"{out} exists: remove it, or give another name by --out.")
    results = project.settings.results
    jobs, notes = read_jobs(project.root / results / "logs")
    chain = chain_of(_relative(project.root, target), jobs, results)
    copied = _copied(project.root, chain, with_data)
    places = Places(
        project.root, [path for job in chain.jobs for path in (*job.result["reads"], *job.result["writes"])]
    )
    remove_partial(out)
    with partial_folder(out) as folder:
        staged, shortened = _stage(project.root, folder, chain, places)
        builder = _Crate(project, chain, copied, staged, places)
        crate = builder.build()
        # Written aside and renamed, so that it is whole or absent.
        written = folder / "crate"
        crate.write(written)
        if out.suffix == ".zip":
            # Not the library's own way, which puts a file of a folder into the archive twice.
            written = Path(shutil.make_archive(str(written), "zip", written))
        written.rename(out)
    size = describe(out, digests=False)["bytes"] / 1e6
    given = f"{len(chain.given)} files that were given" if chain.given else "no given file"
    about = f"{out}: {len(copied)} files and folders of data, {len(chain.jobs)} jobs, {given}; {size:,.1f} MB."
    if shortened := [*shortened, *builder.shortened]:
        notes.append(
            f"Passwords and places of this machine were left out of {len(shortened)} files, whose checksums are those "
            f"of the files in the crate: {', '.join(shortened)}."
        )
    return [*notes, about]


def default_out(target: Path) -> Path:
    """Return where the crate of a result goes by default: beside it, as fig1.crate.zip of fig1.pdf.

    The name of a folder may have a dot, as that of the run cnn-50_relu_width-0.25, and is kept whole.
    """
    name = target.stem if target.suffix in FORMATS else target.name
    return target.with_name(f"{name}.crate.zip")


def _relative(root: Path, target: str | Path) -> str:
    """Return a path as records have it: from where Snakemake runs."""
    path = Path(target)
    resolved = root.resolve()
    if path.is_absolute() and path.resolve().is_relative_to(resolved):
        return path.resolve().relative_to(resolved).as_posix()
    return PurePath(path).as_posix()


def _copied(root: Path, chain: Chain, with_data: bool) -> dict[str, File]:
    """Return the files that go into the crate, after a look whether they are still what was recorded."""
    chosen = chain.files() if with_data else chain.target.result["writes"]
    for path, file in chosen.items():
        if not (root / path).exists():
            raise CisflowError(f"{path}: it is gone; {chain.target.name} was made from it, or made it.")
        if describe(root / path)["sha256"] != file.get("sha256"):
            raise CisflowError(f"{path}: it was changed after the job that is recorded. Make it again by snakemake.")
    return dict(chosen)


def _stage(root: Path, folder: Path, chain: Chain, places: Places) -> tuple[Path, list[str]]:
    """Lay out the workflow and the records of the jobs, as the crate has them.

    Returns
    -------
    tuple
        The folder, and the files of the configuration of which something was left out.
    """
    staged = folder / "staged"
    for name in FOLDERS:
        if (root / name).is_dir():
            shutil.copytree(root / name, staged / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in (WORKFLOW, *FILES):
        if (root / name).is_file():
            shutil.copy(root / name, staged / name)
    lines = [json.dumps({"name": job.name} | dict(attempt)) + "\n" for job in chain.jobs for attempt in job.last]
    (staged / "records.jsonl").write_text(places.shown("".join(lines)), encoding="utf-8")
    own = sorted(path for name in OWN for path in (staged / name).rglob("*") if path.is_file())
    return staged, [path.relative_to(staged).as_posix() for path in own if _shorten(path, path, places)]


def _shorten(path: Path, copy: Path, places: Places) -> bool:
    """Write a text as it is published; return False, and write nothing, if that is no change or it is no text."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    shown = places.shown(text)
    if shown == text:
        return False
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(shown, encoding="utf-8")
    return True


@dataclass
class _Crate:
    """Builds the crate; each method adds one kind of entity and returns it."""

    project: Project
    chain: Chain
    copied: Mapping[str, File]
    staged: Path
    places: Places

    def build(self) -> ROCrate:
        # Copied files of which something was left out.
        self.shortened: list[str] = []
        self.crate = ROCrate(gen_preview=True, version="1.1")
        self.crate.metadata.extra_terms |= TERMS
        self.files: dict[str, Entity] = {}
        self.cited = yaml.safe_load((self.project.root / "CITATION.cff").read_text(encoding="utf-8"))
        self.agents = self._agents()
        workflow = self._workflow()
        self._root(workflow)
        actions = [self._action(job) for job in self.chain.jobs]
        self._run(workflow, actions)
        for entity in self.crate.get_entities():
            _unpack(entity)
        return self.crate

    def _context(self, identity: str, kind: Any, **properties: Any) -> Entity:
        """Return an entity that is no file; the same one for the same identity."""
        if (known := self.crate.get(identity)) is not None:
            return known
        given = {key: value for key, value in properties.items() if value not in (None, [], "")}
        links = {key: given.pop(key) for key in list(given) if _links(given[key])}
        entity = self.crate.add(ContextEntity(self.crate, identity, properties={"@type": kind} | given))
        for key, value in links.items():
            entity[key] = value
        return entity

    def _agents(self) -> list[Entity]:
        return [self._agent(author) for author in self.cited["authors"]]

    def _agent(self, author: Mapping[str, str]) -> Entity:
        if "name" in author:
            return self._context(
                f"#{_slug(author['name'])}", "Organization", name=author["name"], url=author.get("website")
            )
        name = f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
        found = {"givenName": author.get("given-names"), "familyName": author.get("family-names")}
        return self._context(
            author.get("orcid") or f"#{_slug(name)}",
            "Person",
            name=name,
            affiliation=author.get("affiliation"),
            **found,
        )

    def _root(self, workflow: Entity) -> None:
        root, title, caption = self.crate.root_dataset, *self._title()
        root["name"], root["description"] = title, caption
        root["datePublished"] = _time(self.chain.target.result["ended"])
        root["author"] = self.agents
        root["license"] = self._context(
            "#licence", "CreativeWork", name="MIT for the workflow; each source has its own licence",
            description="The workflow is under the MIT licence (LICENSE). Data, and what is made of them, are under "
            "the licences of the sources, which each of them names.",
        )  # fmt: skip
        root["conformsTo"] = [
            self._context(uri, "CreativeWork", name=name, version=uri.rsplit("/", 1)[1])
            for uri, name in PROFILES.items()
        ]
        readme = self._text("README.md", self._readme(title, caption), "How to use this crate")
        readme["about"] = root
        self._staged_file("records.jsonl", "Records of the jobs, an attempt a line")
        for name in FOLDERS:
            if (self.staged / name).is_dir():
                self.crate.add_dataset(self.staged / name, name, properties={"name": f"{name} of cisflow"})
        for name in FILES:
            if (self.staged / name).is_file():
                self._staged_file(name, f"{name} of cisflow")

    def _title(self) -> tuple[str, str]:
        """Return name and description of the result."""
        path = PurePath(next(iter(self.chain.target.result["writes"])))
        figure = self.project.figures.get(path.stem)
        if self.chain.target.rule == "draw_figure" and figure is not None:
            return f"{figure.title} ({path.stem})", f"{figure.caption} After {figure.paper}, drawn anew by cisflow."
        return self.places.inside(str(path)), f"Made by the rule {self.chain.target.rule} of cisflow."

    def _readme(self, title: str, caption: str) -> str:
        wrote = list(map(self.places.inside, self.chain.target.result["writes"]))
        return README.format(
            title=title, caption=caption, files="\n".join(f"- `{path}`" for path in wrote), version=__version__,
            workflow=WORKFLOW, jobs=len(self.chain.jobs), command=self.project.settings.command, target=wrote[0],
        )  # fmt: skip

    def _workflow(self) -> Entity:
        newest = self.chain.target.result
        workflow = self.crate.add_workflow(
            self.staged / WORKFLOW, WORKFLOW, main=True, lang="snakemake", lang_version=_version("snakemake"),
            properties={"@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]},
        )  # fmt: skip
        workflow["name"] = "cisflow"
        workflow["description"] = "Regulatory genomics from the public source to the finished figure."
        workflow["version"] = "+".join(filter(None, [newest["versions"]["cisflow"], newest["commit"]]))
        workflow["author"], workflow["encodingFormat"] = self.agents, "text/x-snakemake"
        if "repository-code" in self.cited:
            workflow["url"] = self.cited["repository-code"]
        workflow["license"] = "https://spdx.org/licenses/MIT"
        workflow["softwareRequirements"] = [self._library(*pair) for pair in newest["versions"].items()]
        workflow["conformsTo"] = self._context(
            "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE", "CreativeWork",
            name="Bioschemas ComputationalWorkflow",
        )  # fmt: skip
        return workflow

    def _library(self, name: str, version: str) -> Entity:
        return self._context(
            f"pkg:pypi/{name}@{quote(version)}",
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            url=_homepage(name),
        )

    def _tool(self, job: Job) -> Entity:
        """Return the script that a job ran, a file of the workflow."""
        script = job.result["command"][0]
        if script not in self.files:
            there = self.crate.add_file(
                self.staged / script, script, properties={"@type": ["File", "SoftwareSourceCode"]}
            )
            there["name"], there["encodingFormat"] = script, "text/x-python"
            there["version"] = job.result["versions"]["cisflow"]
            there["programmingLanguage"] = "Python"
            there["description"] = _first_sentence(self.staged / script)
            self.files[script] = there
        return self.files[script]

    def _action(self, job: Job) -> Entity:
        done = job.result
        action = self._context(
            f"#job/{quote(job.name)}", "CreateAction", name=f"{job.rule}: {job.name}",
            description=self.places.shown(" ".join(done["command"])),
            startTime=_time(done["started"]), endTime=_time(done["ended"]),
            actionStatus="http://schema.org/CompletedActionStatus", agent=self.agents, instrument=self._tool(job),
            object=[self._data(path, file) for path, file in done["reads"].items()],
            result=[self._data(path, file) for path, file in done["writes"].items()],
            resourceUsage=self._usage(job), additionalProperty=self._circumstances(job),
        )  # fmt: skip
        self.crate.root_dataset.append_to("mentions", action)
        return action

    def _usage(self, job: Job) -> list[Entity]:
        gpus = [gpu["reserved_mb"] for gpu in job.result.get("gpus", [])]
        used = {
            "wallClockTime": (job.result["seconds"], SECOND),
            "cpuTime": (job.result["cpu_seconds"], SECOND),
            "maximumMemory": (memory(job.result), MEBIBYTE),
            "maximumGpuMemory": (max(gpus, default=None), MEBIBYTE),
        }
        return [self._value(job, what, *found) for what, found in used.items() if found[0] is not None]

    def _circumstances(self, job: Job) -> list[Entity]:
        done = job.result
        device = done["gpus"][0]["name"] if done.get("gpus") else done["cpu"]["model"]
        told = {"device": device, "machine": done["machine"], "attempts": len(job.last), "commit": done["commit"]}
        return [self._value(job, what, value) for what, value in told.items() if value is not None]

    def _value(self, job: Job, what: str, value: Any, unit: str | None = None) -> Entity:
        return self._context(
            f"#job/{quote(job.name)}/{what}", "PropertyValue", name=what, propertyID=f"#{what}", value=str(value),
            unitCode=unit,
        )  # fmt: skip

    def _data(self, path: str, file: File) -> Entity:
        """Return a file or folder: in the crate, at its address, or only described."""
        if path not in self.files:
            self.files[path] = self._copy(path) if path in self.copied else self._described(path, file)
            entity = self.files[path]
            found = self._as_copied(path, file)
            entity["contentSize"] = str(found.get("bytes", 0))
            if found.get("sha256"):
                entity["sha256"] = found["sha256"]
            if (source := self._source(path)) is not None:
                entity["license"] = self._licence(source)
                entity["isBasedOn"] = self._context(without_secrets(source.homepage), "CreativeWork", name=source.title)
        return self.files[path]

    def _as_copied(self, path: str, file: File) -> File:
        """Return size and checksum of what the crate has of a file or folder."""
        copy = self._published(path)
        if path not in self.copied or not copy.exists():
            return file
        if "files" not in file:
            return describe(copy)
        # A folder of which some files were changed: its checksum is that of all of them, as they are in the crate.
        with tempfile.TemporaryDirectory(dir=self.staged) as whole:
            shutil.copytree((self.project.root / path).absolute(), Path(whole, "files"), copy_function=os.symlink)
            for changed in files_below(copy):
                place = Path(whole, "files", changed.relative_to(copy))
                place.unlink()
                shutil.copy(changed, place)
            return describe(Path(whole, "files"))

    def _published(self, path: str) -> Path:
        """Return where the copies are of what was changed of a file or folder."""
        return self.staged / "published" / self.places.inside(path)

    def _file(self, where: Path, copy: Path) -> Path:
        """Return a file that is copied, or a copy of it without passwords and places of this machine."""
        if where.suffix not in TEXTS or not _shorten(where, copy, self.places):
            return where
        self.shortened.append(copy.relative_to(self.staged / "published").as_posix())
        return copy

    def _copy(self, path: str) -> Entity:
        where, inside, copy = self.project.root / path, self.places.inside(path), self._published(path)
        if where.is_dir():
            # Its files one by one, without Snakemake's hidden ones.
            entity = self.crate.add_dataset(dest_path=inside)
            names = [file.relative_to(where).as_posix() for file in files_below(where)]
            parts = [self.crate.add_file(self._file(where / name, copy / name), f"{inside}/{name}") for name in names]
            entity["hasPart"] = parts
        else:
            entity = self.crate.add_file(self._file(where, copy), inside, properties={"encodingFormat": _format(path)})
        entity["name"] = self._name(path)
        return entity

    def _described(self, path: str, file: File) -> Entity:
        source = self._source(path)
        declared = source.files.get(PurePath(path).name) if source else None
        if declared and declared.url:
            return self.crate.add_file(
                without_secrets(declared.url), properties={"name": PurePath(path).name, "encodingFormat": _format(path)}
            )
        how = "a folder" if "files" in file else "a file"
        if declared and declared.package:
            how += f" out of the package {declared.package.name} {declared.package.version or ''}".rstrip()
        elif source and source.jaspar:
            how += f" exported from {source.jaspar.release} by the package pyjaspar"
        return self._context(
            f"#data/{quote(self._name(path))}", "CreativeWork", name=self._name(path), encodingFormat=_format(path),
            description=f"{how}, which is not in this crate; its checksum is that of "
            + ("a list of its files, as sha256sum writes it." if "files" in file else "the file."),
        )  # fmt: skip

    def _name(self, path: str) -> str:
        """Return a path as readers see it."""
        return self.places.inside(path) if PurePath(path).is_absolute() else path

    def _source(self, path: str) -> Source | None:
        """Return the source that a file below `resources` is of."""
        place, resources = PurePath(path), PurePath(self.project.settings.resources)
        if not place.is_relative_to(resources) or len(place.relative_to(resources).parts) != 2:
            return None
        return self.project.sources.get(place.relative_to(resources).parts[0])

    def _licence(self, source: Source) -> Entity:
        return self._context(
            f"#licence/{_slug(source.licence)}", "CreativeWork", name=source.licence,
            description=f"Licence of {source.title}, see {source.homepage}",
        )  # fmt: skip

    def _run(self, workflow: Entity, actions: Sequence[Entity]) -> None:
        """Add the run as a whole: the workflow's steps, their jobs, and the engine that ordered them."""
        done = [job.result for job in self.chain.jobs]
        wrote = [self.files[path] for path in self.chain.target.result["writes"]]
        span = {"startTime": _time(min(_starts(done))), "endTime": _time(max(job["ended"] for job in done))}
        whole = self._context(
            "#run", "CreateAction", name=f"Run of the workflow for {self.chain.target.name}",
            description=f"{len(actions)} jobs", agent=self.agents, instrument=workflow, result=wrote,
            object=[self.files[path] for path in self.chain.given],
            actionStatus="http://schema.org/CompletedActionStatus", **span,
        )  # fmt: skip
        self.crate.root_dataset.append_to("mentions", whole)
        self._parameters(workflow, wrote)
        steps = self._steps(workflow)
        ordered = [
            self._context(
                f"#order/{quote(job.name)}", "ControlAction", name=f"orchestrate {job.name}", object=action,
                instrument=steps[job.rule],
            )
            for job, action in zip(self.chain.jobs, actions, strict=True)
        ]  # fmt: skip
        version = _version("snakemake")
        engine = self._context(
            f"pkg:pypi/snakemake@{version}", "SoftwareApplication", name="Snakemake", softwareVersion=version,
            url="https://snakemake.github.io",
        )  # fmt: skip
        organised = self._context(
            "#organise", "OrganizeAction", name=f"Snakemake {version}", instrument=engine, object=ordered, result=whole,
            agent=self.agents, **span,
        )  # fmt: skip
        self.crate.root_dataset.append_to("mentions", organised)

    def _steps(self, workflow: Entity) -> dict[str, Entity]:
        steps = {}
        for job in self.chain.jobs:
            if job.rule not in steps:
                tool = self._tool(job)
                steps[job.rule] = self._context(
                    f"#step/{job.rule}", "HowToStep", name=job.rule, position=str(len(steps)), workExample=tool
                )
                workflow.append_to("step", steps[job.rule])
                if tool not in (workflow.get("hasPart") or []):
                    workflow.append_to("hasPart", tool)
        return steps

    def _parameters(self, workflow: Entity, wrote: Iterable[Entity]) -> None:
        """Add a parameter of the workflow for each file that it wrote, and for each given one that has an address."""
        given = [self.files[path] for path in self.chain.given]
        files = [entity for entity in given if "File" in _types(entity)]
        for key, entities in (("input", files), ("output", wrote)):
            for entity in entities:
                kind = "Dataset" if "Dataset" in _types(entity) else "File"
                parameter = self.crate.add_formal_parameter(
                    entity["name"], kind, f"#parameter/{quote(entity['name'])}",
                    properties={"encodingFormat": entity.get("encodingFormat") or "application/octet-stream"},
                )  # fmt: skip
                parameter["workExample"], entity["exampleOfWork"] = entity, parameter
                workflow.append_to(key, parameter)

    def _staged_file(self, name: str, title: str) -> Entity:
        return self.crate.add_file(
            self.staged / name, name, properties={"name": title, "encodingFormat": _format(name)}, record_size=True
        )

    def _text(self, name: str, text: str, title: str) -> Entity:
        (self.staged / name).write_text(text, encoding="utf-8")
        return self._staged_file(name, title)


def _links(value: Any) -> bool:
    return isinstance(value, Entity) or (isinstance(value, list) and any(isinstance(item, Entity) for item in value))


def _unpack(entity: Entity) -> None:
    """Put a single value in the place of a list of one, as RO-Crate 1.1 recommends."""
    single = [key for key, value in entity.properties().items() if isinstance(value, list) and len(value) == 1]
    for key in single:
        if not key.startswith("@"):
            entity[key] = entity[key][0]


def _types(entity: Entity) -> list[str]:
    found = entity["@type"]
    return found if isinstance(found, list) else [found]


def _format(path: str) -> str:
    return FORMATS.get(PurePath(path).suffix, "application/octet-stream")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60]


def _time(text: str) -> str:
    """Return a moment as ISO 8601 has it, with a colon in the offset."""
    return re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)


def _starts(attempts: Iterable[Attempt]) -> list[str]:
    return [attempt["started"] for attempt in attempts]


def _version(name: str) -> str:
    return metadata.version(name)


def _homepage(name: str) -> str | None:
    """Return the homepage that a package names."""
    if name == "python":
        return "https://www.python.org"
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    urls = dict(line.split(", ", 1) for line in about.get_all("Project-URL", []))
    known = {key.lower(): url for key, url in urls.items()}
    return about.get("Home-page") or next((known[key] for key in ("homepage", "home", "source") if key in known), None)


def _first_sentence(script: Path) -> str:
    found = re.match(r'"""(.*?[.!?])(?:\s|""")', script.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(found[1].split()) if found else script.name
