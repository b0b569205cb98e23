"""Weights of Basenji2: files of Keras and PyTorch give TensorFlow's numbers; damaged and other files are told."""

import json
import logging
import pickle
import zipfile

import h5py
import numpy as np
import pytest
import torch
from tests.basenji import SMALL, TARGETS, random_basenji, random_sequences

from cisflow.datasets.fasta import read_fasta
from cisflow.embeddings.keras import write_keras
from cisflow.embeddings.weights import STATE, STATE_HEAD, STATE_NORM, load_basenji, read_params, tensors_of_norm
from cisflow.errors import CisflowError
from cisflow.models.basenji import CROSS2020, GELUS, Basenji
from cisflow.models.folded import inference
from cisflow.sequence import one_hot

PARAMS = {"model": SMALL | {"head_human": {"name": "final", "units": TARGETS, "activation": "softplus"}}}
ROWS = [0, 447, 895]


def golden(folder, file: str) -> tuple[Basenji, torch.Tensor]:
    """Return a model of the golden folder and its sequence."""
    _, x = read_fasta(folder / "gata4.fa")
    model = load_basenji(folder / file, read_params(folder / "params_small.json"))
    return model, torch.from_numpy(one_hot(x)).transpose(1, 2)


STYLES = [("model_small.h5", "tanh"), ("model_small_2020style.h5", "quick")]


# TensorFlow's numbers, to be met within 1e-3; reached: 2.5e-5 and 2.6e-5 plain, 3.1e-5 and 2.6e-5 folded. bfloat16
# differs by 0.29, with a root mean square of 0.033 and 0.028, of embeddings with a standard deviation of 0.49 and 0.47.
@pytest.mark.real_data
@pytest.mark.parametrize(("file", "gelu"), STYLES)
def test_embeddings_are_those_of_tensorflow(real_data, file, gelu):
    folder = real_data / "basenji2"
    model, x = golden(folder, file)
    assert model.gelu == gelu
    wanted = np.load(folder / f"embedding_{gelu}.npy")
    with torch.no_grad():
        np.testing.assert_allclose(model.embed(x)[0].numpy(), wanted, atol=1e-3, rtol=0)
    np.testing.assert_allclose(inference(model).embed(x)[0].numpy(), wanted, atol=1e-3, rtol=0)
    rough = inference(model, "bf16-mixed").embed(x)[0].float().numpy() - wanted
    assert np.sqrt(np.mean(rough**2)) < 0.1 * wanted.std()


@pytest.mark.real_data
def test_predictions_are_those_of_tensorflow(real_data):
    folder = real_data / "basenji2"
    model, x = golden(folder, "model_small.h5")
    wanted = np.load(folder / "prediction_tanh_rows0_447_895_f32.npy")
    # 5.8e-6 is reached, and 7.7e-6 folded.
    with torch.no_grad():
        np.testing.assert_allclose(model(x)[0, ROWS].numpy(), wanted, atol=1e-3, rtol=0)
    np.testing.assert_allclose(inference(model)(x)[0, ROWS].numpy(), wanted, atol=1e-3, rtol=0)


@pytest.mark.real_data
def test_another_gelu_gives_other_numbers(real_data):
    """The golden numbers tell the GELUs apart, so that the tests above can fail."""
    folder = real_data / "basenji2"
    _, x = golden(folder, "model_small.h5")
    model = load_basenji(folder / "model_small.h5", read_params(folder / "params_small.json"), "erf")
    with torch.no_grad():
        difference = np.abs(model.embed(x)[0].numpy() - np.load(folder / "embedding_tanh.npy")).max()
    assert difference > 5e-3


@pytest.mark.real_data
def test_the_published_settings_file_is_that_of_the_module(real_data):
    found = read_params(real_data / "basenji2/params_human.json")["model"]
    assert {key: found[key] for key in CROSS2020} == CROSS2020
    with torch.device("meta"):
        assert Basenji(found, found["head_human"]["units"]).head.out_features == 5313


@pytest.mark.parametrize("gelu", GELUS)
def test_a_model_comes_back_from_keras_file(tmp_path, gelu, caplog):
    model, x = random_basenji(gelu), random_sequences(1)
    write_keras(tmp_path / "model.h5", model)
    with caplog.at_level(logging.INFO):
        found = load_basenji(tmp_path / "model.h5", PARAMS)
    assert f"GELU '{gelu}', as the file says" in caplog.text
    assert not found.training
    with torch.no_grad():
        assert torch.equal(found(x), model(x))


def test_another_gelu_than_the_files_is_taken_and_said(tmp_path, caplog):
    write_keras(tmp_path / "model.h5", random_basenji("quick"))
    with caplog.at_level(logging.WARNING):
        assert load_basenji(tmp_path / "model.h5", PARAMS, "tanh").gelu == "tanh"
    assert "GELU 'tanh', as asked for; the file says 'quick'" in caplog.text


def test_layers_count_by_order_and_not_by_name(tmp_path):
    """Names have other numbers where several models were built in one session."""
    model, path = random_basenji(), tmp_path / "model.h5"
    write_keras(path, model)
    with h5py.File(path, "r+") as h5:
        group = h5["model_weights"]
        names = {name: name.replace("conv1d", "conv1d_210") for name in group.attrs["layer_names"]}
        for old, new in names.items():
            if old != new:
                group.move(old, new)
        group.attrs["layer_names"] = list(names.values())
    x = random_sequences(1)
    with torch.no_grad():
        assert torch.equal(load_basenji(path, PARAMS)(x), model(x))


def test_a_trunk_alone_is_enough_for_embeddings(tmp_path):
    model, path = random_basenji(targets=None), tmp_path / "trunk.h5"
    write_keras(path, model)
    x = random_sequences(1)
    with torch.no_grad():
        assert torch.equal(load_basenji(path, PARAMS, head=False).embed(x), model.embed(x))
    with pytest.raises(CisflowError, match=r"trunk.h5: it has no head: .* Give the whole model, as published"):
        load_basenji(path, PARAMS)


# Of the published depth, so that PyTorch's names fit, and narrow.
DEEP = {
    "seq_length": 16384,
    "trunk": [
        {key: 4 if key in ("filters", "filters_init") else value for key, value in block.items()}
        for block in CROSS2020["trunk"][:3] + CROSS2020["trunk"][4:]
    ],
}


def state_of(model: Basenji) -> dict[str, torch.Tensor]:
    """Return a model's tensors under the names of basenji2-pytorch."""
    state = {}
    for place, block in zip(STATE, model.convolutions(), strict=True):
        state[f"model.{place}.1.weight"] = block.conv.weight.detach()
        for name, tensor in zip(STATE_NORM, tensors_of_norm(block.norm), strict=True):
            state[f"model.{place}.2.{name}"] = tensor.detach()
        state[f"model.{place}.2.num_batches_tracked"] = torch.tensor(1)
    return state | {f"model.{STATE_HEAD}.{name}": getattr(model.head, name).detach() for name in ("weight", "bias")}


@pytest.fixture
def state():
    return state_of(random_basenji("erf", DEEP))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_model_comes_back_from_pytorchs_state(tmp_path, state, wrapped):
    assert len(state) == 182
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "basenji2.pth")
    found = load_basenji(tmp_path / "basenji2.pth", {"model": DEEP}, "erf")
    model, x = random_basenji("erf", DEEP), random_sequences(1, 16384)
    with torch.no_grad():
        assert torch.equal(found(x), model(x))


def test_pytorchs_state_does_not_tell_its_gelu(tmp_path, state):
    torch.save(state, tmp_path / "basenji2.pth")
    with pytest.raises(CisflowError, match=r"does not tell which GELU .* say one of quick, tanh, erf \(gelu\)"):
        load_basenji(tmp_path / "basenji2.pth", {"model": DEEP})


def test_pytorchs_state_must_be_whole(tmp_path, state):
    del state["model.trunk.1.tower.3.block.1.weight"]
    torch.save(state, tmp_path / "basenji2.pth")
    with pytest.raises(CisflowError, match=r"1 of 150 tensors .* the first is 'trunk.1.tower.3.block.1.weight'"):
        load_basenji(tmp_path / "basenji2.pth", {"model": DEEP}, "erf")


class Code:
    """What a pickle can hold, and must not do here."""

    def __reduce__(self):
        return (pytest.fail, ("the file's code was run",))


def test_pickled_code_is_not_run(tmp_path):
    torch.save({"model": Code()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Code()))
    for name in "ab":
        with pytest.raises(CisflowError, match="not a PyTorch state of plain tensors, .* pickled code is not run"):
            load_basenji(tmp_path / f"{name}.pth", {"model": DEEP}, "erf")


def edited(change):
    """Return what changes the description in a file."""

    def edit(path):
        with h5py.File(path, "r+") as h5:
            config = json.loads(h5.attrs["model_config"])
            change(config["config"]["layers"])
            h5.attrs["model_config"] = json.dumps(config)

    return edit


def put(layer: str, name: str, value):
    """Return what puts a value at the start of an array of weights."""

    def edit(path):
        with h5py.File(path, "r+") as h5:
            h5[f"model_weights/{layer}/{layer}/{name}:0"][0] = value

    return edit


def with_attributes(*names: str, **values):
    def edit(path):
        with h5py.File(path, "r+") as h5:
            for name in names:
                del h5.attrs[name]
            h5.attrs.update(values)

    return edit


def a_lambda(layers):
    # As Keras stores it: marshalled bytecode, which is no longer read here.
    layers.insert(1, {"class_name": "Lambda", "name": "lambda", "config": {"name": "lambda", "function": ["4wEAAAA="]}})


def first(layers, kind: str) -> dict:
    return next(layer for layer in layers if layer["class_name"] == kind)


def second_dense(path):
    with h5py.File(path, "r+") as h5:
        group = h5["model_weights"]
        group.copy("dense", "dense_1")
        group.attrs["layer_names"] = [*group.attrs["layer_names"], "dense_1"]


def gone(path):
    with h5py.File(path, "r+") as h5:
        del h5["model_weights/conv1d_2/conv1d_2/kernel:0"]


def truncated(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")


BAD = {
    "missing": (lambda path: path.unlink(), "model.h5: there is no such file"),
    "text": (lambda path: path.write_text("weights"), "model.h5: it is not an HDF5 file"),
    "page": (lambda path: path.write_text("<html>"), "an HTML or XML page, .* Fetch it again"),
    "truncated": (truncated, "model.h5: the HDF5 file is truncated"),
    "archive": (archive, r"a Keras 3 archive and not HDF5; save .*model.save\('model.h5'\)"),
    "weights alone": (with_attributes("model_config"), "not both weights and what they belong to"),
    "no JSON": (with_attributes(model_config="{"), "cannot be read as a model of Keras"),
    "no layers": (with_attributes(model_config="{}"), "cannot be read as a model of Keras"),
    "array gone": (gone, "cannot be read as a model of Keras .*kernel:0"),
    "lambda": (edited(a_lambda), "the layer 'lambda' is a Lambda, which is code inside the file; it is not run"),
    "other layer": (
        edited(lambda layers: first(layers, "Add").update(class_name="MultiHeadAttention")),
        "'add' is of the kind 'MultiHeadAttention', which Basenji2 has not",
    ),
    "two heads": (second_dense, "15 are convolutions, 15 normalisations and 2 dense; Basenji2 has one dense layer"),
    "NaN": (put("conv1d_3", "kernel", np.nan), "convolution 3 has values that are no finite numbers"),
    "infinite": (
        put("batch_normalization_2", "moving_variance", np.inf),
        "moving_variance of normalisation 2 has values that are no finite",
    ),
    "several GELUs": (
        edited(lambda layers: first(layers, "TFOpLambda").update(class_name="GELU")),
        "several GELUs: quick, tanh",
    ),
    "dilation": (
        edited(lambda layers: first(layers[::-1], "Conv1D")["config"].update(dilation_rate=[7])),
        "has a convolution of width 1 and dilation 7 where the settings have .* dilation 1. Name the settings file",
    ),
    "epsilon": (
        edited(lambda layers: first(layers, "BatchNormalization")["config"].update(epsilon=1e-5)),
        "epsilon 1e-05 where the settings have a batch normalisation with epsilon 0.001",
    ),
    "cropping": (
        edited(lambda layers: first(layers, "Cropping1D")["config"].update(cropping=[5, 5])),
        "a cropping of 5 where the settings have a cropping of 4",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_and_other_files_are_told(tmp_path, case):
    path = tmp_path / "model.h5"
    write_keras(path, random_basenji("tanh"))
    edit, message = BAD[case]
    edit(path)
    with pytest.raises(CisflowError, match=message):
        load_basenji(path, PARAMS)


def block(number: int, **values) -> dict:
    """Return settings with other values in a block of the trunk."""
    trunk = [dict(block) for block in SMALL["trunk"]]
    trunk[number].update(values)
    return {"model": PARAMS["model"] | {"trunk": trunk}}


OTHER = {
    "published settings": (None, "it has 15 convolutions and 15 normalisations, and the settings 30 of each"),
    "widths": (
        block(0, filters=13),
        r"convolution 0 has the shape \(12, 4, 15\), and the settings ask for \(13, 4, 15\)",
    ),
    "rate": (block(2, rate_mult=2), "dilation 3 where the settings have a convolution of width 3 and dilation 4"),
    "tracks": ({"model": SMALL | {"head": {"units": 99}}}, "its head has 7 tracks, and the settings 99. Name the"),
    "block": (
        block(0, name="conv_nac"),
        r"the settings of .*model.h5 \(--params\): block 0 of the trunk is 'conv_nac'",
    ),
    "even": (block(0, kernel_size=14), "a kernel of even width 14"),
}


@pytest.mark.parametrize("case", OTHER)
def test_settings_of_another_model_are_told(tmp_path, case):
    write_keras(tmp_path / "model.h5", random_basenji())
    params, message = OTHER[case]
    with pytest.raises(CisflowError, match=message):
        load_basenji(tmp_path / "model.h5", params)


def test_a_head_of_other_tracks_does_no_harm_to_embeddings(tmp_path):
    write_keras(tmp_path / "model.h5", random_basenji())
    model = load_basenji(tmp_path / "model.h5", {"model": SMALL | {"head": {"units": 99}}}, head=False)
    assert model.head is None


def test_a_gelu_without_a_name_here_is_told(tmp_path):
    with pytest.raises(CisflowError, match="gelu: 'swish' is none of auto, quick, tanh, erf"):
        load_basenji(tmp_path / "model.h5", PARAMS, "swish")


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "there is no such file"), ("{", "it is not JSON"), ("[]", "no part 'model'"), ("{}", "no part 'model'")],
)
def test_settings_files_that_are_none(tmp_path, text, message):
    if text is not None:
        (tmp_path / "params.json").write_text(text)
    with pytest.raises(CisflowError, match=f"params.json: .*{message}"):
        read_params(tmp_path / "params.json")
