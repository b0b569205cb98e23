"""ENCODE: a server that answers in its form, and the choice among files by hand-worked cases."""

import datetime
import re
from email.utils import format_datetime

import pytest
from tests.portal import CONTENT, experiment, file

from cisflow.config.encode import Query, hash_of, wanted_of
from cisflow.config.strict import validate
from cisflow.config.yaml import load
from cisflow.errors import CisflowError
from cisflow.sources.encode import Encode, resolve, select
from cisflow.sources.fetch import Wanted, fetch
from cisflow.sources.http import RETRIES
from cisflow.sources.manifest import COLUMNS

CTCF = Query(assay=["TF ChIP-seq"], target=["CTCF"])


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(portal, waits):
    with Encode(wait=waits.append) as client:
        yield client


def test_a_server_with_a_password_is_refused_without_showing_it(monkeypatch):
    """It would be in every manifest that is pinned, and these are committed."""
    monkeypatch.setenv("CISFLOW_ENCODE", "https://ada:hunter2@mirror.org")
    with pytest.raises(
        CisflowError, match=r"CISFLOW_ENCODE: https://\*\*\*@mirror\.org has a password or a key"
    ) as error:
        Encode()
    assert "~/.netrc" in str(error.value)


def rows_of(client, portal, *experiments, query=CTCF):
    portal.experiments = list(experiments)
    return client.search(query)


def test_a_row_has_all_that_is_known_of_a_file(client, portal):
    audits = {
        "ERROR": [
            {"category": "extremely low read depth", "path": "/experiments/ENCSR000AAA/"},
            {"category": "of another file", "path": "/files/ENCFF009ZZZ/"},
        ],
        "WARNING": [{"category": "mild", "path": "/files/ENCFF001AAA/"}, {"category": "a\tb", "path": "/x/"}],
    }
    treated = [{"treatment_term_name": "DMSO"}, {"treatment_term_name": "IFN"}]
    one = experiment("ENCSR000AAA", [file("ENCFF001AAA")], target="NKX2-5", audit=audits, treatments=treated)
    (row,) = rows_of(client, portal, one, query=Query(assay="TF ChIP-seq"))
    assert set(COLUMNS) <= set(row)
    known = {
        "accession": "ENCFF001AAA", "experiment": "ENCSR000AAA", "assay": "TF ChIP-seq", "target": "NKX2-5-human",
        "factor": "NKX2-5", "biosample": "K562", "project": "ENCODE",
    }  # fmt: skip
    assert row.items() >= known.items()
    assert (row["replicates"], row["treatments"], row["date"]) == ("1, 2", "DMSO, IFN", "2020-11-14")
    assert (row["audit_error"], row["audit_warning"]) == ("extremely low read depth", "a\tb, mild")
    assert row["url"] == f"{portal.url}/files/ENCFF001AAA/@@download/ENCFF001AAA.bed.gz"
    assert portal.agents[0].startswith("cisflow/")


@pytest.mark.parametrize(
    ("assay", "target", "factor"),
    [
        ("DNase-seq", None, "DNase"),
        ("ATAC-seq", None, "ATAC"),
        ("Histone ChIP-seq", "H3K27ac", "H3K27ac"),
        ("CAGE", None, "CAGE"),
        ("Control ChIP-seq", None, ""),
    ],
)
def test_factors_are_not_fused(client, portal, assay, target, factor):
    found = rows_of(
        client, portal, experiment("ENCSR000AAA", [file("ENCFF001AAA")], assay, target), query=Query(assay=assay)
    )
    assert [row["factor"] for row in found] == [factor]


def test_a_search_that_finds_nothing_is_no_error(client, portal):
    assert rows_of(client, portal) == []


def test_a_download_follows_the_redirect_to_the_cloud(client, portal, tmp_path):
    import gzip

    content = gzip.compress(CONTENT)
    (row,) = rows_of(client, portal, experiment("ENCSR000AAA", [file("ENCFF001AAA", content)]))
    portal.contents["ENCFF001AAA.bed.gz"] = content
    wanted = Wanted(row["file"], row["url"], md5=row["md5"], size=int(row["size"]))
    fetch(wanted, tmp_path / row["file"])
    assert (tmp_path / row["file"]).read_bytes() == content
    assert portal.requests[-1].startswith("/cloud/ENCFF001AAA.bed.gz?Signature")


# ------------------------------------------------------------------------------------------------ answers that are none


@pytest.mark.parametrize("fault", ["truncated", "cut", 500, 502, 503, 504, 429])
def test_faults_that_pass_are_waited_out(client, portal, waits, fault):
    portal.faults = [fault, fault]
    (row,) = rows_of(client, portal, experiment("ENCSR000AAA", [file("ENCFF001AAA")]))
    assert row["accession"] == "ENCFF001AAA"
    assert waits == [0.1, 2, 4]


def test_the_server_says_how_long_to_wait(client, portal, waits):
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    portal.faults = [(429, 30), (503, format_datetime(later, usegmt=True)), (503, "soon")]
    rows_of(client, portal, experiment("ENCSR000AAA", [file("ENCFF001AAA")]))
    assert waits[:2] == [0.1, 30]
    assert 95 < waits[2] <= 100
    assert waits[3] == 8


ERRORS = {
    "down": ([503] * RETRIES, f"given up after {RETRIES} tries .*: the server answered 503.*CISFLOW_ENCODE"),
    "truncated": (["truncated"] * RETRIES, "the answer is truncated or no JSON"),
    "too long a pause": ([(429, 7200)], "429 .*asks to wait 7,200 s. Run it again after that"),
    "refused": ([403], r"the server refuses it \(403\): it is not public, or this address is blocked"),
    "bad request": ([400], "the server answered 400 .*no more"),
    "page": (["page"], "the answer is an HTML page, not JSON"),
    "list": (["list"], "the answer is not a JSON object; it begins with"),
    "other object": ([lambda answer: {"title": "Home"}], "the answer is no list of experiments"),
    "lies": ([lambda answer: answer | {"total": 7}], "says that there are 7 experiments, and brings 1. Nothing"),
    "strange rows": ([lambda answer: answer | {"@graph": ["x"]}], "something else in place of experiments"),
    "strange files": (
        [lambda answer: answer | {"@graph": [answer["@graph"][0] | {"files": ["/files/x/"]}]}],
        "something else in place of experiments and their files",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_what_is_no_answer_is_said(client, portal, case):
    portal.faults, message = ERRORS[case]
    portal.faults = list(portal.faults)
    with pytest.raises(CisflowError, match=message):
        rows_of(client, portal, experiment("ENCSR000AAA", [file("ENCFF001AAA")]))


def test_no_server(waits):
    with Encode("http://127.0.0.1:9", waits.append) as client, pytest.raises(CisflowError) as error:
        client.search(CTCF)
    message = str(error.value)
    assert "target.label=CTCF&assembly=GRCh38: given up after 5 tries without progress: Failed to establish" in message
    assert "Connection refused. If ENCODE is not reachable from here, name a mirror of it in CISFLOW_ENCODE." in message
    assert len(message) < 500, "neither the fields that are asked for, nor the address again"


def test_a_404_of_a_search_without_a_list_is_an_error(client, portal):
    portal.faults = [404]
    with pytest.raises(CisflowError, match=r"there is no such thing at the server \(404\)"):
        rows_of(client, portal)


# ----------------------------------------------------------------------------------------------------------- accessions


def test_files_by_accession_ask_for_each_experiment_once(client, portal):
    files = [file("ENCFF001AAA", preferred_default=True), file("ENCFF002AAA", status="archived", restricted=True)]
    about = {
        "treatments": [{"treatment_term_name": "DMSO"}],
        "modifications": [{"method": "CRISPR", "category": "insertion"}],
        "crosslinking": "formaldehyde",
        "audit": {level: [{"category": level, "path": "/x/"}] for level in ("ERROR", "NOT_COMPLIANT", "WARNING")},
    }
    portal.experiments = [experiment("ENCSR000AAA", files, **about)]
    rows = client.files(["ENCFF001AAA", "ENCFF002AAA"])
    assert all(any(row[column] for row in rows) for column in (*COLUMNS, "unavailable"))
    # The search asks for all the fields that a row is made of.
    assert rows == client.search(CTCF)
    assert sum("/experiments/" in path for path in portal.requests) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accession": "ENCFF002AAA", "@id": "/files/ENCFF002AAA/"}, r"there is no such thing at the server \(404\)"),
        ({"accession": "ENCFF002AAA", "alternate_accessions": ["ENCFF001AAA"]}, "has been replaced by ENCFF002AAA"),
        ({"status": "revoked"}, "its status at ENCODE is 'revoked'; take another file"),
        ({"no_file_available": True}, "it cannot be downloaded"),
        ({"md5sum": None}, "or has no md5 or size"),
    ],
)
def test_an_accession_that_cannot_be_had(client, portal, changes, message):
    portal.experiments = [experiment("ENCSR000AAA", [file("ENCFF001AAA", **changes)])]
    with pytest.raises(CisflowError, match=message):
        resolve(client, [], ["ENCFF001AAA"])


def test_a_named_file_is_taken_whatever_the_query_says(client, portal):
    portal.experiments = [
        experiment("ENCSR000AAA", [file("ENCFF001AAA"), file("ENCFF002AAA", assembly="hg19")]),
        experiment("ENCSR000BBB", [file("ENCFF003AAA")], target="MAX"),
    ]
    found = resolve(client, [CTCF], ["ENCFF003AAA", "ENCFF002AAA"])
    assert sorted(row["accession"] for row in found.rows) == ["ENCFF001AAA", "ENCFF002AAA", "ENCFF003AAA"]
    assert found.reasons == {}


# ------------------------------------------------------------------------------------------------------------ selection


def row(accession, **changes):
    known = {
        "file_type": "bed narrowPeak", "assembly": "GRCh38", "status": "released", "analysis_status": "released",
        "assay": "TF ChIP-seq", "target": "CTCF-human", "factor": "CTCF", "biosample": "K562",
        "organism": "Homo sapiens", "project": "ENCODE",
        "replicates": "1, 2", "output_type": "IDR thresholded peaks", "md5": "0" * 32, "size": "9",
    }  # fmt: skip
    return dict.fromkeys(COLUMNS, "") | known | {"accession": accession} | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_type": "bam"}, "another file type"),
        ({"assembly": "hg19"}, "another assembly"),
        ({"status": "archived"}, "status: archived"),
        ({"analysis_status": "archived"}, "status of the analysis: archived"),
        ({"assay": "DNase-seq"}, "another assay"),
        ({"factor": "MAX"}, "another target"),
        ({"organism": "Mus musculus"}, "another organism"),
        ({"treatments": "DMSO"}, "Biosample treatments is not empty"),
        ({"modification_methods": "CRISPR"}, "Biosample genetic modifications methods is not empty"),
        ({"modification_categories": "insertion"}, "Biosample genetic modifications categories is not empty"),
        ({"crosslinking": "formaldehyde"}, "Library crosslinking method is not empty"),
        ({"audit_error": "x"}, "Audit ERROR is not empty"),
        ({"audit_not_compliant": "x"}, "Audit NOT_COMPLIANT is not empty"),
        ({"unavailable": "yes"}, "cannot be downloaded"),
        ({"md5": ""}, "no md5 or size"),
    ],
)
def test_each_file_that_is_left_out_has_its_reason(changes, reason):
    found = select([row("ENCFF001AAA"), row("ENCFF002AAA", **changes)], CTCF)
    assert [kept["accession"] for kept in found.rows] == ["ENCFF001AAA"]
    assert found.reasons == {"ENCFF002AAA": reason}
    assert found.left_out == {reason: 1}


def test_files_without_a_target_are_of_nothing():
    found = select([row("ENCFF001AAA", factor="", target="")], Query(assay="TF ChIP-seq"))
    assert found.left_out == {"no target": 1}


def test_audits_of_dnase_are_not_asked_for_by_default():
    dnase = row("ENCFF001AAA", assay="DNase-seq", factor="DNase", audit_error="x")
    assert len(select([dnase], Query(assay="DNase-seq")).rows) == 1
    assert select([dnase], Query(assay="DNase-seq", require_empty=["Audit ERROR"])).rows == []


# Of a group: pooled replicates first, then the output type; ties are all kept.
PREFERENCES = {
    "more replicates": ([{"replicates": "1"}, {"replicates": "1, 2, 3"}, {"replicates": "1, 2"}], {}, [1]),
    "a tie": ([{"replicates": "1"}, {"replicates": "2"}], {}, [0, 1]),
    "as they are listed": (
        [{"replicates": "1, 2, 3"}, {"replicates": "1, 2"}, {"replicates": "1"}],
        {"replicates": ["1, 2", "1, 2, 3"]},
        [1],
    ),
    "none of the list": ([{"replicates": "1"}, {"replicates": "2"}], {"replicates": ["1, 2"]}, [0, 1]),
    "none, and strict": ([{"replicates": "1"}], {"replicates": ["1, 2"], "keep_all_if_none": False}, []),
    "the output type": (
        [{"output_type": "stable peaks"}, {"output_type": "optimal IDR thresholded peaks"}, {"output_type": "peaks"}],
        {},
        [1],
    ),
    "replicates before the output type": (
        [{"replicates": "1", "output_type": "optimal IDR thresholded peaks"}, {"output_type": "stable peaks"}],
        {},
        [1],
    ),
    "the other order": (
        [{"replicates": "1", "output_type": "optimal IDR thresholded peaks"}, {"output_type": "stable peaks"}],
        {"prefer": ["output_type", "replicates"]},
        [0],
    ),
    "uncrosslinked": ([{"crosslinking": "formaldehyde"}, {}], {"require_empty": []}, [1]),
    "all crosslinked": ([{"crosslinking": "x"}, {"crosslinking": "x"}], {"require_empty": []}, [0, 1]),
    "ENCODE's mark": ([{}, {"preferred_default": "True"}], {"prefer": ["preferred_default"]}, [1]),
    "no rule": ([{"replicates": "1"}, {}], {"prefer": []}, [0, 1]),
    "another biosample is another group": ([{"replicates": "1"}, {"biosample": "HepG2"}], {}, [0, 1]),
    "groups of experiments": (
        [{"replicates": "1", "experiment": "a"}, {"experiment": "b"}, {"replicates": "1", "experiment": "b"}],
        {"group_by": ["experiment"]},
        [0, 1],
    ),
    "max_files": ([{"biosample": "b"}, {"biosample": "a"}, {"biosample": "c"}], {"max_files": 2}, [0, 1]),
}


@pytest.mark.parametrize("case", PREFERENCES)
def test_of_a_group_the_preferred_are_kept(case):
    changes, settings, kept = PREFERENCES[case]
    rows = [row(f"ENCFF00{number}AAA", **change) for number, change in enumerate(changes)]
    found = select(rows, Query(target="CTCF", **settings))
    assert sorted(one["accession"] for one in found.rows) == [f"ENCFF00{number}AAA" for number in kept]
    assert len(found.rows) + len(found.reasons) == len(rows)
    assert select(rows[::-1], Query(target="CTCF", **settings)) == found


def test_a_group_that_is_left_out_is_counted():
    found = select([row("ENCFF001AAA", output_type="peaks")], Query(target="CTCF", keep_all_if_none=False))
    assert found.left_out == {"output_type: none is preferred": 1}


# ---------------------------------------------------------------------------------------------------------------- query


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("organism: Homo sapiens", "it would take all of ENCODE; name assay, biosample, target or accessions"),
        ("assays: [ATAC-seq]", "x.yaml:1: assays: unknown key. Did you mean 'assay'?"),
        ("accessions: [ENCSR000AAA]", "'ENCSR000AAA' is no accession of a file at ENCODE, as ENCFF001ABC (ENCSR... is"),
        ("{assay: ATAC-seq, assembly: hg38}", "x.yaml:1: assembly: ENCODE calls the assembly hg38 'GRCh38'"),
        ("{assay: ATAC-seq, assembly: mm10}", "organism: mm10 is of Mus musculus, and the query is for Homo sapiens"),
        ("{assay: ATAC-seq, file_type: bigwig}", "file_type: ENCODE writes 'bigwig' as 'bigWig'"),
        ("{assay: ATAC-seq, file_type: [bed narrowPeak, BroadPeak]}", "'BroadPeak' as 'bed broadPeak'"),
        ("{assay: ATAC-seq, replicates: 2}", "replicates: 2 is no text with the numbers of biological replicates"),
        ("{assay: ATAC-seq, replicates: ['1, 2', both]}", "replicates.1: 'both' is no text with the numbers"),
        ("{assay: ATAC-seq, target: 3}", "target: 3 is not a text; if it is meant to be one, write it in quotes."),
        ("{assay: ATAC-seq, require_empty: [Audit]}", "'Audit' is not one of Biosample treatments, "),
        ("{assay: ATAC-seq, group_by: [tissue]}", "'tissue' is not one of experiment, assay, "),
        ("{assay: ATAC-seq, prefer: [best]}", "'best' is not one of replicates, "),
        ("{assay: ATAC-seq, max_files: 0}", "max_files: "),
        ("{assay: [ATAC-seq, ATAC-seq]}", "a value stands in the list twice: ATAC-seq"),
        ("{assay: ''}", "assay: '': string should have at least 1 character"),
        ("{assay: ATAC-seq, file_type: []}", "file_type: "),
    ],
)
def test_a_mistake_in_a_query_is_said(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(CisflowError) as error:
        validate(Query, load(tmp_path / "x.yaml"))
    assert message in str(error.value)


def test_numbers_of_replicates_are_written_as_encode_does():
    assert Query(assay="ATAC-seq", replicates=["1,2", " 3 "]).replicates == ["1, 2", "3"]


UNMET = [
    ({"assay": "tf chip-seq"}, "ENCODE has no such experiment; .* Is 'TF ChIP-seq' meant?"),
    ({"target": "ctcf"}, "ENCODE has no such experiment; names count as ENCODE writes them"),
    ({"biosample": ["K562", "HepG3"]}, "biosample: no file has 'HepG3', but 'K562'."),
    ({"output_type": "IDR peaks"}, "output_type: no file has 'IDR peaks', but 'IDR thresholded peaks'."),
    ({"replicates": ["3", "1"]}, "replicates: no file has '3', '1', but '1, 2'."),
    ({"assembly": "hg19"}, "assembly: no file has 'hg19', but 'GRCh38'."),
    ({"file_type": ["bed narrowPeak", "bed broadPeak"]}, "file_type: no file has 'bed broadPeak', but 'bam', 'bed nar"),
]


@pytest.mark.parametrize(("changes", "note"), UNMET)
def test_what_no_file_has_is_told(client, portal, changes, note):
    portal.experiments = [experiment("ENCSR000AAA", [file("ENCFF001AAA"), file("ENCFF002AAA", file_type="bam")])]
    query = Query(**{"assay": "TF ChIP-seq", "target": "CTCF"} | changes)
    (found,) = resolve(client, [query], []).notes
    assert re.match(note, found)


def test_a_second_best_that_is_not_there_is_no_mistake(client, portal):
    portal.experiments = [experiment("ENCSR000AAA", [file("ENCFF001AAA")])]
    query = Query(assay="TF ChIP-seq", replicates=["1, 2", "1"], output_type=["IDR thresholded peaks", "stable peaks"])
    assert resolve(client, [query], []).notes == []


def test_the_hash_is_that_of_what_is_wanted():
    one = hash_of(wanted_of([CTCF], ["ENCFF002AAA", "ENCFF001AAA"]))
    assert one == hash_of(wanted_of([Query(assay="TF ChIP-seq", target="CTCF")], ["ENCFF001AAA", "ENCFF002AAA"]))
    assert one != hash_of(wanted_of([CTCF], ["ENCFF001AAA"]))
    assert one != hash_of(wanted_of([Query(assay="TF ChIP-seq", target="MAX")], ["ENCFF001AAA", "ENCFF002AAA"]))
