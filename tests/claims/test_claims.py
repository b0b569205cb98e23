"""Published numbers are compared by the rule that the claim states, and nothing is claimed that was not run."""

import json

import numpy as np
import pytest
from scipy import stats

from cisflow.claims.check import AGREES, DIFFERS, NOT_RUN, OTHER_TRIALS, UNPUBLISHED, check_claim, read_table
from cisflow.claims.page import write_page
from cisflow.config.project import load_project
from cisflow.io import write_json, write_tsv
from cisflow.tables import MATCHES, METRICS, SCAN

EXP = [0.90, 0.95, 0.97, 0.95, 0.92]
RELU = [0.0, 0.03, 0.0, 0.0, 0.03]


@pytest.fixture
def results(tmp_path):
    """Tables of a task with two runs of five trials."""
    about = {"task": "t", "model": "cnn-2"}
    matches, metrics = [], []
    for activation, values in (("exponential", EXP), ("relu", RELU)):
        for trial, value in enumerate(values):
            key = {**about, "run": f"cnn-2_{activation}", "activation": activation, "trial": trial}
            rest = {"filters": 32, "with_matrix": 32, "match_any": value, "factors_found": 3}
            matches += [
                {**key, **rest, "set": "filters", "match_fraction": value},
                {**key, **rest, "set": "shuffled", "match_fraction": 0.5},
            ]
            for split, target, shift in (("test", "mean", 0.0), ("valid", "mean", 0.3), ("test", "SRF", 0.2)):
                row = {"set": split, "target": target, "metric": "auroc", "value": value - shift, "n": 9}
                metrics.append({**key, **row})
    write_tsv(tmp_path / "tasks/t/motifs/matches.tsv", MATCHES, matches)
    write_tsv(tmp_path / "tasks/t/metrics.tsv", METRICS, metrics)
    run = tmp_path / "tasks/t/runs/cnn-2_relu"
    record = {
        "parameters": {"training": {"epochs": 100}},
        "precision": "32-true",
        "device": "cpu",
        "seconds": 7200,
        "commit": "abc",
    }
    write_json(run / "provenance.json", record)
    for trial, epochs in enumerate((40, 55)):
        write_json(run / f"trial-{trial}/model.json", {"epochs": epochs})
    return tmp_path


def claim(**changes):
    return {
        "title": "Match fraction", "source": "Fig. 1c", "task": ["t"], "table": "matches", "metric": "match_fraction",
        "by": "activation",
        "statistic": "median", "versus": {}, "tolerance": 0.05, "reason": "spread of medians", "trials": 10, "note": "",
        "expected": {"cnn-2": {"exponential": 0.969, "relu": 0.0}},
    } | changes  # fmt: skip


def check(results, **changes):
    stated = claim(**changes)
    return list(check_claim("c", stated, read_table(results, stated)))


def test_a_median_within_tolerance_agrees(results):
    exponential, relu = check(results)
    assert exponential["ours"] == pytest.approx(0.95)
    assert (exponential["low"], exponential["high"]) == tuple(pytest.approx(q) for q in np.quantile(EXP, (0.25, 0.75)))
    assert exponential["difference"] == pytest.approx(0.95 - 0.969)
    assert (exponential["verdict"], relu["verdict"], relu["trials"]) == (AGREES, AGREES, 5)


def test_a_difference_is_reported_and_not_hidden(results):
    assert check(results, tolerance=0.001)[0]["verdict"] == DIFFERS


def test_the_mean_is_of_the_test_set_and_over_targets(results):
    row = check(results, table="metrics", metric="auroc", statistic="mean", expected={"cnn-2": {"relu": 0.012}})[0]
    assert row["ours"] == pytest.approx(np.mean(RELU))


def test_what_was_not_run_is_said_so(results):
    rows = check(results, expected={"cnn-2": {"tanh": 0.0}, "cnn-deep": {"relu": 0.0}})
    assert {(row["verdict"], row["ours"], row["trials"]) for row in rows} == {(NOT_RUN, None, 0)}
    nothing = check(results, task=["none"])
    assert {row["verdict"] for row in nothing} == {NOT_RUN}


def test_a_number_that_was_never_published_is_reported_alone(results):
    row = check(results, expected={"cnn-2": {"relu": None}})[0]
    assert (row["verdict"], row["difference"]) == (UNPUBLISHED, None)
    assert row["ours"] == 0.0


def test_a_t_test_is_compared_in_orders_of_magnitude(results):
    p = stats.ttest_ind(EXP, RELU).pvalue
    test = {"statistic": "t_test", "versus": {"exponential": "relu"}, "tolerance": 1.0, "trials": 5}
    row = check(results, **test, expected={"cnn-2": {"exponential": p * 5}})[0]
    assert row["ours"] == pytest.approx(p)
    assert row["difference"] == pytest.approx(-np.log10(5))
    assert row["verdict"] == AGREES
    assert check(results, **test, expected={"cnn-2": {"exponential": p * 50}})[0]["verdict"] == DIFFERS


def test_a_t_test_of_other_numbers_of_trials_is_not_compared(results):
    test = {"statistic": "t_test", "versus": {"exponential": "relu"}, "tolerance": 1.0, "trials": 10}
    assert check(results, **test, expected={"cnn-2": {"exponential": 1e-20}})[0]["verdict"] == OTHER_TRIALS


def test_the_page_says_what_was_run_and_every_number(results):
    stated = claim(expected={"cnn-2": {"exponential": 0.7, "relu": 0.0, "tanh": 0.0}}, note="Mind the gap.")
    rows = list(check_claim("c", stated, read_table(results, stated)))
    page = write_page({"c": stated}, rows, [results / "tasks/t/runs/cnn-2_relu"], "results", "the command")
    assert "| t | cnn-2_relu | 2 | 40–55 of 100 | 32-true | cpu | 2.00 | abc |" in page
    assert "| cnn-2 | exponential | 0.700 | 0.950 (0.920–0.950) | 5 | +0.250 | **differs** |" in page
    assert "| cnn-2 | tanh | 0.000 |  |  |  | not yet run |" in page
    assert "Mind the gap." in page
    assert "`the command`" in page


def test_numbers_of_a_sweep_are_found_by_run_and_by_column(results):
    rows = check(results, by="run", expected={"cnn-2_*": {"exponential": 0.95, "relu": 0.0}})
    assert [(row["ours"], row["verdict"]) for row in rows] == [(0.95, AGREES), (0.0, AGREES)]
    stated = claim(by="run", expected={"cnn-2_*": {"relu": 0.0}})
    page = write_page({"c": stated}, list(check_claim("c", stated, read_table(results, stated))), [], "results", "x")
    assert "| runs | value of * | published |" in page
    assert "| cnn-2_* | relu | 0.000 | 0.000" in page

    about = {"task": "t", "run": "cnn-2_relu", "model": "cnn-2", "activation": "relu", "trial": 0, "scanner": "first"}
    scans = [about | {"buffer": b, "ends": "published", "auroc": b / 100, "aupr": 0.1} for b in (5, 10)]
    write_tsv(results / "tasks/t/motifs/scan/cnn-2_relu.tsv", SCAN, scans)
    (row,) = check(
        results, table="scan", metric="auroc_first_published", by="buffer", expected={"cnn-2_relu": {"10": 0.1}}
    )
    assert (row["ours"], row["trials"]) == (0.1, 1)


def test_the_shipped_claims_have_sources_and_reasons(root):
    project = load_project("config/config.yaml", root)
    assert len(project.claims) >= 4
    for name, stated in project.claims.items():
        tasks = [project.task(task) for task in stated.task]
        if stated.by == "activation":
            models = {name for task in tasks for name in (*task.model.name, *task.evaluation.baselines)}
            activations = {name for task in tasks for name in (*task.model.activation, "baseline")}
            assert set(stated.expected) <= models, name
            assert {a for values in stated.expected.values() for a in values} | set(
                stated.versus.values()
            ) <= activations, name
        else:
            runs = {"motifs", *(run for task in tasks for run in task.runs())}
            assert set(stated.runs() if stated.by == "run" else stated.expected) <= runs, name
        assert json.dumps(stated.model_dump())
