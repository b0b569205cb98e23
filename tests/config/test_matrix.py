"""Settings of data sets of signal: what they mean, and how mistakes are answered."""

import pytest
from pydantic import ValidationError

from cisflow.config.cs282a import cs282a
from cisflow.config.matrix import Matrix, TfRecord
from cisflow.config.places import places_of
from cisflow.config.yaml import load

TRACK = {"file": "a.bw", "no_data": "zero"}
BED = {"bed": "r.bed", "split": {"column": 3}}
MATRIX = {"kind": "matrix", "genome": "g.fa", "regions": BED, "tracks": {"a": TRACK}}
TFRECORD = {"kind": "tfrecord", "files": ["a.tfr"], "targets": ["a", "b"], "length": 256, "split": (0.8, 0.1, 0.1)}


def contigs(**keys):
    return {"regions": {"contigs": keys.pop("contigs", {}), **keys}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bin": 100}, "bin: 100 bases do not divide the target window, length 131072 less twice the crop 8192"),
        ({"crop": 65536}, "which is 0"),
        ({"compat": "cs282a"}, "compat: 'cs282a' belongs to the preset"),
        ({"preset": "cs282a", "bin": 256}, "bin: the labels of the preset are of 128 or 114688 bases, not of 256"),
        ({"tracks": {"mean": TRACK}}, "'mean' is the name of their average"),
        ({"tracks": {}}, "at least 1 item"),
        ({"regions": BED | {"contigs": {}}}, "regions are given by one of bed and contigs"),
        ({"regions": {"bed": "r.bed"}}, "one of split and contigs.folds says what trains"),
        (contigs(contigs={"folds": {"count": 5}}, split={"fractions": (0.8, 0.1, 0.1)}), "one of split and contigs"),
        (contigs(contigs={"folds": {"count": 5, "test": 5}}), "test and valid are two of the folds 0 to 4"),
        (contigs(split={"column": 3}), "contigs have no columns"),
        (contigs(split={"fractions": (0.8, 0.1, 0.1), "seed": 3}), "the seed of windows over contigs is contigs.seed"),
    ],
)  # fmt: skip
def test_settings_of_matrices_that_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        Matrix(**MATRIX | keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"length": 200}, "length: 200 is no multiple of bin, 128"),
        ({"targets": ["a", "a"]}, "each name must be there once"),
        ({"files": ["a.tfr", "b.tfr", "./a.tfr"]}, "files: './a.tfr' is there twice; a record is in one split"),
        ({"columns": [2]}, "each is there once, and is one of 0 to 1"),
        ({"split": None}, "one of them says what trains"),
        ({"split": (0.8, 0.2, 0.2)}, "they sum to 1.2"),
        ({"split": None, "records": {"train": [0], "valid": [1]}}, "records: there is none for test"),
        ({"split": None, "records": {"train": [0], "valid": [1], "test": [0]}}, "records: a record is there twice"),
    ],
)
def test_settings_of_tfrecords_that_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        TfRecord(**TFRECORD | keys)


def test_a_blacklist_is_that_of_all_tracks_without_one():
    own = {"file": "own.bed"}
    made = Matrix(
        **MATRIX | {"tracks": {"a": TRACK, "b": TRACK | {"blacklist": own}}, "blacklist": {"file": "all.bed"}}
    )
    assert {name: track.blacklist.file.file for name, track in made.tracks.items()} == {"a": "all.bed", "b": "own.bed"}


def test_the_preset_has_the_tracks_of_the_original_in_its_order():
    for bin, windows in ((128, 896), (114_688, 1)):
        made = Matrix(kind="matrix", preset="cs282a", bin=bin)
        assert [len(made.tracks), made.bins, made.regions.bed.file] == [18, windows, "sequences.bed"]
    names = list(made.tracks)
    assert names[:3] == ["LMNB1_CardiacMyocytes", "LMNB1_APS", "LMNB1_BorderEctoderm"]
    assert names[12:] == ["LMNB1_HEK293", "LMNB1_GM12878", "CpG_HEK293", "CpG_valid_HEK293", "CpG_GM12878",
        "CpG_valid_GM12878"]  # fmt: skip


@pytest.mark.parametrize(("bin", "chip", "valid"), [(128, 1, 10), (114_688, 1 / 896, 0.01)])
def test_the_factors_of_the_original(bin, chip, valid):
    tracks = Matrix(kind="matrix", preset="cs282a", compat="cs282a", bin=bin).tracks
    assert [tracks[name].scale for name in ("LMNB1_APS", "LMNB1_HEK293", "CpG_HEK293", "CpG_valid_HEK293")] == [
        chip, 500, 500, valid,
    ]  # fmt: skip
    assert all(track.compat == "cs282a" and len(track.lift) == 2 for name, track in tracks.items() if track.lift)
    assert sum(bool(track.lift) for track in tracks.values()) == 6


def test_keys_of_a_task_are_laid_over_the_preset():
    made = Matrix(kind="matrix", preset="cs282a", shards=4, tracks={"mine": TRACK})
    assert [made.shards, *list(made.tracks)[-1:]] == [4, "mine"]
    assert cs282a()["shards"] != 4


@pytest.mark.parametrize("name", ["lmnb1-shah2023", "cs282a", "chains-chm13", "chains-chm13-ucsc"])
def test_the_files_of_the_preset_are_declared(root, name):
    used = {place.file for place in places_of(Matrix(kind="matrix", preset="cs282a")) if place.source == name}
    assert used
    assert used <= set(load(root / "config/sources.yaml")["sources"][name]["files"])
