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
    "heads": (
        "Heads",
        "a: scores of each head by split: Pearson and Spearman correlation of window labels and predictions as "
        "means over the tracks, 1 - MSE / MSE of the baseline, and correlations of all tracks pooled, to which "
        "differences between tracks contribute; the baseline predicts each track's mean over the training split. b:"
        " Pearson correlation by track, a dot a trial. c: differences between two heads, each the mean over its "
        "trials, in the mean over tracks, and the number of tracks that differ (two-sided p-values of the "
        "bootstrap, adjusted by Benjamini and Hochberg's method over the tracks of a pair). Intervals are "
        "percentiles of a bootstrap over windows: blocks of neighbouring windows, of the length that the figure "
        "states, are resampled together, since they overlap and are alike; all heads have the same resamples. They "
        "do not cover what differs from training to training, which the trials show.",
    ),
    "predictions": (
        "Labels against predictions",
        "Windows by label (across) and prediction (upwards) of the first trial, in the unit in brackets, which both"
        " axes of a row share; darker: more windows, on a logarithmic scale of its own in each panel; dashed: "
        "prediction and label are equal. r: Pearson, ρ: Spearman correlation. Windows beyond the axes are counted "
        "in the panel.",
    ),
    "chromosomes": (
        "Along chromosomes",
        "Labels (black, and grey behind the predictions) and predictions of the first trial along the target "
        "regions of windows, in the unit in brackets. Where several windows of a split are over a stretch, as "
        "windows of train are, their mean is drawn. Shaded: the split; white: no window's target region "
        "(unindexed). Parts of the chromosome in each stand above.",
    ),
    "roc": (
        "Domains and differences",
        "ROC curves. Domains: whether a window's target region overlaps a domain, told from the label (black) or "
        "the prediction of the track. Differences: whether the label of one track is above that of another, told "
        "from the difference of the predictions; with z-scores, labels are scaled by the training split's labels, "
        "and predictions by the same trial's predictions there. A line is a trial; areas are means over trials, "
        "with intervals of a bootstrap over blocks of windows. Windows without a label, or on contigs without any "
        "domain, are left out and counted.",
    ),
    "matches": (
        "Motif matches",
        "Fraction of first-layer filters with a Tomtom hit; dashed: the same filters with shuffled positions.",
    ),
    "filters": (
        "Filters",
        "Logos of the first trial (0 to 2 bits), under the filter's number and its best hit; where there is a ground "
        "truth, its factors are in black and other motifs in grey. A dash: no hit, or only hits that shuffled copies "
        "of the filter match as well. Uninformative filters are not compared. The first table counts the filters that "
        "have a hit, and, for what chance gives, the same filters with shuffled positions; the others list the filters "
        "of the first runs.",
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
