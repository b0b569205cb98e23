"""A server on the loopback interface that answers as ENCODE's portal does, and can misbehave as it does."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from cisflow.sources.manifest import COLUMNS

# Answers of the portal have this shape; the words of the errors are its own.
NOTHING = {"@type": ["Search"], "title": "Search", "notification": "No results found", "total": 0, "@graph": []}
MISSING = {
    "@type": ["HTTPNotFound", "Error"], "status": "error", "code": 404, "title": "Not Found",
    "description": "The resource could not be found.",
}  # fmt: skip
PAGE = b"<!DOCTYPE html>\n<html><body>The ENCODE portal is under maintenance</body></html>"
CONTENT = b"chr1\t100\t200\tpeak\t1000\t.\t5.0\t3.0\t2.0\t50\n"


def file(accession, content=CONTENT, /, **changes):
    """Return a file of an experiment, as the portal describes it."""
    return {
        "@id": f"/files/{accession}/",
        "accession": accession,
        "href": f"/files/{accession}/@@download/{accession}.bed.gz",
        "md5sum": hashlib.md5(content).hexdigest(),
        "file_size": len(content),
        "date_created": "2020-11-14T10:23:45.123456+00:00",
        "status": "released",
        "file_format": "bed",
        "file_format_type": "narrowPeak",
        "file_type": "bed narrowPeak",
        "output_type": "IDR thresholded peaks",
        "assembly": "GRCh38",
        "biological_replicates": [1, 2],
        "analyses": [{"status": "released"}],
        "lab": {"title": "ENCODE Processing Pipeline"},
    } | changes  # fmt: skip


def experiment(accession, files, assay="TF ChIP-seq", target="CTCF", biosample="K562", **changes):
    """Return an experiment, as the portal describes it; treatments and the like are those of its libraries."""
    library = {
        "biosample": {
            "organism": {"scientific_name": changes.pop("organism", "Homo sapiens")},
            "treatments": changes.pop("treatments", []),
            "applied_modifications": changes.pop("modifications", []),
        }
    }
    if method := changes.pop("crosslinking", None):
        library["crosslinking_method"] = method
    named = {"target": {"label": target, "name": f"{target}-human"}} if target else {}
    return {
        "@id": f"/experiments/{accession}/",
        "accession": accession,
        "status": "released",
        "assay_title": assay,
        "biosample_ontology": {"term_name": biosample, "classification": "cell line"},
        "award": {"project": "ENCODE"},
        "replicates": [{"library": library}, {"library": library}],
        "audit": {},
        "files": files,
    } | named | changes  # fmt: skip


def row(accession, **changes):
    """Return a row of a manifest."""
    known = {
        "accession": accession, "file": f"{accession}.bed.gz", "url": f"https://x.org/{accession}.bed.gz",
        "md5": "0" * 32, "size": "12", "status": "released",
    }  # fmt: skip
    return dict.fromkeys(COLUMNS, "") | known | changes


def only(value, paths):
    """Return what of an object stands at some paths, as the portal does with `field`."""
    if isinstance(value, list):
        return [only(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    below = {key: [path[1:] for path in paths if path[0] == key] for key in value}
    return {key: item if [] in below[key] else only(item, below[key]) for key, item in value.items() if below[key]}


class Portal(http.server.ThreadingHTTPServer):
    """Serves `experiments` and the `contents` of files; `faults` are taken one a request (see `Handler`)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.experiments, self.contents, self.faults, self.requests, self.agents = [], {}, [], [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Portal]:
    """Yield a portal that answers until the context ends."""
    with Portal() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    """A fault is a status, (status, Retry-After), 'truncated', 'cut', 'page', 'list', or a function of the answer."""

    def do_GET(self):
        server, parts = self.server, urlsplit(self.path)
        server.requests.append(self.path)
        server.agents.append(self.headers["User-Agent"])
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int | tuple):
            status, after = fault if isinstance(fault, tuple) else (fault, None)
            self.send(status, json.dumps({"status": "error", "description": "no more"}).encode(), after)
        elif parts.path == "/search/":
            found = self.search(parse_qs(parts.query))
            self.send_json(found, 200 if found["total"] else 404, fault)
        elif "@@download" in parts.path:
            self.send_response(307)
            self.send_header("Location", f"{server.url}/cloud/{parts.path.rpartition('/')[2]}?Signature=x")
            self.end_headers()
        elif parts.path.startswith("/cloud/"):
            content = server.contents.get(parts.path.split("/")[2])
            self.send(404, b"") if content is None else self.send(200, content)
        else:
            found = self.item(parts.path)
            self.send_json(found or MISSING, 200 if found else 404, fault)

    def search(self, asked):
        paths = {
            "status": lambda e: e["status"],
            "assay_title": lambda e: e["assay_title"],
            "biosample_ontology.term_name": lambda e: e["biosample_ontology"]["term_name"],
            "target.label": lambda e: e.get("target", {}).get("label"),
        }
        if asked["type"] != ["Experiment"] or asked["limit"] != ["all"] or asked["format"] != ["json"]:
            return NOTHING
        found = [
            experiment
            for experiment in self.server.experiments
            if all(value(experiment) in asked[key] for key, value in paths.items() if key in asked)
        ]
        return (
            {"@type": ["Search"], "notification": "Success", "total": len(found), "@graph": found} if found else NOTHING
        )

    def item(self, path):
        for experiment in self.server.experiments:
            if experiment["@id"] == path:
                return experiment
            for file in experiment["files"]:
                if file["@id"] == path or path.split("/")[2] in file.get("alternate_accessions", ()):
                    return file | {"dataset": experiment["@id"]}
        return None

    def send_json(self, value, status, fault):
        body = json.dumps(fault(value) if callable(fault) else value).encode()
        if fault == "page":
            self.send(200, PAGE)
        elif fault == "list":
            self.send(200, b"[1, 2]")
        elif fault == "truncated":
            self.send(status, body[: len(body) // 2])
        elif fault == "cut":
            self.send(status, body, length=len(body) + 1000)
        else:
            self.send(status, body)

    def send(self, status, body, after=None, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if after is not None:
            self.send_header("Retry-After", str(after))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass
