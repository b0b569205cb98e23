"""The training loop: it learns, trials do not depend on each other, and an interruption changes nothing."""

import json
import math

import numpy as np
import pytest
import torch

from cisflow.datasets.store import write_dataset
from cisflow.errors import CisflowError
from cisflow.models import convnet
from cisflow.models.zoo import Conv, Dense
from cisflow.training import engine
from cisflow.training.checkpoint import (
    build,
    load_model,
    read_description,
    read_tensors,
    replicate_state,
    untrained_model,
)
from cisflow.training.data import load
from cisflow.training.losses import binary_cross_entropy

SETTINGS = {
    "loss": "binary_cross_entropy",
    "optimizer": {"name": "adam", "lr": 1e-2},
    "batch_size": 32,
    "epochs": 3,
    "monitor": "auroc",
    "mode": "max",
    "plateau": {"factor": 0.5, "patience": 1, "min_lr": 1e-5, "min_delta": 1e-4},
    "early_stop": {"patience": 10, "min_delta": 0.0},
    "weights": "last",
    "norm_statistics": "recomputed",
}
SPEC = {"name": "small", "activation": "exponential", "l2": 1e-4}


@pytest.fixture(autouse=True)
def small_architectures(monkeypatch):
    """A small network without dropout, and the same with it."""
    for name, dropout in (("small", 0.0), ("small-dropout", 0.3)):
        blocks = (Conv(4, 7, dropout=dropout, pool=10), Dense(8, dropout=dropout))
        monkeypatch.setitem(convnet.ARCHITECTURES, name, blocks)


def train(dataset, folder, seeds=(("trial-0", 1),), spec=SPEC, precision="64-true", resident=True, **options):
    settings = SETTINGS | options.pop("settings", {})
    fabric = engine.make_fabric("cpu", precision)
    info, (rows, valid) = load(dataset, ["train", "valid"], "cpu", resident)
    engine.fit(spec, info, rows, valid, settings, dict(seeds), folder, fabric, **options)


def tensors(folder, trial="trial-0", name="last"):
    return (folder / trial / f"{name}.safetensors").read_bytes()


def history(folder, trial="trial-0"):
    lines = (folder / trial / "history.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in rows]


def test_it_learns_a_planted_motif(dataset, tmp_path):
    train(dataset, tmp_path, precision="32-true", settings={"epochs": 12})
    rows = history(tmp_path)
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["train_loss"] < 0.5 * rows[0]["train_loss"]
    assert rows[-1]["valid_auroc"] > 0.9


def test_a_trial_among_others_is_the_trial_alone(dataset, tmp_path):
    """In double precision and without dropout: same weights to rounding, whatever else trains in the same module."""
    seeds = [("trial-0", 11), ("trial-1", 12), ("trial-2", 13)]
    train(dataset, tmp_path / "together", seeds)
    for trial, seed in seeds:
        train(dataset, tmp_path / "alone", [(trial, seed)])
        together = load_model(tmp_path / "together" / trial).state_dict()
        alone = load_model(tmp_path / "alone" / trial).state_dict()
        for name in alone:
            # Three epochs of Adam let a rounding error of 1e-16 grow by some orders of magnitude.
            torch.testing.assert_close(
                together[name], alone[name], rtol=1e-7, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
            )


def test_trials_that_stop_early_leave_the_others_as_they_are(dataset, tmp_path):
    """Each trial stops by its own metric; those that go on are not disturbed."""
    seeds = [(f"trial-{seed}", seed) for seed in range(4)]
    options = {"settings": {"epochs": 12, "early_stop": {"patience": 2, "min_delta": 0.0}}}
    train(dataset, tmp_path / "together", seeds, **options)
    lengths = set()
    for trial, seed in seeds:
        train(dataset, tmp_path / "alone", [(trial, seed)], **options)
        together, alone = history(tmp_path / "together", trial), history(tmp_path / "alone", trial)
        lengths.add(len(alone))
        assert [row["valid_auroc"] for row in together] == pytest.approx(
            [row["valid_auroc"] for row in alone], abs=1e-9
        )
        assert [row["lr"] for row in together] == [row["lr"] for row in alone]
    assert len(lengths) > 1, "the trials should end in different epochs, or this test shows nothing"


def test_the_seed_decides_and_two_runs_are_the_same_bytes(dataset, tmp_path):
    for folder, seed in (("first", 1), ("second", 1), ("other", 2)):
        train(dataset, tmp_path / folder, [("trial-0", seed)], SPEC | {"name": "small-dropout"}, "32-true")
    assert tensors(tmp_path / "first") == tensors(tmp_path / "second")
    assert tensors(tmp_path / "first") != tensors(tmp_path / "other")


def test_rows_from_disk_train_to_the_same_bytes(dataset, tmp_path):
    train(dataset, tmp_path / "memory", resident=True)
    train(dataset, tmp_path / "stream", resident=False)
    assert tensors(tmp_path / "memory") == tensors(tmp_path / "stream")


@pytest.mark.parametrize("steps", [1, 6, 13, 14, 20])
def test_an_interrupted_training_ends_with_the_same_bytes(dataset, tmp_path, steps):
    """Stopped after any number of steps (13 make an epoch) and started again, with dropout and two trials."""
    seeds, spec = [("trial-0", 1), ("trial-1", 2)], SPEC | {"name": "small-dropout"}
    train(dataset, tmp_path / "whole", seeds, spec, "32-true")
    countdown = iter(range(steps))
    stop = engine.Resume(tmp_path / "state", "key", stop=lambda: next(countdown, None) is None)
    with pytest.raises(engine.Interrupted, match=f"stopped in epoch {steps // 13 + 1}"):
        train(dataset, tmp_path / "resumed", seeds, spec, "32-true", resume=stop)
    train(dataset, tmp_path / "resumed", seeds, spec, "32-true", resume=engine.Resume(tmp_path / "state", "key"))
    for trial, _ in seeds:
        for name in ("last", "best"):
            assert tensors(tmp_path / "whole", trial, name) == tensors(tmp_path / "resumed", trial, name)
        assert history(tmp_path / "whole", trial) == history(tmp_path / "resumed", trial)
    assert not (tmp_path / "state").exists()


def test_an_interruption_after_a_trial_has_ended_keeps_that_trial(dataset, tmp_path):
    seeds = [(f"trial-{seed}", seed) for seed in range(4)]
    options = {"settings": {"epochs": 12, "early_stop": {"patience": 2, "min_delta": 0.0}}}
    train(dataset, tmp_path / "whole", seeds, **options)
    first_end = min(len(history(tmp_path / "whole", trial)) for trial, _ in seeds)
    countdown = iter(range(13 * first_end + 3))
    stop = engine.Resume(tmp_path / "state", "key", stop=lambda: next(countdown, None) is None)
    with pytest.raises(engine.Interrupted):
        train(dataset, tmp_path / "resumed", seeds, resume=stop, **options)
    assert any((tmp_path / "resumed" / trial / "model.json").exists() for trial, _ in seeds)
    train(dataset, tmp_path / "resumed", seeds, resume=engine.Resume(tmp_path / "state", "key"), **options)
    for trial, _ in seeds:
        assert tensors(tmp_path / "whole", trial) == tensors(tmp_path / "resumed", trial)


def test_a_state_of_another_key_is_not_used(dataset, tmp_path):
    train(dataset, tmp_path / "whole")
    countdown = iter(range(5))
    stop = engine.Resume(tmp_path / "state", "other data", stop=lambda: next(countdown, None) is None)
    with pytest.raises(engine.Interrupted):
        train(dataset, tmp_path / "other", resume=stop)
    rows = []
    resume = engine.Resume(tmp_path / "state", "this data")
    train(dataset, tmp_path / "again", resume=resume, on_epoch=lambda trial, row: rows.append(row["epoch"]))
    assert rows == [1, 2, 3]
    assert tensors(tmp_path / "again") == tensors(tmp_path / "whole")


def test_the_penalty_acts_as_a_term_of_the_loss(dataset, tmp_path):
    """One step of plain gradient descent moves a kernel by lr * (gradient + 2 * l2 * w)."""
    sgd = {"optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 1, "batch_size": 400, "plateau": None}
    for l2 in (0.0, 0.25):
        train(dataset, tmp_path / str(l2), spec=SPEC | {"l2": l2}, settings=sgd)
    start = convnet.ConvNet(SPEC, 60, 1)
    start.reset([1])
    without, with_penalty = (load_model(tmp_path / str(l2) / "trial-0").state_dict() for l2 in (0.0, 0.25))
    for name in ("layers.conv1.weight", "layers.dense2.weight"):
        moved = with_penalty[name] - without[name]
        # The initial weights are drawn in single precision.
        torch.testing.assert_close(moved, -0.1 * 2 * 0.25 * start.state_dict()[name].to(moved), rtol=1e-5, atol=1e-8)
    for name in ("layers.logits.weight", "layers.norm1.weight"):
        torch.testing.assert_close(with_penalty[name], without[name])


def test_the_losses_in_the_history_have_the_penalty(dataset, tmp_path):
    sgd = {"optimizer": {"name": "sgd", "lr": 1e-9}, "epochs": 1, "plateau": None}
    for l2 in (0.0, 0.5):
        train(dataset, tmp_path / str(l2), spec=SPEC | {"l2": l2}, settings=sgd)
    model = load_model(tmp_path / "0.5" / "trial-0")
    penalty = 0.5 * sum(p.square().sum().item() for p in model.kernels())
    for column in ("train_loss", "valid_loss"):
        difference = history(tmp_path / "0.5")[0][column] - history(tmp_path / "0.0")[0][column]
        assert difference == pytest.approx(penalty, rel=1e-5)


def test_the_first_kernel_has_its_own_penalty(dataset, tmp_path):
    """In the step: w moves by lr * 2 * l2 * w, each kernel with its own l2. In the history: the sum of all."""
    sgd = {"optimizer": {"name": "sgd", "lr": 0.1}, "epochs": 1, "batch_size": 400, "plateau": None}
    l2 = {"layers.conv1.weight": 0.25, "layers.dense2.weight": 0.125}
    for name, keys in {"none": {"l2": 0.0}, "own": {"l2": 0.125, "first_l2": 0.25}}.items():
        train(dataset, tmp_path / name, spec=SPEC | keys, settings=sgd)
    start = convnet.ConvNet(SPEC, 60, 1)
    start.reset([1])
    without, own = (load_model(tmp_path / name / "trial-0").state_dict() for name in ("none", "own"))
    for name, weight in l2.items():
        moved = own[name] - without[name]
        # The initial weights are drawn in single precision.
        expected = -0.1 * 2 * weight * start.state_dict()[name].to(moved)
        torch.testing.assert_close(moved, expected, rtol=1e-5, atol=1e-8)
    penalty = sum(weight * own[name].square().sum().item() for name, weight in l2.items())
    difference = history(tmp_path / "own")[0]["train_loss"] - history(tmp_path / "none")[0]["train_loss"]
    # Both histories have the loss before the only step, and the penalty after it.
    assert difference == pytest.approx(penalty, rel=1e-5)


def test_best_and_last_weights_are_those_of_their_epochs(dataset, tmp_path):
    train(dataset, tmp_path, settings={"epochs": 6})
    rows, description = history(tmp_path), read_description(tmp_path / "trial-0")
    best = max(range(6), key=lambda epoch: rows[epoch]["valid_auroc"])
    assert description["best_epoch"] == best + 1
    assert description["weights"] == "last"
    train(dataset, tmp_path / "short", settings={"epochs": best + 1})
    assert tensors(tmp_path, name="best") == tensors(tmp_path / "short", name="last")
    assert load_model(tmp_path / "trial-0", "best").training is False


def test_bfloat16_learns_as_well(dataset, tmp_path):
    train(dataset, tmp_path, precision="bf16-mixed", settings={"epochs": 12})
    assert history(tmp_path)[-1]["valid_auroc"] > 0.9
    assert read_description(tmp_path / "trial-0")["precision"] == "bf16-mixed"


def test_a_last_batch_of_one_row_joins_the_one_before(dataset, tmp_path):
    # 400 rows in batches of 57 leave one.
    train(dataset, tmp_path, settings={"batch_size": 57, "epochs": 1})
    assert math.isfinite(history(tmp_path)[0]["train_loss"])


def test_a_loss_that_is_no_number_ends_the_training(dataset, tmp_path):
    with pytest.raises(CisflowError, match=r"trial-0: the training loss is (nan|inf) after epoch \d.*Lower training"):
        train(dataset, tmp_path, settings={"optimizer": {"name": "sgd", "lr": 1e30}, "epochs": 5})
    assert not (tmp_path / "trial-0").exists()


def test_a_trial_that_diverges_can_be_kept_as_it_is(dataset, tmp_path):
    """Without normalisation the exponential of one of two trials overflows: that one ends, the other goes on."""
    spec = SPEC | {"first_norm": False, "first_sd": 9.0, "l2": 0.0}
    train(dataset, tmp_path, [("bounded", 3), ("diverged", 4)], spec, "32-true", settings={"diverged": "keep"})
    found = {trial: read_description(tmp_path / trial) for trial in ("bounded", "diverged")}
    assert {trial: description["epochs"] for trial, description in found.items()} == {"bounded": 3, "diverged": 1}
    assert load_model(tmp_path / "bounded").layers.conv1.weight.isfinite().all()
    assert load_model(tmp_path / "diverged").layers.conv1.weight.isnan().any()
    # No epoch was the best, and the history has no number where there is none.
    assert found["diverged"]["best_epoch"] == 0
    assert tensors(tmp_path, "diverged", "best") == tensors(tmp_path, "diverged", "last")
    header, values = ((tmp_path / "diverged" / "history.tsv").read_text().splitlines())[:2]
    row = dict(zip(header.split("\t"), values.split("\t"), strict=True))
    assert (row["epoch"], row["train_loss"], row["valid_auroc"]) == ("1", "", "")


def test_a_gpu_that_is_asked_for_and_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CisflowError, match="no GPU is visible here.*device: any"):
        engine.make_fabric("gpu", "32-true")
    assert engine.make_fabric("any", "32-true").device.type == "cpu"


def test_masked_labels_do_not_count(dataset, tmp_path):
    """Training on a data set whose masked labels are wrong equals training on one where they are right."""
    info, _ = load(dataset, ["train"], "cpu", True)
    for name, wrong in (("right", False), ("wrong", True)):
        splits = masked_splits(dataset, wrong)
        write_dataset(tmp_path / f"{name}.h5", splits, info.targets, "binary")
        train(tmp_path / f"{name}.h5", tmp_path / name)
    assert tensors(tmp_path / "right") == tensors(tmp_path / "wrong")
    assert history(tmp_path / "right") == history(tmp_path / "wrong")


def masked_splits(dataset, wrong):
    from cisflow.datasets.store import Split
    from cisflow.io import h5_reader

    splits = {}
    with h5_reader(dataset) as h5:
        for name in ("train", "valid"):
            x, y, ids = (h5[name][key][:] for key in ("x", "y", "id"))
            mask = np.ones(y.shape, bool)
            mask[::3] = False
            splits[name] = Split(x, np.where(mask | (not wrong), y, 1 - y).astype(np.float32), ids, mask)
    return splits


def test_numbers_are_fitted_by_mean_squared_error(dataset, tmp_path):
    splits = masked_splits(dataset, False)
    for split in splits.values():
        split.mask = None
        split.y = split.y * 3 - 1
    write_dataset(tmp_path / "real.h5", splits, ["activity"], "real")
    settings = {"loss": "mean_squared_error", "monitor": "pearson", "epochs": 12}
    train(tmp_path / "real.h5", tmp_path, precision="32-true", settings=settings)
    assert history(tmp_path)[-1]["valid_pearson"] > 0.7
    assert json.loads((tmp_path / "trial-0" / "model.json").read_text())["kind"] == "real"


def first_gradient_by_autograd(folder, dataset, trial="trial-0"):
    """The gradient of mean loss and penalty on the whole training set in one batch, in double precision."""
    model = build(read_description(folder / trial)).double().eval()
    weights, _ = read_tensors(folder / trial / "last.safetensors")
    model.load_state_dict({name: tensor[None] for name, tensor in weights.items()})
    _, (rows,) = load(dataset, ["train"], "cpu", True)
    (batch,) = rows.batches(torch.arange(rows.count), rows.count)
    outputs = model(batch.inputs()["x"].double())
    data = binary_cross_entropy(outputs[None], batch.y.double()[None], None if batch.mask is None else batch.mask[None])
    penalty = sum(l2 * kernel.square().sum() for l2, kernels in model.penalties().items() for kernel in kernels)
    return torch.autograd.grad(data.sum() + penalty, model.layers.conv1.weight)[0]


@pytest.mark.parametrize("batch_size", [400, 57])
@pytest.mark.parametrize("penalty", [{}, {"first_l2": 0.25}, {"first_l2": 0.0}])
def test_the_gradient_in_the_history_is_that_of_the_whole_set_in_one_batch(dataset, tmp_path, batch_size, penalty):
    """Whatever the batches, for each of two trials, with dropout switched off."""
    spec = SPEC | {"name": "small-dropout"} | penalty
    settings = {"gradients": "first", "batch_size": batch_size}
    train(dataset, tmp_path, [("trial-0", 1), ("trial-1", 2)], spec, settings=settings)
    for trial in ("trial-0", "trial-1"):
        expected, found = first_gradient_by_autograd(tmp_path, dataset, trial), history(tmp_path, trial)[-1]
        assert found["gradient_mean"] == pytest.approx(expected.mean().item(), rel=1e-9)
        assert found["gradient_sd"] == pytest.approx(expected.std(correction=0).item(), rel=1e-9)


def test_labels_that_were_not_measured_have_no_part_in_the_gradient(dataset, tmp_path):
    """Batches have different numbers of measured labels, and the mean is over all labels, not over batches."""
    splits = masked_splits(dataset, False)
    splits["train"].mask[:100] = False
    write_dataset(tmp_path / "masked.h5", splits, ["has-motif"], "binary")
    train(tmp_path / "masked.h5", tmp_path, settings={"gradients": "first", "batch_size": 64})
    expected = first_gradient_by_autograd(tmp_path, tmp_path / "masked.h5")
    assert history(tmp_path)[-1]["gradient_mean"] == pytest.approx(expected.mean().item(), rel=1e-9)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_measuring_gradients_does_not_change_the_training(dataset, tmp_path, precision):
    seeds, spec = [("trial-0", 1), ("trial-1", 2)], SPEC | {"name": "small-dropout"}
    for name, settings in (("without", {}), ("with", {"gradients": "first"})):
        train(dataset, tmp_path / name, seeds, spec, precision, settings=settings)
    for trial, _ in seeds:
        for weights in ("last", "best"):
            assert tensors(tmp_path / "with", trial, weights) == tensors(tmp_path / "without", trial, weights)
        rows = history(tmp_path / "with", trial)
        assert all(row.pop("gradient_sd") > abs(row.pop("gradient_mean")) > 0 for row in rows)
        assert rows == history(tmp_path / "without", trial), "no other column differs, and there are no more without"


@pytest.mark.parametrize("steps", [1, 13, 20])
def test_an_interrupted_training_measures_the_same_gradients(dataset, tmp_path, steps):
    settings = {"settings": {"gradients": "first"}, "spec": SPEC | {"name": "small-dropout"}, "precision": "32-true"}
    seeds, countdown = [("trial-0", 1), ("trial-1", 2)], iter(range(steps))
    train(dataset, tmp_path / "whole", seeds, **settings)
    stop = engine.Resume(tmp_path / "state", "key", stop=lambda: next(countdown, None) is None)
    with pytest.raises(engine.Interrupted):
        train(dataset, tmp_path / "resumed", seeds, resume=stop, **settings)
    train(dataset, tmp_path / "resumed", seeds, resume=engine.Resume(tmp_path / "state", "key"), **settings)
    for trial, _ in seeds:
        assert history(tmp_path / "whole", trial) == history(tmp_path / "resumed", trial)
        assert tensors(tmp_path / "whole", trial) == tensors(tmp_path / "resumed", trial)


def test_trials_that_go_on_alone_have_their_own_gradients(dataset, tmp_path):
    """When one of the trials ends, the others leave its module and are measured as if they had trained alone."""
    seeds = [(f"trial-{seed}", seed) for seed in range(4)]
    options = {
        "settings": {"epochs": 12, "early_stop": {"patience": 2, "min_delta": 0.0}, "gradients": "first"},
        "spec": SPEC | {"l2": 0.0},
    }
    train(dataset, tmp_path / "together", seeds, **options)
    lengths = {trial: len(history(tmp_path / "together", trial)) for trial, _ in seeds}
    trial, seed = max(seeds, key=lambda one: lengths[one[0]])
    assert lengths[trial] > min(lengths.values())
    train(dataset, tmp_path / "alone", [(trial, seed)], **options)
    together, alone = history(tmp_path / "together", trial), history(tmp_path / "alone", trial)
    for column in ("gradient_mean", "gradient_sd"):
        # Rounding errors of 1e-16 grow with the epochs.
        assert [row[column] for row in together] == pytest.approx([row[column] for row in alone], rel=1e-5)


def test_a_gradient_that_is_no_number_is_an_empty_field(dataset, tmp_path):
    spec, settings = (
        SPEC | {"first_norm": False, "first_sd": 9.0, "l2": 0.0},
        {"diverged": "keep", "gradients": "first"},
    )
    train(dataset, tmp_path, [("diverged", 4)], spec, "32-true", settings=settings)
    header, values = ((tmp_path / "diverged" / "history.tsv").read_text().splitlines())[:2]
    row = dict(zip(header.split("\t"), values.split("\t"), strict=True))
    assert (row["epoch"], row["gradient_mean"], row["gradient_sd"]) == ("1", "", "")


def test_a_checkpoint_knows_the_network_that_its_training_began_with(dataset, tmp_path):
    """Weights and statistics, bit by bit, of each of two trials that train together and in another precision."""
    settings, seeds = SETTINGS | {"epochs": 1}, {"trial-0": 1, "trial-1": 2}
    info, (rows, valid) = load(dataset, ["train", "valid"], "cpu", True)
    for number, spec in enumerate((SPEC, SPEC | {"first_sd": 0.3}, SPEC | {"initializer": "he_normal"})):
        folder, fabric = tmp_path / str(number), engine.make_fabric("cpu", "64-true")
        training = engine.Training(
            spec, info, rows, valid, settings, seeds, folder, fabric, None, lambda trial, row: None
        )
        began = [replicate_state(training.model.module, index) for index in range(2)]
        training.run()
        for trial, expected in zip(seeds, began, strict=True):
            found = replicate_state(untrained_model(folder / trial), 0)
            assert found.keys() == expected.keys()
            for name, tensor in found.items():
                assert torch.equal(tensor.double(), expected[name]), name
            assert not torch.equal(found["layers.conv1.weight"], load_model(folder / trial).layers.conv1.weight[0])


def test_a_checkpoint_that_does_not_know_its_seed_says_so(dataset, tmp_path):
    train(dataset, tmp_path, settings={"epochs": 1})
    path = tmp_path / "trial-0" / "model.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in description.items() if key != "seed"}))
    with pytest.raises(CisflowError, match=r"model.json: it does not say the seed .* Train again"):
        untrained_model(tmp_path / "trial-0")
