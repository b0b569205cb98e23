"""State dicts of the CS282A project become heads of ours, or are refused with what they hold."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import special

from cisflow.errors import CisflowError
from cisflow.training.checkpoint import load_model, read_description, scale_of
from cisflow.training.pth import load_pth, write_checkpoint

# The two that are in the project's repository: SHA-256, and the shapes of what is inside.
TRAINED = {
    "first_full_run.pth": ("89455657", "ab09", {"conv_layer.weight": (18, 1536, 1), "conv_layer.bias": (18,)}),
    "model_20231128_072156_3.pth": ("26d8443d", "8569", {
        "layers.conv1x1.weight": (500, 1536, 1), "layers.conv1x1.bias": (500,),
        "layers.fc1.weight": (18, 500), "layers.fc1.bias": (18,)}),
}  # fmt: skip


def plain(state, x):
    """Return what a head makes of embeddings (n, bins, channels), by NumPy in float64."""
    state = {name: tensor.double().numpy() for name, tensor in state.items()}
    if "conv_layer.weight" in state:
        return np.log1p(np.exp(x @ state["conv_layer.weight"][:, :, 0].T + state["conv_layer.bias"]))
    inner = x @ state["layers.conv1x1.weight"][:, :, 0].T + state["layers.conv1x1.bias"]
    inner = inner * 0.5 * (1 + special.erf(inner / 2**0.5))
    if state["layers.fc1.weight"].shape[1] == inner.shape[2]:
        inner = inner.max(1)
    else:
        inner = inner.transpose(0, 2, 1).reshape(len(x), -1)
    return inner @ state["layers.fc1.weight"].T + state["layers.fc1.bias"]


def embedding(bins, channels, rows=2):
    # As after the trunk's last GELU: mostly small, none below its minimum.
    return np.maximum(np.random.default_rng(0).normal(0, 0.5, (rows, bins, channels)), -0.17)


@pytest.mark.real_data
@pytest.mark.parametrize("file", TRAINED)
def test_the_trained_heads_predict_what_numpy_computes(real_data, file):
    path = real_data / "cs282a" / file
    if not path.is_file():
        pytest.skip(f"no {path}")
    start, end, shapes = TRAINED[file]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (digest[:8], digest[-4:]) == (start, end)
    state = torch.load(path, map_location="cpu", weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == shapes
    head, x = load_pth(path), embedding(896, 1536)
    expected = plain(state, x)
    with torch.inference_mode():
        found = head(torch.from_numpy(x).float()).numpy()
    assert found.shape == ((2, 896, 18) if head.of_bins else (2, 18))
    # float32 against float64, over sums of 1,536 products.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def state_of(name, bins=7, channels=6, units=5, targets=3):
    rng = torch.Generator().manual_seed(1)
    if name == "linear-probe":
        shapes = {"conv_layer": (targets, channels, 1)}
    else:
        inputs = units if name == "max-pool-perceptron" else units * bins
        shapes = {"layers.conv1x1": (units, channels, 1), "layers.fc1": (targets, inputs)}
    state = {f"{layer}.weight": torch.randn(shape, generator=rng) for layer, shape in shapes.items()}
    return state | {f"{layer}.bias": torch.randn(shape[0], generator=rng) for layer, shape in shapes.items()}


@pytest.mark.parametrize("name", ["linear-probe", "conv-perceptron", "max-pool-perceptron"])
def test_state_dicts_become_checkpoints(tmp_path, name):
    state, x = state_of(name), embedding(7, 6)
    torch.save(state, tmp_path / "head.pth")
    write_checkpoint(tmp_path / "head.pth", tmp_path / "run" / "trial-0", ["a", "b", "c"], bins=7)
    model = load_model(tmp_path / "run" / "trial-0")
    assert model.spec["name"] == name
    with torch.inference_mode():
        np.testing.assert_allclose(model(torch.from_numpy(x).float()), plain(state, x), rtol=1e-4, atol=1e-5)
    description = read_description(tmp_path / "run" / "trial-0")
    assert description["source"]["sha256"] == hashlib.sha256((tmp_path / "head.pth").read_bytes()).hexdigest()
    assert scale_of(tmp_path / "run" / "trial-0") is None


class Harmful:
    """Pickled as a call of a function, which a plain `torch.load` would make."""

    def __reduce__(self):
        return (print, ("executed",))


def renamed(state):
    return {name.replace("conv_layer", "dense"): tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state": Harmful()}, "it holds other objects than tensors, which are not loaded, since that would run code"),
        ([1, 2], r"it holds no state dict \(names and tensors\)"),
        (b"not a file of torch", r"not a file of torch.save \(it begins with b'no'\)"),
        (renamed(state_of("linear-probe")), r"not the tensors of one of linear-probe.*holds dense.weight \(3, 6, 1\)"),
        (state_of("conv-perceptron", bins=9), r"layers.fc1 takes 45 values, and not 5 .* or 35 .*say how many bins"),
        (state_of("linear-probe") | {"conv_layer.weight": torch.ones(3, 6, 5)}, "another width than 1"),
        (state_of("linear-probe") | {"conv_layer.bias": torch.ones(4)}, r"linear.bias is \(4,\), and \(3,\) fits"),
        (state_of("linear-probe") | {"conv_layer.bias": torch.full((3,), torch.nan)}, "values that are no numbers"),
    ],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, capsys, content, message):
    path = tmp_path / "head.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CisflowError, match=message):
        load_pth(path, bins=7)
    assert "executed" not in capsys.readouterr().out


def test_a_file_that_is_cut_off_and_one_that_is_not_there(tmp_path):
    torch.save(state_of("linear-probe"), tmp_path / "head.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "head.pth").read_bytes()[:-200])
    with pytest.raises(CisflowError, match="not a whole file of torch.save"):
        load_pth(tmp_path / "cut.pth")
    with pytest.raises(CisflowError, match="there is no such file"):
        load_pth(tmp_path / "none.pth")


@pytest.mark.parametrize(
    ("targets", "message"),
    [(["a", "b"], "the head has 3 outputs, and 2 names are given"), (["a", "b", "b"], "two targets have one name")],
)
def test_every_output_has_one_name(tmp_path, targets, message):
    torch.save(state_of("linear-probe"), tmp_path / "head.pth")
    with pytest.raises(CisflowError, match=message):
        write_checkpoint(tmp_path / "head.pth", tmp_path / "run", targets, bins=7)
    assert not (tmp_path / "run").exists()
