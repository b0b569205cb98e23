"""Train all trials of one run: one model of a task's grid.

What is trained is kept in --work, a folder that the workflow does not own: after a kill, the same command goes on from
there, and its weights are the same bytes as without the kill.
"""

from pathlib import Path

import torch

from cisflow.provenance import code_hash
from cisflow.script import json_value, parser, run
from cisflow.training import engine
from cisflow.training.loggers import LOGGERS
from cisflow.training.run import RunSettings, train_run


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--task", required=True, help="name, for the seeds")
    flags.add_argument("--run", required=True, help="name, for the seeds")
    flags.add_argument("--dataset", required=True, type=Path, help="HDF5 file (contract dataset/1)")
    flags.add_argument("--model", required=True, type=json_value, help="one point of the task's 'model' grid, as JSON")
    flags.add_argument("--training", required=True, type=json_value, help="what is learned of 'training', as JSON")
    flags.add_argument("--trials", required=True, type=int)
    flags.add_argument("--weights", required=True, choices=("best", "last"), help="default of the checkpoints")
    flags.add_argument("--device", required=True, choices=engine.DEVICES)
    flags.add_argument("--precision", required=True, help="32-true, bf16-mixed or auto")
    flags.add_argument("--data", required=True, choices=("memory", "stream"))
    flags.add_argument(
        "--replicates", type=int, nargs="?", help="trials trained together; default: all on a GPU, one on a CPU"
    )
    flags.add_argument("--save-minutes", type=float, default=5.0, help="time between two savings")
    flags.add_argument("--loggers", nargs="*", default=[], choices=sorted(LOGGERS))
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--work", required=True, type=Path, help="folder of the run's trials and states")
    flags.add_argument("--out", required=True, type=Path, help="folder of the checkpoints")
    args = flags.parse_args()
    torch.set_num_threads(args.threads)
    engine.keep_freed_memory()
    settings = RunSettings(
        task=args.task, run=args.run, dataset=args.dataset, model=args.model, training=args.training,
        trials=args.trials, weights=args.weights, device=args.device, precision=args.precision,
        resident=args.data == "memory", replicates=args.replicates, threads=args.threads,
        save_minutes=args.save_minutes, loggers=args.loggers, code=code_hash(__file__),
    )  # fmt: skip
    train_run(settings, args.work, args.out)


run(main)
