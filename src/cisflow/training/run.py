"""Train the trials of one run of a task, keep each as it ends, and publish all of them together.

Trials are kept in a folder that the workflow does not own, since Snakemake deletes the outputs of a job that fails. It
has a folder for each key, a hash of what the weights depend on: settings, data and code. In there are the states of
trainings in progress and the trials that have ended, each with its checksums; the run's folder has hard links to
these. So a training that is killed goes on, even after its last epoch, and more trials of the same run are trained
without the earlier ones. The folders of other keys are removed when a run is published.
"""

import hashlib
import json
import logging
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cisflow.checksums import checksum
from cisflow.claim import CLAIM, GivenUp, claimed, is_claimed
from cisflow.errors import CisflowError
from cisflow.io import PARTIAL, publish_folder
from cisflow.models.zoo import HEADS
from cisflow.provenance import record
from cisflow.script import TRY_AGAIN
from cisflow.seeds import seed_of
from cisflow.training import checkpoint, engine
from cisflow.training.data import DataInfo, Rows, load
from cisflow.training.loggers import LOGGERS, OnEpoch

log = logging.getLogger("train")


@dataclass(frozen=True)
class RunSettings:
    """What is trained, and how.

    Attributes
    ----------
    task, run
        Names, for the seeds.
    dataset
        HDF5 file (contract dataset/1).
    model
        One point of the task's grid of models.
    training
        What weights depend on of the task's `training`; see `engine.fit`.
    trials
        How many.
    weights
        'best' or 'last': what the checkpoints name as their default.
    device, precision, resident, replicates, threads, save_minutes, loggers
        How it is carried out: see `config.tasks.Training`; `resident` is False for rows that stay on disk.
    code
        Hash of the program.
    """

    task: str
    run: str
    dataset: Path
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    trials: int
    weights: str
    device: str
    precision: str
    resident: bool
    replicates: int | None
    threads: int
    save_minutes: float
    loggers: Sequence[str]
    code: str


class StopRequest:
    """Turns signals into a request to stop after the current step, in a block or until it is released."""

    SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT)

    def __init__(self) -> None:
        self.status = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        self._before = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let signals do again what they did before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _receive(self, number: int, _frame: object) -> None:
        self.status = 128 + signal.SIGINT if number == signal.SIGINT else TRY_AGAIN

    def __call__(self) -> bool:
        """Return whether a signal came."""
        return self.status != 0


def train_run(settings: RunSettings, work: Path, out: Path) -> None:
    """Train what is not trained yet, and publish the run.

    Parameters
    ----------
    settings
        What is trained.
    work
        Folder of this run's trials and states.
    out
        Folder of the run, to be written.

    Raises
    ------
    CisflowError
        The model does not take the data, or a training diverged and such trials are not to be kept.
    SystemExit
        A signal asked the training to stop; its state is saved.
    """
    started = time.time()
    fabric = engine.make_fabric(settings.device, settings.precision)
    info, rows = _load(settings, fabric.device)
    where = {"device": str(fabric.device), "precision": str(fabric.strategy.precision.precision)}
    key = _key(settings, where["precision"])
    folder = work / key[:16]
    try:
        # Another job may train the same: one that was left behind when Snakemake was killed.
        with StopRequest() as stop, claimed(folder, stop):
            trials = Trials(settings, folder, key, fabric, info, rows, stop)
            trials.train()
            if stop():
                raise engine.Interrupted("all trials are trained; run again to publish them")
            # All is kept, so that from here on a signal may end the program at once.
            stop.release()
            record(
                folder / "provenance.json", [settings.dataset],
                {"model": settings.model, "training": settings.training, "trials": settings.trials,
                 "threads": settings.threads},
                started, key=key, seeds=trials.seeds, **where, replicates=trials.together,
            )  # fmt: skip
            publish_folder(folder, out, trials.ignored)
            _remove_other_keys(work, folder)
    except (engine.Interrupted, GivenUp) as message:
        log.warning("%s", message)
        raise SystemExit(stop.status) from message


def _load(settings: RunSettings, device: Any) -> tuple[DataInfo, list[Rows]]:
    head = HEADS.get(settings.model["name"])
    labels = head.labels if head else "window"
    info, rows = load(settings.dataset, ["train", "valid"], device, settings.resident, labels)
    if (head is None) != (info.channels is None):
        takes = "embeddings" if head else "sequences"
        raise CisflowError(f"{settings.model['name']} takes {takes}, not {settings.dataset}.")
    return info, rows


def _key(settings: RunSettings, precision: str) -> str:
    """Return the hash of what the weights of a trial depend on; the device changes them by rounding alone."""
    parts = [
        settings.task, settings.run, settings.model, settings.training, precision, checksum(settings.dataset),
        settings.code,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _remove_other_keys(work: Path, kept: Path) -> None:
    for folder in work.iterdir():
        if folder.is_dir() and folder != kept and not is_claimed(folder):
            shutil.rmtree(folder)


class Trials:
    """The trials of a run in their folder: those that have ended, and the training of the others."""

    def __init__(
        self, settings: RunSettings, folder: Path, key: str, fabric: Any, info: DataInfo, rows: list[Rows],
        stop: Callable[[], bool],
    ):  # fmt: skip
        self.settings, self.folder, self.fabric, self.info, self.stop = settings, folder, fabric, info, stop
        self.rows_train, self.rows_valid = rows
        names = [f"trial-{number}" for number in range(settings.trials)]
        self.seeds = {name: seed_of(settings.task, settings.run, name) for name in names}
        if settings.model["name"] in HEADS:
            self.together = 1
        else:
            self.together = settings.replicates or (len(names) if fabric.device.type == "cuda" else 1)
        # The bytes of a state are those of a device and of a number of threads.
        self.state_key = f"{key} {fabric.device} {settings.threads}"

    def train(self) -> None:
        """Train the trials that have not ended, in groups, and first the one whose state is there."""
        self._check_ended()
        report = _Report(self.settings, self.folder)
        while group := self._next_group():
            resume = engine.Resume(
                self.folder / f"{group[0]}.state", self.state_key, 60 * self.settings.save_minutes, self.stop
            )
            try:
                engine.fit(
                    dict(self.settings.model), self.info, self.rows_train, self.rows_valid,
                    {**self.settings.training, "weights": self.settings.weights},
                    {name: self.seeds[name] for name in group}, self.folder, self.fabric, resume, report,
                )  # fmt: skip
            except ValueError as error:
                raise CisflowError(f"{self.settings.task} {self.settings.run}: {error}.") from error
            for name in group:
                if problem := checkpoint.damage(self.folder / name):
                    raise CisflowError(f"{self.folder / name}: {problem}, right after it was written. Check the disk.")

    def ignored(self, folder: str, names: list[str]) -> set[str]:
        """Return what of a folder is not published: states, and trials that the run no longer has."""
        if Path(folder) != self.folder:
            return set()
        others = {name for name in names if name.startswith("trial-") and name not in self.seeds}
        return others | {name for name in names if name.endswith((".state", ".damaged", PARTIAL))} | {CLAIM}

    def _check_ended(self) -> None:
        # What a killed attempt was writing; the folder is this one's alone.
        for unfinished in self.folder.rglob(f".*{PARTIAL}"):
            shutil.rmtree(unfinished)
        for name in self.seeds:
            folder = self.folder / name
            if not (folder / checkpoint.CHECKSUMS).exists():
                continue
            if problem := checkpoint.damage(folder):
                aside = checkpoint.set_aside(folder)
                log.warning("%s: %s. It is kept as %s, and the trial begins again", folder, problem, aside)
            else:
                self._name_weights(folder)
                log.info("%s: done before", name)

    def _name_weights(self, folder: Path) -> None:
        """Let a checkpoint name the weights that the task wants now as its default."""
        description = checkpoint.read_description(folder)
        if description["weights"] != self.settings.weights:
            (folder / checkpoint.CHECKSUMS).unlink()
            checkpoint.write_description(folder, description | {"weights": self.settings.weights})
            checkpoint.write_checksums(folder)

    def _next_group(self) -> list[str]:
        """Return the names of trials that are to be trained together next; none when all have ended."""
        open_trials = [name for name in self.seeds if not (self.folder / name / checkpoint.CHECKSUMS).exists()]
        if not open_trials:
            return []
        states = sorted(self.folder.glob("*.state"))
        for group in (checkpoint.group_of_state(path, self.state_key) for path in states):
            # A state of trials that the run no longer has is left alone.
            if set(group) & set(open_trials) and set(group) <= self.seeds.keys():
                return group
        return open_trials[: self.together]


class _Report:
    """One line an epoch, and the optional loggers."""

    def __init__(self, settings: RunSettings, folder: Path):
        self.name, self.epochs = f"{settings.task} {settings.run}", settings.training["epochs"]
        about = {"model": settings.model, "training": settings.training, "trials": settings.trials}
        self.loggers: list[OnEpoch] = [
            LOGGERS[name](folder, f"{settings.task}_{settings.run}", about) for name in settings.loggers
        ]

    def __call__(self, trial: str, row: Mapping[str, float]) -> None:
        metrics = "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k.startswith(("train_", "valid_")))
        log.info("%s %s: epoch %d/%d  %s  %.1f s", self.name, trial, row["epoch"], self.epochs, metrics, row["seconds"])
        for logger in self.loggers:
            logger(trial, row)
