"""Files that tasks name: in sources, at paths, at addresses, and pinned at ENCODE."""

import re
from pathlib import Path

import pytest

from cisflow.config.encode import wanted_of
from cisflow.config.files import accessions_of, queries_of
from cisflow.config.places import Place
from cisflow.errors import CisflowError
from cisflow.sources.manifest import Manifest, write_manifest
from tests.config.standin import ATAC, SOURCES, load
from tests.portal import row

__all__ = ["load"]


def pin(project, name, rows):
    task = project.task(name)
    wanted = wanted_of(queries_of(task), accessions_of(task))
    write_manifest(project.manifest_file(name), Manifest(rows, wanted, "2026-01-02", "https://x.org", {}))


def test_every_place_has_a_path(load):
    project = load(
        "genome: hg38, files: [data/a.bed, {source: hg38, file: '*.sizes'}, 'https://x.org/deep/b.bed.gz?x=1']"
    )
    dataset = project.task("a").dataset
    assert [project.path(place) for place in dataset.files] == [
        "data/a.bed", "resources/hg38/hg38.chrom.sizes", "resources/urls/b.bed.gz",
    ]  # fmt: skip
    assert project.path(dataset.genome) == "resources/genomes/hg38/hg38.fa.gz"
    assert project.genome_source("hg38") == "resources/hg38/hg38.fa.gz"
    assert project.sources["urls"].files["b.bed.gz"].url == "https://x.org/deep/b.bed.gz?x=1"
    assert "encode" not in project.sources


MODIFIED = "{modified: {bam: %s/a.bam, genome: data/mini.fa, calls: %s}}"


def test_calls_of_modified_bases_are_files_of_a_folder_of_the_reads_and_their_genome(load):
    files = ", ".join(MODIFIED % ("data", calls) for calls in ("modmA", "validCpG"))
    project = load(f"genome: hg38, files: [{files}]")
    assert [project.path(place) for place in project.task("a").dataset.files] == [
        "resources/modified/a.mini.129-10/modmA.bw", "resources/modified/a.mini.129-10/validCpG.bw",
    ]  # fmt: skip
    assert list(project.modified) == ["a.mini.129-10"]
    # What they are made from is known, too.
    assert project.path(project.modified["a.mini.129-10"].bam) == "data/a.bam"
    assert project.genome_source("mini") == "data/mini.fa"


def test_bam_files_of_one_name_have_calls_in_folders_of_their_own(load):
    files = ", ".join(MODIFIED % (folder, "modmA") for folder in ("one", "two"))
    project = load(f"genome: hg38, files: [{files}]")
    first, second = (Path(project.path(place)).parts[2] for place in project.task("a").dataset.files)
    assert first == "a.mini.129-10"
    assert re.fullmatch(r"a-[0-9a-f]{8}\.mini\.129-10", second)
    assert [project.path(project.modified[name].bam) for name in (first, second)] == ["one/a.bam", "two/a.bam"]


def test_a_users_genome_may_be_called_as_one_of_a_source(load):
    """Whichever task comes first, the source's keeps its name, and neither stops the other."""
    for datasets in (("genome: hg38", "genome: /ref/hg38.fa.gz"), ("genome: /ref/hg38.fa.gz", "genome: hg38")):
        project = load(*datasets)
        names = {Path(project.path(task.dataset.genome)).parent.name for task in project.tasks.values()}
        own = next(name for name in names if name != "hg38")
        assert re.fullmatch(r"hg38-[0-9a-f]{8}", own)
        assert project.genome_source("hg38") == "resources/hg38/hg38.fa.gz"
        assert project.genome_source(own) == "/ref/hg38.fa.gz"


def test_genomes_of_one_name_in_two_folders_are_two(load):
    project = load("genome: old/mini.fa", "genome: new/mini.fa", "genome: old/mini.fa")
    first, second, third = (project.path(task.dataset.genome) for task in project.tasks.values())
    assert first == third == "resources/genomes/mini/mini.fa.gz"
    assert project.genome_source(Path(second).parent.name) == "new/mini.fa"


def test_one_file_as_chromosomes_and_as_records_is_two_genomes(load):
    whole, records = "{file: data/p.fa}", "{file: data/p.fa, records: true, sizes: {chr1: 50}}"
    project = load(f"genome: {whole}", f"genome: {records}")
    names = [Path(project.path(task.dataset.genome)).parent.name for task in project.tasks.values()]
    assert [project.genomes[name].records for name in names] == [False, True]


@pytest.mark.parametrize(
    ("url", "end"),
    [
        ("https://x.org/hg38.fa.gz", "hg38.fa.gz"),  # a source has a file of this name
        ("https://y.org/a.bed", "a.bed"),  # so has another address
        ("https://x.org/CD4%2B%20cells.bed.gz", "CD4__cells.bed.gz"),
        (f"https://x.org/{'x' * 80}.bed.gz", "x" * 43 + ".bed.gz"),
    ],
)
def test_files_at_addresses_have_names_of_their_own(load, url, end):
    project = load("files: ['https://x.org/a.bed']", f"files: ['{url}', '{url}']")
    first, second = project.task("b").dataset.files
    name = Path(project.path(first)).name
    assert re.fullmatch(rf"[0-9a-f]{{8}}-{re.escape(end)}", name)
    assert project.path(first) == project.path(second)
    assert project.sources["urls"].files[name].url == url
    assert project.sources["urls"].files["a.bed"].url == "https://x.org/a.bed"


@pytest.mark.parametrize(
    ("genome", "name", "fasta"),
    [
        ("data/mini.fasta", "mini", "data/mini.fasta"),
        ("https://x.org/dm3.fna.gz", "dm3", "resources/urls/dm3.fna.gz"),
        ("{source: two, file: b.fa}", "b", "resources/two/b.fa"),
    ],
)
def test_genomes_are_indexed_below_their_name(load, genome, name, fasta):
    project = load(f"genome: {genome!r}" if genome[0] != "{" else f"genome: {genome}")
    assert project.path(project.task("a").dataset.genome) == f"resources/genomes/{name}/{name}.fa.gz"
    assert project.genome_source(name) == fasta
    with pytest.raises(CisflowError, match=f"there is no genome 'x'. .*{name}"):
        project.genome_source("x")


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (["genome: hg83"], "tasks.yaml:2: tasks.a.dataset.genome: there is no source 'hg83'. Did you mean 'hg38'?"),
        (["genome: jaspar2016"], "tasks.a.dataset.genome: source 'jaspar2016': there is no file '*.fa*'."),
        (["genome: GRCh38"], "tasks.a.dataset.genome: there is no source 'GRCh38'. Did you mean 'hg38'?"),
        (["genome: mini"], "there is no source 'mini'. A FASTA file is given by its path, as data/mini.fa. Known here"),
        (["files: [ENCSR000AAA]"], "files.0: 'ENCSR000AAA' is no accession of a file at ENCODE"),
        (["files: [encff001aaa]"], "files.0: 'encff001aaa' is no accession of a file at ENCODE"),
        (["files: [{url: 'https://x.org/a', md5: abc}]"], "files.0.md5: 'abc' is no MD5 checksum, 32 hexadecimal"),
        (["genome: two"], "source 'two': '*.fa*' fits several files: a.fa.gz, b.fa; name one as 'file'."),
        (
            ["files: [{source: hg38, file: hg38.chrom.size}]"],
            "dataset.files.0: source 'hg38': there is no file 'hg38.chrom.size'. Did you mean 'hg38.chrom.sizes'?",
        ),
        (["beds: {mine: {source: nine, file: a}}"], "tasks.a.dataset.beds.mine: there is no source 'nine'."),
        (
            ["files: ['https://x.org/a.bed', {url: 'https://x.org/a.bed', md5: " + "a" * 32 + "}]"],
            "with other checksums; they would be one file",
        ),
        (["files: ['https://x.org/']"], "the address 'https://x.org/' does not end in a file name"),
    ],
)  # fmt: skip
def test_places_that_point_to_nothing_are_said(load, datasets, message):
    with pytest.raises(CisflowError) as error:
        load(*datasets)
    assert message in str(error.value)


def test_of_several_fasta_files_the_one_called_as_the_source_is_the_genome(load):
    sources = SOURCES.replace("a.fa.gz:", "two.fa.gz:")
    assert load("genome: two", sources=sources).genome_source("two") == "resources/two/two.fa.gz"


def test_reads_that_are_not_pinned_stop_no_other_task(load):
    modified = "{modified: {bam: ENCFF001AAA, genome: data/mini.fa, calls: modmA}}"
    project = load(f"genome: hg38, files: [{modified}]", "genome: hg38")
    assert list(project.modified) == ["ENCFF001AAA.mini.129-10"]


def test_all_problems_of_places_are_said_at_once(load):
    with pytest.raises(CisflowError) as error:
        load("genome: hg83, files: [{source: nine, file: x}]", "genome: two")
    assert len(str(error.value).splitlines()) == 1 + 3


@pytest.mark.parametrize("name", ["encode", "urls"])
def test_names_of_made_sources_are_kept(load, name):
    with pytest.raises(CisflowError, match=rf"sources.yaml:\d+: sources.{name}: this name is kept"):
        load("genome: hg38", sources=SOURCES.replace("  two:", f"  {name}:"))


def test_pinned_files_are_files_of_a_source(load):
    pin(load(ATAC, "genome: hg38"), "a", [row("ENCFF001AAA"), row("ENCFF002AAA")])
    project = load(ATAC, "genome: hg38")
    file = project.sources["encode"].files["ENCFF001AAA.bed.gz"]
    assert (file.url, file.md5, file.size) == ("https://x.org/ENCFF001AAA.bed.gz", "0" * 32, 12)
    assert [project.pinned_path(one) for one in project.pinned("a")] == [
        "resources/encode/ENCFF001AAA.bed.gz", "resources/encode/ENCFF002AAA.bed.gz",
    ]  # fmt: skip
    assert project.pinned("b") == []


def test_accessions_among_files_are_pinned_too(load):
    text = "files: [ENCFF001AAA], genome: {accession: ENCFF009ZZZ}"
    project = load(text)
    # The copy's name does not wait for the manifest.
    assert project.path(project.task("a").dataset.genome) == "resources/genomes/ENCFF009ZZZ/ENCFF009ZZZ.fa.gz"
    with pytest.raises(CisflowError, match=r"task 'a': its files of ENCODE are not pinned; .*cisflow encode pin a"):
        project.path(project.task("a").dataset.files[0])
    pin(project, "a", [row("ENCFF001AAA"), row("ENCFF009ZZZ", file="ENCFF009ZZZ.fasta.gz")])
    project = load(text)
    assert project.path(project.task("a").dataset.files[0]) == "resources/encode/ENCFF001AAA.bed.gz"
    assert project.genome_source("ENCFF009ZZZ") == "resources/encode/ENCFF009ZZZ.fasta.gz"
    with pytest.raises(CisflowError, match="ENCFF005AAA is not pinned"):
        project.path(Place(accession="ENCFF005AAA"))


def test_a_task_without_a_manifest_stops_no_other(load):
    pin(load(ATAC, ATAC), "a", [row("ENCFF001AAA")])
    project = load(ATAC, ATAC)
    assert len(project.pinned("a")) == 1
    with pytest.raises(CisflowError, match="task 'b': its files of ENCODE are not pinned; .*Run: cisflow encode pin b"):
        project.pinned("b")


def test_a_query_that_has_changed_since_is_an_error_of_its_task(load):
    pin(load(ATAC), "a", [row("ENCFF001AAA")])
    project = load("encode: [{assay: ATAC-seq}, {assay: DNase-seq}]")
    assert "encode" not in project.sources
    with pytest.raises(
        CisflowError,
        match=r"task 'a': its query .* changed since .*pins/a.tsv was pinned \(2026-01-02\): queries: 1 -> 2. Run",
    ):
        project.pinned("a")


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ("encode: {assay: ATAC-seq, target: CTCF, output_type: x}", "target: none -> CTCF; output_type: None -> x"),
        ("encode: {assay: [ATAC-seq, CAGE]}", "assay: ATAC-seq -> ATAC-seq, CAGE"),
        (f"{ATAC}, files: [ENCFF002AAA]", "with ENCFF002AAA"),
    ],
)
def test_what_has_changed_since_is_said(load, now, change):
    pin(load(ATAC), "a", [row("ENCFF001AAA")])
    with pytest.raises(CisflowError, match=rf"\(2026-01-02\): {change}. Run: cisflow encode pin a --force"):
        load(now).pinned("a")


@pytest.mark.parametrize(
    ("dataset", "assemblies", "message"),
    [
        (f"{ATAC}, genome: hg38", ("GRCh38", "hg19"), "hg19, unlike the genome GRCh38."),
        (f"{ATAC}, genome: data/mm10.fa", ("mm10", "GRCh38"), "GRCh38, unlike the genome mm10."),
        (f"{ATAC}, genome: data/x.fa", ("a1", "a2"), "a2, unlike ENCFF001AAA, which is of a1. Name"),
    ],
)
def test_files_of_two_assemblies_are_refused(load, dataset, assemblies, message):
    rows = [row(f"ENCFF00{n}AAA", assembly=own) for n, own in enumerate(assemblies, 1)]
    pin(load(dataset), "a", rows)
    with pytest.raises(CisflowError, match=f"a.tsv: ENCFF002AAA is of the assembly {message}"):
        load(dataset).pinned("a")


def test_names_of_one_assembly_are_one(load):
    dataset = f"{ATAC}, genome: data/hg38.p14.fa"
    pin(load(dataset), "a", [row("ENCFF001AAA", assembly="GRCh38"), row("ENCFF002AAA", assembly="")])
    assert len(load(dataset).pinned("a")) == 2


def test_a_broken_manifest_is_an_error_of_its_task(load):
    project = load(ATAC)
    pin(project, "a", [row("ENCFF001AAA")])
    path = project.manifest_file("a")
    path.write_text(path.read_text().replace("\t12\t", "\t-12\t"))
    project = load(ATAC)
    with pytest.raises(CisflowError, match="a.tsv:8: size: '-12' is no size"):
        project.pinned("a")


def test_two_tasks_with_two_versions_of_a_file(load):
    project = load(ATAC, ATAC)
    pin(project, "a", [row("ENCFF001AAA")])
    pin(project, "b", [row("ENCFF001AAA", md5="1" * 32), row("ENCFF002AAA")])
    project = load(ATAC, ATAC)
    assert len(project.pinned("a")) == 1
    with pytest.raises(CisflowError, match="b.tsv: ENCFF001AAA is another version of the file than another"):
        project.pinned("b")
