"""What a Slurm job costs through the executor plugin: jobs one by one, in groups, and as an array.

The jobs do nothing: each writes the time at which its work began. Run it where Slurm is reachable, for example

    tests/cluster/slurm.sh up && eval "$(tests/cluster/slurm.sh env)" && python benchmarks/slurm.py --account genomics
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

SNAKEFILE = """
rule all:
    input: expand("{{number}}.txt", number=range({jobs}))
rule work:
    output: "{{number}}.txt"
    {group}
    resources: mem_mb=300, runtime=5
    shell: "date +%s.%N > {{output}}"
"""
MODES = {
    "one by one": [],
    "one group": ["--group-components", "short={jobs}"],
    "one array": ["--slurm-array-jobs", "work"],
}


def measure(mode: str, jobs: int, account: str) -> dict[str, float]:
    """Run the jobs once; return the number of Slurm jobs and seconds: of the run, from submission to work, of a job."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        group = 'group: "short"' if mode == "one group" else ""
        Path(folder, "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, group=group))
        flags = [flag.format(jobs=jobs) for flag in MODES[mode]]
        command = [
            "snakemake", "--executor", "slurm", "--jobs", "100", "--default-resources", f"slurm_account={account}",
            "--slurm-init-seconds-before-status-checks", "1", "--slurm-status-command", "squeue", "--latency-wait", "5",
            "--cores", "2",  # a group is as wide as that
            *flags,
        ]  # fmt: skip
        started = time.time()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds = time.time() - started
        work = [float(Path(folder, f"{number}.txt").read_text()) for number in range(jobs)]
        rows = accounted(str(Path(folder).resolve()))
    submitted = min(datetime.fromisoformat(row[0]).timestamp() for row in rows)
    return {
        "Slurm jobs": len(rows),
        "run": seconds,
        "first work": min(work) - submitted,
        "last work": max(work) - submitted,
        "CPU time asked": sum(float(row[1]) for row in rows),
    }


def accounted(folder: str) -> list[tuple[str, str]]:
    """Return when each job of a folder was submitted, and its seconds times its CPUs."""
    fields = "Submit,CPUTimeRAW,WorkDir"
    command = ["sacct", "--allocations", "--noheader", "--parsable2", "--starttime=now-1hour", f"--format={fields}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = (line.split("|") for line in printed.splitlines())
    return [(submitted, seconds) for submitted, seconds, where in rows if where == folder]


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--account", required=True)
    flags.add_argument("--jobs", type=int, default=8)
    flags.add_argument("--repeats", type=int, default=3)
    args = flags.parse_args()
    for mode in MODES:
        runs = [measure(mode, args.jobs, args.account) for _ in range(args.repeats)]
        told = (f"{key} {statistics.median(run[key] for run in runs):.1f}" for key in runs[0])
        print(f"{args.jobs} jobs, {mode} (median of {args.repeats}, seconds): {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
