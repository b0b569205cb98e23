"""ENCODE: files found through its REST API, and the choice among them.

The API is that of the portal (https://www.encodeproject.org/help/rest-api/): searches of experiments answer with the
files in them and with all that ENCODE's own table of metadata has; one that finds nothing answers 404 with an empty
list. A file is a row of plain text with the columns of `cisflow.sources.manifest`.
"""

import difflib
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlencode

import requests

from cisflow import __version__
from cisflow.config.encode import METADATA, Query
from cisflow.errors import CisflowError, without_secrets
from cisflow.sources.http import TIMEOUT, Retry, persistently, refuse_transient
from cisflow.sources.manifest import Row

SERVER = "https://www.encodeproject.org"
# ENCODE allows ten requests a second.
PAUSE = 0.1
AUDITS = {"audit_error": "ERROR", "audit_not_compliant": "NOT_COMPLIANT", "audit_warning": "WARNING"}
# What of an experiment goes into a row: column, path in the answer.
_OF_EXPERIMENT = {
    "experiment": "accession",
    "assay": "assay_title",
    "target": "target.name",
    "biosample": "biosample_ontology.term_name",
    "biosample_type": "biosample_ontology.classification",
    "organism": "replicates.library.biosample.organism.scientific_name",
    "project": "award.project",
    "treatments": "replicates.library.biosample.treatments.treatment_term_name",
    "modification_methods": "replicates.library.biosample.applied_modifications.method",
    "modification_categories": "replicates.library.biosample.applied_modifications.category",
    "crosslinking": "replicates.library.crosslinking_method",
}
_OF_FILE = {
    "accession": "accession",
    "md5": "md5sum",
    "size": "file_size",
    "date": "date_created",
    "status": "status",
    "lab": "lab.title",
    "output_type": "output_type",
    "file_type": "file_type",
    "assembly": "assembly",
    "replicates": "biological_replicates",
    "preferred_default": "preferred_default",
    "analysis_status": "analyses.status",
}
# Besides: for the address, for the factor, and for what cannot be had.
_FIELDS = (
    *_OF_EXPERIMENT.values(), "target.label", "audit",
    *(f"files.{path}" for path in (*_OF_FILE.values(), "@id", "href", "no_file_available", "restricted")),
)  # fmt: skip
# The more usual titles, of which a misspelt one may be meant.
ASSAYS = (
    "TF ChIP-seq", "Histone ChIP-seq", "Control ChIP-seq", "Mint-ChIP-seq", "DNase-seq", "ATAC-seq", "snATAC-seq",
    "CAGE", "RAMPAGE", "eCLIP", "total RNA-seq", "polyA plus RNA-seq", "WGBS", "ChIA-PET", "intact Hi-C",
    "in situ Hi-C", "STARR-seq", "MPRA", "PRO-cap", "CUT&RUN", "CUT&Tag", "Repli-seq", "FAIRE-seq",
)  # fmt: skip
# Assays of one target each: without it, a file is of nothing in particular.
_TARGETED = ("ChIP", "CUT&", "CLIP", "ChIA-PET", "PLAC-seq")


class Encode:
    """A client of ENCODE's REST API.

    Parameters
    ----------
    server
        Address; default: the environment variable CISFLOW_ENCODE (a mirror), else ENCODE itself.
    wait
        Called with the seconds between two requests.
    """

    def __init__(self, server: str | None = None, wait: Callable[[float], None] = time.sleep):
        self.server = (server or os.environ.get("CISFLOW_ENCODE") or SERVER).rstrip("/")
        if without_secrets(self.server) != self.server:
            raise CisflowError(
                f"CISFLOW_ENCODE: {self.server} has a password or a key, which pinned manifests would show to all who "
                "read them. Put the password into ~/.netrc (machine, login, password)."
            )
        self._wait = wait
        self._session = requests.Session()
        # The portal refuses programs that pretend to be a browser.
        self._session.headers = {"Accept": "application/json", "User-Agent": f"cisflow/{__version__}"}

    def __enter__(self) -> "Encode":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def search(self, query: Query) -> list[Row]:
        """Return a row for each file of the experiments that a query describes; none if there are no such experiments.

        Raises
        ------
        CisflowError
            The server is not to be had, refuses, or answers with what is no such list, or not with all of it.
        """
        parameters = [
            ("type", "Experiment"),
            ("status", query.status),
            *(("assay_title", assay) for assay in query.assay),
            ("replicates.library.biosample.donor.organism.scientific_name", query.organism),
            *(("biosample_ontology.term_name", term) for term in query.biosample),
            *(("target.label", label) for label in query.target),
            ("assembly", query.assembly),
            *(("field", field) for field in dict.fromkeys(_FIELDS)),
            ("format", "json"),
            ("limit", "all"),
        ]
        url = f"{self.server}/search/?{urlencode(parameters)}"
        answer = self._get(url, empty_is_404=True)
        url = _shown(url)
        experiments, total = answer.get("@graph"), answer.get("total")
        if not isinstance(experiments, list) or not isinstance(total, int):
            raise CisflowError(f"{url}: the answer is no list of experiments ('@graph' and 'total').")
        if len(experiments) != total:
            raise CisflowError(
                f"{url}: the answer says that there are {total:,} experiments, and brings {len(experiments):,}. "
                "Nothing is taken of a list with gaps; try again later."
            )
        return [
            self._row(file, experiment)
            for experiment in _objects(experiments, url)
            for file in _objects(experiment.get("files", []), url)
        ]

    def files(self, accessions: Iterable[str]) -> list[Row]:
        """Return the row of each file of a list of accessions.

        Raises
        ------
        CisflowError
            There is no such file, it is another one now, or it is not public; or as in `search`.
        """
        experiments: dict[str, Mapping[str, Any]] = {}
        rows = []
        for accession in accessions:
            url = f"{self.server}/files/{accession}/?format=json"
            file = self._get(url)
            if file.get("accession") != accession:
                raise CisflowError(f"{url}: {accession} has been replaced by {file.get('accession')}; take that one.")
            dataset = file.get("dataset")
            path = dataset.get("@id") if isinstance(dataset, Mapping) else dataset
            if not isinstance(path, str):
                raise CisflowError(f"{url}: the answer does not say what experiment the file is of ('dataset').")
            if path not in experiments:
                experiments[path] = self._get(f"{self.server}{path}?format=json")
            rows.append(self._row(file, experiments[path]))
        return rows

    def _get(self, url: str, empty_is_404: bool = False) -> Mapping[str, Any]:
        self._wait(PAUSE)
        advice = "If ENCODE is not reachable from here, name a mirror of it in CISFLOW_ENCODE."
        return persistently(_shown(url), lambda: self._attempt(url, empty_is_404), advice, self._wait)

    def _attempt(self, url: str, empty_is_404: bool) -> Mapping[str, Any]:
        answer = self._session.get(url, timeout=TIMEOUT)
        refuse_transient(answer)
        if answer.status_code == 404 and empty_is_404 and b'"@graph"' in answer.content:
            return _parsed(answer)
        if not answer.ok:
            raise CisflowError(f"{_shown(url)}: {_refusal(answer)}")
        return _parsed(answer)

    def _row(self, file: Mapping[str, Any], experiment: Mapping[str, Any]) -> Row:
        row = {column: _text(experiment, path) for column, path in _OF_EXPERIMENT.items()}
        row |= {column: _text(file, path) for column, path in _OF_FILE.items()}
        href = file.get("href") or ""
        audits = experiment.get("audit") or {}
        row |= {column: _audits(audits.get(level, []), file.get("@id")) for column, level in AUDITS.items()}
        row["factor"] = _factor(row["target"], _text(experiment, "target.label"), row["assay"])
        row["url"] = href if href.startswith("http") else self.server + href
        row["file"] = PurePosixPath(href).name
        row["date"] = row["date"].partition("T")[0]
        row["unavailable"] = "yes" if file.get("no_file_available") or file.get("restricted") or not href else ""
        return row


def _shown(url: str) -> str:
    """Return an address for messages, without the thirty fields that are asked for."""
    return url.partition("&field=")[0]


def _refusal(answer: requests.Response) -> str:
    if answer.status_code == 403:
        return (
            "the server refuses it (403): it is not public, or this address is blocked, as ENCODE does after more than "
            "ten requests a second."
        )
    try:
        why = answer.json().get("description", "")
    except (ValueError, AttributeError):
        why = ""
    if answer.status_code == 404:
        return f"there is no such thing at the server (404). {why}".strip()
    return f"the server answered {answer.status_code} {answer.reason}. {why}".strip()


def _parsed(answer: requests.Response) -> Mapping[str, Any]:
    start = answer.content[:200].lstrip()
    if start.startswith(b"<"):
        raise CisflowError(
            f"{_shown(answer.url)}: the answer is an HTML page, not JSON (of a login, a proxy, or about maintenance)."
        )
    if start[:1] not in (b"{", b""):
        raise CisflowError(f"{_shown(answer.url)}: the answer is not a JSON object; it begins with {start[:20]!r}.")
    try:
        return json.loads(answer.content)
    except ValueError as error:
        raise Retry(f"the answer is truncated or no JSON ({error})") from error


def _objects(values: Any, url: str) -> list[Mapping[str, Any]]:
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise CisflowError(f"{url}: the answer has something else in place of experiments and their files.")
    return values


def _values(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield what stands at a path in nested objects and lists."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])


def _text(value: Mapping[str, Any], path: str) -> str:
    """Return what stands at a path as text: each value once, in order, without what would break a table."""
    found = [item for item in _values(value, path.split(".")) if item is not None and item != ""]
    if all(isinstance(item, int) for item in found):
        found = sorted(found)
    return ", ".join(dict.fromkeys(" ".join(str(item).split()) for item in found))


def _audits(audits: Any, file: str | None) -> str:
    """Return the categories of audits of a file, and of its experiment, but not those of other files of it."""
    own = [audit for audit in audits if "/files/" not in audit.get("path", "") or audit.get("path") == file]
    return ", ".join(sorted({audit.get("category", "unnamed") for audit in own}))


def _factor(target: str, label: str, assay: str) -> str:
    """Return what a file is about: the target's label, else the assay (DNase, ATAC); '' where a target is missing."""
    if target:
        # ENCODE's names end with the organism, and labels may have hyphens of their own: NKX2-5-human.
        return label or target.rpartition("-")[0] or target
    return "" if any(word in assay for word in _TARGETED) else assay.removesuffix("-seq")


@dataclass(frozen=True)
class Selection:
    """What a query takes of some files.

    Attributes
    ----------
    rows
        The files that are taken, by factor, biosample and accession.
    reasons
        Of each file that is left out, by accession, why.
    notes
        What a query names and no file has, which may be misspelt.
    """

    rows: Sequence[Row]
    reasons: Mapping[str, str]
    notes: Sequence[str] = ()

    @property
    def left_out(self) -> dict[str, int]:
        """How many files are left out, by reason."""
        return dict(sorted(Counter(self.reasons.values()).items()))


def select(files: Iterable[Row], query: Query) -> Selection:
    """Choose among files: those that a query describes; of each group, those that it prefers.

    Parameters
    ----------
    files
        Rows as `Encode.search` returns them. One that is there again is looked at once.
    query
        What is wanted. Its accessions do not count here.
    """
    reasons: dict[str, str] = {}
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in {row["accession"]: row for row in files}.values():
        reason = next(_problems(row, query), None)
        if reason:
            reasons[row["accession"]] = reason
        else:
            groups[tuple(row[column] for column in query.group_by)].append(row)
    kept = list(chain.from_iterable(_preferred(group, query, reasons) for group in groups.values()))
    kept.sort(key=lambda row: (row["factor"], row["biosample"], row["accession"]))
    if query.max_files is not None:
        reasons |= {row["accession"]: f"over max_files ({query.max_files})" for row in kept[query.max_files :]}
    return Selection(kept[: query.max_files], reasons)


def _problems(row: Row, query: Query) -> Iterator[str]:
    """Yield why a file is not what a query describes."""
    if row["file_type"] not in query.file_type:
        yield "another file type"
    if row["assembly"] != query.assembly:
        yield "another assembly"
    if row["status"] != query.status:
        yield f"status: {row['status'] or 'none'}"
    if row["analysis_status"] and query.status not in row["analysis_status"].split(", "):
        yield f"status of the analysis: {row['analysis_status']}"
    # Asked of the server already, and not taken on trust.
    for column, wanted in (("assay", query.assay), ("biosample", query.biosample), ("factor", query.target)):
        if wanted and row[column] not in wanted:
            yield f"another {'target' if column == 'factor' else column}"
    if row["organism"] != query.organism:
        yield "another organism"
    if not row["factor"]:
        yield "no target"
    for column in query.empty_columns(row["assay"]):
        if row[METADATA[column]]:
            yield f"{column} is not empty"
    if row.get("unavailable"):
        yield "cannot be downloaded"
    if not row["md5"] or not row["size"]:
        yield "no md5 or size"


def _preferred(group: list[Row], query: Query, reasons: dict[str, str]) -> list[Row]:
    """Return the files of a group that are kept, each rule of `prefer` in turn; the reasons of the others are noted."""
    for rule in query.prefer:
        ranks = [_rank(row, rule, query) for row in group]
        best = min((rank for rank in ranks if rank is not None), default=None)
        if best is None and query.keep_all_if_none:
            continue
        why = f"{rule}: another file is preferred" if best is not None else f"{rule}: none is preferred"
        ranked = list(zip(group, ranks, strict=True))
        reasons.update({row["accession"]: why for row, rank in ranked if rank is None or rank != best})
        group = [row for row, rank in ranked if rank is not None and rank == best]
    return group


def _rank(row: Row, rule: str, query: Query) -> int | None:
    """Return how good a file is by a rule, the least is the best; None where it is not among the preferred."""
    if rule == "replicates" and query.replicates is None:
        return -len(row["replicates"].split(", ")) if row["replicates"] else None
    if rule == "uncrosslinked":
        return None if row["crosslinking"] else 0
    if rule == "preferred_default":
        return 0 if row["preferred_default"] == "True" else None
    value, order = {
        "replicates": (row["replicates"], query.replicates or []),
        "output_type": (row["output_type"], query.output_types()),
    }[rule]
    return order.index(value) if value in order else None


def resolve(client: Encode, queries: Sequence[Query], accessions: Iterable[str]) -> Selection:
    """Ask ENCODE for the files of queries and for those that are given by accession.

    A file that is named is taken whatever a query says of it, if it can be downloaded; one that two queries bring is
    taken once.

    Raises
    ------
    CisflowError
        As `Encode.search` and `Encode.files`; a named file cannot be downloaded or has been withdrawn.
    """
    searches = [(query, client.search(query)) for query in queries if query.searches]
    selections = [select(files, query) for query, files in searches]
    notes = list(chain.from_iterable(_unmet(query, files) for query, files in searches))
    named = dict.fromkeys(chain(accessions, *(query.accessions for query in queries)))
    rows = {row["accession"]: row for selection in selections for row in selection.rows}
    missing = [accession for accession in named if accession not in rows]
    for row in client.files(missing):
        _refuse_withdrawn(row)
        rows[row["accession"]] = row
    reasons = {key: why for selection in selections for key, why in selection.reasons.items() if key not in rows}
    return Selection(list(rows.values()), reasons, notes)


def _unmet(query: Query, files: Sequence[Row]) -> Iterator[str]:
    """Yield what a query names and no file has, of those that were found: a misspelt name is no error at ENCODE."""
    if not files:
        close = (difflib.get_close_matches(name, ASSAYS, 1, 0.5) for name in query.assay if name not in ASSAYS)
        hint = "".join(f" Is '{names[0]}' meant?" for names in close if names)
        yield f"ENCODE has no such experiment; names count as ENCODE writes them, capitals included.{hint}"
        return
    own = [row for row in files if row["file_type"] in query.file_type]
    described = {
        "assay": query.assay, "biosample": query.biosample, "factor": query.target, "file_type": query.file_type,
        "assembly": [query.assembly],
    }  # fmt: skip
    for column, names in described.items():
        there = _there(files, column)
        for name in names:
            if name not in there:
                yield f"{column.replace('factor', 'target')}: no file has '{name}', but {_some(there)}."
    for column, names in (("output_type", query.output_type), ("replicates", query.replicates)):
        # Of what is preferred, the second best need not be there.
        if names and own and not set(names) & set(there := _there(own, column)):
            yield f"{column}: no file has {_some(names)}, but {_some(there)}."


def _there(files: Iterable[Row], column: str) -> list[str]:
    return sorted({row[column] for row in files} - {""})


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:8]) + (", ..." if len(names) > 8 else "") or "none"


def _refuse_withdrawn(row: Row) -> None:
    if row["status"] not in ("released", "archived"):
        raise CisflowError(f"{row['accession']}: its status at ENCODE is '{row['status']}'; take another file.")
    if row["unavailable"] or not row["md5"] or not row["size"]:
        raise CisflowError(f"{row['accession']}: it cannot be downloaded, or has no md5 or size; take another file.")
