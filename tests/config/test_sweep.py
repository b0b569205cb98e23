"""A sweep makes runs of any key below `model` or `training`: their names, their settings, and mistakes in it."""

import itertools

import pytest

from cisflow.config.project import load_project
from cisflow.config.tasks import CARRIED_OUT, Model, Sweep, Training
from tests.config.conftest import problems, project

PLAIN = {"name": "cnn-2", "activation": "relu", "width": 1.0, "initializer": "glorot_uniform", "l2": 1e-6}


def tasks(sweep, *lines, model="{name: cnn-2}"):
    lines = ("dataset: {kind: hdf5, file: data/mine.h5}", f"model: {model}", f"sweep: {sweep}", *lines)
    return "tasks:\n  mine:\n" + "".join(f"    {line}\n" for line in lines)


@pytest.fixture
def mine(root, tmp_path):
    """Load a task with a sweep."""
    return lambda *given, **options: project(root, tmp_path, tasks(*given, **options)).task("mine")


def test_a_sweep_and_the_grid_of_models_are_multiplied(mine):
    task = mine(
        "{model.first_sd: [0.001, 1], training.optimizer.lr: [1e-3, 1.0e-4]}",
        model="{name: cnn-2, activation: [relu, exp]}",
    )
    points = list(itertools.product(("relu", "exponential"), (0.001, 1.0), (1e-3, 1e-4)))
    assert list(task.runs()) == [f"cnn-2_{name}_first_sd-{sd:g}_lr-{lr:g}" for name, sd, lr in points]
    for (activation, sd, lr), (run, spec) in zip(points, task.runs().items(), strict=True):
        assert spec == PLAIN | {"activation": activation, "first_sd": sd}
        assert task.training_settings(run)["optimizer"] == {"name": "adam", "lr": lr, "eps": 1e-7}


def test_a_run_has_the_other_settings_of_the_task(mine):
    task = mine(
        "{training.batch_size: [50, 100], training.weights: [best, last]}",
        "training: {epochs: 7, batch_size: 9, early_stop: null}",
    )
    before = task.training_settings()
    assert before["batch_size"] == 9
    expected = {"batch_size": 50, "weights": "last"}
    assert task.training_settings("cnn-2_relu_batch_size-50_weights-last") == before | expected


@pytest.mark.parametrize(
    ("sweep", "names"),
    [
        ("{}", ["cnn-2_relu"]),
        ("{training.batch_size: 50}", ["cnn-2_relu"]),
        ("{model.activation: [relu, exp]}", ["cnn-2_relu", "cnn-2_exponential"]),
        ("{model.first_norm: [true, false]}", ["cnn-2_relu_first_norm-true", "cnn-2_relu_first_norm-false"]),
        ("{model.first_l2: [null, 0.1]}", ["cnn-2_relu_first_l2-null", "cnn-2_relu_first_l2-0.1"]),
        # Six digits would make one name of these two.
        ("{model.width: [1.0000001, 1]}", ["cnn-2_relu_width-1.0000001", "cnn-2_relu_width-1"]),
        ("{training.optimizer.betas: [[0.9, 0.99], [0.8, 0.99]]}",
         ["cnn-2_relu_betas-0.9-0.99", "cnn-2_relu_betas-0.8-0.99"]),
        # The last part of a key is not enough where another key ends alike.
        ("{training.optimizer.name: [adam, sgd]}", ["cnn-2_relu_optimizer.name-adam", "cnn-2_relu_optimizer.name-sgd"]),
        ("{training.plateau.patience: [1, 2], training.early_stop.patience: 3}",
         ["cnn-2_relu_plateau.patience-1", "cnn-2_relu_plateau.patience-2"]),
    ],
)  # fmt: skip
def test_names_tell_the_runs_apart(mine, sweep, names):
    assert list(mine(sweep).runs()) == names


def test_a_key_of_a_section_that_is_off_switches_it_on(mine):
    task = mine("{training.early_stop.patience: [1, 2]}", "training: {early_stop: null}")
    assert task.training_settings("cnn-2_relu_patience-2")["early_stop"] == {"patience": 2, "min_delta": 0.0}


def test_gradients_are_in_the_settings_of_a_training_that_measures_them_and_of_no_other(mine):
    assert "gradients" not in mine("{}").training_settings("cnn-2_relu")
    measured = mine("{training.batch_size: [50, 100]}", "training: {gradients: first}")
    assert measured.training_settings("cnn-2_relu_batch_size-50")["gradients"] == "first"


def test_variants_that_are_not_chosen_are_not_in_the_settings_of_a_run(mine):
    settings = mine("{model.first_norm: [true, false]}").runs()
    assert settings["cnn-2_relu_first_norm-true"] == PLAIN
    assert settings["cnn-2_relu_first_norm-false"] == PLAIN | {"first_norm": False}


def test_everything_that_a_model_is_and_how_it_learns_can_be_swept():
    keys = {field.alias for field in Sweep.model_fields.values()}
    assert {f"model.{key}" for key in Model.model_fields} <= keys
    sections = {"optimizer", "plateau", "early_stop"}
    assert {f"training.{key}" for key in Training.model_fields.keys() - sections - {*CARRIED_OUT}} <= keys
    assert {"training.optimizer.lr", "training.plateau.factor", "training.early_stop.patience"} <= keys


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{training.optimizer.lrr: [1]}",
         "sweep.training.optimizer.lrr: unknown key. Did you mean 'training.optimizer.lr'?"),
        ("{optimizer.lr: [1]}", "sweep.optimizer.lr: unknown key. Did you mean 'training.optimizer.lr'?"),
        ("{training.optimizer.lr: [1e-3, fast]}",
         "sweep.training.optimizer.lr.1: 'fast': input should be a valid number"),
        ("{model.activation: [relu, expp]}", "sweep.model.activation.1: 'expp' is not one of relu,"),
        ("{model.first_sd: [0.1, 0]}", "sweep.model.first_sd.1: 0: input should be greater than 0"),
        ("{model.first_sd: []}", "sweep.model.first_sd: []: list should have at least 1 item"),
        ("{model.first_sd: [1, 1.0]}", "sweep.model.first_sd: a value stands in the list twice: 1.0, 1.0"),
        ("{training.device: [cpu, gpu]}", "sweep: training.device: all runs of a task share it; write a task for each"),
        ("{training.data: [memory]}", "sweep: training.data: all runs of a task share it"),
        ("{training.gradients: [first, null]}", "sweep: training.gradients: all runs of a task share it"),
        ("{dataset.seed: [1, 2], trials: [3]}", "sweep: dataset.seed, trials: all runs of a task share it"),
        ("{model.width: [1, 2]}", "sweep.model.width: it is a list under 'model' too; give its values in one place"),
        ("{training.monitor: [auroc, pearson]}",
         "sweep: cnn-2_relu_width-0.5_monitor-pearson: 'pearson' needs other labels; for binary ones take loss, auroc"),
        ("{training.optimizer.name: [adam, sgd], training.optimizer.eps: 0.1}",
         "sweep: cnn-2_relu_width-0.5_optimizer.name-sgd: eps: not an argument of sgd"),
        ("[1, 2]", "sweep: [1, 2] is not a section of keys (key: value)."),
    ],
)  # fmt: skip
def test_mistakes_in_a_sweep_are_said_with_their_place(root, tmp_path, sweep, message):
    found = problems(root, tmp_path, tasks(sweep, model="{name: cnn-2, width: [0.5, 3]}"))
    assert f"tasks0.yaml:5: tasks.mine.{message}" in found


def test_a_mistake_in_a_sweep_comes_with_all_others(root, tmp_path):
    found = problems(root, tmp_path, tasks("{training.optimizer.lr: [0]}", "trails: 3"))
    assert "tasks0.yaml:5: tasks.mine.sweep.training.optimizer.lr.0: 0: input should be greater than 0" in found
    assert "tasks0.yaml:6: tasks.mine.trails: unknown key. Did you mean 'trials'?" in found


@pytest.mark.parametrize("sweep", ["{}", "{model.first_sd: 0.1}"])
def test_the_first_kernel_begins_in_one_way(root, tmp_path, sweep):
    model = "{name: cnn-2, first_initializer: he_normal" + (", first_sd: 0.1}" if sweep == "{}" else "}")
    found = problems(root, tmp_path, tasks(sweep, model=model))
    assert "tasks0.yaml:4: tasks.mine.model: cnn-2_relu has both first_sd and first_initializer" in found


def test_another_scale_shortens_the_lists(root, tmp_path):
    text = tasks("{model.first_sd: [0.1, 1, 2], training.batch_size: [10, 20]}")
    more = "tasks:\n  mine:\n    sweep: {model.first_sd: [2]}\n"
    runs = project(root, tmp_path, text, more).task("mine").runs()
    assert list(runs) == ["cnn-2_relu_batch_size-10", "cnn-2_relu_batch_size-20"]
    assert {spec["first_sd"] for spec in runs.values()} == {2.0}


# The paper's controls: runs and the settings of one of them beyond the plain cnn-deep or cnn-dist.
CONTROLS = [
    ("task1_log", 4, "cnn-deep_log_relu_first_l2-0", {"first_l2": 0.0}),
    ("task3_log", 4, "cnn-dist_relu_first_l2-0.1", {"first_l2": 0.1}),
    ("init", 2 * 6, "cnn-deep_relu_first_initializer-lecun_normal", {"first_initializer": "lecun_normal"}),
    ("init_no_norm", 6, "cnn-deep_exponential_first_initializer-he_normal",
     {"first_norm": False, "first_initializer": "he_normal"}),
    ("init_sd", 2 * 15, "cnn-deep_exponential_first_sd-0.75", {"first_sd": 0.75}),
    ("init_sd_no_norm", 15, "cnn-deep_exponential_first_sd-5", {"first_norm": False, "first_sd": 5.0}),
    ("exp_scale", 11, "cnn-deep_exponential_first_activation_scale-0.005", {"first_activation_scale": 0.005}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "count", "run", "variant"), CONTROLS)
def test_the_papers_controls(root, name, count, run, variant):
    loaded = load_project("config/config.yaml", root)
    task, main = loaded.task(name), loaded.task("task3" if name == "task3_log" else "task1")
    runs = task.runs()
    assert (len(runs), task.trials, task.training.monitor) == (count, 10, "auroc")
    model, activation = runs[run]["name"], runs[run]["activation"]
    assert runs[run] == PLAIN | {"name": model, "activation": activation} | variant
    assert (task.dataset, task.ground_truth) == (main.dataset, main.ground_truth)
    demo = load_project("config/demo/config.yaml", root).task(name)
    assert set(demo.runs()) <= set(runs)
