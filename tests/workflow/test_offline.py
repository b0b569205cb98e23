"""Without a network: files are fetched where there is one, and then the workflow runs in a namespace that has none."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

from cisflow.config.encode import Query, wanted_of
from cisflow.sources.checksums import read_records
from cisflow.sources.manifest import Manifest, write_manifest
from tests.portal import row, serving
from tests.workflow.conftest import cisflow, copy_of_repository, environment, succeed, write_user_data

LOCAL = ("--profile", "profiles/local", "--cores", "2")
TARGET = "results/tasks/far/report.html"
LOGGED = "results/tasks/far/runs/cnn-50_relu"
SOURCES = """
  far-away:
    title: Binding sites in an archive
    homepage: https://x.org
    licence: CC0
    used_for: tests
    files:
      sites.tar.gz: {{url: "{url}/cloud/sites.tar.gz"}}
      sites.h5: {{archive: sites.tar.gz, member: sites.h5}}
  far-motifs:
    title: Motifs
    homepage: https://x.org
    licence: CC BY 4.0
    used_for: tests
    files:
      far.meme: {{url: "{url}/cloud/far.meme"}}
  at-hand:
    title: What nobody serves
    homepage: https://x.org
    licence: unknown
    used_for: tests
    manual: Ask Ada for it.
    files: {{hand.h5: {{about: a few kB}}}}
"""
DATASET = """kind: hdf5, targets: [bound], keys: {x: "{split}/sequences", y: "{split}/bound"}"""
TASKS = f"""
  far:
    dataset: {{{DATASET}, source: far-away, file: sites.h5}}
    model: {{name: cnn-50, activation: relu}}
    training: {{epochs: 1, device: any, loggers: [tensorboard, wandb]}}
    tomtom: {{database: far-motifs}}
  hand:
    dataset: {{{DATASET}, source: at-hand, file: hand.h5}}
    model: null
  peaks:
    dataset:
      kind: peaks
      genome: hg38
      encode: {{accessions: [ENCFF001AAA]}}
      endpoints: [{{file: {{url: "https://x.org/elsewhere.bed.gz"}}, factor: H3K27ac, biosample: K562}}]
      split: {{valid: [chr2], test: [chr3]}}
    model: null
"""
FIGURES = """
figures:
  near:
    {title: t, caption: c, paper: p, kind: fig1, tables: {metrics: far/metrics.tsv, matches: far/motifs/matches.tsv,
     labels: far/motifs/labels.tsv, motifs: far/motifs/meme},
     settings: {activations: [relu], logos_activations: [relu], logos_model: cnn-50}}
"""
# Attempts to reach anything, from a namespace without a route, are counted by its kernel.
COUNTED = '"$@"; status=$?; grep ^Ip: /proc/net/snmp; exit $status'


@pytest.fixture(scope="module")
def unconnected():
    """A command that runs another one in a network namespace without any interface that is up, loopback included."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return command
    pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def cut_off(unconnected, tmp_path_factory):
    """Run a command without a network; return it, and how often something tried to reach anything."""
    # Where Slurm is installed, Snakemake's plugin for it asks the controller whenever it is loaded.
    tools = tmp_path_factory.mktemp("tools")
    (tools / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    (tools / "scontrol").chmod(0o755)

    def ran(folder, *command, **variables):
        known = environment()
        done = subprocess.run(
            [*unconnected, "bash", "-c", COUNTED, "bash", *command], cwd=folder, text=True, check=False,
            env=known | {"PATH": f"{tools}{os.pathsep}{known['PATH']}"} | variables,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done, attempts(done.stdout)

    return ran


def attempts(output: str) -> int:
    """Return the kernel's count of what found no route."""
    names, numbers = (line.split() for line in re.findall("^Ip: .*$", output, flags=re.MULTILINE)[-2:])
    return int(numbers[names.index("OutNoRoutes")])


def contents(folder) -> dict[str, bytes]:
    """Return what a server has: an archive with a user's data set, and motifs."""
    write_user_data(folder / "sites.h5")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder / "sites.h5", "bundle/sites.h5")
    head = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 one\nletter-probability matrix: alength= 4 w= 8 nsites= 20\n"
    return {"sites.tar.gz": packed.getvalue(), "far.meme": (head + "0.7 0.1 0.1 0.1\n" * 8).encode()}


def written(clone, url):
    """Add the tasks and their sources to a copy of the repository, and a scale with one figure."""
    for path, text in (("config/sources.yaml", SOURCES.format(url=url)), ("config/tasks.yaml", TASKS)):
        with (clone / path).open("a") as file:
            file.write(text)
    (clone / "config/near.yaml").write_text("{results: results/near, figures: config/near-figures.yaml, command: x}\n")
    (clone / "config/near-figures.yaml").write_text(FIGURES)
    return clone


@pytest.fixture(scope="module")
def fetched(root, tmp_path_factory):
    """A copy of the repository with tasks whose files come from a server that is gone, and a mirror made before."""
    folder = tmp_path_factory.mktemp("offline")
    with serving() as server:
        server.contents = contents(folder)
        clone = written(copy_of_repository(root, folder / "clone"), server.url)
        done = cisflow(clone, "sources", "fetch", "--for", TARGET, "--mirror", str(folder / "mirror"))
        assert done.returncode == 0, done.stdout
    return clone, folder / "mirror", done.stdout


@pytest.fixture(scope="module")
def made(fetched, cut_off):
    """Another such copy, where the task was made without a network; with it what the run said, and its attempts."""
    clone, mirror, _ = fetched
    shutil.copytree(clone, mirror.parent / "made")
    run = cut_off(mirror.parent / "made", "snakemake", *LOCAL, TARGET, CISFLOW_MIRROR=str(mirror))
    return mirror.parent / "made", *run


def test_the_namespace_has_no_network_and_attempts_are_counted(cut_off, tmp_path):
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    done, count = cut_off(tmp_path, sys.executable, "-c", code)
    assert "Network is unreachable" in done.stdout
    assert count == 1
    assert cut_off(tmp_path, "true")[1] == 0


def test_a_mirror_has_what_a_target_needs_and_says_what_it_is(fetched):
    clone, mirror, told = fetched
    assert "2 of 2 files are there" in told
    assert f"export CISFLOW_MIRROR={mirror}" in told
    records = read_records(mirror)
    assert list(records) == ["far-away/sites.tar.gz", "far-motifs/far.meme"]
    assert [record.licence for record in records.values()] == ["CC0", "CC BY 4.0"]
    assert not (clone / "resources").exists()
    done = cisflow(clone, "sources", "list", "--for", TARGET, CISFLOW_MIRROR=str(mirror))
    assert re.search(r"^far-away/sites.tar.gz  \?     mirror  CC0$", done.stdout, flags=re.MULTILINE), done.stdout
    assert "2 files, 0.0 MB and 2 of unknown size: 2 mirror" in done.stdout
    done = cisflow(clone, "sources", "check", str(mirror), "--for", TARGET)
    assert (done.returncode, "2 of 2 files are right" in done.stdout) == (0, True)


def test_a_mirror_is_asked_for_nothing_twice(fetched):
    """The server is gone, so that a second fetch succeeds only if it has nothing to do."""
    clone, mirror, _ = fetched
    done = cisflow(clone, "sources", "fetch", "--for", TARGET, "--mirror", str(mirror))
    assert (done.returncode, "2 of 2 files are there" in done.stdout) == (0, True)


def test_a_target_may_need_no_file(fetched, tmp_path):
    done = cisflow(
        fetched[0], "sources", "fetch", "--for", "results/figures/fig1.pdf", "--mirror", str(tmp_path / "no")
    )
    assert (done.returncode, "nothing has to be fetched for that" in done.stdout) == (0, True)


def test_everything_that_cannot_be_had_is_told_at_once(fetched, cut_off, tmp_path):
    clone, _, _ = fetched
    hand = "results/tasks/hand/dataset.h5"
    command = ("sources", "fetch", "--for", TARGET, "--for", hand, "--mirror", str(tmp_path / "other"))
    code = "from cisflow.cli import main; main()"
    done, _ = cut_off(clone, sys.executable, "-c", code, *command, PYTHONPATH=str(clone / "src"))
    assert done.returncode == 1
    first, last = done.stdout.split("0 of 3 files are there")
    assert "by hand: at-hand/hand.h5 (a few kB), https://x.org\n  Ask Ada for it. Put it at" in first
    assert "3 files could not be had." in last
    for name in ("far-away/sites.tar.gz", "far-motifs/far.meme"):
        assert re.search(f"{name}: http://127.0.0.1:.*: there is no network here", last)


def test_dry_runs_need_no_network(fetched, cut_off):
    clone, _, _ = fetched
    done, count = cut_off(clone, "snakemake", *LOCAL, "-n", TARGET, "results/figures/fig1.pdf")
    assert done.returncode == 0, done.stdout[-5000:]
    assert count == 0


def test_without_its_files_a_run_says_what_fetches_them(fetched, cut_off):
    clone, _, _ = fetched
    targets = ("results/tasks/hand/dataset.h5", TARGET)
    done, _ = cut_off(clone, "snakemake", *LOCAL, *targets)
    assert done.returncode != 0
    assert "far.meme: there is no network here (" in done.stdout
    assert "given up" not in done.stdout
    told = done.stdout[done.stdout.index("3 files of sources are missing:") :]
    for line in (
        "  resources/far-away/sites.tar.gz\n", "  resources/far-motifs/far.meme\n",
        "  resources/at-hand/hand.h5, by hand: Ask Ada for it.\n",
        "  cisflow sources fetch --for results/tasks/far/report.html --for results/tasks/hand/dataset.h5\n",
    ):  # fmt: skip
        assert line in told
    assert "add --mirror FOLDER" in told
    assert "Snakemake runs in a job" not in told
    done, _ = cut_off(clone, "snakemake", *LOCAL, TARGET, SLURM_JOB_ID="7")
    assert "Snakemake runs in a job of Slurm here" in done.stdout


def test_a_task_is_made_without_a_network_from_a_mirror(made):
    clone, done, count = made
    assert done.returncode == 0, done.stdout[-5000:]
    assert count == 0
    assert "data:image/png;base64," in (clone / TARGET).read_text()
    assert list((clone / LOGGED).glob("wandb/offline-run-*"))


def test_what_has_come_is_not_fetched_again_when_code_or_mirrors_change(made):
    """Where there is no network it could not be: Snakemake removes a file before the job that makes it."""
    clone, *_ = made
    assert "Nothing to be done" in succeed(clone, *LOCAL, "-n", TARGET, "--config", "mirror=['..']")
    code = clone / "src/cisflow/sources/fetch.py"
    code.write_text(code.read_text() + "\n\nOTHER = 1\n")
    assert "Nothing to be done" in succeed(clone, *LOCAL, "-n", TARGET)


def test_files_of_the_workflow_itself_are_fetched_by_its_target_or_by_the_command(root, cut_off, tmp_path):
    """Where compute nodes see the folder, no mirror is needed."""
    with serving() as server:
        server.contents = contents(tmp_path)
        first = written(copy_of_repository(root, tmp_path / "first"), server.url)
        second = written(copy_of_repository(root, tmp_path / "second"), server.url)
        planned = succeed(first, *LOCAL, "-n", "--configfile", "config/near.yaml", "--", "sources")
        assert re.search(r"^fetch_source +2\nsources +1\ntotal +3$", planned, flags=re.MULTILINE)
        succeed(first, *LOCAL, "--configfile", "config/near.yaml", "--", "sources")
        done = cisflow(second, "sources", "fetch", "--config", "config/near.yaml")
        assert (done.returncode, "2 of 2 files are there" in done.stdout) == (0, True), done.stdout
    for clone in (first, second):
        assert (clone / "resources/far-away/sites.tar.gz").is_file()
        done, _ = cut_off(clone, "snakemake", *LOCAL, "-n", TARGET)
        assert "rule extract_member:" in done.stdout
        assert "rule fetch_source:" not in done.stdout
    assert not (first / "results/near/tasks").exists()
    done = cisflow(first, "sources", "check", "resources")
    assert "resources: there is no checksums.tsv in it, or it is empty. 'cisflow sources fetch' makes it" in done.stdout
    done = cisflow(first, "sources", "fetch", "--for", TARGET)
    assert re.search("far-away/sites.tar.gz: [0-9,]+ bytes, was there", done.stdout)
    assert cisflow(first, "sources", "check", "resources", "--for", TARGET).returncode == 0


def test_a_check_tells_what_is_wrong_and_what_mends_it(fetched, tmp_path):
    clone, mirror, _ = fetched
    shutil.copytree(mirror, tmp_path / "bad")
    (tmp_path / "bad/far-motifs/far.meme").write_text("x")
    (tmp_path / "bad/far-away/sites.tar.gz").unlink()
    (tmp_path / "bad/mine.txt").write_text("x")
    done = cisflow(clone, "sources", "check", str(tmp_path / "bad"), "--for", "results/tasks/hand/dataset.h5")
    assert done.returncode == 1
    for line in (
        "missing  far-away/sites.tar.gz", "corrupt  far-motifs/far.meme: it has 1 bytes and had",
        "needed   at-hand/hand.h5: it is not in the table", "extra    mine.txt", "0 of 2 files are right",
        "bad: 3 problems. Delete the corrupt files and, where there is a network, fetch again: "
        "cisflow sources fetch --for results/tasks/hand/dataset.h5 --mirror",
    ):  # fmt: skip
        assert line in done.stdout
    assert "there is no folder" in cisflow(clone, "sources", "check", str(tmp_path / "none")).stdout
    done = cisflow(clone, "sources", "fetch", "--for", TARGET, CISFLOW_MIRROR=str(tmp_path / "none"))
    assert "none. Correct CISFLOW_MIRROR or 'mirror:'" in done.stdout


def test_files_of_every_kind_are_listed(fetched):
    """Pinned files of ENCODE, addresses that a task names, genomes, weights, and what installed packages have."""
    clone, _, _ = fetched
    query = Query(accessions=["ENCFF001AAA"])
    manifest = Manifest([row("ENCFF001AAA", size="2500000")], wanted_of([query], []), "2026-11-21", "https://x.org", {})
    write_manifest(clone / "config/encode/peaks.tsv", manifest)
    targets = (
        "results/tasks/peaks/dataset.h5",
        "results/tasks/cs282a/dataset.h5",
        "resources/jaspar2026/jaspar2026.meme",
    )
    done = cisflow(clone, "sources", "list", *(word for target in targets for word in ("--for", target)))
    shown = dict(re.findall(r"^(\S+/\S+)  +(\S.*?)  +", done.stdout, flags=re.MULTILINE))
    assert shown["encode/ENCFF001AAA.bed.gz"] == "2.5 MB"
    assert shown["hg38/hg38.fa.gz"] == "983.7 MB"
    assert shown["jaspar2026/jaspar2026.meme"] == "-"
    assert {"urls/elsewhere.bed.gz", "basenji2/model_human.h5", "chm13/chm13.draft_v1.1.fasta.gz"} <= shown.keys()
    assert "not be had" not in done.stdout


def test_what_cannot_be_planned_is_said(fetched):
    clone, _, _ = fetched
    done = cisflow(clone, "sources", "list", "--for", "results/tasks/farr/report.html")
    assert done.returncode == 1
    assert "Snakemake cannot plan results/tasks/farr/report.html" in done.stdout
