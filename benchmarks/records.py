"""What the record of a job costs: the same job with and without it, and checksums of large inputs, first and later.

Times are those of the processor, the job's and its children's: on a machine that has other work they tell more.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# A job that does nothing but start as all do, and end.
SCRIPT = """
from cisflow.script import parser, run
import polars

def main():
    parser(None).parse_args()

run(main)
"""


def job(folder: Path, *flags: str) -> float:
    """Return the processor's seconds that the job takes."""
    before = os.times()
    subprocess.run(
        [sys.executable, folder / "script.py", *flags], cwd=folder, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def compare(folder: Path, repeats: int) -> None:
    without, recorded = [], []
    flags = ["--log", "logs/job.log", "--asked", "rule=none", "mem_mb=1000", "--reads", "small", "--writes", "small"]
    (folder / "small").write_bytes(os.urandom(10**6))
    for _ in range(repeats):
        without.append(job(folder))
        recorded.append(job(folder, *flags))
    for name, found in (("without a record", without), ("with it", recorded)):
        print(f"| {name} | {statistics.median(found):.3f} s ({min(found):.3f} to {max(found):.3f}) | |")
    difference = statistics.median(recorded) - statistics.median(without)
    print(
        f"| the record | {1000 * difference:.0f} ms | {statistics.median(recorded) / statistics.median(without):.2f} |"
    )


def checksums(folder: Path, megabytes: int) -> None:
    with (folder / "large").open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(10**6))
    flags = ["--log", "logs/job.log", "--reads", "large"]
    none, first, later = job(folder), job(folder, *flags), job(folder, *flags)
    rate = megabytes / max(first - none, 1e-9)
    print(f"| {megabytes:,} MB read, first time | {first - none:.2f} s | {rate:,.0f} MB/s |")
    print(f"| {megabytes:,} MB read, later | {later - none:.2f} s | |")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--repeats", type=int, default=15)
    flags.add_argument("--megabytes", type=int, default=1000)
    args = flags.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        (folder / "script.py").write_text(SCRIPT)
        print("| job | time | ratio |\n|---|---|---|")
        compare(folder, args.repeats)
        checksums(folder, args.megabytes)


if __name__ == "__main__":
    main()
