import copy

import numpy as np
import pytest
import torch

from snakegym.data.datasets import load_data
from snakegym.errors import SnakegymError
from snakegym.scenario import DataConfig


@pytest.fixture(scope="module")
def digits():
    return load_data(DataConfig())


def parts(data):
    return data.train, data.validation, data.test


def test_digits_have_the_documented_form(digits):
    assert digits.input_shape == (1, 8, 8)
    assert digits.n_classes == 10
    assert sum(map(len, parts(digits))) == 1797
    for part in parts(digits):
        assert part.inputs.dtype == torch.float32
        assert part.inputs.shape[1:] == digits.input_shape
        assert part.targets.dtype == torch.int64
        assert part.n_classes == 10
        assert torch.isfinite(part.inputs).all()


def test_train_part_is_normalised(digits):
    assert abs(float(digits.train.inputs.mean())) < 1e-5
    assert float(digits.train.inputs.std()) == pytest.approx(1, abs=1e-5)


def test_parts_are_disjoint_and_complete(digits):
    from sklearn.datasets import load_digits

    def multiset(images):
        return sorted(map(bytes, images))

    raw = torch.from_numpy(load_digits().images).float()[:, None]
    taken = torch.cat([part.inputs for part in parts(digits)])
    scale = raw.std() / taken.std()  # normalisation is affine, so it can be undone
    undone = ((taken * scale) - (taken * scale).min()).round()
    assert multiset(undone.byte().numpy()) == multiset(raw.byte().numpy())


def test_parts_are_stratified(digits):
    for part in parts(digits):
        shares = torch.bincount(part.targets, minlength=10) / len(part)
        assert (shares - 0.1).abs().max() < 0.01


def test_fractions_are_of_what_is_left(digits):
    assert len(digits.test) == pytest.approx(0.2 * 1797, abs=10)
    assert len(digits.validation) == pytest.approx(0.2 * 0.8 * 1797, abs=10)


def test_fewer_samples_are_a_stratified_draw_of_those_that_are_not_for_testing(digits):
    few = load_data(DataConfig(samples=500))
    assert torch.equal(few.test.targets, digits.test.targets)
    assert len(few.train) + len(few.validation) == pytest.approx(500, abs=5)
    assert len(few.validation) == pytest.approx(100, abs=5)
    counts = torch.bincount(few.train.targets, minlength=10)
    assert counts.max() - counts.min() <= 4
    everything = load_data(DataConfig(samples=10**6))
    assert len(everything.train) == len(digits.train)


def test_too_few_samples_are_named():
    with pytest.raises(SnakegymError, match=r"field 'data\.samples'"):
        load_data(DataConfig(samples=1))


def test_cached_and_independent_of_partition_fields():
    assert load_data(DataConfig(alpha=0.1)) is load_data(DataConfig(alpha=2.0, partition="iid"))


def test_split_is_stable_and_global_generators_untouched(digits):
    from snakegym.data import datasets

    np_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    again = datasets._load.__wrapped__("digits", None, 0.2, 0.2)
    assert torch.equal(again.test.inputs, digits.test.inputs)
    assert torch.equal(again.validation.targets, digits.validation.targets)
    assert (np.random.get_state()[1] == np_state).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_copies_share_the_samples(digits):
    assert copy.deepcopy(digits) is digits
    assert copy.deepcopy(digits.train) is digits.train


@pytest.mark.parametrize("field", ["validation_fraction", "test_fraction"])
def test_fraction_that_empties_a_part_is_named(field):
    with pytest.raises(SnakegymError, match=field):
        load_data(DataConfig.model_validate({field: 1e-6}))
