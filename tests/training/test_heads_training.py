"""Heads train by the same engine, on embeddings that stay on disk: they learn, and nothing is lost on the way."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats
from tests.conftest import ROOT
from tests.training.embedded import BINS, CHANNELS, FACTOR, ROWS, TARGETS, arrays, write_embedded
from torch.nn import functional as F  # noqa: N812

from cisflow.config.heads import PRESETS
from cisflow.errors import CisflowError
from cisflow.models.zoo import HEADS
from cisflow.training import data as data_module
from cisflow.training import engine
from cisflow.training.checkpoint import load_model, read_description, scale_of
from cisflow.training.data import load
from cisflow.training.losses import poisson
from cisflow.training.metrics import Correlation, epoch_metrics

KEYS = {"units": 8, "attention_heads": 3}
QUICK = {"optimizer": {"name": "adam", "lr": 1e-2}, "epochs": 15, "plateau": None, "early_stop": None}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The data set: nothing masked."""
    return write_embedded(tmp_path_factory.mktemp("embedded"))


def train(dataset, folder, name="max-pool-perceptron", resident=False, spec=None, **options):
    own = {"batch_size": 4, **PRESETS["corrected"][name], **QUICK, **options.pop("settings", {})}
    settings = own | {"mode": "min" if own["monitor"] == "loss" else "max"}
    spec = {"name": name, **{key: KEYS[key] for key in HEADS[name].keys if key in KEYS}} | (spec or {})
    fabric = engine.make_fabric("cpu", "32-true")
    info, (rows, valid) = load(dataset, ["train", "valid"], "cpu", resident, HEADS[name].labels)
    engine.fit(spec, info, rows, valid, settings, {"trial-0": 1}, folder, fabric, **options)


def weights(folder, which="last"):
    return (folder / "trial-0" / f"{which}.safetensors").read_bytes()


def history(folder):
    lines = (folder / "trial-0" / "history.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("name", HEADS)
def test_each_head_learns_a_known_function(embedded, tmp_path, name):
    """Labels of three targets of very different scales, masked in part, in the units that they have."""
    dataset = write_embedded(tmp_path / "data", masked=0.2, wrong=np.nan)
    train(dataset, tmp_path, name)
    assert max(row["valid_pearson_mean"] for row in history(tmp_path)) > 0.9
    description = read_description(tmp_path / "trial-0")
    assert (description["bins"], description["channels"]) == (BINS, CHANNELS)
    assert description["monitor"] == "valid_pearson_mean"
    model, scale = load_model(tmp_path / "trial-0", "best"), scale_of(tmp_path / "trial-0")
    x, y, of_bins = arrays(ROWS["valid"], 1)
    with torch.inference_mode():
        p = scale.in_units(model(torch.from_numpy(x).float())).numpy()
    labels = of_bins if HEADS[name].labels == "bins" else y
    axes = tuple(range(labels.ndim - 1))
    # Half of each target's variance is explained: offsets and scales of another target would be far beyond it.
    assert (((p - labels) ** 2).mean(axes) < 0.5 * labels.var(axes)).all()


@pytest.mark.parametrize("name", ["linear-probe", "max-pool-perceptron"])
def test_what_was_not_measured_has_no_part_in_anything(tmp_path, name):
    for folder, wrong in (("zero", 0.0), ("no-number", np.nan), ("large", 1e6)):
        train(write_embedded(tmp_path / folder / "data", masked=0.3, wrong=wrong), tmp_path / folder, name,
            settings={"epochs": 3})  # fmt: skip
    for folder in ("no-number", "large"):
        assert weights(tmp_path / folder) == weights(tmp_path / "zero")
        assert history(tmp_path / folder) == history(tmp_path / "zero")


@pytest.mark.parametrize(
    ("how", "offset", "factor"),
    [("mean", np.zeros_like, np.mean), ("sd", np.zeros_like, np.std), ("standard", np.mean, np.std)],
)
@pytest.mark.parametrize("name", ["linear-probe", "max-pool-perceptron"])
def test_the_scale_is_that_of_the_measured_labels_of_train(tmp_path, monkeypatch, name, how, offset, factor):
    monkeypatch.setattr(data_module, "LABEL_ROWS", 5)
    dataset = write_embedded(tmp_path / "data", masked=0.3, wrong=np.nan)
    settings = {"scale": how, "epochs": 1, "loss": "mean_squared_error"}
    train(dataset, tmp_path, name, settings=settings)
    _, (rows,) = load(dataset, ["train"], "cpu", False, HEADS[name].labels)
    blocks = list(rows.labels())
    y, mask = (torch.cat([block[i] for block in blocks]).double().numpy().reshape(-1, 3) for i in (0, 1))
    mask = mask.astype(bool)
    found = read_description(tmp_path / "trial-0")["scale"]
    for target in range(3):
        own = y[mask[:, target], target]
        assert found["factor"][target] == pytest.approx(factor(own), rel=1e-6)
        assert found["offset"][target] == pytest.approx(np.max(offset(own)), rel=1e-6)


def test_without_a_scale_labels_are_learned_as_they_are(embedded, tmp_path):
    train(embedded, tmp_path, settings={"scale": "none", "epochs": 1})
    assert "scale" not in read_description(tmp_path / "trial-0")
    assert scale_of(tmp_path / "trial-0") is None


def test_truncated_labels_are_those_without_decimals(embedded, tmp_path):
    settings = {"scale": "none", "epochs": 2}
    train(embedded, tmp_path / "cut", settings=settings | {"truncate": True})
    train(write_embedded(tmp_path / "data", change=lambda split, y: np.trunc(y)), tmp_path / "whole", settings=settings)
    train(embedded, tmp_path / "plain", settings=settings)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert weights(tmp_path / "cut") != weights(tmp_path / "plain")


@pytest.mark.parametrize("name", ["linear-probe", "self-attention"])
@pytest.mark.parametrize("steps", [1, 16, 21])
def test_an_interrupted_training_ends_with_the_same_bytes(embedded, tmp_path, name, steps):
    """Stopped after any number of steps (16 make an epoch) and started again, with dropout."""
    settings, state = {"settings": {"epochs": 3}}, tmp_path / "state"
    train(embedded, tmp_path / "whole", name, **settings)
    countdown = iter(range(steps))
    stop = engine.Resume(state, "key", stop=lambda: next(countdown, None) is None)
    with pytest.raises(engine.Interrupted):
        train(embedded, tmp_path / "resumed", name, resume=stop, **settings)
    train(embedded, tmp_path / "resumed", name, resume=engine.Resume(state, "key"), **settings)
    for which in ("last", "best"):
        assert weights(tmp_path / "whole", which) == weights(tmp_path / "resumed", which)
    assert history(tmp_path / "whole") == history(tmp_path / "resumed")


@pytest.mark.parametrize("name", ["linear-probe", "max-pool-perceptron"])
def test_where_rows_are_and_how_they_are_read_changes_no_byte(embedded, tmp_path, monkeypatch, name):
    train(embedded, tmp_path / "memory", name, resident=True, settings={"epochs": 2})
    for ahead, readers in ((0, 1), (1, 1), (9, 3)):
        monkeypatch.setattr(data_module.Rows.__init__, "__defaults__", (None, "cpu", True, ahead))
        monkeypatch.setattr(data_module, "READERS", readers)
        folder = tmp_path / f"ahead-{ahead}"
        train(embedded, folder, name, settings={"epochs": 2})
        assert weights(folder) == weights(tmp_path / "memory")
        assert history(folder) == history(tmp_path / "memory")


def test_rows_of_shards_come_in_the_order_asked_for(embedded):
    info, (rows,) = load(embedded, ["valid"], "cpu", False)
    assert (info.length, info.bins, info.channels, info.targets) == (1000, BINS, CHANNELS, list(TARGETS))
    x, y, _ = arrays(ROWS["valid"], 1)
    order = np.random.default_rng(0).permutation(ROWS["valid"])
    batches = list(rows.batches(torch.from_numpy(order), 5))
    assert [len(batch.y) for batch in batches] == [5, 5, 5, 5, 4]
    assert torch.equal(torch.cat([batch.inputs()["x"] for batch in batches]), torch.from_numpy(x[order]).float())
    assert torch.equal(torch.cat([batch.y for batch in batches]), torch.from_numpy(y[order]))


@pytest.mark.parametrize("resident", [True, False])
def test_bfloat16_is_read_from_its_bits(tmp_path, resident):
    dataset = write_embedded(tmp_path, dtype="bfloat16")
    _, (rows,) = load(dataset, ["valid"], "cpu", resident)
    (batch,) = rows.batches(torch.arange(rows.count), 100)
    x = torch.from_numpy(arrays(ROWS["valid"], 1)[0]).float()
    # Cut off after 7 bits of the fraction.
    torch.testing.assert_close(batch.inputs()["x"], x, rtol=2**-7, atol=0)
    assert batch.x["x"].dtype == torch.bfloat16


def test_only_labels_of_windows_are_kept_in_memory(embedded):
    """Of rows on disk, neither embeddings nor labels of bins stay; how many are read together is bounded by bytes."""
    for labels, kept in (("window", {"y"}), ("bins", set())):
        _, (rows,) = load(embedded, ["train"], "cpu", False, labels)
        assert rows._here.keys() == kept
    large = data_module.rows_at_once(np.broadcast_to(np.float16(0), (10**6, 896, 1536)))
    assert large == data_module.EVALUATION_BYTES // (4 * 896 * 1536)


@pytest.mark.parametrize("name", ["linear-probe", "max-pool-perceptron"])
def test_the_validation_does_not_depend_on_the_batches_it_is_computed_in(embedded, tmp_path, monkeypatch, name):
    train(embedded, tmp_path / "one", name, settings={"epochs": 2})
    monkeypatch.setattr(data_module, "EVALUATION_BYTES", 5 * 4 * BINS * CHANNELS)
    train(embedded, tmp_path / "five", name, settings={"epochs": 2})
    assert weights(tmp_path / "one") == weights(tmp_path / "five")
    for one, five in zip(history(tmp_path / "one"), history(tmp_path / "five"), strict=True):
        assert one == pytest.approx(five, rel=1e-5)


def test_a_gradient_is_scaled_down_to_its_norm(embedded, tmp_path):
    """One step of plain gradient descent moves all weights together by the learning rate times the norm."""
    settings = {"optimizer": {"name": "sgd", "lr": 0.5}, "epochs": 1, "batch_size": 64, "scale": "none"}
    train(embedded, tmp_path, settings=settings | {"clip_norm": 0.01})
    end, start = load_model(tmp_path / "trial-0"), load_model(tmp_path / "trial-0")
    start.reset([1])
    moved = [(a - b).square().sum() for a, b in zip(end.parameters(), start.parameters(), strict=True)]
    assert torch.stack(moved).sum().sqrt().item() == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_attention_along_the_batch_is_validated_in_the_batches_of_training(embedded, tmp_path):
    """And its validation depends on them, unlike that of attention along the window."""
    found = {}
    for axis in ("position", "batch"):
        for size in (4, 8):
            folder, still = tmp_path / f"{axis}-{size}", {"name": "sgd", "lr": 1e-12}
            train(embedded, folder, "self-attention", spec={"attention_axis": axis},
                settings={"epochs": 1, "batch_size": size, "optimizer": still})  # fmt: skip
            found[axis, size] = history(folder)[0]["valid_loss"]
    assert found["position", 4] == pytest.approx(found["position", 8], rel=1e-5)
    assert abs(found["batch", 4] - found["batch", 8]) > 1e-4


def test_the_poisson_loss_is_its_formula_and_torch_s():
    rng = torch.Generator().manual_seed(0)
    rates, y = torch.rand((2, 3, 4, 5), generator=rng) + 0.1, torch.rand((2, 3, 4, 5), generator=rng) * 9
    mask = torch.rand((2, 3, 4, 5), generator=rng) > 0.4
    for replicate in range(2):
        r, labels, m = rates[replicate], y[replicate], mask[replicate]
        plain = F.poisson_nll_loss(r, labels, log_input=False)
        assert poisson(rates, y)[replicate].item() == pytest.approx(plain.item(), rel=1e-6)
        own = (r - labels * r.log())[m].mean()
        assert poisson(rates, y, mask)[replicate].item() == pytest.approx(own.item(), rel=1e-5)


@pytest.mark.parametrize("shape", [(50, 3), (50, 7, 3)])
def test_correlations_from_sums_equal_scipy_s(shape):
    """In batches of any size, masked, with means far from 0: of each target, and of all of them together."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=shape) + np.array([1e4, 0, 3])
    p = np.stack([y + rng.normal(size=shape), rng.normal(size=shape) - 50])
    mask = rng.random(shape) < 0.6
    meter = Correlation()
    for rows in np.array_split(np.arange(50), 6):
        meter.add(*(torch.from_numpy(values) for values in (p[:, rows], y[rows], mask[rows])))
    for replicate, found in enumerate(meter.metrics()):
        own = [stats.pearsonr(y[..., t][mask[..., t]], p[replicate][..., t][mask[..., t]]).statistic for t in range(3)]
        assert found["pearson_mean"] == pytest.approx(np.mean(own), abs=1e-12)
        assert found["pearson"] == pytest.approx(stats.pearsonr(y[mask], p[replicate][mask]).statistic, abs=1e-12)


def test_a_target_without_a_correlation_is_left_out_and_constant_outputs_have_none():
    y = torch.tensor([[1.0, 5.0, 2.0], [2.0, 5.0, 1.0], [3.0, 5.0, 4.0]])
    p = torch.tensor([[1.0, 1.0, 0.3], [2.0, 2.0, 0.3], [3.0, 7.0, 0.3]])
    assert epoch_metrics("real", p, y)["pearson_mean"] == pytest.approx(0.5)
    p[0, 0] = torch.nan
    assert np.isnan(epoch_metrics("real", p, y)["pearson_mean"])


def broken(tmp_path, how):
    """Return a data set with something wrong, and the labels that are asked of it."""
    if how == "shard missing":
        dataset = write_embedded(tmp_path)
        (tmp_path / "1.h5").unlink()
    elif how == "shard truncated":
        dataset = write_embedded(tmp_path)
        whole = (tmp_path / "1.h5").read_bytes()
        (tmp_path / "1.h5").write_bytes(whole[: len(whole) // 2])
    elif how == "labels of bins missing":
        dataset = write_embedded(tmp_path)
        (tmp_path / "labels.h5").unlink()
    elif how == "no labels of bins":
        return write_embedded(tmp_path, bins=False), "bins"
    elif how == "nothing measured":
        return write_embedded(tmp_path, masked=1.1), "window"
    elif how == "labels are no numbers":
        return write_embedded(tmp_path, change=lambda split, y: np.where(y > y.mean(), np.nan, y)), "window"
    return dataset, "bins"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("shard missing", r"/x' is made of files of which one is missing: .*1\.h5\. Make it again"),
        ("shard truncated", r"1\.h5: the HDF5 file is truncated"),
        ("labels of bins missing", r"bins/y' is made of files of which one is missing: .*labels\.h5"),
        ("no labels of bins", "'train' has no labels for bins, which linear-probe learns.*dataset: {bins"),
        ("nothing measured", "no label of the split 'train' was measured"),
        ("labels are no numbers", "'train' has labels that are no numbers, and no mask says so"),
    ],
)
def test_broken_embeddings_are_refused_and_never_read_as_zeros(tmp_path, how, message):
    dataset, labels = broken(tmp_path, how)
    with pytest.raises(CisflowError, match=message):
        load(dataset, ["train"], "cpu", False, labels)


def test_pooled_embeddings_have_no_labels_of_bins(tmp_path, monkeypatch):
    import h5py

    dataset = write_embedded(tmp_path)
    with h5py.File(dataset, "a") as h5:
        pooled = h5["train/x"][:].mean(1, keepdims=True)
        del h5["train/x"]
        h5["train/x"] = pooled
    with pytest.raises(CisflowError, match="the embeddings have 1 bins, and there are labels for 8.*keep: all"):
        load(dataset, ["train"], "cpu", False, "bins")


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda split, y: y - 1000, {"loss": "poisson", "scale": "none"}, "poisson is of labels that are not negative"),
        (lambda split, y: np.where(np.arange(3) == 1, 7, y), {}, "the target b has no measured label .* 1 of 3"),
        (lambda split, y: y - 1000, {"scale": "mean"}, "their mean is not above 0.*scale: none"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(tmp_path, change, settings, message):
    dataset = write_embedded(tmp_path, change=lambda split, y: change(split, y).astype(np.float32))
    with pytest.raises(CisflowError, match=message):
        train(dataset, tmp_path / "run", settings=settings)


def test_heads_of_other_sizes_do_not_mix(embedded, tmp_path):
    train(embedded, tmp_path, settings={"epochs": 1})
    path = tmp_path / "trial-0" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": 5}))
    with pytest.raises(CisflowError, match=r"not the weights of the max-pool-perceptron.*\n.*expected \(8, 5\), found"):
        load_model(tmp_path / "trial-0")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": 6, "bins": 9}))
    with pytest.raises(CisflowError, match="the weights are of another model .*max-pool-perceptron"):
        load_model(tmp_path / "trial-0")


def test_scales_of_targets_are_far_apart():
    """What the tests above rest on: with one loss for all, only the largest would be learned."""
    assert FACTOR.max() / FACTOR.min() == 20_000


def script(*arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done


def test_the_programs_train_evaluate_and_import_heads(embedded, tmp_path):
    """As the rules 'train' and 'evaluate' run them; and a state dict beside what was trained."""
    settings = PRESETS["corrected"]["linear-probe"] | QUICK | {"epochs": 2, "mode": "max"}
    script(
        "workflow/scripts/training/train.py", "--task", "t", "--run", "linear-probe", "--dataset", embedded,
        "--model", '{"name": "linear-probe"}', "--training", json.dumps(settings), "--trials", "2", "--weights", "best",
        "--device", "cpu", "--precision", "32-true", "--data", "stream", "--work", tmp_path / "work",
        "--out", tmp_path / "linear-probe",
    )  # fmt: skip
    script(
        "workflow/scripts/evaluation/evaluate.py", "--task", "t", "--dataset", embedded, "--runs",
        tmp_path / "linear-probe", "--splits", "valid", "test", "--device", "cpu", "--predictions", tmp_path / "p",
        "--metrics", tmp_path / "m.tsv", "--history", tmp_path / "h.tsv", "--provenance", tmp_path / "p.json",
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "p").iterdir()} == {"linear-probe.parquet", "linear-probe.bins.h5"}
    metrics = (tmp_path / "m.tsv").read_text()
    assert "t\tlinear-probe\tlinear-probe\thead\t1\ttest\tmean\tpearson_bins\t" in metrics
    assert "valid_pearson_mean" in (tmp_path / "h.tsv").read_text().splitlines()[0]
    torch.save({"conv_layer.weight": torch.ones(3, CHANNELS, 1), "conv_layer.bias": torch.ones(3)}, tmp_path / "h.pth")
    script(
        "workflow/scripts/training/import_head.py", "--weights", tmp_path / "h.pth", "--targets", *TARGETS,
        "--bins", BINS, "--out", tmp_path / "imported" / "trial-0",
    )  # fmt: skip
    assert load_model(tmp_path / "imported" / "trial-0").spec == {"name": "linear-probe"}
