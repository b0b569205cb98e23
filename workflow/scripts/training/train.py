"""Train all trials of one run: one model of a task's grid.

An unfinished training keeps its state in --work, a folder that the workflow does not own: after a kill, the same
command goes on from there, and its weights are the same bytes as without the kill.
"""

import hashlib
import json
import logging
import shutil
import signal
import time
from pathlib import Path

import torch

from cisflow.claim import GivenUp, claimed
from cisflow.errors import CisflowError
from cisflow.io import sha256
from cisflow.models.zoo import HEADS
from cisflow.provenance import code_hash, record
from cisflow.script import TRY_AGAIN, json_value, parser, run
from cisflow.seeds import seed_of
from cisflow.training import engine
from cisflow.training.data import load
from cisflow.training.loggers import LOGGERS

log = logging.getLogger("train")


def flags():
    flags = parser(__doc__)
    flags.add_argument("--task", required=True, help="name, for the seeds")
    flags.add_argument("--run", required=True, help="name, for the seeds")
    flags.add_argument("--dataset", required=True, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--model", required=True, type=json_value, help="one point of the task's 'model' grid, as JSON")
    flags.add_argument("--training", required=True, type=json_value, help="the task's 'training', resolved, as JSON")
    flags.add_argument("--trials", required=True, type=int)
    flags.add_argument("--device", required=True, choices=engine.DEVICES)
    flags.add_argument("--precision", required=True, help="32-true, bf16-mixed or auto")
    flags.add_argument("--data", required=True, choices=("memory", "stream"))
    flags.add_argument(
        "--replicates", type=int, nargs="?", help="trials trained together; default: all on a GPU, one on a CPU"
    )
    flags.add_argument("--loggers", nargs="*", default=[], choices=sorted(LOGGERS))
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--work", required=True, type=Path, help="folder of unfinished trainings")
    flags.add_argument("--out", required=True, type=Path, help="folder of the checkpoints")
    return flags.parse_args()


def main() -> None:
    started, args = time.time(), flags()
    torch.set_num_threads(args.threads)
    engine.keep_freed_memory()
    fabric = engine.make_fabric(args.device, args.precision)
    head = HEADS.get(args.model["name"])
    labels = head.labels if head else "window"
    info, (train, valid) = load(args.dataset, ["train", "valid"], fabric.device, args.data == "memory", labels)
    if (head is None) != (info.channels is None):
        raise CisflowError(f"{args.model['name']} takes {'embeddings' if head else 'sequences'}, not {args.dataset}.")
    seeds = {f"trial-{number}": seed_of(args.task, args.run, f"trial-{number}") for number in range(args.trials)}
    settings = {"model": args.model, "training": args.training, "trials": args.trials, "threads": args.threads}
    together = 1 if head else args.replicates or (args.trials if fabric.device.type == "cuda" else 1)
    where = {
        "device": str(fabric.device),
        "precision": str(fabric.strategy.precision.precision),
        "replicates": together,
    }
    key = hashlib.sha256(
        json.dumps([settings, where, sha256(args.dataset), code_hash(__file__)], sort_keys=True).encode()
    ).hexdigest()
    stop = _Stop()
    try:
        # Another job may train the same run: one that was left behind when Snakemake was killed.
        with claimed(args.work, stop) as waited:
            if waited and _made_with(args.out, key):
                log.info("the other job has made %s; nothing is left to do", args.out)
                shutil.rmtree(args.work)
                return
            work = args.work / key[:16]
            loggers = [LOGGERS[name](args.out, f"{args.task}_{args.run}", settings) for name in args.loggers]
            report = _Report(f"{args.task} {args.run}", args.training["epochs"], loggers)
            for names in _groups(list(seeds), together):
                if all((work / name / "model.json").is_file() for name in names):
                    log.info("%s: done before the interruption", ", ".join(names))
                    continue
                resume = engine.Resume(work / f"{names[0]}.state", key, 60 * args.training["save_minutes"], stop)
                trials = {name: seeds[name] for name in names}
                try:
                    engine.fit(args.model, info, train, valid, args.training, trials, work, fabric, resume, report)
                except ValueError as error:
                    raise CisflowError(f"{args.task} {args.run}: {error}.") from error
            for name in seeds:
                shutil.rmtree(args.out / name, ignore_errors=True)
                shutil.move(work / name, args.out / name)
            record(args.out / "provenance.json", [args.dataset], settings, started, key=key, seeds=seeds, **where)
            shutil.rmtree(args.work)
    except (engine.Interrupted, GivenUp) as message:
        log.warning("%s", message)
        raise SystemExit(stop.status) from message


def _made_with(out: Path, key: str) -> bool:
    """Return whether the checkpoints in a folder are all there, and of this configuration, data and code."""
    path = out / "provenance.json"
    return path.is_file() and json.loads(path.read_text()).get("key") == key


def _groups(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


class _Stop:
    """Turns signals into a request to stop after the current step."""

    def __init__(self) -> None:
        self.status = 0
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: object) -> None:
        self.status = 128 + signal.SIGINT if number == signal.SIGINT else TRY_AGAIN

    def __call__(self) -> bool:
        return self.status != 0


class _Report:
    """One line an epoch, and the optional loggers."""

    def __init__(self, what: str, epochs: int, loggers: list) -> None:
        self.what, self.epochs, self.loggers = what, epochs, loggers

    def __call__(self, trial: str, row: dict[str, float]) -> None:
        metrics = "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k.startswith(("train_", "valid_")))
        log.info("%s %s: epoch %d/%d  %s  %.1f s", self.what, trial, row["epoch"], self.epochs, metrics, row["seconds"])
        for logger in self.loggers:
            logger(trial, row)


run(main)
