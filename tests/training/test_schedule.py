"""Plateau and early stop decide as Keras' callbacks do, on hand-worked courses of a metric."""

import json
import math

import pytest

from cisflow.training.schedule import Schedule

SETTINGS = {
    "optimizer": {"lr": 1.0},
    "mode": "max",
    "epochs": 100,
    "plateau": {"factor": 0.5, "patience": 2, "min_lr": 0.2, "min_delta": 0.01},
    "early_stop": {"patience": 3, "min_delta": 0.0},
}


def course(values, **settings):
    """Return the learning rate of each following epoch, and the epoch in which the training stops."""
    schedule, rates = Schedule(SETTINGS | settings), []
    for epoch, value in enumerate(values, start=1):
        schedule.end_epoch(epoch, value)
        rates.append(schedule.lr)
        if schedule.stopped:
            return rates, epoch, schedule.best_epoch
    return rates, None, schedule.best_epoch


def test_the_rate_is_cut_after_two_epochs_without_improvement_and_waits_again():
    rates, stopped, _ = course([0.5, 0.4, 0.4, 0.4, 0.4], early_stop=None)
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25]
    assert stopped is None


def test_the_rate_does_not_fall_below_its_minimum():
    rates, *_ = course([0.5] + [0.4] * 8, early_stop=None)
    assert rates[-1] == 0.2


@pytest.mark.parametrize("lr", [0.1, 0.2])
def test_a_rate_at_or_below_the_minimum_is_not_raised(lr):
    rates, *_ = course([0.5] + [0.4] * 4, early_stop=None, optimizer={"lr": lr})
    assert set(rates) == {lr}


def test_a_rise_of_less_than_min_delta_is_no_improvement_for_the_plateau():
    rates, *_ = course([0.5, 0.505, 0.509], early_stop=None)
    assert rates == [1.0, 1.0, 0.5]


def test_early_stop_counts_any_rise_as_improvement():
    _, stopped, best = course([0.5, 0.501, 0.4, 0.4, 0.4], plateau=None)
    assert (stopped, best) == (5, 2)


def test_the_last_epoch_stops():
    assert course([0.1, 0.2, 0.3], epochs=3)[1] == 3


def test_min_mode_takes_a_fall_for_an_improvement():
    rates, stopped, best = course([0.5, 0.3, 0.4, 0.4], mode="min", early_stop=None)
    assert (rates[-1], stopped, best) == (0.5, None, 2)


def test_an_undefined_metric_is_never_the_best():
    _, stopped, best = course([math.nan, 0.3, math.nan, math.nan, math.nan])
    assert (stopped, best) == (5, 2)


@pytest.mark.parametrize("at", [1, 3, 4])
def test_a_restored_schedule_goes_on_as_if_nothing_had_happened(at):
    values = [0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.5]
    whole, halves = Schedule(SETTINGS), Schedule(SETTINGS)
    for epoch, value in enumerate(values, start=1):
        whole.end_epoch(epoch, value)
        halves.end_epoch(epoch, value)
        if epoch == at:
            state = json.loads(json.dumps(halves.state()))
            halves = Schedule(SETTINGS)
            halves.restore(state)
    assert whole.state() == halves.state()
