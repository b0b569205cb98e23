"""What is done to a training on Slurm, the account that the tests keep of it, and the page that shows it.

The tests write a line a fault to `CISFLOW_FAULTS` (results/faults.jsonl); `python -m tests.cluster.faults` writes
docs/reliability.md from all of its lines.
"""

import json
import os
import time
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = "docs/reliability.md"


class Fault(NamedTuple):
    """What is done, and what comes of it."""

    done: str
    comes: str


FAULTS = {
    "cancelled": Fault(
        "the job of a training is cancelled (`scancel`)",
        "it saves its state; Snakemake submits it again",
    ),
    "out_of_time": Fault(
        "the job reaches its time limit",
        "it saves its state; Snakemake submits it again with twice the time",
    ),
    "requeued": Fault("the job is put back into the queue (`scontrol requeue`)", "Slurm starts it again"),
    "pre_empted": Fault("a job of a partition with a higher priority takes its place", "Slurm starts it again"),
    "drained": Fault(
        "the node is drained, the job put back, the node resumed", "the job waits, and Slurm starts it again"
    ),
    "controller_killed": Fault("`kill -9` of slurmctld, which is started again after 12 seconds", "the job goes on"),
    "accounting_killed": Fault(
        "`kill -9` of slurmdbd, which is started again when Snakemake has missed it",
        "the job goes on; Snakemake says that it waits for Slurm to answer",
    ),
    "snakemake_killed": Fault(
        "`kill -9` of Snakemake, which is started again while its job is at work",
        "refused until `--unlock`; then refused with the command that cancels the job, which saves its state; then the "
        "training goes on",
    ),
    "left_behind": Fault(
        "`kill -9` of Snakemake, which is started again when its job has ended", "what the job has made is taken"
    ),
    "disk_full": Fault(
        "the disk of the results is full for a while",
        "the job fails with one message; Snakemake submits it again, and it goes on once there is space",
    ),
    "started_twice": Fault(
        "a second Snakemake is started in the same folder", "the second refuses; the first is not disturbed"
    ),
}
REFUSALS = {
    "no_accounting": Fault(
        "Slurm keeps no accounts (no slurmdbd)",
        "refused before the first job: after an outage of the controller nobody could tell how a job ended, and the "
        "executor plugin would wait for ever",
    ),
}


class LocalFault(NamedTuple):
    """A fault that needs no cluster: what is done, what comes of it, and the test that makes it."""

    done: str
    comes: str
    test: str


RUN, JOB, CONTENT = "tests/training/test_run.py", "tests/records/test_job.py", "tests/workflow/test_content.py"
FETCH, MIRROR, IO = "tests/sources/test_fetch.py", "tests/sources/test_mirror.py", "tests/test_io.py"
LOCAL_FAULTS = (
    LocalFault(
        "a training dies after its last epoch, while data are hashed or results are put in their place",
        "no trial is trained again",
        f"{RUN}::test_a_death_after_the_last_epoch_loses_no_trial",
    ),
    LocalFault(
        "the disk is full at that moment",
        "one message; no trial is trained again",
        f"{RUN}::test_a_full_disk_while_publishing_loses_no_trial",
    ),
    LocalFault(
        "SIGTERM, SIGUSR1, SIGHUP or Ctrl-C at that moment",
        "the program ends at once; no trial is trained again",
        f"{RUN}::test_a_signal_after_the_last_epoch_ends_the_program_at_once",
    ),
    LocalFault(
        "a file of a trial that has ended is changed by a bit, cut off, emptied or deleted",
        "a warning; the trial is set aside and trained again to the same bytes",
        f"{RUN}::test_a_damaged_trial_is_set_aside_and_trained_again",
    ),
    LocalFault(
        "the state of a training is changed by a bit, cut off or emptied",
        "a warning; the state is set aside, and the training begins again",
        f"{RUN}::test_a_damaged_state_is_set_aside_and_the_training_begins_again",
    ),
    LocalFault(
        "the folder of a trial is deleted",
        "evaluation, filters and attributions refuse, with the command that makes it again",
        "tests/evaluation/test_evaluate.py::test_a_missing_trial_is_an_error",
    ),
    LocalFault(
        "a job is stopped, its Snakemake killed, the job run again, and the first one let go on",
        "the first one writes nothing, and says why",
        f"{JOB}::test_a_job_that_was_left_behind_does_not_replace_what_a_later_one_wrote",
    ),
    LocalFault(
        "a job is killed while it writes",
        "no part of a file has a final name; the next attempt removes what is left",
        f"{JOB}::test_what_a_killed_job_has_left_is_removed_by_the_next",
    ),
    LocalFault(
        "the record of a job is cut off",
        "the next attempt writes behind it",
        f"{JOB}::test_a_record_that_was_cut_off_does_not_stop_the_next_attempt",
    ),
    LocalFault(
        "two processes write one file; a link stands where it or its temporary file could be",
        "one of them stands there whole; nothing is written through the link",
        "tests/test_io.py::test_nothing_is_written_through_a_link",
    ),
    LocalFault(
        "a user's file is replaced by an older one",
        "what is made of it is made again",
        f"{CONTENT}::test_an_older_file_of_other_content_makes_all_of_it_again",
    ),
    LocalFault(
        "a user's file is touched, or replaced by a copy",
        "nothing is made again",
        f"{CONTENT}::test_a_touch_and_a_copy_make_nothing_again",
    ),
    LocalFault(
        "a server sends another part of a file than was asked for, or a part of another version",
        "nothing is appended; the file is fetched again as a whole",
        f"{FETCH}::test_a_part_that_was_not_asked_for_is_not_appended",
    ),
    LocalFault(
        "a server sends a part that was not asked for",
        "refused",
        f"{FETCH}::test_a_part_that_comes_unasked_is_refused",
    ),
    LocalFault(
        "a file without a checksum changes between two parts, at a server that cannot tell versions apart",
        "parts are not gone on with; the file is fetched again as a whole",
        f"{FETCH}::test_without_a_validator_a_part_is_appended_only_if_a_checksum_is_known",
    ),
    LocalFault(
        "a server labels a `.gz` file as encoded (`Content-Encoding: gzip`)",
        "its bytes are kept as they are on the server",
        f"{FETCH}::test_a_compressed_file_that_is_labelled_as_encoded_is_kept_as_it_is",
    ),
    LocalFault(
        "a server sends a file encoded",
        "refused, and not decoded",
        f"{FETCH}::test_a_body_that_is_not_the_file_is_refused_and_not_decoded",
    ),
    LocalFault(
        "a connection ends before the last chunk of a body without a length",
        "the file is gone on with",
        f"{FETCH}::test_chunks_that_are_cut_are_noticed",
    ),
    LocalFault(
        "a body does not end",
        "it is stopped at the declared size",
        f"{FETCH}::test_an_endless_body_is_stopped_at_the_declared_size",
    ),
    LocalFault(
        "a byte comes now and then",
        "given up after five tries; what came is kept",
        f"{FETCH}::test_a_connection_that_hardly_brings_anything_is_given_up",
    ),
    LocalFault(
        "a mirror has another file of the same name, and no checksum is known",
        "it is not used, and the log says why",
        f"{MIRROR}::test_a_file_without_a_checksum_is_taken_from_its_own_place_only",
    ),
    LocalFault(
        "a named pipe or a folder in a mirror has the name of a file",
        "it is passed over",
        f"{MIRROR}::test_what_is_no_file_is_passed_over",
    ),
    LocalFault(
        "an address has a password, and its server fails",
        "the password is in no log, record or command line",
        "tests/workflow/test_originals.py::test_a_password_of_a_server_is_nowhere_but_in_the_configuration",
    ),
    LocalFault(
        "a result of which records and settings have passwords and absolute paths becomes a crate",
        "none of them is in it",
        "tests/records/test_crate.py::test_a_crate_has_no_passwords_and_no_absolute_paths",
    ),
    LocalFault(
        "the indexing of a genome or a BAM file is killed",
        "the next attempt removes what is left",
        "tests/tracks/test_scripts.py::test_an_indexing_that_is_killed_leaves_nothing_once_it_is_run_again",
    ),
    LocalFault(
        "the file system becomes read-only",
        "one message",
        f"{IO}::test_a_program_on_a_read_only_file_system_ends_with_one_message",
    ),
    LocalFault(
        "the disk fails while a file is read (input/output error)",
        "one message; nothing partial is left",
        f"{IO}::test_an_input_that_cannot_be_read_ends_a_program_with_one_message",
    ),
    LocalFault(
        "the locale is another one than UTF-8",
        "files are UTF-8 all the same",
        "tests/workflow/test_locale.py::test_files_are_read_and_written_as_utf_8",
    ),
    LocalFault(
        "a data file of one task is damaged or missing",
        "only what needs it is refused, with the key and a close name",
        "tests/workflow/test_plan.py::test_a_broken_or_missing_data_file_stops_only_what_needs_it",
    ),
    LocalFault(
        "a BAM file is replaced, and its index is that of the earlier one",
        "refused",
        "tests/tracks/test_bam_index.py::test_the_index_of_an_earlier_version_is_refused",
    ),
    LocalFault(
        "a genome is replaced, and its indices are those of the earlier one",
        "refused",
        "tests/tracks/test_genome_index.py::test_indices_of_an_earlier_version_are_refused",
    ),
    LocalFault(
        "a read has tags of modified bases that do not fit it",
        "the read is left out and counted",
        "tests/tracks/test_modified.py::test_a_read_whose_tags_do_not_fit_is_left_out_and_counted",
    ),
    LocalFault(
        "an HDF5 file is still being written by another program",
        "refused as locked",
        "tests/test_io.py::test_an_hdf5_file_that_another_program_writes_is_no_other_file",
    ),
    LocalFault(
        "a part of a virtual HDF5 array is missing, or the writer of a file died",
        "refused: fill values are never data",
        "tests/test_io.py::test_fill_values_are_never_data",
    ),
    LocalFault(
        "all filters of a network are flat",
        "they are not compared with known motifs, and counted",
        "tests/motifs/test_matches.py::test_uninformative_filters_are_not_compared",
    ),
    LocalFault(
        "a sequence to be explained is a plain repeat",
        "it is left out and counted",
        "tests/attribution/test_scores.py::test_sequences_whose_shuffles_are_all_themselves_are_left_out_and_counted",
    ),
    LocalFault(
        "the sequences of an HDF5 file are too short for a window",
        "refused before any job",
        "tests/config/test_project.py::test_what_does_not_fit_into_the_sequences_of_a_file_is_said_before_anything_runs",
    ),
    LocalFault(
        "the configuration nests, loops or explodes",
        "one message at once",
        "tests/config/test_yaml.py::test_what_nests_loops_or_explodes_is_answered_at_once",
    ),
    LocalFault(
        "a name has control characters",
        "they are shown as their escapes",
        "tests/test_errors.py::test_control_characters_are_shown_as_their_escapes",
    ),
)


def keep(name: str, slurm: str, **came: Any) -> None:
    """Add a line to the account of what happened with this version of Slurm."""
    path = Path(os.environ.get("CISFLOW_FAULTS", ROOT / "results/faults.jsonl"))
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("snakemake", "snakemake-executor-plugin-slurm")
    conditions = {"date": time.strftime("%Y-%m-%d"), "slurm": slurm, **{name: metadata.version(name) for name in names}}
    with path.open("a") as file:
        file.write(json.dumps({"fault": name, **conditions, **came}) + "\n")


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page of the documentation."""
    last, dates = rows[-1], sorted({row["date"] for row in rows})
    lines = [
        "# Reliability",
        "",
        "What was done to a training on a cluster, and what came back. Each line is a test in",
        "`tests/cluster/test_faults.py`: a training of a small network through `profiles/slurm`, disturbed half-way;",
        "its weights, history and metrics are held byte for byte against those of a training that nobody disturbed.",
        "Epochs before are those that the last attempt found done, epochs after those that it did; none is in the",
        "history twice. Seconds lost are those of the whole command beyond the undisturbed one; the tests ask Slurm",
        "every 3 to 40 seconds how a job is, and a real cluster is asked more rarely. Where Slurm ends the job, the",
        "training stands still until then, or a fast machine would be done with it. Two tests run at a time.",
        "",
        f"Conditions: Slurm {last['slurm']} on one node with two CPUs (`tests/cluster/slurm.sh`), snakemake",
        f"{last['snakemake']}, its Slurm executor {last['snakemake-executor-plugin-slurm']},"
        f" {' to '.join(dict.fromkeys((dates[0], dates[-1])))}. `make test-cluster` does it all again, and",
        "`python -m tests.cluster.faults` writes this page.",
        "",
        "| what was done | times | what happens | attempts | epochs before + after | bytes equal | seconds lost |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(fault, [row for row in rows if row["fault"] == name]) for name, fault in FAULTS.items()]
    lines += [
        "",
        "Refused, with a word, before any job:",
        "",
        "| where | times | what happens | seconds |",
        "|---|---|---|---|",
    ]
    for name, fault in REFUSALS.items():
        found = [row for row in rows if row["fault"] == name]
        lines.append(f"| {fault.done} | {len(found)} | {fault.comes} | {_range(found, 'seconds')} |")
    return "\n".join([*lines, "", *local_lines(), "", *NOTES]) + "\n"


def local_lines() -> list[str]:
    """Return the part of the page on faults that need no cluster."""
    return [
        "## On any machine",
        "",
        "Each line is a test that `make test` runs. Damaged files are on the page of [bad input](bad-input.md).",
        "",
        "| what was done | what happens | test |",
        "|---|---|---|",
        *(f"| {fault.done} | {fault.comes} | `{fault.test.rpartition('::')[2]}` |" for fault in LOCAL_FAULTS),
    ]


def _line(fault: Fault, rows: list[dict[str, Any]]) -> str:
    epochs = ", ".join(dict.fromkeys(f"{row['before']} + {row['after']}" for row in rows))
    equal = f"{sum(row['equal'] for row in rows)} of {len(rows)}"
    cells = (fault.done, str(len(rows)), fault.comes, _range(rows, "attempts"), epochs, equal, _range(rows, "lost"))
    return f"| {' | '.join(cells)} |"


def _range(rows: list[dict[str, Any]], key: str) -> str:
    # On a busy machine a disturbed run may be the faster one.
    values = [max(0, round(row[key])) for row in rows]
    return " to ".join(dict.fromkeys((str(min(values)), str(max(values))))) if values else "-"


NOTES = """\
## What protects

**A training's state** is written every `training.save_minutes` and when Slurm ends the job (SIGTERM); the next
attempt goes on from it ([how](decisions/003-resume.md)). A job that is killed without a warning (`kill -9`, a node
that fails) loses what came after the last save; one that is disturbed before its first save begins again (seen once,
with a full disk, before these runs).

**One training at a time.** A training claims its folder below `work/` with a lock that ends with its process.
Another job for the same run waits for it and says for whom; when the first has finished, nothing is left to do, and
when it was killed, the second goes on. Where the file system has no locks, a warning says so (Lustre mounted with
`localflock` has them only within a node, and nothing can tell).

**Before the first job** Snakemake asks Slurm (`src/cisflow/cli/cluster/accounting.py`), and refuses to start where
Slurm does not answer, keeps no accounts, or still has jobs of an earlier Snakemake in this folder.

**Answers that the executor plugin misunderstands.** Version 2.8.0 waits for ever after each of three: none (while
slurmdbd does not answer, it forgets the jobs that it asked about), `CANCELLED by 1000` (it knows only `CANCELLED`),
and `PREEMPTED` of a job that Slurm does not put back into its queue (a partition with `PreemptMode=CANCEL`). cisflow
translates them: jobs are kept until Slurm answers; cancelled jobs have failed; so have jobs that stay pre-empted for
two minutes. Failed jobs are submitted again, three times (`retries` in `profiles/slurm/config.yaml`).

**Files that are not what they were.** An index of an earlier version of its file (BAM, FASTA), an HDF5 file whose
writer was killed or that lacks a file which it is made of, reads whose tags were cut: each gave zeros that nobody had
measured, and is refused or counted now. These need no cluster: they are lines of the page of [bad input](bad-input.md),
each of them a test in `tests/corpus`, and more of them are in `tests/tracks/test_bam_index.py`,
`test_genome_index.py`, `test_modified.py` and `tests/test_io.py`.
""".splitlines()


def main() -> None:
    """Write the page from the account."""
    path = Path(os.environ.get("CISFLOW_FAULTS", ROOT / "results/faults.jsonl"))
    (ROOT / PAGE).write_text(page([json.loads(line) for line in path.read_text().splitlines()]))


if __name__ == "__main__":
    main()
