"""Files damaged at random are refused by name, or read as what they say: no crash, no hang, no traceback, no loss."""

import os
import subprocess
import sys
from collections import Counter

# CISFLOW_DAMAGE=1000 looks for more.
COUNT = int(os.environ.get("CISFLOW_DAMAGE", "25"))


def test_files_damaged_at_random(root, tmp_path):
    quiet = {"RUST_BACKTRACE": "0", "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-m", "tests.damage", str(tmp_path), str(COUNT), str(COUNT)]
    with (tmp_path / "lines").open("w") as out, (tmp_path / "messages").open("w") as err:
        done = subprocess.run(command, cwd=root, stdout=out, stderr=err, env=os.environ | quiet, check=False)
    lines = (tmp_path / "lines").read_text().splitlines()
    assert done.returncode == 0, f"{lines[-1:]} ended the process ({done.returncode}); {tmp_path / 'last'} is the file"
    assert [line for line in lines if "WRONG" in line] == []
    # What has checksums, and BigWig files in their trees and blocks, is never read as something else.
    assert [line for line in lines if line.startswith("BigWig") and line.endswith("other")] == []
    refused = Counter(line.split(":")[0] for line in lines if line.endswith("refused"))
    assert len(refused) == 14
    assert min(refused.values()) > COUNT / 4
