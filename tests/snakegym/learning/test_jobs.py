import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.models.state import ModelState
from snakegym.scenario import LearningConfig

DATA = Dataset(torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), 1)


def make(n, batch_size, epochs):
    config = LearningConfig(batch_size=batch_size, epochs=epochs)
    return LocalTraining(ModelState(()), 0, DATA, torch.zeros(n, dtype=torch.int64), config, 0.1, 0)


def sizes(job):
    """Batch sizes of the whole hop, in order."""
    one = [len(b) for b in job.indices.split(job.config.batch_size)]
    return one * job.config.epochs


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3), st.floats(0, 1.2))
def test_counts_follow_from_the_batches(n, batch_size, epochs, share):
    job = make(n, batch_size, epochs)
    samples = share * job.n_samples
    fitting = [sum(sizes(job)[:k]) <= samples for k in range(1, job.n_batches + 1)]
    assert job.n_batches == len(sizes(job))
    assert job.n_samples == sum(sizes(job))
    assert job.batches_within(samples) == sum(fitting)


@pytest.mark.parametrize(
    ("samples", "batches"), [(0, 0), (3.9, 0), (4, 1), (9.9, 2), (10, 3), (14, 4), (20, 6)]
)
def test_a_short_batch_ends_an_epoch(samples, batches):
    assert make(10, 4, 2).batches_within(samples) == batches
