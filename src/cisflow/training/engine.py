"""The training loop.

R trials of one architecture train as one module with a replicate axis (`cisflow.models.layers`): each has its own
seed, order of data, learning rate, plateau, early stop and best weights, and its result does not depend on the others,
but for the dropout masks, which are drawn for all of them at once. Everything random is a function of (seed, epoch,
step), so that a training that was interrupted and goes on ends with the same bytes as one that was not.
"""

import ctypes
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import Tensor, nn

from cisflow.errors import CisflowError
from cisflow.models.build import build
from cisflow.models.convnet import split_replicates
from cisflow.models.device import choose_device
from cisflow.training import checkpoint, normalisation
from cisflow.training.data import DataInfo, Rows, order
from cisflow.training.gradients import first_kernel_gradient, moments
from cisflow.training.losses import LOSSES
from cisflow.training.metrics import METERS
from cisflow.training.scale import Scale
from cisflow.training.schedule import Schedule

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
# Where to compute; 'any' takes a GPU if one is visible.
DEVICES = ("gpu", "cpu", "any")
log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The training was asked to stop; its state is saved, and the same call goes on from it."""


@dataclass
class Trial:
    """One of the replicates: its name and seed, its decisions, its history, and its best weights."""

    name: str
    seed: int
    schedule: Schedule
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Resume:
    """Where an interrupted training leaves its state, how often, and who asks it to stop.

    Parameters
    ----------
    path
        File of the state.
    key
        Hash of configuration, data and code; a state of another key is not used.
    seconds
        Time between two saves.
    stop
        Called after every step; True asks the training to save and stop.
    """

    path: Path
    key: str
    seconds: float = 300.0
    stop: Callable[[], bool] = lambda: False


def make_fabric(device: str, precision: str) -> Fabric:
    """Return the Fabric for one device.

    Parameters
    ----------
    device
        See `choose_device`.
    precision
        '32-true', 'bf16-mixed', '64-true', or 'auto': bf16-mixed where the device computes it natively.
    """
    accelerator = choose_device(device).type
    if precision == "auto":
        precision = "bf16-mixed" if _computes_bf16(accelerator) else "32-true"
    # Snakemake is what talks to Slurm; Fabric's own detection would take a job's task count for its world size.
    return Fabric(accelerator=accelerator, devices=1, precision=precision, plugins=LightningEnvironment())


def _computes_bf16(accelerator: str) -> bool:
    if accelerator == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported()


def keep_freed_memory() -> None:
    """Ask the C library to keep freed memory, which every training step needs again (18 % faster on two cores)."""
    trim_threshold = -1  # M_TRIM_THRESHOLD of malloc.h
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(trim_threshold, 1 << 30)


def fit(
    spec: dict[str, Any],
    info: DataInfo,
    train: Rows,
    valid: Rows,
    settings: dict[str, Any],
    seeds: dict[str, int],
    folder: Path,
    fabric: Fabric,
    resume: Resume | None = None,
    on_epoch: Callable[[str, dict[str, float]], None] = lambda trial, row: None,
) -> None:
    """Train the trials of one model together, and write the checkpoint of each.

    Parameters
    ----------
    spec
        The model, for `ConvNet` or `Head`; it says which kernels have which penalty l2 * sum(w^2).
    info, train, valid
        The data set's description and its two splits.
    settings
        `loss`, `optimizer` (`name`, `lr`, and the optimiser's own arguments), `batch_size`, `epochs`, `monitor`
        ('loss', 'auroc', 'aupr', 'pearson', 'pearson_mean'), `mode`, `plateau`, `early_stop` (see `Schedule`),
        `weights` ('best' or 'last': which of the two a reader gets by default), and optionally `diverged` ('keep': a
        trial whose loss is not a number any more ends there, with its weights as they are), `gradients` ('first': the
        history has mean and s.d. of the first kernel's gradient; the training itself is not changed), `scale` (how
        labels are learned, see `Scale`; the metrics are those of outputs in the labels' units), `truncate` (True:
        labels are learned without their decimals), `clip_norm` (a trial's gradient is scaled down to this norm), and
        `norm_statistics` ('recomputed' or 'keras', the default; see `cisflow.training.normalisation`).
    seeds
        Seed of each trial, by its name.
    folder
        The checkpoint of trial `name` goes to `folder/name`.
    fabric
        Device and precision.
    resume
        Where to save the state of an unfinished training, and when to stop.
    on_epoch
        Called with the trial's name and its row of the history.

    Raises
    ------
    CisflowError
        The loss is not a number any more, and such a trial is not to be kept.
    Interrupted
        The training was asked to stop.
    """
    Training(spec, info, train, valid, settings, seeds, folder, fabric, resume, on_epoch).run()


class Training:
    """The state of `fit`."""

    def __init__(self, spec, info, train, valid, settings, seeds, folder, fabric, resume, on_epoch):
        self.spec, self.info, self.train, self.valid, self.settings = spec, info, train, valid, settings
        self.folder, self.fabric, self.resume, self.on_epoch = folder, fabric, resume, on_epoch
        self.trials = [Trial(name, seed, Schedule(settings)) for name, seed in seeds.items()]
        self.loss = LOSSES[settings["loss"]]
        self.scale = Scale.of(train, info, settings.get("scale", "none"))
        self._check_labels()
        self.noise_seed, self.group = self.trials[0].seed, list(seeds)
        self.epoch = self.step = 0
        self.loss_sum = torch.zeros(len(self.trials), dtype=torch.float64, device=fabric.device)
        self.saved_at = time.monotonic()
        self._build(len(self.trials))
        self.model.reset([trial.seed for trial in self.trials])

    def _check_labels(self) -> None:
        if self.settings["loss"] != "poisson":
            return
        for split, rows in {"train": self.train, "valid": self.valid}.items():
            for y, mask in rows.labels():
                if ((y < 0) & (mask if mask is not None else True)).any():
                    raise CisflowError(
                        f"training.loss: poisson is of labels that are not negative, and the split '{split}' has "
                        "negative ones; take mean_squared_error."
                    )

    def run(self) -> None:
        """Train every trial to its end."""
        self._restore()
        while self.trials:
            started = time.perf_counter()
            self._train_epoch()
            losses, metrics = self._validate()
            gradients = self._measure_gradients()
            self._end_epoch(losses, metrics, gradients, time.perf_counter() - started)
            self._retire()
        if self.resume:
            self.resume.path.unlink(missing_ok=True)

    def _build(self, replicates: int) -> None:
        model = build({"model": self.spec, **self.info.description()}, replicates).to(self.fabric.device)
        self.model = self.fabric.setup_module(model)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        # The optimiser sees each replicate as a group of its own, with its own learning rate: views of the stacked
        # weights and gradients, which share their memory.
        groups = [{"params": [_view(p, r) for p in model.parameters()]} for r in range(replicates)]
        arguments = dict(self.settings["optimizer"])
        self.optimizer = OPTIMIZERS[arguments.pop("name")](groups, **arguments, fused=True)
        self.gradients = [p.grad for p in model.parameters()]
        self.penalties = model.penalties()

    def _train_epoch(self) -> None:
        self.model.train()
        for group, trial in zip(self.optimizer.param_groups, self.trials, strict=True):
            group["lr"] = trial.schedule.lr
        rows = [torch.from_numpy(order(trial.seed, self.epoch, self.train.count)) for trial in self.trials]
        for batch in self.train.batches(torch.stack(rows), self.settings["batch_size"], first=self.step):
            self.loss_sum += self._step(batch)
            self.step += 1
            self._save_if_due()

    def _step(self, batch) -> Tensor:
        self.model.noise.reset(self.noise_seed, self.epoch * (self.train.count + 1) + self.step)
        outputs = split_replicates(self.model(**batch.inputs()).float(), len(self.trials))
        losses = self.loss(outputs, self._learned(batch.y), batch.mask)
        torch._foreach_zero_(self.gradients)
        self.fabric.backward(losses.sum())
        for l2, kernels in self.penalties.items():
            # The gradient of l2 * sum(w^2), without building the sum in every step.
            torch._foreach_add_([p.grad for p in kernels], kernels, alpha=2 * l2)
        if self.settings.get("clip_norm"):
            for group in self.optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self.settings["clip_norm"])
        self.optimizer.step()
        return losses.detach() * batch.y.shape[1]

    def _learned(self, y: Tensor) -> Tensor:
        """Return labels as the model learns them."""
        y = y.trunc() if self.settings.get("truncate") else y
        return y if self.scale is None else self.scale.learned(y)

    @torch.inference_mode()
    def _validate(self) -> tuple[Tensor, list[dict[str, float]]]:
        """Return the validation loss (R,), and the metrics of each trial; the model is left in evaluation mode."""
        self.model.eval()
        if self.settings.get("norm_statistics") == "recomputed":
            normalisation.recompute(self.model, self.train, self.settings["batch_size"])
        size = self.valid.evaluation_batch
        if getattr(self.model.module, "needs_batch_mates", False):
            size = self.settings["batch_size"]
        meter, total, measured = METERS[self.info.kind](), torch.zeros_like(self.loss_sum), 0
        for batch in self.valid.batches(torch.arange(self.valid.count), size):
            outputs = split_replicates(self.model(**batch.inputs()).float(), len(self.trials))
            y, mask = self._learned(batch.y).expand_as(outputs), batch.mask
            count = batch.y.numel() if mask is None else mask.sum()
            total += count * self.loss(outputs, y, mask if mask is None else mask.expand_as(outputs))
            measured += count
            meter.add(outputs if self.scale is None else self.scale.in_units(outputs), batch.y, mask)
        return (total / max(int(measured), 1)).float(), meter.metrics()

    def _measure_gradients(self) -> list[dict[str, float]]:
        """Return what the history has of each trial's gradients; `_validate` left the model in evaluation mode."""
        if self.settings.get("gradients") is None:
            return [{} for _ in self.trials]
        # As many rows at a time as a step has, so that it needs no more memory than one.
        return moments(first_kernel_gradient(self.model.module, self.train, self.loss, self.settings["batch_size"]))

    def _end_epoch(
        self, losses: Tensor, metrics: list[dict[str, float]], gradients: list[dict[str, float]], seconds: float
    ) -> None:
        penalty = sum(
            l2 * sum(p.detach().square().flatten(1).sum(1) for p in kernels) for l2, kernels in self.penalties.items()
        )
        train = self.loss_sum / self.train.count + penalty
        self.epoch, self.step = self.epoch + 1, 0
        for index, trial in enumerate(self.trials):
            row = {"epoch": self.epoch, "lr": trial.schedule.lr, "train_loss": train[index].item()}
            found = {"loss": (losses + penalty)[index].item(), **metrics[index]}
            row |= {f"valid_{name}": value for name, value in found.items()} | {"seconds": seconds} | gradients[index]
            trial.history.append(row)
            self.on_epoch(trial.name, row)
            if trial.schedule.end_epoch(self.epoch, found[self.settings["monitor"]]):
                trial.best = checkpoint.replicate_state(self.model.module, index)
            if not torch.isfinite(train[index]):
                self._end_diverged(trial, row["train_loss"])
        self.loss_sum.zero_()

    def _end_diverged(self, trial: Trial, loss: float) -> None:
        found = f"{trial.name}: the training loss is {loss} after epoch {self.epoch}."
        if self.settings.get("diverged", "fail") == "fail":
            raise CisflowError(
                f"{found} Lower training.optimizer.lr, choose a first activation that stays bounded, "
                "or keep such trials as they are with 'training: {diverged: keep}'."
            )
        log.warning("%s It ends here, and its weights are kept as they are.", found)
        trial.schedule.stopped = True

    def _retire(self) -> None:
        """Write the checkpoints of the trials that have ended, and go on with the others alone."""
        going = [index for index, trial in enumerate(self.trials) if not trial.schedule.stopped]
        if len(going) == len(self.trials):
            return
        for index, trial in enumerate(self.trials):
            if trial.schedule.stopped:
                self._write(trial, checkpoint.replicate_state(self.model.module, index))
        model, optimizer = self.model.module, self.optimizer
        self.trials, self.loss_sum = [self.trials[index] for index in going], self.loss_sum[going]
        if not going:
            return
        self._build(len(going))
        self.model.load_state_dict({name: tensor[going] for name, tensor in model.state_dict().items()})
        for new, old in zip(self.optimizer.param_groups, [optimizer.param_groups[i] for i in going], strict=True):
            for parameter, before in zip(new["params"], old["params"], strict=True):
                self.optimizer.state[parameter] = optimizer.state[before]

    def _write(self, trial: Trial, last: dict[str, Tensor]) -> None:
        folder = self.folder / trial.name
        description = {
            "model": self.spec,
            **self.info.description(),
            **({} if self.scale is None else {"scale": self.scale.description()}),
            "weights": self.settings["weights"],
            "seed": trial.seed,
            "epochs": len(trial.history),
            "best_epoch": trial.schedule.best_epoch,
            "monitor": f"valid_{self.settings['monitor']}",
            "precision": str(self.fabric.strategy.precision.precision),
            "device": str(self.fabric.device),
        }
        self._warn_of_initial_statistics(trial)
        # A trial that diverged at once has no best epoch.
        checkpoint.write_weights(folder / "best.safetensors", trial.best or last, description)
        checkpoint.write_weights(folder / "last.safetensors", last, description)
        checkpoint.write_history(folder, trial.history)
        checkpoint.write_description(folder, description)
        checkpoint.write_checksums(folder)

    def _warn_of_initial_statistics(self, trial: Trial) -> None:
        if self.settings.get("norm_statistics", "keras") != "keras":
            return
        steps = self.epoch * self.train.batch_count(self.settings["batch_size"])
        share = normalisation.share_of_initial_statistics(self.model.module, steps)
        if share > normalisation.NEGLIGIBLE:
            log.warning(
                "%s: after %d steps the running statistics of batch normalisation are still the initial ones to "
                "%.0f %%, so that predictions are not those of the trained network. Train for more steps, or set "
                "'training: {norm_statistics: recomputed}'.",
                trial.name, steps, 100 * share,
            )  # fmt: skip

    def _save_if_due(self) -> None:
        if self.resume is None:
            return
        stop = self.resume.stop()
        if stop or time.monotonic() - self.saved_at >= self.resume.seconds:
            self._save()
        if stop:
            raise Interrupted(f"stopped in epoch {self.epoch + 1}; run again to go on from there")

    def _save(self) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        for trial in self.trials:
            tensors |= {f"best.{trial.name}.{name}": tensor for name, tensor in trial.best.items()}
        tensors["loss_sum"] = self.loss_sum
        trials = {trial.name: {"schedule": trial.schedule.state(), "history": trial.history} for trial in self.trials}
        values = {"epoch": self.epoch, "step": self.step, "group": self.group, "trials": trials}
        checkpoint.save_state(self.resume.path, self.resume.key, tensors, values)
        self.saved_at = time.monotonic()

    def _restore(self) -> None:
        found = checkpoint.load_state(self.resume.path, self.resume.key) if self.resume else None
        if found is None:
            return
        tensors, values = found
        self.trials = [trial for trial in self.trials if trial.name in values["trials"]]
        self._build(len(self.trials))
        self.epoch, self.step = values["epoch"], values["step"]
        log.info("%s: going on in epoch %d, step %d", ", ".join(values["trials"]), self.epoch + 1, self.step + 1)
        self.loss_sum = tensors.pop("loss_sum").to(self.fabric.device)
        self.model.load_state_dict(_part(tensors, "model."))
        state = self.optimizer.state_dict()
        for name, tensor in _part(tensors, "optimizer.").items():
            number, key = name.split(".")
            state["state"].setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict(state)
        for trial in self.trials:
            trial.schedule.restore(values["trials"][trial.name]["schedule"])
            trial.history = values["trials"][trial.name]["history"]
            trial.best = _part(tensors, f"best.{trial.name}.")


def _view(parameter: nn.Parameter, replicate: int) -> nn.Parameter:
    view = nn.Parameter(parameter.detach()[replicate])
    view.grad = parameter.grad[replicate]
    return view


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
