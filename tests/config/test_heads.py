"""Tasks with heads: their runs, the settings of their trainings, and mistakes, each with its key."""

from io import StringIO

import pytest
from rich.console import Console

from cisflow.cli.explain import explain
from cisflow.config.heads import PRESETS
from cisflow.models.zoo import HEADS
from tests.config.conftest import problems, project

ALL = ", ".join(HEADS)


TRUNK = "trunk: {weights: data/w.h5, params: data/p.json}"
OF_BINS = f"{{kind: embeddings, labels: windows, bins: bins, {TRUNK}}}"
OTHERS = "".join(
    f"""
  {labels}:
    dataset:
      kind: matrix
      genome: data/genome.fa
      regions: {{bed: data/windows.bed, window: target, split: {{column: 3}}}}
      length: 4096
      crop: 64
      bin: 16
      labels: {name}
      tracks: {{signal: {{file: data/signal.bw, no_data: zero}}}}
    model: null
"""
    for labels, name in (("windows", "window"), ("bins", "bins"))
)


def text(*lines, model=f"{{name: [{ALL}]}}", dataset=OF_BINS, defaults=""):
    lines = (f"dataset: {dataset}", f"model: {model}", *lines)
    return f"{defaults}tasks:\n  mine:\n" + "".join(f"    {line}\n" for line in lines) + OTHERS


@pytest.fixture
def mine(root, tmp_path):
    """Load a task with heads."""
    return lambda *lines, **options: project(root, tmp_path, text(*lines, **options)).task("mine")


@pytest.fixture
def wrong(root, tmp_path):
    """Return the problems of a task with heads."""
    return lambda *lines, **options: problems(root, tmp_path, text(*lines, **options))


def test_a_run_is_named_by_its_head_alone(mine):
    runs = mine().runs()
    assert list(runs) == list(HEADS)
    assert runs["linear-probe"] == {"name": "linear-probe"}
    assert runs["max-pool-perceptron"] == {"name": "max-pool-perceptron", "units": 500}
    assert runs["self-attention"] == {
        "name": "self-attention", "attention_axis": "position", "attention_heads": 6, "dropout": 0.2
    }  # fmt: skip


def test_a_list_makes_runs_of_the_heads_that_have_the_key(mine):
    model = f"{{name: [{ALL}], attention_axis: [position, batch], units: [100, 500]}}"
    assert list(mine(model=model).runs()) == [
        "linear-probe",
        "conv-perceptron_units-100", "conv-perceptron_units-500",
        "max-pool-perceptron_units-100", "max-pool-perceptron_units-500",
        "self-attention_attention_axis-position", "self-attention_attention_axis-batch",
    ]  # fmt: skip


def test_each_head_is_trained_as_its_preset_says(mine):
    """What `defaults` say of how other models learn is not of heads; where they run, is."""
    defaults = "defaults:\n  training: {batch_size: 100, epochs: 99, optimizer: {name: sgd, lr: 7}, device: cpu}\n"
    for preset in PRESETS:
        task = mine(f"training: {{preset: {preset}}}", defaults=defaults)
        assert (task.training.device, task.data, task.filters) == ("cpu", "stream", None)
        for name in HEADS:
            settings, expected = task.training_settings(name), dict(PRESETS[preset][name])
            optimizer = expected.pop("optimizer")
            keras = {} if optimizer["name"] == "sgd" else {"eps": 1e-7}
            assert settings["optimizer"] == keras | optimizer
            off = {key for key in ("truncate", "clip_norm") if not expected.get(key)}
            assert not off & settings.keys()
            assert {key: settings[key] for key in expected.keys() - off} == {
                key: value for key, value in expected.items() if key not in off
            }


def test_the_original_s_settings_are_those_of_its_table(mine):
    """Basenji2's specification of the CS282A project: optimiser, epochs, batch, selection."""
    task = mine("training: {preset: cs282a}")
    found = {name: task.training_settings(name) for name in HEADS}
    windows = {"name": "sgd", "lr": 5e-6, "momentum": 0.8}
    assert {name: settings["optimizer"] for name, settings in found.items()} == {
        "linear-probe": {"name": "sgd", "lr": 0.15, "momentum": 0.99},
        "conv-perceptron": windows,
        "max-pool-perceptron": windows,
        "self-attention": {"name": "adam", "lr": 1e-3, "eps": 1e-8},
    }
    assert [settings["epochs"] for settings in found.values()] == [10, 5, 5, 10]
    assert [settings["weights"] for settings in found.values()] == ["last", "best", "best", "best"]
    assert [settings.get("truncate", False) for settings in found.values()] == [True, False, False, False]
    assert [settings["loss"] for settings in found.values()] == ["poisson", *["mean_squared_error"] * 3]
    for settings in found.values():
        assert (settings["batch_size"], settings["scale"], settings["monitor"], settings["mode"]) == (
            4, "none", "loss", "min",
        )  # fmt: skip
        assert (settings["plateau"], settings["early_stop"]) == (None, None)
        assert "clip_norm" not in settings


def test_the_task_s_own_settings_go_over_the_preset_and_those_of_a_head_over_them(mine):
    task = mine(
        "training: {epochs: 3, optimizer: {lr: 0.5}, by_model: {linear-probe: {optimizer: {name: sgd, momentum: 0.9}, "
        "early_stop: null}}}"
    )
    probe, pool = (task.training_settings(name) for name in ("linear-probe", "max-pool-perceptron"))
    assert (probe["epochs"], pool["epochs"]) == (3, 3)
    # Another optimiser does not get the arguments of the one before.
    assert probe["optimizer"] == {"name": "sgd", "lr": 1e-3, "momentum": 0.9}
    assert pool["optimizer"] == {"name": "adam", "lr": 0.5, "eps": 1e-7}
    assert probe["early_stop"] is None
    assert pool["early_stop"]["patience"] == 5


def test_keys_of_trainings_can_be_swept(mine):
    task = mine("sweep: {training.optimizer.lr: [0.1, 0.2]}", model="{name: max-pool-perceptron}")
    assert list(task.runs()) == ["max-pool-perceptron_lr-0.1", "max-pool-perceptron_lr-0.2"]
    assert task.training_settings("max-pool-perceptron_lr-0.2")["optimizer"]["lr"] == 0.2
    assert PRESETS["corrected"]["max-pool-perceptron"]["optimizer"]["lr"] == 1e-3, "a sweep leaves the preset as it is"


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([], {"model": "{name: [linear-probe, self-atention]}"},
         "tasks0.yaml:4: tasks.mine.model.name.1: 'self-atention' is not one of linear-probe, conv-perceptron, "
         "max-pool-perceptron, self-attention. Did you mean 'self-attention'?"),
        ([], {"model": "{name: linear-prob}"}, "tasks.mine.model.name: 'linear-prob' is not one of linear-probe"),
        ([], {"model": "{name: linear-probe, activation: relu}"},
         "tasks0.yaml:4: tasks.mine.model.activation: unknown key"),
        ([], {"model": "{name: [linear-probe, cnn-2]}"}, "tasks.mine.model.name.1: 'cnn-2' is not one of linear-probe"),
        ([], {"model": "{name: self-attention, attention_axis: batches}"},
         "tasks.mine.model.attention_axis: 'batches' is not one of position, batch. Did you mean 'batch'?"),
        ([], {"model": "{name: cnn-2}"},
         "tasks0.yaml:4: tasks.mine.model.name: cnn-2 takes sequences, and the data set is of kind embeddings; take "
         "one of linear-probe"),
        ([], {"dataset": f"{{kind: embeddings, labels: windows, {TRUNK}}}"},
         "tasks.mine.model.name: linear-probe learns labels of bins; name their task: dataset.bins"),
        (["training: {gradients: first}"], {}, "tasks.mine.training.gradients: heads have no first kernel"),
        (["training: {replicates: 3}"], {}, "tasks.mine.training.replicates: heads are trained one by one"),
        (["training: {by_model: {self-atention: {epochs: 2}}}"], {}, "'self-atention' is not one of linear-probe"),
        (["training: {by_model: {self-attention: {epoch: 2}}}"], {},
         "tasks0.yaml:5: tasks.mine.training.by_model.self-attention.epoch: unknown key. Did you mean 'epochs'?"),
        (["training: {by_model: {self-attention: {epochs: 0}}}"], {},
         "tasks0.yaml:5: tasks.mine.training.by_model.self-attention.epochs: 0: input should be greater than 0."),
        (["training: {by_model: {self-attention: {device: cpu}}}"], {},
         "training.by_model.self-attention.device: unknown key"),
        (["training: {by_model: {self-attention: {epochs: 2}}}"], {"model": "{name: max-pool-perceptron}"},
         "tasks.mine.training.by_model.self-attention: it is not among model.name"),
        (["training: {loss: poisson}"], {},
         "tasks.mine.training.loss: conv-perceptron: poisson needs outputs above 0, and those of conv-perceptron"),
        (["training: {scale: standard}"], {"model": "{name: linear-probe}"},
         "tasks.mine.training.scale: linear-probe: with loss: poisson, labels stay positive; take mean, sd or none"),
        (["training: {monitor: auroc}"], {}, "'auroc' needs other labels; for real ones take loss, pearson"),
        (["training: {loss: binary_cross_entropy}"], {}, "binary_cross_entropy needs binary labels"),
        (["training: {preset: original}"], {}, "training.preset: 'original' is not one of corrected, cs282a"),
        (["sweep: {model.width: [1, 2]}"], {}, "tasks.mine.sweep.model.width: of heads, give a list under 'model'"),
        (["sweep: {training.preset: [cs282a]}"], {}, "training.preset: all runs of a task share it"),
        (["training: {optimizer: {name: sgd, betas: [0.9, 0.99]}}"], {}, "betas: not an argument of sgd"),
    ],
)  # fmt: skip
def test_mistakes_are_said_with_their_key(wrong, lines, options, message):
    assert message in wrong(*lines, **options)


@pytest.mark.parametrize(
    ("lines", "model", "message"),
    [
        ([], "{name: linear-probe}",
         "tasks.mine.model.name: linear-probe takes embeddings, and the data set is of kind hdf5; take one of cnn-2"),
        (["training: {scale: sd}"], "{name: cnn-2}", f"tasks.mine.training.scale: only heads ({ALL}) have it"),
        (["training: {preset: cs282a}"], "{name: cnn-2}", "tasks.mine.training.preset: only heads"),
        (["training: {loss: poisson}"], "{name: cnn-2}", "tasks.mine.training.loss: only heads"),
        (["sweep: {training.truncate: [true, false]}"], "{name: cnn-2}", "sweep.training.truncate: only heads"),
        (["training: {by_model: {linear-probe: {epochs: 1}}}"], "{name: cnn-2}", "training.by_model: only heads"),
    ],
)  # fmt: skip
def test_networks_on_sequences_have_nothing_of_heads(root, tmp_path, lines, model, message):
    dataset = "{kind: hdf5, file: data/mine.h5, target: real}"
    assert message in problems(root, tmp_path, text(*lines, model=model, dataset=dataset))


def test_explain_tells_how_each_head_is_trained(root, tmp_path):
    found = project(root, tmp_path, text("training: {epochs: 3, by_model: {self-attention: {epochs: 7}}}"))
    out = Console(record=True, width=200, file=StringIO())
    explain(found, ["mine"], out)
    lines = {line.split()[0]: line.split()[1:] for line in out.export_text().splitlines() if line.strip()}
    assert lines["epochs"] == ["3", "3", "3", "7"]
    assert lines["optimizer.lr"] == ["0.001", "0.0001", "0.001", "0.0001"]
    assert lines["training.by_model.self-attention.epochs"][0] == "7"
    # What a preset says is not told as a default of all models.
    assert "training.batch_size" not in lines
