"""What one trial decides at the end of an epoch: is it the best, is the learning rate cut, does it stop?"""

import math
from dataclasses import dataclass, field
from typing import Any


def _better(value: float, than: float, mode: str, by: float = 0.0) -> bool:
    return value > than + by if mode == "max" else value < than - by


@dataclass
class Best:
    """The best value of a metric so far and the number of epochs since; NaN is never the best."""

    mode: str
    min_delta: float = 0.0
    value: float = field(default=math.nan)
    since: int = 0

    def update(self, value: float) -> bool:
        """Take the value of an epoch; True if it is better than the best by more than `min_delta`."""
        first = math.isnan(self.value) and not math.isnan(value)
        if first or _better(value, self.value, self.mode, self.min_delta):
            self.value, self.since = value, 0
            return True
        self.since += 1
        return False


class Schedule:
    """The state of one trial: best epoch, learning-rate plateau, early stop; as Keras' callbacks define them.

    Parameters
    ----------
    settings
        `monitor` and `mode`; `plateau` (`factor`, `patience`, `min_lr`, `min_delta`) or None; `early_stop`
        (`patience`, `min_delta`) or None; `optimizer.lr`; `epochs`.
    """

    def __init__(self, settings: dict[str, Any]):
        self.settings, mode = settings, settings["mode"]
        self.lr: float = settings["optimizer"]["lr"]
        plateau, early_stop = settings.get("plateau"), settings.get("early_stop")
        self.best = Best(mode)
        self.plateau = Best(mode, plateau["min_delta"]) if plateau else None
        self.early_stop = Best(mode, early_stop["min_delta"]) if early_stop else None
        self.best_epoch = 0
        self.stopped = False

    def end_epoch(self, epoch: int, value: float) -> bool:
        """Take the monitored metric of epoch `epoch` (from 1); return whether it is the best so far.

        Afterwards `lr` is that of the next epoch, and `stopped` says whether there is one.
        """
        is_best = self.best.update(value)
        if is_best:
            self.best_epoch = epoch
        self._cut_learning_rate(value)
        if self.early_stop:
            self.early_stop.update(value)
            self.stopped = self.early_stop.since >= self.settings["early_stop"]["patience"]
        self.stopped = self.stopped or epoch >= self.settings["epochs"]
        return is_best

    def _cut_learning_rate(self, value: float) -> None:
        if self.plateau is None:
            return
        self.plateau.update(value)
        plateau = self.settings["plateau"]
        if self.plateau.since >= plateau["patience"]:
            # A rate that is below min_lr from the start stays as it is.
            self.lr = min(self.lr, max(self.lr * plateau["factor"], plateau["min_lr"]))
            self.plateau.since = 0

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as plain numbers."""
        watches = {name: getattr(self, name) for name in ("best", "plateau", "early_stop")}
        return {
            "lr": self.lr,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "watches": {name: [watch.value, watch.since] for name, watch in watches.items() if watch},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.lr, self.best_epoch, self.stopped = state["lr"], state["best_epoch"], state["stopped"]
        for name, (value, since) in state["watches"].items():
            watch = getattr(self, name)
            watch.value, watch.since = value, since
