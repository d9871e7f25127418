"""Train a classifier of your own on the features of labelled clips.

videmo extract-features --manifest clips.csv --out feats.npz    # columns path,label,subject
python examples/own_labels.py feats.npz
"""

import sys

import numpy as np
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.svm import LinearSVC


def main(path):
    """Print the accuracy of a linear SVM, cross-validated so that no person is on both sides."""
    with np.load(path) as feats:
        ok = feats["status"] == "ok"
        rows, labels, people = (feats[k][ok] for k in ("features", "label", "subject"))
    folds = GroupKFold(min(5, len(np.unique(people))))
    scores = cross_val_score(
        LinearSVC(C=1.1, random_state=0), rows, labels, groups=people, cv=folds
    )
    print(f"{len(rows)} clips with a face, {(~ok).sum()} without an answer")
    print(f"accuracy {scores.mean():.3f} (folds from {scores.min():.3f} to {scores.max():.3f})")


if __name__ == "__main__":
    main(sys.argv[1])
