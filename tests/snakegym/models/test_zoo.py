import pytest
import torch

from snakegym.errors import SnakegymError
from snakegym.models.zoo import build_model, list_models
from snakegym.scenario import ModelConfig

CASES = [
    ("mlp", {}, (1, 8, 8), 7),
    ("mlp", {"width": 16, "middle": 1}, (3, 5), 1),
    ("blocks", {}, (1, 8, 8), 7),
    ("blocks", {"width": 8, "middle": 30, "smallest": 16, "largest": 40}, (3, 5), 30),
    ("blocks", {"middle": 1}, (12,), 1),
    ("vgg", {}, (1, 8, 8), 7),
    ("vgg", {"norm": "none", "width": 4}, (3, 20, 17), 7),
    ("vgg11", {"width": 0.125}, (3, 32, 32), 9),
    ("vgg11", {"width": 0.05, "norm": "none", "hidden": 64}, (1, 64, 32), 9),
]


@pytest.mark.parametrize(("name", "options", "shape", "middle"), CASES)
def test_models_map_samples_to_logits(name, options, shape, middle):
    model = build_model(ModelConfig(name=name, options=options), shape, 7)
    model.load(model.initial_state(0))
    logits = model(torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)))
    assert model.n_middle == middle
    assert logits.shape == (3, 7)
    assert 0.1 < logits.std().item() < 10  # the signal neither dies nor explodes
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.any() for layer in model.layers for p in layer.parameters())


def test_every_model_is_tried():
    elsewhere = {"torchvision-vgg11", "opt", "llama"}  # the last two in test_language
    assert {case[0] for case in CASES} | elsewhere == set(list_models())


def torchvision_vgg11(device):
    pytest.importorskip("PIL")
    with torch.device(device):
        return build_model(ModelConfig(name="torchvision-vgg11"), (3, 32, 32), 10)


def test_torchvisions_vgg11_has_its_eleven_layers():
    """Sizes from table 1 of arXiv:1409.1556 (column A), and torchvision's hidden layers of 4096."""
    model = torchvision_vgg11("meta")
    shapes = [[tuple(p.shape) for p in layer.parameters() if p.ndim > 1] for layer in model.layers]
    outputs = [64, 128, 256, 256, 512, 512, 512, 512, 4096, 4096, 10]
    inputs = [3, 64, 128, 256, 256, 512, 512, 512, 512 * 7 * 7, 4096, 4096]
    kernels = [(3, 3)] * 8 + [()] * 3
    assert shapes == [[(o, i, *k)] for o, i, k in zip(outputs, inputs, kernels, strict=True)]
    assert model.n_middle == 9
    assert sum(p.numel() for p in model.parameters()) == 132_863_336 - 990 * 4097  # 1000 classes as published


@pytest.mark.slow
def test_torchvisions_vgg11_computes_what_torchvision_does(monkeypatch):
    from snakegym.models import zoo

    whole = []
    torchvision = zoo.import_torchvision()
    original = torchvision.models.vgg11
    monkeypatch.setattr(torchvision.models, "vgg11", lambda **kw: whole.append(original(**kw)) or whole[0])
    model = torchvision_vgg11("cpu").eval()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x), whole[0].eval()(x.contiguous(memory_format=torch.channels_last)))


def test_torchvisions_vgg11_takes_colour_images_alone():
    with pytest.raises(SnakegymError, match="found 1 channels, expected 3"):
        build_model(ModelConfig(name="torchvision-vgg11"), (1, 32, 32), 10)


@pytest.mark.parametrize(
    ("options", "hidden"),
    [
        ({}, [8, 16, 32, 64, 128, 256, 512]),
        ({"middle": 1}, [8]),
        ({"middle": 4, "smallest": 2, "largest": 3}, [2, 2, 3, 3]),
        ({"middle": 3, "smallest": 5, "largest": 5}, [5, 5, 5]),
    ],
)
def test_blocks_grow_by_one_factor_from_the_smallest_to_the_largest(options, hidden):
    model = build_model(ModelConfig(name="blocks", options=options), (1, 8, 8), 10)
    assert [layer.widen.out_features for layer in model.layers[1:-1]] == hidden


@pytest.mark.parametrize("options", [{}, {"middle": 200}, {"width": 64}, {"smallest": 1, "largest": 2048}])
def test_depth_and_size_of_blocks_neither_inflate_nor_kill_the_signal(options):
    model = build_model(ModelConfig(name="blocks", options=options), (100,), 10)
    x = torch.randn(200, 100, generator=torch.Generator().manual_seed(0))
    for seed in range(3):
        model.load(model.initial_state(seed))
        signal = model.layers[0](x)
        start = signal.std().item()
        for layer in model.layers[1:-1]:
            signal = layer(signal)
        assert 1 < signal.std().item() / start < 4  # exp(1/2) on average


def test_vgg11_at_width_1_is_vgg11():
    model = build_model(ModelConfig(name="vgg11", options={"norm": "none"}), (3, 32, 32), 10)
    weights = [t for layer in model.initial_state(0).layers for t in layer.values() if t.ndim > 1]
    assert [w.shape[0] for w in weights] == [64, 128, 256, 256, 512, 512, 512, 512, 512, 512, 10]


@pytest.mark.parametrize(
    ("name", "options", "shape", "words"),
    [
        ("lenet", {}, (1, 8, 8), ["model.name", "lenet", "mlp", "vgg", "vgg11"]),
        ("mlp", {"depth": 3}, (1, 8, 8), ["model.options.depth", "3", "width", "middle"]),
        ("mlp", {"width": 0}, (1, 8, 8), ["model.options.width", "0"]),
        ("mlp", {"width": 1.5}, (1, 8, 8), ["model.options.width", "1.5"]),
        ("blocks", {"depth": 3}, (1, 8, 8), ["model.options.depth", "3", "smallest", "largest"]),
        ("blocks", {"largest": 0}, (1, 8, 8), ["model.options.largest", "0"]),
        (
            "blocks",
            {"smallest": 64, "largest": 32},
            (1, 8, 8),
            ["model.options.smallest", "found 64", "at most 32", "model.options.largest"],
        ),
        ("blocks", {"width": 2**16, "largest": 2**16}, (1, 8, 8), ["model.options", "bytes of parameters"]),
        ("vgg", {"norm": "batch"}, (1, 8, 8), ["model.options.norm", "batch", "group"]),
        ("vgg11", {"width": -1.0}, (3, 32, 32), ["model.options.width", "-1"]),
        ("vgg", {}, (1, 7, 8), ["vgg", "(1, 7, 8)", "8x8"]),
        ("vgg11", {}, (1, 8, 8), ["vgg11", "(1, 8, 8)", "32x32"]),
        ("vgg", {}, (64,), ["vgg", "(64,)"]),
    ],
)
def test_bad_configurations_are_named(name, options, shape, words):
    with pytest.raises(SnakegymError) as error:
        build_model(ModelConfig(name=name, options=options), shape, 10)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
