"""What the standard figures of a task show: title and explanation, in the order of its report page."""

CAPTIONS = {
    "dataset": (
        "Data set",
        "a: rows by split and class. b: their GC content. c: what was left out, by reason, and its part of what came "
        "in. d: the labels of each target, and the fraction of them that is masked, that is, not measured (circles:"
        " train, triangles: valid, squares: test). e: how many "
        "labels of a row are positive, or how the labels are distributed. f: correlation of the targets over all "
        "splits, where both are measured; grey where one does not vary.",
    ),
    "performance": ("Performance", "Test metrics, mean over targets; every dot is a trial, the bar its median."),
    "matches": (
        "Motif matches",
        "Fraction of first-layer filters with a Tomtom hit; dashed: the same filters with shuffled positions.",
    ),
    "filters": (
        "Filters",
        "Logos of the first trial (0 to 2 bits), under the filter's number and its best hit: ground truth in black, "
        "another motif in grey, a dash for none. The first table counts the filters that have a hit, and, for what "
        "chance gives, the same filters with shuffled positions; the others list the filters of the first runs.",
    ),
    "sequences": (
        "Best-scoring sequences",
        "What the first trial of each run reads in the sequences of the highest output, in the mean over the runs: "
        "letters as high as the attribution of the base that is there.",
    ),
    "quality": (
        "Quality of attributions",
        "Medians over sequences, a dot a trial. Convergence error: what the attributions do not add up to, of the "
        "difference of the outputs; beyond the limit (dashed) the job fails. Spread: standard deviation over "
        "references, relative to the mean score. Correlations: with the map of the other strand, and with mutagenesis.",
    ),
    "training": (
        "Training",
        "Losses (with the L2 penalty) and validation metrics pooled over targets; a line a trial.",
    ),
}

# What stands in the place of figures that a task has not.
LEFT_OUT = {
    "quality": "Not computed: ask for attribution/quality.tsv of this task, then for this page again.",
    "filters": "This task reads no filters: its configuration has 'filters: null'.",
    "sequences": "No sequences are explained: the task's configuration has 'best: null' under 'attribution.galleries'.",
}
