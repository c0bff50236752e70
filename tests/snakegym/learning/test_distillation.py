from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import CLASSIFICATION
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.zoo import build_model
from snakegym.scenario import AugmentationConfig, DistillationConfig, LearningConfig, ModelConfig

LABELS = torch.zeros(5, dtype=torch.int64)


def toy_job(model, **learning):
    g = torch.Generator().manual_seed(0)
    data = Dataset(torch.randn(40, 1, 6, 6, generator=g), torch.randint(4, (40,), generator=g), 4)
    config = LearningConfig(batch_size=8, epochs=2, clip_norm=1e9, **learning)
    indices = torch.arange(39, 0, -2)
    return LocalTraining(model.initial_state(0), 1, data, indices, config, 0.01, 5, distil=True)


@pytest.fixture
def model():
    return build_model(ModelConfig(options={"width": 8, "middle": 3}), (1, 6, 6), 4)


def flat(state):
    return [t for layer in state.layers for t in layer.values()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def logits(seed):
    return 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000), st.floats(0.5, 20))
def test_gradient_is_that_of_hinton(seed, temperature):
    """Equation 2 of arXiv:1503.02531, times T² for the scaling and over n for the mean."""
    student, teacher = logits(seed).requires_grad_(True), logits(seed + 1)
    soft = torch.softmax(teacher / temperature, 1)
    CLASSIFICATION.distillation_loss(student, LABELS, soft, temperature).backward()
    expected = temperature * (torch.softmax(student.detach() / temperature, 1) - soft) / 5
    torch.testing.assert_close(student.grad, expected, rtol=1e-4, atol=1e-5)


def test_loss_is_the_cross_entropy_written_out():
    student, soft = logits(0), torch.softmax(logits(1) / 3, 1)
    by_hand = -(soft * torch.log(torch.softmax(student / 3, 1))).sum(1).mean() * 9
    assert float(CLASSIFICATION.distillation_loss(student, LABELS, soft, 3.0)) == pytest.approx(
        float(by_hand), rel=1e-5
    )


def test_one_step_by_hand(model):
    """Plain SGD on one batch: the change is the gradient of both losses, the teacher being constant."""
    job = toy_job(model, optimizer="sgd", distillation=DistillationConfig(temperature=3.0, weight=0.7))
    job = replace(job, indices=job.indices[:8], max_batches=1)
    (result,) = SequentialEngine(model).train([job])
    model.load(job.state)
    x, y = job.data.inputs[job.indices], job.data.targets[job.indices]
    soft = torch.softmax(model(x) / 3, 1).detach()
    parameters = [p.requires_grad_(True) for i in (0, 2, 4) for p in model.parameters_of(i).values()]
    out = model(x)
    loss = torch.nn.functional.cross_entropy(out, y)
    loss = loss - 0.7 * 9 * (soft * torch.log_softmax(out / 3, 1)).sum(1).mean()
    for p, g in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        p.data = p.data - 0.01 * g
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)
    for found, expected in zip(flat(result.state), flat(model.state()), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_teacher_is_unchanged_and_gone(model):
    job = toy_job(model, distillation=DistillationConfig(weight=2.0))
    before = [t.clone() for t in flat(job.state)]
    (result,) = SequentialEngine(model).train([job])
    assert all(torch.equal(a, b) for a, b in zip(flat(job.state), before, strict=True))
    assert not same(result.state, job.state)
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("augmentation", [None, AugmentationConfig(crop=1)])
def test_weight_0_and_not_switched_on_equal_off_bit_for_bit(model, augmentation):
    engine = SequentialEngine(model)
    jobs = [
        toy_job(model, augmentation=augmentation),
        toy_job(model, augmentation=augmentation, distillation=DistillationConfig(weight=0)),
        replace(toy_job(model, augmentation=augmentation, distillation=DistillationConfig()), distil=False),
    ]
    off, *others = engine.train(jobs)
    for job, other in zip(jobs[1:], others, strict=True):
        assert not job.distils
        assert same(off.state, other.state)
        assert off.loss == other.loss
    (on,) = engine.train([replace(jobs[2], distil=True)])
    assert not same(on.state, off.state)


def test_heavy_teacher_holds_the_student_back(model):
    def moved(weight):
        job = toy_job(model, distillation=DistillationConfig(weight=weight, temperature=1.0))
        (result,) = SequentialEngine(model).train([replace(job, config=job.config)])
        model.load(job.state)
        before = torch.softmax(model(job.data.inputs[job.indices]), 1)
        model.load(result.state)
        return float((torch.softmax(model(job.data.inputs[job.indices]), 1) - before).abs().mean())

    assert moved(20.0) < moved(1.0) < moved(0.0)


@pytest.mark.parametrize("augmentation", [None, AugmentationConfig(crop=1)])
def test_teacher_sees_each_sample_once_or_each_view(model, augmentation):
    job = toy_job(model, distillation=DistillationConfig(), augmentation=augmentation)
    modes = []
    model.layers[0].register_forward_pre_hook(lambda m, x: modes.extend([m.training] * len(x[0])))
    SequentialEngine(model).train([job])
    teacher = [mode for mode in modes if not mode]
    assert modes[: len(teacher)] == teacher  # all of it before the first batch
    assert len(teacher) == job.config.teacher_passes * len(job.indices)
    assert len(modes) == len(teacher) + job.n_samples


def test_plain_jobs_are_told_apart(model):
    assert toy_job(model).plain
    assert toy_job(model, distillation=DistillationConfig(weight=0)).plain
    for settings in (
        {"distillation": DistillationConfig()},
        {"augmentation": AugmentationConfig()},
        {"frozen": "int8"},
        {"early_exit": {}},
    ):
        assert not toy_job(model, **settings).plain
