"""The data module's cleaning: samples that cannot be right are removed, and it is said which and why.

In the paper (Snake Learning, DOI 10.1109/MCOM.005.2400282) every node cleans and filters its own
samples. Here it is done once, before the samples are spread: whether a sample is broken does not
depend on where it lies, and of duplicates on two nodes one is enough as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from snakegym.scenario import CleaningConfig

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Images = Sequence[npt.NDArray[Any]] | npt.NDArray[Any]


@dataclass(frozen=True)
class CleaningReport:
    """What was removed."""

    samples: int
    """How many there were."""
    removed: Mapping[str, Ints]
    """Reason to the positions of the samples removed for it, each in the first that applies."""

    def __str__(self) -> str:
        counts = [f"{len(found)} {reason}" for reason, found in self.removed.items() if len(found)]
        total = sum(map(len, self.removed.values()))
        return f"removed {total} of {self.samples} samples" + (f": {', '.join(counts)}" if counts else "")


def clean(
    images: Images, labels: Ints, n_classes: int, config: CleaningConfig
) -> tuple[Bools, CleaningReport]:
    """Which samples to keep, bool [n], and why the others go.

    Always removed: samples of another shape than most, and labels outside [0, n_classes). As
    configured: not finite, constant, duplicate (all but the first) and contradictory samples (all
    of those that are equal and labelled differently).

    Args:
        images: [n, *shape], or n arrays of any shapes.
        labels: int [n].
        n_classes: labels known.
        config: `anomalies` is not looked at here (see `anomalies`).
    """
    keep = np.ones(len(labels), dtype=bool)
    removed: dict[str, Ints] = {}

    def remove(reason: str, wrong: Bools) -> None:
        removed[reason] = np.flatnonzero(wrong & keep)
        keep[removed[reason]] = False

    shapes = [image.shape for image in images]
    usual = Counter(shapes).most_common(1)[0][0] if shapes else ()
    remove("of another shape", np.array([shape != usual for shape in shapes], dtype=bool))
    remove("with an unknown label", (labels < 0) | (labels >= n_classes))
    if config.non_finite:
        remove("not finite", np.array([not np.isfinite(image).all() for image in images], dtype=bool))
    if config.constant:
        remove("constant", np.array([image.size > 0 and np.ptp(image) == 0 for image in images], dtype=bool))
    if config.duplicates:
        contradictory, duplicate = _repeated(images, labels, keep)
        remove("contradictory", contradictory)
        remove("duplicate", duplicate)
    return keep, CleaningReport(len(labels), removed)


def anomalies(images: npt.NDArray[Any], share: float, seed: int) -> Bools:
    """The oddest samples, bool [n], by an isolation forest (Liu et al. 2008, DOI 10.1109/ICDM.2008.17).

    Args:
        images: [n, *shape], finite.
        share: of the samples to be called odd, in (0, 0.5].
        seed: of the forest.
    """
    from sklearn.ensemble import IsolationForest  # slow to import, and rarely wanted

    forest = IsolationForest(contamination=share, random_state=seed)
    odd: Bools = forest.fit_predict(images.reshape(len(images), -1)) < 0
    return odd


def _repeated(images: Images, labels: Ints, keep: Bools) -> tuple[Bools, Bools]:
    """Samples equal to one with another label, and samples equal to an earlier one."""
    groups: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(keep).tolist():
        groups.setdefault(images[i].tobytes(), []).append(i)
    contradictory, duplicate = np.zeros_like(keep), np.zeros_like(keep)
    for members in groups.values():
        contradictory[members] = len({int(labels[i]) for i in members}) > 1
        duplicate[members[1:]] = True
    return contradictory, duplicate
