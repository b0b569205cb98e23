"""docs/reliability.md has the faults that the tests on Slurm make. These do not run everywhere: the page is kept."""

import re

from tests.cluster.faults import FAULTS, LOCAL_FAULTS, NOTES, PAGE, REFUSALS, local_lines


def test_the_page_has_the_faults_of_the_tests_and_all_came_back(root):
    text, local = (root / PAGE).read_text(), "\n".join(local_lines())
    assert local in text
    text = text.replace(local, "")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    told = {row[0]: row for row in rows if row[0] not in ("what was done", "where")}
    faults = [*FAULTS.values(), *REFUSALS.values()]
    assert list(told) == [fault.done for fault in faults]
    assert [row[2] for row in told.values()] == [fault.comes for fault in faults]
    for fault in FAULTS.values():
        _, times, _, _, epochs, equal, _ = told[fault.done]
        assert equal == f"{times} of {times}"
        assert int(times) > 0
        assert all(sum(map(int, re.findall(r"\d+", pair))) == 120 for pair in epochs.split(", "))
    assert "\n".join(NOTES) in text


def test_each_fault_that_needs_no_cluster_has_its_test(root):
    for fault in LOCAL_FAULTS:
        path, _, name = fault.test.partition("::")
        assert f"def {name}(" in (root / path).read_text(), fault.test
