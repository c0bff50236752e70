"""`snakegym play`: the film of an episode, and what is refused before it is played."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from snakegym.documents import parse_yaml
from snakegym.training.play import config as play_config
from snakegym.training.play.command import play
from snakegym.training.play.config import PlayConfig


def test_a_gif_has_a_frame_a_decision_and_shows_the_end(snakegym, tiny, tmp_path):
    status, out, _ = snakegym("play", tiny, "--scheduler", "serpentine", "--fps", "5", "--out", "new/a.gif")
    assert status == 0
    assert "serpentine on 'tiny' (test traces, seed 0)" in out
    assert "5 hops" in out
    with Image.open(tmp_path / "new" / "a.gif") as film:
        assert film.size == (840, 480)
        assert 5 <= film.n_frames <= 5 + 2 * 5
        assert film.info["duration"] == 200
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.gif"]


def test_the_model_that_comes_out_is_loaded_by_transformers(snakegym, tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "texts").mkdir()
    for topic in ("sums", "words"):
        lines = [json.dumps({"question": f"{topic} {i}?", "answer": f"{i} {topic}."}) for i in range(30)]
        (tmp_path / "texts" / f"{topic}.jsonl").write_text("\n".join(lines))
    scenario = parse_yaml((tmp_path / tiny).read_text(), tiny)
    scenario["data"] = {"dataset": "text", "root": "texts", "text": {"length": 12, "vocabulary": 280}}
    scenario["model"] = {"name": "llama", "options": {"width": 16, "hidden": 24, "middle": 3}}
    scenario["learning"] = {"epochs": 1, "trains": "middle", "frozen": "int8", "lora": {"rank": 2}}
    (tmp_path / "lm.yaml").write_text(json.dumps(scenario))
    status, out, err = snakegym("play", "lm.yaml", "--scheduler", "serpentine", "--model", "out/model")
    assert status == 0, err
    assert "model written to out/model" in out
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out" / "model")
    said = network.generate(**tokenizer("sums 3?<answer>", return_tensors="pt"), max_new_tokens=4)
    assert said.shape[1] > 4
    assert (tmp_path / "out" / "model" / "adapters" / "adapter_config.json").is_file()
    scenario["model"]["weights"] = "out/model"
    scenario["model"]["options"] = {}
    scenario["data"]["text"]["tokenizer"] = "out/model"
    (tmp_path / "again.yaml").write_text(json.dumps(scenario))
    status, _, err = snakegym("play", "again.yaml", "--out", "b.gif", "--scheduler", "serpentine")
    assert status == 0, err
    status, _, err = snakegym("play", "lm.yaml", "--out", "c.gif", "--model", "out/model")
    assert status == 2
    assert "out/model: found something there, expected a new folder" in err
    status, _, err = snakegym("play", tiny, "--out", "c.gif", "--model", "new")
    assert (status, "no language model" in err) == (2, True)
    assert not (tmp_path / "c.gif").exists()


def test_an_mp4_has_the_same_episode(snakegym, tiny, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    status, _, _ = snakegym("play", tiny, "--scheduler", "serpentine", "--fps", "5", "--out", "a.mp4")
    assert status == 0
    meta = next(ffmpeg.read_frames(str(tmp_path / "a.mp4")))
    assert meta["size"] == (840, 480)
    assert meta["duration"] == pytest.approx((5 + 2 * 5) / 5, abs=0.3)


def test_it_is_the_first_episode_of_an_evaluation(snakegym, tiny, tmp_path):
    record = play(PlayConfig(tiny, scheduler="random", seed=3, out=tmp_path / "a.gif"))
    status, *_ = snakegym(
        "evaluate", "--scheduler", "random", "--scenario", tiny, "--seed", 3, "--episodes", 1, "--out", "e"
    )
    assert status == 0
    evaluated = json.loads((tmp_path / "e" / "evaluation.json").read_text())["episodes"]["random"][0]
    assert evaluated == json.loads(json.dumps(record))


def test_the_same_seed_gives_the_same_bytes(tiny, tmp_path):
    for name in ("a.gif", "b.gif"):
        play(PlayConfig(tiny, scheduler="random", out=tmp_path / name))
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.avi"], "--out: found a.avi, expected a file that ends in .gif or .mp4"),
        (["--fps", "0"], "--fps: found 0.0, expected a number above 0"),
        (["--seed", "-1"], "--seed: found -1"),
        (["--scheduler", "nobody"], "nobody"),
        (["--traces", "nowhere"], "nowhere"),
        (
            ["--out", "there.gif"],
            "--out: there.gif is there already: choose another name",
        ),
        (["--out", "folder.gif"], "--out: found a folder, folder.gif, expected the name of a file"),
        (["--out", "there.gif/a.gif"], "there.gif"),
    ],
)
def test_what_is_refused_leaves_nothing(snakegym, tiny, tmp_path, arguments, message):
    (tmp_path / "there.gif").write_text("mine")
    (tmp_path / "folder.gif").mkdir()
    before = sorted(tmp_path.iterdir())
    status, _, err = snakegym("play", tiny, *arguments)
    assert status == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.gif").read_text() == "mine"


def test_an_mp4_without_the_extra_says_what_to_install(snakegym, tiny, monkeypatch):
    monkeypatch.setattr(play_config, "find_spec", lambda name: None)
    status, _, err = snakegym("play", tiny, "--out", "a.mp4")
    assert status == 2
    assert "pip install 'snakegym[video]'" in err


def test_a_file_is_replaced_when_asked_and_as_a_whole(snakegym, tiny, tmp_path, monkeypatch):
    (tmp_path / "a.gif").write_text("mine")
    monkeypatch.setattr(Image.Image, "save", _full_disk)
    status, _, err = snakegym("play", tiny, "--out", "a.gif", "--overwrite")
    assert (status, "No space left" in err) == (2, True)
    assert [f.name for f in tmp_path.iterdir() if f.name != "tiny.yaml"] == ["a.gif"]
    assert (tmp_path / "a.gif").read_text() == "mine"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert snakegym("play", tiny, "--out", "a.gif", "--overwrite")[0] == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames > 1


def _full_disk(self, path, **_):
    path.write_bytes(b"GIF")
    raise OSError(28, "No space left on device")
