"""A Snakemake profile, as far as it can be wrong before it is used: placeholders, and settings that nothing knows."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cisflow.cli.cluster.findings import Finding
from cisflow.cli.planning.plan import FILES, profile_path
from cisflow.config.strict import did_you_mean
from cisflow.config.yaml import load
from cisflow.errors import CisflowError

PLACEHOLDER = re.compile(r"<[A-Za-z][^<>\n]*>")
# How each placeholder of profiles/slurm is found out; others are the user's own.
TELLING = {
    "account": "sacctmgr show associations user=$USER format=account,partition",
    "gpu": "sinfo --format='%P %G %l'   # a partition whose second column names GPUs",
    "partition": "sinfo --summarize",
    "qos": "sacctmgr show associations user=$USER format=account,qos",
    "constraint": "sinfo --format='%P %f'",
    "scratch": "df -h; the cluster's documentation on scratch space",
}
# Resources that Snakemake itself knows; it makes the second name of a size out of the first.
OWN = ("mem", "mem_mb", "mem_mib", "disk", "disk_mb", "disk_mib", "runtime", "tmpdir", "threads", "attempt")
PLUGINS = ("snakemake_executor_plugin_slurm", "snakemake_executor_plugin_slurm_jobstep")
PARTITIONS, OF_PARTITIONS = "slurm-partition-config", "SNAKEMAKE_SLURM_PARTITIONS"
DEPLOYMENT = ("software-deployment-method", "sdm", "deployment-method", "deployment")


@dataclass(frozen=True)
class Text:
    """A file of a profile, and its lines."""

    path: Path
    lines: tuple[str, ...]

    def at(self, word: str) -> str:
        """Return file and line of the first line, comments left out, that holds a word; the file if none does."""
        for number, line in enumerate(self.lines, 1):
            if word in _plain(line):
                return f"{self.path}:{number}"
        return str(self.path)


@dataclass(frozen=True)
class Profile(Text):
    """A profile: its file with its lines, what is in it, and the file of partitions that it names, if it does."""

    settings: Mapping[str, Any]
    partitions: Text | None = None

    def entries(self, key: str) -> dict[str, str]:
        """Return the entries of a setting that holds `name=value` pairs, as a list or as a mapping, one or two deep."""
        value = self.settings.get(key) or {}
        if isinstance(value, Mapping):
            deep = [(name, inner) for name, inner in value.items() if isinstance(inner, Mapping)]
            flat = {name: str(inner) for name, inner in value.items() if not isinstance(inner, Mapping)}
            return flat | {f"{name}:{resource}": str(v) for name, inner in deep for resource, v in inner.items()}
        pairs = (str(entry).partition("=") for entry in (value if isinstance(value, list) else [value]))
        return {name.strip(): text.strip() for name, _, text in pairs}

    def values(self, *keys: str) -> list[str]:
        """Return the values of the first of these settings that is there, as a list."""
        value = next((self.settings[key] for key in keys if self.settings.get(key) is not None), [])
        return [str(one) for one in (value if isinstance(value, list) else [value])]


def _plain(line: str) -> str:
    """Return a line without its comment."""
    return re.sub(r"(^|\s)#.*", "", line)


def read_profile(name: str, root: Path = Path()) -> Profile:
    """Read a profile.

    Raises
    ------
    CisflowError
        There is no such profile, or it is not YAML.
    """
    folder = root / profile_path(name, root)
    path = next((folder / file for file in FILES if (folder / file).is_file()), folder)
    settings = load(path, markup=True)
    named = settings.get(PARTITIONS) or os.environ.get(OF_PARTITIONS)
    places = [place for place in (path.parent / str(named), root / str(named)) if named and place.is_file()]
    return Profile(path, _lines(path), settings, Text(places[0], _lines(places[0])) if places else None)


def _lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").splitlines())


def placeholders(profile: Profile) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line, and what stands there in angle brackets; comments are passed over."""
    for text in filter(None, (profile, profile.partitions)):
        for number, line in enumerate(text.lines, 1):
            yield from ((text.path, number, found) for found in PLACEHOLDER.findall(_plain(line)))


def placeholder_findings(profile: Profile) -> Iterator[Finding]:
    """Yield a problem for each placeholder: its lines, and the command that tells its value."""
    lines: dict[tuple[str, Path], list[str]] = {}
    for path, number, text in placeholders(profile):
        lines.setdefault((text, path), []).append(str(number))
    if not lines:
        yield Finding("ok", f"{profile.path} has no placeholders")
    for (text, path), numbers in lines.items():
        where = f"{path}:{', '.join(dict.fromkeys(numbers))}"
        yield Finding("problem", f"{where}: {text} is a placeholder", f"fill it in; what to write: {telling(text)}")


def telling(placeholder: str) -> str:
    """Return the command that tells the value of a placeholder."""
    return next(
        (how for word, how in TELLING.items() if word in placeholder.lower()), "ask your cluster's documentation"
    )


def known_settings() -> set[str]:
    """Return the settings that Snakemake and its installed plugins know.

    Their parser is asked, so that it holds for whatever version is installed.
    """
    from snakemake.cli import get_argument_parser

    options = (option for action in get_argument_parser(profiles=None)._actions for option in action.option_strings)
    return {option.removeprefix("--") for option in options if option.startswith("--")}


def known_resources() -> set[str]:
    """Return the resources of jobs that Snakemake and the installed Slurm executor read."""
    found = set(OWN)
    for plugin in PLUGINS:
        spec = find_spec(plugin)
        for path in Path(spec.origin).parent.glob("*.py") if spec and spec.origin else ():
            found |= {name for pair in _RESOURCE.findall(path.read_text(encoding="utf-8")) for name in pair if name}
    return found


_RESOURCE = re.compile(r'resources(?:\.get\(\s*["\'](\w+)["\']|\.(\w+)\b(?!\())')


def unknown_settings(profile: Profile, known: Iterable[str]) -> Iterator[Finding]:
    """Yield a problem for each setting that neither Snakemake nor a plugin knows: it refuses to start with one."""
    known = set(known)
    for key in profile.settings:
        if key.replace("_", "-") not in known and key not in known:
            hint = _only_close(key, known)
            yield Finding(
                "problem",
                f"{profile.at(f'{key}:')}: '{key}' is no setting of Snakemake or of an installed plugin.{hint}",
                "correct or remove it (snakemake --help lists them)" if hint else
                "remove it, or install the plugin that it belongs to (snakemake --help lists those known here)",
            )  # fmt: skip


def unknown_resources(profile: Profile, known: Iterable[str], asked: Iterable[str] = ()) -> Iterator[Finding]:
    """Yield for each resource in the profile that nothing reads: Snakemake takes any name, and says nothing."""
    limits = {*profile.entries("resources")}
    names = {*known, *asked, *limits}
    resources = {key.rpartition(":")[2] for key in profile.entries("set-resources")}
    for name in sorted({*profile.entries("default-resources"), *resources} - names):
        hint = _only_close(name, known)
        yield Finding(
            "problem" if hint else "note",
            f"{profile.at(name)}: nothing reads the resource '{name}', so it has no effect.{hint}",
            "correct or remove it",
        )


def unknown_rules(profile: Profile, rules: Iterable[str]) -> Iterator[Finding]:
    """Yield a problem for each rule named in the profile that there is not: what is set for it has no effect."""
    rules = set(rules)
    named = {key.partition(":")[0] for key in profile.entries("set-resources")}
    named |= {*profile.entries("set-threads"), *profile.entries("groups")}
    for name in sorted(named - rules):
        yield Finding(
            "problem", f"{profile.at(name)}: there is no rule '{name}', so what is set for it has no effect."
            f"{_only_close(name, rules)}", "correct or remove it (snakemake --list-rules lists them)",
        )  # fmt: skip


def _only_close(name: str, known: Iterable[str]) -> str:
    """Return a close name; there are too many for the list of all to be a help."""
    close = get_close_matches(name, sorted(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def partition_findings(profile: Profile) -> Iterator[Finding]:
    """Yield what is wrong with a profile's file of partitions: there is none, it is not YAML, or has unknown limits."""
    named = profile.settings.get(PARTITIONS)
    if profile.partitions is None:
        if named:
            at = profile.at(PARTITIONS)
            yield Finding(
                "problem", f"{at}: there is no file {named}", "write it, or remove the setting (docs/cluster.md)"
            )
        return
    text = profile.partitions
    try:
        declared = load(text.path, markup=True).get("partitions")
    except CisflowError as error:
        yield Finding("problem", str(error), f"correct {text.path}")
        return
    if not isinstance(declared, Mapping) or not declared:
        yield Finding("problem", f"{text.path}: there is no section 'partitions'", "partitions: {<name>: {max_gpu: 0}}")
        return
    known = _partition_limits()
    for name, limits in declared.items():
        if not isinstance(limits, Mapping):
            yield Finding("problem", f"{text.at(name)}: partition '{name}' has no limits", f"{name}: {{max_gpu: 0}}")
            continue
        for key in limits if known else ():
            if key not in known:
                hint = did_you_mean(key, known)
                yield Finding(
                    "problem", f"{text.at(f'{key}:')}: '{key}' is no limit of a partition.{hint}", "correct it"
                )


def _partition_limits() -> set[str]:
    """Return the limits that the installed executor plugin knows; none if it is not installed, or has no such file."""
    try:
        from snakemake_executor_plugin_slurm.partitions import PartitionLimits
    except ImportError:
        return set()
    return {field.name for field in fields(PartitionLimits)} | {"cluster", "clusters", "slurm_cluster"}


def rules_of(root: Path = Path()) -> set[str]:
    """Return the names of all rules of the workflow."""
    return {name for text in _rule_files(root) for name in re.findall(r"^(?:rule|checkpoint) (\w+):", text, re.M)}


def _rule_files(root: Path) -> Iterator[str]:
    paths = (root / "Snakefile", *(root / "workflow/rules").glob("*.smk"))
    return (path.read_text(encoding="utf-8") for path in paths if path.exists())
