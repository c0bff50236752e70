import pytest
import torch

from snakegym.data.augmentation import augment, batch_inputs
from snakegym.errors import SnakegymError
from snakegym.scenario import AugmentationConfig

IMAGES = torch.arange(1, 1 + 50 * 2 * 4 * 5).float().view(50, 2, 4, 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def views(image, crop):
    """Every window of the padded image, and each mirrored."""
    padded = torch.nn.functional.pad(image, (crop,) * 4)
    height, width = image.shape[1:]
    for top in range(2 * crop + 1):
        for left in range(2 * crop + 1):
            window = padded[:, top : top + height, left : left + width]
            yield window
            yield window.flip(2)


@pytest.mark.parametrize("crop", [0, 1, 3])
def test_every_result_is_a_window_of_its_image_or_its_mirror(crop):
    found = augment(IMAGES, AugmentationConfig(crop=crop), generator())
    assert found.shape == IMAGES.shape
    for image, view in zip(IMAGES, found, strict=True):
        assert any(torch.equal(view, other) for other in views(image, crop))


def test_half_is_mirrored_and_windows_are_spread():
    images = IMAGES.repeat(40, 1, 1, 1)
    mirrored = augment(images, AugmentationConfig(crop=0), generator()) != images
    assert mirrored.flatten(1).any(1).float().mean().item() == pytest.approx(0.5, abs=0.05)
    shifted = augment(images, AugmentationConfig(crop=1, flip=False), generator())
    same = (shifted == images).flatten(1).all(1)
    assert same.float().mean().item() == pytest.approx(1 / 9, abs=0.03)


def test_nothing_to_do_leaves_the_images():
    assert torch.equal(augment(IMAGES, AugmentationConfig(crop=0, flip=False), generator()), IMAGES)


def test_views_depend_on_the_seed_alone():
    before, images = torch.get_rng_state(), IMAGES.clone()
    order = [torch.tensor([3, 1]), torch.tensor([3, 7, 8])]
    config = AugmentationConfig(crop=2)
    first, second, other = (torch.cat(list(batch_inputs(IMAGES, order, config, seed))) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[2])  # the same sample in another batch
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(IMAGES, images)


def test_off_gives_the_samples():
    (batch,) = batch_inputs(IMAGES, [torch.tensor([4, 2])], None, 0)
    assert torch.equal(batch, IMAGES[[4, 2]])


def test_only_images_are_augmented():
    with pytest.raises(SnakegymError, match=r"learning\.augmentation.*found samples of shape \(6,\)"):
        augment(torch.zeros(3, 6), AugmentationConfig(), generator())
