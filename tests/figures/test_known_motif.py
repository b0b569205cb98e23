"""The figure that says whether a network finds its factor: from tables made here."""

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from cisflow.figures.known_motif import best_matches, draw
from cisflow.io import write_tsv
from cisflow.pwm import Motif, write_meme
from cisflow.tables import MATCHES, METRICS, TOMTOM

SETTINGS = {"model": "cnn-deep", "activations": ["relu", "exponential"], "motifs": ["MA1.1", "MA2.1"]}
# Trial, set, filter, target, E-value, strand: trial 1 of the exponential matches twice, and relu never but shuffled.
HITS = {
    "relu": [(0, "shuffled", "filter3", "MA1.1", 0.09, "+"), (0, "filters", "filter1", "MA9.1", 1e-9, "+")],
    "exponential": [
        (0, "filters", "filter2", "MA1.1", 1e-3, "-"),
        (1, "filters", "filter5", "MA1.1", 1e-2, "+"),
        (1, "filters", "filter4", "MA2.1", 1e-4, "+"),
    ],
}


@pytest.fixture
def tables(tmp_path):
    random = np.random.default_rng(1)
    metrics = [
        {"task": "t", "run": "baseline_gc_content", "model": "gc_content", "activation": "baseline", "trial": None,
         "set": "test", "target": "mean", "metric": "auroc", "value": 0.52, "n": 9}
    ]  # fmt: skip
    matches, hits = [], []
    for activation, own in HITS.items():
        about = {"task": "t", "run": f"cnn-deep_{activation}", "model": "cnn-deep", "activation": activation}
        for trial in range(3):
            test = {"set": "test", "target": "mean", "metric": "auroc", "value": random.random(), "n": 9}
            metrics.append(about | {"trial": trial} | test)
            for name in ("filters", "shuffled"):
                found = sum(hit[:2] == (trial, name) and hit[3] != "MA9.1" for hit in own)
                row = {"trial": trial, "set": name, "filters": 8, "with_matrix": 8, "match_fraction": found / 8}
                matches.append(about | row | {"match_any": 0.5, "factors_found": int(found > 0)})
            motifs = [Motif(f"filter{n}", "", random.dirichlet(np.full(4, 0.3), 12).T, 9) for n in range(8)]
            write_meme(tmp_path / "meme" / about["run"] / f"trial-{trial}.meme", motifs)
        for trial, name, query, target, e_value, strand in own:
            hit = {"query": query, "target": target, "target_name": "CTCF", "e_value": e_value, "orientation": strand}
            rest = {"p_value": e_value, "q_value": e_value, "offset": 0, "overlap": 9, "engine": "memelite"}
            hits.append(about | {"trial": trial, "set": name} | hit | rest)
    write_tsv(tmp_path / "metrics.tsv", METRICS, metrics)
    write_tsv(tmp_path / "matches.tsv", MATCHES, matches)
    write_tsv(tmp_path / "tomtom.tsv", TOMTOM, hits)
    known = [Motif(f"MA{n}.1", "CTCF", random.dirichlet(np.full(4, 0.3), 10).T, 9) for n in (1, 2, 9)]
    write_meme(tmp_path / "known.meme", known)
    names = {"metrics": "metrics.tsv", "matches": "matches.tsv", "tomtom": "tomtom.tsv", "motifs": "meme"}
    return {name: str(tmp_path / path) for name, path in (names | {"database": "known.meme"}).items()}


def texts(figure):
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def test_the_best_match_of_each_trial_and_of_its_null_is_found(tables):
    hits, matches = (pl.read_csv(tables[name], separator="\t") for name in ("tomtom", "matches"))
    best = best_matches(hits, matches, SETTINGS["motifs"])
    assert len(best) == 12
    found = best.drop_nulls("query").sort("activation", "trial")
    assert found.select("activation", "trial", "set", "query", "e_value").rows() == [
        ("exponential", 0, "filters", "filter2", 1e-3),
        ("exponential", 1, "filters", "filter4", 1e-4),
        ("relu", 0, "shuffled", "filter3", 0.09),
    ]


def test_every_number_is_drawn_and_what_is_not_found_is_said(tables):
    figure, numbers = draw(tables, SETTINGS)
    said = texts(figure)
    # Trials with a match, of the filters and of the shuffled filters.
    assert [text for text in said if " of 3" in text] == ["0 of 3", "1 of 3", "2 of 3", "0 of 3"]
    assert [text for text in said if text.startswith("trial")] == [
        "trial 0: none", "trial 1: none", "trial 2: none", "trial 0: E = 0.001", "trial 1: E = 0.0001", "trial 2: none"
    ]  # fmt: skip
    assert "MA1.1 CTCF, other strand" in said
    assert "GC content" in said
    values = numbers.filter(panel="c").drop_nulls("value").select("activation", "trial", "set", "value").rows()
    assert sorted(values) == [
        ("exponential", 0, "filters", 1e-3), ("exponential", 1, "filters", 1e-4), ("relu", 0, "shuffled", 0.09)
    ]  # fmt: skip
    known = pl.read_csv(tables["metrics"], separator="\t")["value"].to_list()
    assert sorted(numbers.filter(panel="a")["value"].to_list()) == sorted(known)
    mpl.pyplot.close(figure)


def test_an_activation_without_results_is_said(tables):
    figure, _ = draw(tables, SETTINGS | {"activations": ["exponential", "tanh"]})
    assert "tanh is not in these results" in texts(figure)
    mpl.pyplot.close(figure)


def test_a_table_without_any_hit_is_drawn(tables):
    write_tsv(tables["tomtom"], TOMTOM, [])
    figure, numbers = draw(tables, SETTINGS)
    assert texts(figure).count("0 of 3") == 4
    assert numbers.filter(panel="c")["value"].null_count() == 12
    mpl.pyplot.close(figure)
