"""Times, hours and bytes of a plan: sums by hand, earlier runs before estimates, and what is not known is said."""

import dataclasses
import itertools
import re

import numpy as np
import pytest
from rich.console import Console

from cisflow.attribution.presets import resolve
from cisflow.cli.planning.amounts import Amounts
from cisflow.cli.planning.bill import duration, number, show, size
from cisflow.cli.planning.costs import (
    Size,
    evaluation_work,
    gallery_work,
    maps_work,
    passes_of,
    run_work,
    size_of,
    trunk_of,
)
from cisflow.cli.planning.forecast import Forecast, seconds_of
from cisflow.cli.planning.plan import Group, Job, Limits, Plan
from cisflow.cli.planning.schedule import Unit, ends, in_order, longest, played
from cisflow.config.project import BASE, Estimates, Rates, load_project
from cisflow.errors import CisflowError

RUNS = ("cnn-2_relu", "cnn-deep_relu")
BENCHMARKS = {
    "train": r"results/benchmarks/training/(?P<task>\w+)/(?P<run>[^/]+)\.tsv",
    "attribute": r"results/benchmarks/attribution/(?P<task>\w+)/(?P<run>[^/]+)\.tsv",
    "sweep_references": r"results/benchmarks/attribution/(?P<task>\w+)/(?P<run>[^/]+)\.references\.tsv",
    "draw_figure": r"results/benchmarks/figures/(?P<figure>\w+)\.tsv",
    "explain_gallery": r"results/benchmarks/galleries/(?P<task>\w+)\.(?P<gallery>\w+)\.tsv",
    "filters": r"results/benchmarks/motifs/(?P<task>\w+)/filters\.tsv",
}


@pytest.fixture
def project(root, monkeypatch, tmp_path):
    """The repository's configuration, with results and estimates of the test."""
    monkeypatch.chdir(root)
    loaded = load_project(BASE)
    estimates = Estimates(
        cpu=1e10, gpu=1e11, passes=Rates(cpu=2e10), start=1, seconds={"draw_figure": 36, "filters": 2}
    )
    return dataclasses.replace(
        loaded, root=tmp_path, settings=loaded.settings.model_copy(update={"estimates": estimates})
    )


def training(run: str, device: str = "gpu", **settings) -> Job:
    resources = {"runtime": 60, "mem_mb": 4000} | ({"gpu": 1} if device == "gpu" else {})
    return Job("train", {"task": "task1", "run": run}, False, threads=4, resources=resources, here=False, **settings)


def made(**settings) -> Plan:
    """Two trainings, of which one is done; a figure that waits for both; a file to fetch; a rule of no estimate."""
    jobs = {
        "0": training(RUNS[0]),
        "1": dataclasses.replace(training(RUNS[1]), done=True),
        "2": Job("draw_figure", {"figure": "fig1"}, False, resources={"runtime": 30}, here=False),
        "3": Job("fetch_source", {}, False, outputs=("resources/x/y",)),
        "4": Job("modified_bases", {}, False, resources={"runtime": 120}, here=False),
        "5": Job("mystery", {}, False, here=False),
        "6": Job("all", {}, False, empty=True),
    }
    before = {"2": ["0", "1"], "6": ["2", "4"], "4": ["3"]}
    return Plan(jobs, before, **({"limits": Limits(False, jobs=10), "benchmarks": BENCHMARKS} | settings))


def bench(project, path: str, *seconds: float) -> None:
    file = project.root / "results/benchmarks" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{value}\t0:00:01\t5\n" for value in seconds)
    file.write_text(f"s\th:m:s\tmax_rss\n{rows}")


def test_hours_are_those_by_hand(project):
    """Of the estimates: 3 passes * 21,000 rows * 10 trials * 100 epochs * 2,603,520 / 1e11 a second, and the start."""
    forecast = Forecast(project, made())
    seconds = 1 + 3 * 21_000 * 10 * 100 * 2_603_520 / 1e11
    assert forecast.times["0"].seconds == pytest.approx(seconds)
    assert {n: time.origin for n, time in forecast.times.items()} == {
        "0": "estimated", "2": "estimated", "3": "unknown", "4": "at most", "5": "unknown", "6": "estimated",
    }  # fmt: skip
    assert "1" not in forecast.times
    gpu, core = (total(forecast.numbers) for total in (forecast.gpus, forecast.cores))
    assert gpu.expected == pytest.approx(seconds / 3600)
    assert gpu.counts == {"measured": 0, "estimated": 1, "at most": 0, "unknown": 0}
    assert core.expected == pytest.approx((4 * seconds + 36) / 3600)
    assert core.parts["at most"] == 2
    assert core.counts == {"measured": 0, "estimated": 2, "at most": 1, "unknown": 2}
    assert forecast.longest() == ["3", "4"]
    assert forecast.wall() == 7200
    assert forecast.submitted == 4


def test_earlier_runs_come_before_estimates(project):
    """The median rate of earlier trainings, by what each had to do."""
    task, sized = project.task("task1"), size_of(project, "task1")
    works = {run: run_work(task, run, sized) for run in ("cnn-2_relu", "cnn-deep_relu", "cnn-50_relu", "cnn-50_tanh")}
    for run, rate in zip(works, (1e9, 2e9, 5e9), strict=False):
        bench(project, f"training/task1/{run}.tsv", 1 + works[run] / rate)
    bench(project, "figures/fig1.tsv", 10, 20)  # the mean of repeats
    bench(project, "figures/fig2.tsv", 40)
    forecast = Forecast(project, made())
    assert forecast.times["0"].seconds == pytest.approx(1 + works["cnn-2_relu"] / 2e9)
    assert (forecast.times["0"].origin, forecast.times["0"].count) == ("measured", 3)
    assert (forecast.times["2"].seconds, forecast.times["2"].count) == (27.5, 2)


def test_a_job_that_was_all_start_says_little(project):
    """It took no longer than the start of a job; a tenth of its time is taken for its work."""
    task, sized = project.task("task1"), size_of(project, "task1")
    work, more = (run_work(task, run, sized) for run in ("cnn-50_relu", "cnn-2_relu"))
    bench(project, "training/task1/cnn-50_relu.tsv", 0.8)
    assert Forecast(project, made()).times["0"].seconds == pytest.approx(1 + 0.08 / work * more)


def test_only_jobs_on_such_a_device_tell_a_time(project):
    """Trainings of Task 1 that were on a CPU say nothing of one of another task on a GPU."""
    bench(project, "training/task1/cnn-2_relu.tsv", 100)
    task = project.task("task1")
    on_cpu = task.model_copy(update={"training": task.training.model_copy(update={"device": "any"})})
    changed = dataclasses.replace(project, tasks=dict(project.tasks) | {"task1": on_cpu})
    other = dataclasses.replace(training("cnn-deep_relu"), wildcards={"task": "gradients", "run": "cnn-deep_relu"})
    plan = Plan(made().jobs | {"0": other}, {}, benchmarks=BENCHMARKS)
    assert Forecast(project, plan).times["0"].origin == "measured"
    assert Forecast(changed, plan).times["0"].origin == "estimated"


def test_a_benchmark_is_of_the_rule_that_names_most_of_it(project):
    """`run` would take 'a.references' as well."""
    bench(project, "attribution/task3/cnn-dist_relu.references.tsv", 100)
    forecast = Forecast(project, made())
    assert [rule for rule, _ in forecast.earlier._found] == ["sweep_references"]


@pytest.mark.parametrize("text", ["", "s\th:m:s\n", "s\th:m:s\nNA\t-\n", "x\ty\n1\t2\n", "\0", b"\xff\xfe"])
def test_what_is_no_benchmark_is_said(project, text):
    path = project.root / "results/benchmarks/figures/fig2.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert seconds_of(path) is None
    forecast = Forecast(project, made())
    assert forecast.times["2"].origin == "estimated"
    assert f"No benchmarks, and not used: {path}." in " ".join(printed(forecast).split())


def test_benchmarks_of_runs_that_are_no_more_are_left_out(project):
    bench(project, "training/task1/cnn-9_relu.tsv", 100)
    bench(project, "galleries/task1.old.tsv", 100)
    assert Forecast(project, made()).times["0"].origin == "estimated"


def test_estimates_name_rules_that_there_are(project):
    estimates = Estimates(seconds={"draw_figur": 3})
    changed = dataclasses.replace(project, settings=project.settings.model_copy(update={"estimates": estimates}))
    with pytest.raises(
        CisflowError, match=r"estimates.seconds.draw_figur: there is no such rule. Did you mean 'draw_f"
    ):
        Forecast(changed, made())


def test_a_group_is_submitted_as_one(project):
    """Two jobs that wait for each other end after both, two that do not after the longer one."""
    jobs = {n: Job("draw_figure", {"figure": n}, False, here=False, group=int(n) // 2) for n in "0123"}
    groups = {0: Group(1, {}), 1: Group(2, {})}
    forecast = Forecast(
        project, Plan(jobs, {"1": ["0"], "2": ["1"]}, Limits(False, jobs=10), groups=groups, benchmarks=BENCHMARKS)
    )
    assert forecast.submitted == 2
    assert forecast.wall() == 36 * 3
    assert forecast.longest() == ["0", "1", "2"]


def printed(forecast: Forecast, width: int = 200) -> str:
    out = Console(width=width, highlight=False)
    with out.capture() as shown:
        show(forecast, "profiles/slurm", out)
    return shown.get()


def test_every_number_is_printed_with_its_origin(project):
    output = printed(Forecast(project, made()))
    assert re.search(r"\ntrain +1 +1 +4 +4 +1:00 +1.82 +0.46 +estimates", output)
    assert re.search(r"\nfetch_source +1 +0 +1 +\? +\? +\? +\?", output)
    assert re.search(r"\nmodified_bases +1 +0 +1 +\? +2:00 +≤2.00 +time asked", output)
    assert "jobs   6 to run, 1 up to date; 4 submitted" in output
    assert "GPU    0.46 hours (estimated)" in output
    cores = "at least 1.83 hours (estimated); at most 2.00 hours, the time asked for, of 1 job; not known of 1 job"
    assert f"cores  {cores}" in output
    wall = (
        "with 10 jobs at once (profiles/slurm), without waiting in a queue and for downloads; longest chain 2.00 hours"
    )
    assert f"wall   at least 2.00 hours {wall}: modified_bases" in output
    assert "disk   at least " in output
    assert "weights 12.5 MB, downloads ?" in output
    assert "Estimated trainings: if all epochs run." in output
    assert "Downloads of unknown size: y." in output


def test_measured_and_estimated_are_told_apart(project):
    bench(project, "figures/fig2.tsv", 3600)
    output = printed(Forecast(project, made()))
    assert re.search(r"draw_figure +.* 1\.00 +1 measured", output)
    assert "cores  at least 2.82 hours (1.00 measured, 1.82 estimated);" in output
    assert "Measured: medians of earlier jobs of the same rule (results/benchmarks)" in output


def test_jobs_that_need_more_than_they_ask_for_are_told(project):
    bench(project, "figures/fig2.tsv", 2 * 3600)
    assert "draw_figure: 1 job may take longer than the 0:30 asked for, up to 2.00 hours." in printed(
        Forecast(project, made())
    )


def test_placeholders_are_told(project):
    plan = made()
    plan.jobs["0"].resources["slurm_partition"] = "<GPU partition>"
    plan.jobs["2"].resources["slurm_partition"] = "[/odd]"
    output = printed(Forecast(project, plan))
    assert "Fill these in before anything is submitted: <GPU partition> in profiles/slurm." in output
    assert re.search(r"\n<GPU partition> +1 +1.82 +0.46", output)
    assert re.search(r"\n\[/odd\] +1 ", output)
    assert re.search(r"\nhere, not submitted +1", output)


def test_data_that_is_not_here_is_told(project):
    plan = made()
    plan.jobs["0"] = dataclasses.replace(plan.jobs["0"], wildcards={"task": "task2", "run": "cnn-2_relu"})
    forecast = Forecast(project, plan)
    assert forecast.times["0"].origin == "at most"
    output = printed(forecast)
    assert "How much there is to do is not known before the data is here: task2." in output
    assert "GPU    at most 1.00 hours, the time asked for, of 1 job" in output


def test_nothing_to_do_is_said(project):
    plan = Plan({"1": made().jobs["1"]}, {}, benchmarks=BENCHMARKS)
    assert "jobs  0 to run, 1 up to date" in printed(Forecast(project, plan))


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit(project, width):
    assert max(map(len, printed(Forecast(project, made()), width).splitlines())) <= width


def test_numbers_have_the_digits_that_matter():
    assert [number(hours) for hours in (0, 0.001, 0.123, 9.876, 45.67, 1234.5)] == [
        "0.00", "<0.01", "0.12", "9.88", "45.7", "1,234",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (3, 600, 7200)] == ["3 s", "10 min", "2.00 hours"]
    assert [size(count) for count in (3, 4200, 12_345_678, 1.05e11)] == ["3 bytes", "4.2 kB", "12.3 MB", "105 GB"]


SIZE = Size((100, 20, 30), 50, 3)


def test_work_is_that_of_the_passes(project, monkeypatch):
    """By hand, of models of 7 multiplications."""
    monkeypatch.setattr("cisflow.cli.planning.costs.cost_of", lambda spec, sized: (1, 7))
    task = project.task("task3").model_copy(update={"trials": 2})
    runs = len(task.runs())
    assert evaluation_work(task, SIZE) == 2 * 30 * runs * 7
    settings = resolve("paper-2021", {})
    passes = 2 + 0.25 * 3 * 50 + 10 * (2 * 20 + 1) + 1 + 10 * 2 * 2
    assert sum(passes_of(method, settings, 50) for method in task.attribution.methods) == passes
    # All 30 sequences of the test split, and their other strands.
    assert maps_work(task, next(iter(task.runs())), SIZE) == 2 * (30 + 30) * passes * 7
    assert gallery_work(task, "best", SIZE) == (30 + 4 * 2) * runs * 7


def test_a_trunk_is_counted_as_published(project):
    """Basenji2 of 2020: 109.3e9 multiplications for a window; the first convolution is 131,072 * 4 * 15 * 288."""
    macs, bins, channels = trunk_of(project, project.task("cs282a").dataset)
    towers, filters, channels_in = 0, 339.0, 288
    for layer in range(6):
        towers += (131_072 >> (layer + 1)) * channels_in * round(filters) * 5
        channels_in, filters = round(filters), filters * 1.1776
    residual = 11 * 1024 * (channels_in * 384 * 3 + 384 * channels_in)
    assert macs == 131_072 * 4 * 15 * 288 + towers + residual + 896 * channels_in * 1536
    assert (bins, channels) == (896, 1536)


def test_windows_that_are_not_here_are_those_of_the_estimates(root, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    project = dataclasses.replace(load_project(BASE), root=tmp_path)
    sized = size_of(project, "cs282a")
    assert (sized.rows, sized.targets, sized.embedding) == (38_171, 18, (896, 1536))
    amounts = Amounts(project)
    (name,) = {project.embedding("cs282a")}
    job = Job("embed_shard", {"embedding": name, "shard": "0"}, False)
    assert amounts.writes(job) * 64 == 38_171 * 896 * 1536 * 2
    (tmp_path / "results/tasks/cs282a_114688").mkdir(parents=True)
    rows = "".join(f"chr1\t{n}\t{n + 1}\t{split}\n" for n, split in enumerate(["train", "train", "valid", "test"]))
    (tmp_path / "results/tasks/cs282a_114688/regions.tsv").write_text(f"chrom\tstart\tend\tsplit\n{rows}")
    assert size_of(project, "cs282a").splits == (2, 1, 1)


def test_jobs_end_as_by_brute_force():
    """Against all orders, with two that run at once, on graphs made at random."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        names = [str(n) for n in range(6)]
        before = {name: [other for other in names[:n] if rng.random() < 0.4] for n, name in enumerate(names)}
        seconds = {name: float(rng.integers(1, 9)) for name in names}
        units = {name: Unit(seconds[name], (("cores", 1),)) for name in names}
        when = {}
        for name in names:
            when[name] = seconds[name] + max((when[other] for other in before[name]), default=0)
        assert ends(seconds, before) == when
        chain = longest(seconds, before)
        assert sum(seconds[name] for name in chain) == max(when.values())
        assert all(a in before[b] for a, b in itertools.pairwise(chain))
        assert played(units, before, {}) == max(when.values())
        assert played(units, before, {"cores": 1}) == sum(seconds.values())
        two = played(units, before, {"cores": 2})
        assert max(max(when.values()), sum(seconds.values()) / 2) <= two <= sum(seconds.values())
        order = list(in_order(before))
        assert all(order.index(other) < order.index(name) for name in names for other in before[name])


def test_what_needs_all_waits_for_all():
    units = {"a": Unit(5, (("cores", 1),)), "b": Unit(3, (("cores", 9),)), "c": Unit(4, (("gpu", 1),))}
    assert played(units, dict.fromkeys(units, ()), {"cores": 2, "gpu": 1}) == 8
    assert played(units, {"a": [], "b": [], "c": ["a"]}, {"cores": 2, "gpu": 1}) == 9
    assert played({}, {}, {"cores": 2}) == 0


def test_many_jobs_are_planned_in_no_time():
    """30,000 jobs on 100 places: in a second or two, and as long as they must take."""
    units = {str(n): Unit(1.0, (("jobs", 1),)) for n in range(30_000)}
    before = {str(n): [str(n - 100)] if n >= 100 else [] for n in range(30_000)}
    assert played(units, before, {"jobs": 100}) == 300
