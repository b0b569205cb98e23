"""A run keeps what it has trained: through interruptions, damage, a failure at the end, and for more trials."""

import json
import logging
import os
import shutil
import signal
from dataclasses import replace

import pytest

from cisflow import claim
from cisflow.errors import CisflowError
from cisflow.models import convnet
from cisflow.models.zoo import Conv, Dense
from cisflow.training import checkpoint, engine
from cisflow.training import run as run_module
from cisflow.training.run import RunSettings, train_run

TRAINING = {
    "loss": "binary_cross_entropy",
    "optimizer": {"name": "adam", "lr": 1e-2},
    "batch_size": 100,
    "epochs": 2,
    "monitor": "auroc",
    "mode": "max",
    "norm_statistics": "recomputed",
}
WEIGHTS = ("best.safetensors", "last.safetensors")


@pytest.fixture(autouse=True)
def small_architecture(monkeypatch):
    monkeypatch.setitem(convnet.ARCHITECTURES, "small", (Conv(4, 7, dropout=0.3, pool=10), Dense(8, dropout=0.3)))


@pytest.fixture
def settings(dataset):
    return RunSettings(
        task="t", run="small_relu", dataset=dataset, model={"name": "small", "activation": "relu"}, training=TRAINING,
        trials=2, weights="best", device="cpu", precision="32-true", resident=True, replicates=None, threads=1,
        save_minutes=5.0, loggers=(), code="1",
    )  # fmt: skip


@pytest.fixture
def epochs(monkeypatch):
    """The trials whose epochs were trained, one entry an epoch."""
    trained = []
    monkeypatch.setattr(run_module._Report, "__call__", lambda self, trial, row: trained.append(trial))
    return trained


def files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.glob("trial-*/*.safetensors"))}


def key_folder(work):
    (folder,) = (path for path in work.iterdir() if path.is_dir())
    return folder


def test_more_trials_are_trained_and_the_earlier_ones_kept(settings, epochs, tmp_path):
    work, out = tmp_path / "work", tmp_path / "out"
    train_run(replace(settings, trials=1), work, out)
    before = (out / "trial-0/last.safetensors").stat().st_ino
    shutil.rmtree(out)  # as Snakemake does before a job
    train_run(replace(settings, trials=3), work, out)
    assert epochs == ["trial-0"] * 2 + ["trial-1"] * 2 + ["trial-2"] * 2
    assert (out / "trial-0/last.safetensors").stat().st_ino == before
    assert sorted(path.name for path in out.iterdir()) == ["provenance.json", "trial-0", "trial-1", "trial-2"]
    assert json.loads((out / "provenance.json").read_text())["seeds"].keys() == {"trial-0", "trial-1", "trial-2"}
    # And fewer: the others are not published.
    train_run(replace(settings, trials=2), work, out)
    assert sorted(path.name for path in out.glob("trial-*")) == ["trial-0", "trial-1"]
    assert len(epochs) == 6


@pytest.mark.parametrize(
    "change",
    [{"device": "any"}, {"save_minutes": 1.0}, {"loggers": ("tensorboard",)}, {"replicates": 2}, {"resident": False},
     {"threads": 2}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_how_a_training_is_carried_out_trains_nothing(settings, epochs, tmp_path, change):
    train_run(settings, tmp_path / "work", tmp_path / "out")
    before = files(tmp_path / "out")
    train_run(replace(settings, **change), tmp_path / "work", tmp_path / "out")
    assert len(epochs) == 4
    assert files(tmp_path / "out") == before


def test_other_weights_are_named_and_not_trained(settings, epochs, tmp_path):
    for weights in ("best", "last"):
        train_run(replace(settings, weights=weights), tmp_path / "work", tmp_path / "out")
        for trial in ("trial-0", "trial-1"):
            folder = tmp_path / "out" / trial
            assert checkpoint.read_description(folder)["weights"] == weights
            assert checkpoint.damage(folder) is None
    assert len(epochs) == 4


@pytest.mark.parametrize("change", [{"training": TRAINING | {"batch_size": 50}}, {"code": "2"}, {"task": "other"}])
def test_what_weights_depend_on_trains_again(settings, epochs, tmp_path, change):
    work = tmp_path / "work"
    train_run(settings, work, tmp_path / "out")
    first, before = key_folder(work), files(tmp_path / "out")
    train_run(replace(settings, **change), work, tmp_path / "out")
    assert len(epochs) == 8
    assert key_folder(work) != first, "what is of other settings is removed"
    assert (files(tmp_path / "out") == before) == ("code" in change)


def test_trials_of_a_training_at_work_are_not_removed(settings, tmp_path):
    work = tmp_path / "work"
    other = work / "0123456789abcdef"
    with claim.claimed(other):
        train_run(settings, work, tmp_path / "out")
        assert other.exists()
    train_run(settings, work, tmp_path / "out")
    assert not other.exists()


def test_what_a_killed_training_was_writing_is_removed(settings, tmp_path):
    """Of a state, and of a file of a trial."""
    work = tmp_path / "work"
    train_run(settings, work, tmp_path / "out")
    for name in (".trial-1.state.x1.partial", "trial-0/.last.safetensors.x2.partial"):
        unfinished = key_folder(work) / name
        unfinished.mkdir()
        (unfinished / "half").write_text("half")
    train_run(settings, work, tmp_path / "out")
    assert not list(work.rglob("*.partial"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": flip,
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", checkpoint.FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_trial_is_set_aside_and_trained_again(settings, epochs, tmp_path, caplog, name, damage):
    work, out = tmp_path / "work", tmp_path / "out"
    train_run(settings, work, out)
    before, folder = files(out), key_folder(work)
    shutil.copytree(out, tmp_path / "first")
    DAMAGE[damage](folder / "trial-1" / name)
    with caplog.at_level(logging.WARNING):
        train_run(settings, work, out)
    why = "is missing" if damage == "missing" else "is not as it was written"
    assert f"trial-1: {name} {why}. It is kept as {folder / 'trial-1.damaged'}, and the trial begins again" in (
        caplog.text
    )
    assert epochs == ["trial-0"] * 2 + ["trial-1"] * 4
    assert files(out) == files(tmp_path / "first") == before


def interrupt(monkeypatch, after):
    """Let a training stop after so many steps, as a signal does."""
    steps = iter(range(after))
    monkeypatch.setattr(run_module.StopRequest, "__call__", lambda self: next(steps, None) is None)


@pytest.mark.parametrize("damage", [None, "a flipped bit", "cut off", "empty"])
def test_a_damaged_state_is_set_aside_and_the_training_begins_again(
    settings, epochs, tmp_path, monkeypatch, caplog, damage
):
    train_run(settings, tmp_path / "undisturbed work", tmp_path / "undisturbed")
    epochs.clear()
    work, out = tmp_path / "work", tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupt(patch, 6)  # four batches an epoch
        with pytest.raises(SystemExit):
            train_run(settings, work, out)
    assert epochs == ["trial-0"]
    (state,) = work.glob("*/trial-0.state")
    if damage:
        DAMAGE[damage](state)
    with caplog.at_level(logging.WARNING):
        train_run(settings, work, out)
    assert epochs == ["trial-0"] * (3 if damage else 2) + ["trial-1"] * 2
    assert ("is damaged, and is kept as" in caplog.text) == bool(damage)
    assert files(out) == files(tmp_path / "undisturbed")
    assert not list(out.rglob("*.state*"))


def test_trials_that_began_together_go_on_together(settings, epochs, tmp_path, monkeypatch):
    settings = replace(settings, trials=3, replicates=2)
    train_run(settings, tmp_path / "undisturbed work", tmp_path / "undisturbed")
    epochs.clear()
    with monkeypatch.context() as patch:
        interrupt(patch, 5)
        with pytest.raises(SystemExit):
            train_run(settings, tmp_path / "work", tmp_path / "out")
    # Another number of replicates is for trials that have not begun.
    train_run(replace(settings, replicates=1), tmp_path / "work", tmp_path / "out")
    assert epochs == ["trial-0", "trial-1"] * 2 + ["trial-2"] * 2
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")


class Killed(BaseException):
    """Stands for a death of the process."""


@pytest.mark.parametrize("step", ["record", "publish_folder"])
def test_a_death_after_the_last_epoch_loses_no_trial(settings, epochs, tmp_path, monkeypatch, step):
    work, out = tmp_path / "work", tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(run_module, step, lambda *_, **__: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            train_run(settings, work, out)
    assert not out.exists()
    train_run(settings, work, out)
    assert len(epochs) == 4
    assert len(files(out)) == 4


def test_a_full_disk_while_publishing_loses_no_trial(settings, epochs, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    work, out = tmp_path / "work", tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        patch.setattr(shutil, "copy2", full)
        with pytest.raises(CisflowError, match="out: no space left to write it"):
            train_run(settings, work, out)
    assert not out.exists()
    assert not list(tmp_path.glob(".out*"))
    train_run(settings, work, out)
    assert len(epochs) == 4


def test_without_hard_links_files_are_copied(settings, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    train_run(settings, tmp_path / "work", tmp_path / "out")
    kept = key_folder(tmp_path / "work") / "trial-0/last.safetensors"
    assert kept.read_bytes() == (tmp_path / "out/trial-0/last.safetensors").read_bytes()
    assert kept.stat().st_nlink == 1


@pytest.mark.parametrize("number", run_module.StopRequest.SIGNALS)
def test_a_signal_after_the_last_epoch_ends_the_program_at_once(settings, epochs, tmp_path, monkeypatch, number):
    """While data are hashed and provenance is written, no step is left after which a training could stop."""
    before = signal.signal(number, lambda received, _: (_ for _ in ()).throw(SystemExit(128 + received)))
    record = run_module.record

    def signalled(*arguments, **more):
        os.kill(os.getpid(), number)
        record(*arguments, **more)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(run_module, "record", signalled)
            with pytest.raises(SystemExit) as ended:
                train_run(settings, tmp_path / "work", tmp_path / "out")
    finally:
        signal.signal(number, before)
    assert ended.value.code == 128 + number
    assert not (tmp_path / "out").exists()
    train_run(settings, tmp_path / "work", tmp_path / "out")
    assert len(epochs) == 4


def test_a_state_says_which_trials_began_together(tmp_path):
    path = tmp_path / "a.state"
    checkpoint.save_state(path, "key", {}, {"group": ["trial-1", "trial-2"]})
    assert checkpoint.group_of_state(path, "key") == ["trial-1", "trial-2"]
    assert checkpoint.group_of_state(path, "other") == []
    assert checkpoint.group_of_state(tmp_path / "none.state", "key") == []


def test_weights_of_a_published_run_are_those_of_the_engine(settings, dataset, tmp_path):
    """What stands in the run's folder are the bytes that `engine.fit` writes, and nothing else is with them."""
    train_run(settings, tmp_path / "work", tmp_path / "out")
    info, rows = run_module._load(settings, "cpu")
    seed = json.loads((tmp_path / "out/provenance.json").read_text())["seeds"]["trial-1"]
    fabric = engine.make_fabric("cpu", "32-true")
    engine.fit(
        dict(settings.model), info, *rows, TRAINING | {"weights": "best"}, {"trial-1": seed}, tmp_path / "alone", fabric
    )
    for name in WEIGHTS:
        assert (tmp_path / "alone/trial-1" / name).read_bytes() == (tmp_path / "out/trial-1" / name).read_bytes()
    assert {path.name for path in (tmp_path / "out/trial-1").iterdir()} == {*checkpoint.FILES, checkpoint.CHECKSUMS}
