import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.data import datasets, vision
from snakegym.data.datasets import load_data
from snakegym.data.filtering.cleaning import anomalies, clean
from snakegym.errors import SnakegymError
from snakegym.scenario import CleaningConfig, DataConfig


def samples():
    """Eight samples, each wrong (or not) in its own way, and two more that are fine."""
    rng = np.random.default_rng(0)
    images = list(rng.normal(size=(10, 1, 3, 3)))
    images[1][0, 0, 0] = np.nan
    images[2][0, 1, 1] = np.inf
    images[3][:] = 7
    images[5] = images[4].copy()  # same label: a duplicate
    images[7] = images[6].copy()  # another label: a contradiction
    images[8] = np.zeros((1, 3, 4))
    labels = np.array([0, 0, 1, 1, 2, 2, 0, 1, 2, 3])
    return images, labels


def found(config):
    images, labels = samples()
    keep, report = clean(images, labels, 3, config)
    return keep, {reason: indices.tolist() for reason, indices in report.removed.items()}, str(report)


def test_each_wrong_sample_goes_for_its_reason():
    keep, removed, text = found(CleaningConfig())
    assert np.flatnonzero(keep).tolist() == [0, 4]
    assert removed == {
        "of another shape": [8],
        "with an unknown label": [9],
        "not finite": [1, 2],
        "constant": [3],
        "contradictory": [6, 7],
        "duplicate": [5],
    }
    assert text == (
        "removed 8 of 10 samples: 1 of another shape, 1 with an unknown label, 2 not finite, 1 constant, "
        "2 contradictory, 1 duplicate"
    )


@pytest.mark.parametrize(
    ("field", "stay"), [("non_finite", [1, 2]), ("constant", [3]), ("duplicates", [5, 6, 7])]
)
def test_every_rule_can_be_switched_off(field, stay):
    keep, _, _ = found(CleaningConfig.model_validate({field: False}))
    assert np.flatnonzero(keep).tolist() == sorted([0, 4, *stay])


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(0, 99))
def test_what_is_kept_is_clean(values, seed):
    images = np.array([[[v, 1.0]] for v in values])
    labels = np.random.default_rng(seed).integers(0, 2, len(values))
    keep, report = clean(images, labels, 2, CleaningConfig())
    again, nothing = clean(images[keep], labels[keep], 2, CleaningConfig())
    assert again.all()
    assert str(nothing) == f"removed 0 of {keep.sum()} samples"
    assert sum(map(len, report.removed.values())) == (~keep).sum()


def test_digits_hold_what_they_hold():
    plain, cleaned = load_data(DataConfig()), load_data(DataConfig(cleaning=CleaningConfig()))
    assert plain.cleaning is None
    assert str(cleaned.cleaning) == "removed 0 of 1438 samples"
    assert (cleaned.train.inputs == plain.train.inputs).all()


def test_broken_digits_are_mended(monkeypatch):
    images, labels = datasets._digits()
    images, labels = images.copy(), labels.copy()
    rng = np.random.default_rng(0)
    broken = rng.choice(len(labels), 90, replace=False)
    images[broken[:30], 0, 2, 3] = np.nan
    images[broken[30:60]] = images[broken[30:60]].max((1, 2, 3), keepdims=True)
    images[broken[60:]] = rng.choice([-60.0, 60.0], size=(30, 1, 8, 8))
    monkeypatch.setattr(datasets, "_digits", lambda: (images, labels))
    found = datasets._load.__wrapped__("digits", None, 0.2, 0.2, CleaningConfig(anomalies=0.02))
    removed = found.cleaning.removed
    assert 15 <= len(removed["not finite"]) <= 30  # the others are test samples
    assert 15 <= len(removed["constant"]) <= 30
    assert len(removed["anomalous (of the train part)"]) == pytest.approx(0.02 * 1100, abs=3)
    assert float(found.train.inputs.abs().max()) < 3  # the noisy ones are gone
    assert float(found.validation.inputs.abs().max()) > 5  # and stay where nobody trains on them
    assert found.train.inputs.isfinite().all()


def test_anomalies_are_those_far_away():
    images = np.random.default_rng(0).normal(size=(200, 1, 2, 2))
    images[[3, 50]] += 20
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    odd = anomalies(images, 0.01, 0)
    assert np.flatnonzero(odd).tolist() == [3, 50]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_images_of_several_shapes_need_cleaning(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    train = [rng.integers(0, 256, (4, 5, 3), dtype=np.uint8) for _ in range(40)]
    train[7] = train[7][:, :4]
    train[8] = train[8][..., 0]
    part = vision._channels_first(vision._objects(train)), np.arange(40) % 4
    test = rng.integers(0, 256, (8, 3, 4, 5), dtype=np.uint8), np.arange(8) % 4
    monkeypatch.setattr(datasets, "load_vision", lambda name, root: (part, test))
    with pytest.raises(SnakegymError, match=r"found samples of the shapes .*data\.cleaning"):
        datasets._load.__wrapped__("Mixed", "here", 0.2, 0.2)
    found = datasets._load.__wrapped__("Mixed", "here", 0.2, 0.2, CleaningConfig())
    assert found.cleaning.removed["of another shape"].tolist() == [7, 8]
    assert len(found.train) + len(found.validation) == 38
    assert found.input_shape == (3, 4, 5)


def test_nothing_left_is_an_error(monkeypatch):
    images = np.zeros((20, 1, 2, 2), dtype=np.float32)
    monkeypatch.setattr(datasets, "_digits", lambda: (images, np.arange(20) % 2))
    with pytest.raises(SnakegymError, match=r"data\.cleaning': removed 16 of 16 samples: 16 constant"):
        datasets._load.__wrapped__("digits", None, 0.2, 0.2, CleaningConfig())
