import json
import re
import shutil

import numpy as np
import pytest
from matplotlib.image import imread

from snakegym.network.traces.library import load_library
from snakegym.scenario import TraceConfig, load_scenario
from snakegym.training.traces.command import run
from snakegym.training.traces.config import (
    ConvertTraces,
    GenerateTraces,
    InspectTraces,
    ListTraces,
    PlotTraces,
)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for kind, column in (("link", "downlink_mbps"), ("compute", "cpu_available_fraction")):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for i in range(30):
            rows = [f"{t},{v}" for t, v in enumerate(rng.uniform(0.2, 1, 60).round(3))]
            text = "\n".join([f"time_s,{column}", *rows, ""])
            (tmp_path / "data" / kind / f"lab_walk_{i:02d}.csv").write_text(text)
    return tmp_path / "data"


@pytest.fixture
def spoilt(folder):
    good = (folder / "link" / "lab_walk_00.csv").read_text()
    (folder / "link" / "cut.csv").write_text(good[: len(good) // 2])
    (folder / "link" / "nan.csv").write_text(re.sub("\n5,.*", "\n5,nan", good))
    (folder / "link" / "empty.csv").write_text("")
    return folder


BAD = ("link/cut.csv, line", "link/nan.csv, line 7: ", "link/empty.csv: found an empty file")


@pytest.mark.parametrize(("kind", "count"), [("link", "342"), ("compute", "546")])
def test_inspect_of_one_kind(snakegym, shared_data, kind, count):
    status, out, err = snakegym("traces", "inspect", shared_data / kind)
    assert status == 0, err
    total = next(line for line in out.splitlines() if line.strip().startswith("all"))
    assert total.split()[1] == count
    assert "No file would be refused." in out


def test_inspect_shows_strata_directions_gaps_and_splits(snakegym, folder):
    (folder / "link" / "sea_ferry_1.csv").write_text("time_s,uplink_mbps\n0,1\n1,2\n2,3\n100,4\n")
    status, out, _ = snakegym("traces", "inspect", folder, "--gap-s", "20")
    assert status == 0
    row = next(line for line in out.splitlines() if line.startswith(" sea")).split()
    assert row[1:3] == ["ferry", "1"]
    assert "0/0/1" in row
    assert "98" in row
    assert "0.03" in row  # 97 s out, in hours
    assert "none in" in out


def test_inspect_names_what_would_be_refused(snakegym, spoilt):
    status, out, _ = snakegym("traces", "inspect", spoilt)
    assert status == 0
    assert "3 files would be refused" in out
    for reason in BAD:
        assert reason in out


def test_list(snakegym, folder):
    status, out, _ = snakegym("traces", "list", folder, "--split", "test", "--match", "link/*")
    assert status == 0
    header, *_ = (line for line in out.splitlines() if line.strip())
    assert header.rstrip().endswith("Longest gap s")
    rows = [line.split() for line in out.splitlines() if line.startswith(" lab")]
    expected = load_library(TraceConfig(source=str(folder)), split="test").links
    assert [row[0] for row in rows] == [t.name for t in expected]
    for row, link in zip(rows, expected, strict=True):
        mean = f"{link.downlink.mean / 1e6:.4g}"
        assert row[1:] == ["tidy", "lab", "walk", "test", "downlink", "0.02", "60", mean, "1"]


def test_generated_traces_read_back_identically(snakegym, tmp_path):
    status, _, err = snakegym(
        "traces", "generate", "--out", "made", "--links", 7, "--computes", 5, "--seed", 3
    )
    assert status == 0, err
    default = load_scenario("default").network.traces.generator
    built_in = load_library(TraceConfig(generator={**default, "links": 7, "computes": 5, "seed": 3}))
    read = load_library(TraceConfig(source=str(tmp_path / "made")))
    for a, b in zip((*built_in.links, *built_in.computes), (*read.links, *read.computes), strict=True):
        assert a.name == b.name
        assert a.digest == b.digest


def test_converted_traces_are_the_same(snakegym, shared_data, tmp_path):
    source = shared_data / "original"
    status, _, err = snakegym("traces", "convert", source, "--out", "tidy")
    assert status == 0, err
    before = load_library(TraceConfig(source=str(source)))
    after = load_library(TraceConfig(source=str(tmp_path / "tidy")))
    key = lambda t: t.digest  # noqa: E731
    for a, b in (
        *zip(sorted(before.links, key=key), sorted(after.links, key=key), strict=True),
        *zip(sorted(before.computes, key=key), sorted(after.computes, key=key), strict=True),
    ):
        assert a.digest == b.digest
        assert (a.origin.source, a.origin.scenario) == (b.origin.source, b.origin.scenario)
    assert {t.rtt_s for t in before.links} == {t.rtt_s for t in after.links}


def test_convert_and_generate_overwrite_nothing(snakegym, folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    for command in (("convert", folder), ("generate",)):
        status, _, err = snakegym("traces", *command, "--out", "out")
        assert status == 2
        assert "found mine in it, expected a new or an empty folder" in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]
    assert not list(tmp_path.glob(".*.out"))


def test_convert_refuses_bad_files_unless_told(snakegym, spoilt, tmp_path):
    status, _, err = snakegym("traces", "convert", spoilt, "--out", "out")
    assert status == 2
    assert all(reason in err for reason in BAD)
    assert not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match="3 of 63 files"):
        assert snakegym("traces", "convert", spoilt, "--out", "out", "--skip-bad-traces")[0] == 0
    assert len(list((tmp_path / "out" / "link").iterdir())) == 30


@pytest.mark.painted
@pytest.mark.parametrize("match", ["*", "x"])
def test_names_between_dollars_are_no_formulas(snakegym, tmp_path, match):
    root = tmp_path / "$\\frac$"
    (root / "link").mkdir(parents=True)
    text = "time_s,downlink_mbps\n0,1\n1,2\n"
    for name in ("$\\frac$_[bold]_1.csv", *(f"$x^_{i}.csv" for i in range(8 if match == "*" else 0))):
        (root / "link" / name).write_text(text)
    for command in ("list", "inspect"):
        status, out, err = snakegym("traces", command, root)
        assert status == 0, err
        assert "[bold]" in out
    assert snakegym("traces", "plot", root, "--out", root / "$\\frac$.png")[0] == 0
    assert snakegym("traces", "convert", root, "--out", root / "$\\out$")[0] == 0


def test_inspect_notes_what_looks_doubtful(snakegym, tmp_path):
    (tmp_path / "data" / "link").mkdir(parents=True)
    (tmp_path / "data" / "compute").mkdir()
    for name, text in {
        "link/hours.csv": "time_s,downlink_mbps\n0,1\n0.02,2\n",
        "link/kilo.csv": "time_s,downlink_mbps\n0,46005\n1,47002\n",
        "link/giga.csv": "time_s,downlink_mbps\n0,0.001\n1,0.002\n",
        "link/sound.csv": "time_s,downlink_mbps\n0,1\n1,2\n",
        "compute/shares.csv": "time_s,cpu_percent\n0,0.4\n300,0.9\n",
        "compute/sound.csv": "time_s,cpu_percent\n0,4\n300,9\n",
    }.items():
        (tmp_path / "data" / name).write_text(text)
    status, out, err = snakegym("traces", "inspect", tmp_path / "data")
    assert status == 0, err
    assert "4 recordings look doubtful" in out
    assert "link/hours.csv: a step of 0.02 s: are its times in another unit?" in out
    assert "link/kilo.csv: up to 47002 Mbit/s, more than 5G was made for" in out
    assert "link/giga.csv: never more than 0.002 Mbit/s: are these Gbit/s?" in out
    assert "compute/shares.csv: never more than 1 % in use" in out
    assert "sound.csv" not in out


def test_nothing_published_looks_doubtful(snakegym, shared_data):
    for folder in ("link", "compute", "original"):
        out = snakegym("traces", "inspect", shared_data / folder)[1]
        assert "look doubtful" not in out, out


@pytest.mark.painted
@pytest.mark.parametrize("match", ["*", "lab_walk_00"])
def test_plot(snakegym, folder, tmp_path, match):
    status, _, err = snakegym("traces", "plot", folder, "--match", match, "--out", "picture.png")
    assert status == 0, err
    picture = imread(tmp_path / "picture.png")
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "nowhere"), "'nowhere' is no folder"),
        (("inspect", ""), "traces: found an empty path"),
        (("list", "~nobody-of-this-name"), "traces: ~nobody-of-this-name: found no such user"),
        (("plot", "data", "--match", "x"), "found no trace called 'x'"),
        (("list", "data", "--format", "xml"), "unknown trace format 'xml'"),
        (("inspect", "data", "--gap-s", "-1"), "--gap-s: found -1"),
        (("inspect", "data", "--uplink-ratio", "0"), "--uplink-ratio: found 0"),
        (("inspect", "data", "--gap-s", "inf"), "--gap-s: found inf"),
        (("plot", "data", "--out", "no/folder.png"), "found no folder no"),
        (("plot", "data", "--out", "picture.xyz"), "--out: found picture.xyz, expected the name of a .png"),
        (("plot", "data", "--match", "*_00", "--out", "taken.png"), "taken.png: cannot write this file"),
        (("list", "data", "--match", "x"), "data: found no trace called 'x', expected one or more"),
        (("inspect", "taken.png"), "taken.png: found no trace called '*'"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_are_named(snakegym, tmp_path, arguments, message):
    (tmp_path / "taken.png").mkdir()
    status, _, err = snakegym("traces", *arguments)
    assert status == 2
    assert message in err
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "taken.png"]


def test_an_evaluation_says_what_it_used(snakegym, tiny, spoilt, tmp_path):
    options = ("--scheduler", "serpentine", "--scenario", tiny, "--episodes", 1, "--traces", spoilt)
    options = (*options, "--out", "out")
    status, _, err = snakegym("evaluate", *options)
    assert status == 2
    assert all(reason in err for reason in BAD)
    assert not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match="are left out"):
        status, _, err = snakegym("evaluate", *options, "--skip-bad-traces")
    assert status == 0, err
    used = json.loads((tmp_path / "out" / "traces.json").read_text())
    assert {entry["split"] for entry in used} == {"test"}
    assert {entry["kind"] for entry in used} == {"link", "compute"}
    for entry in used:
        assert (spoilt / entry["path"]).is_file()
        assert entry["format"] == "tidy"
        assert entry["hours"] == pytest.approx(60 / 3600)


@pytest.fixture
def unnamed(tmp_path):
    """Traces that do not say themselves what they are."""
    rng = np.random.default_rng(0)
    (tmp_path / "mine").mkdir()
    for i in range(60):
        rates = "".join(f"{t} {v:.2f}\n" for t, v in enumerate(rng.uniform(1, 9, 9)))
        used = "".join(f"{v}\n" for v in rng.integers(0, 60, 9))
        (tmp_path / "mine" / f"{i}").write_text(rates if i % 2 else used)
    return tmp_path / "mine"


def test_formats_can_be_stated_wherever_traces_can_be_given(snakegym, tiny, unnamed):
    traces = ("--traces", unnamed, "--trace-format", "pensieve|planetlab")
    commands = {
        "evaluate": ("--scheduler", "serpentine", "--scenario", tiny, "--episodes", 1, "--out", "e"),
        "train": ("--scenario", tiny, "--timesteps", 8, "--n-steps", 8, "--batch-size", 4, "--eval-every", 8,
                  "--eval-episodes", 1, "--out", "t"),
        "scenarios": ("check", tiny, "--episodes", 2),
    }  # fmt: skip
    for command, options in commands.items():
        status, _, err = snakegym(command, *options, *traces[:2])
        assert status == 2
        assert "60 of 60 files cannot be used" in err
        assert "state --format" in err
        status, _, err = snakegym(command, *options, *traces[:2], "--trace-format", "xml")
        assert status == 2
        assert "unknown trace format 'xml'" in err
        status, _, err = snakegym(command, *options, *traces)
        assert status == (command == "scenarios"), err  # which has measured, and says that it is not worth it
        assert "cannot be used" not in err
    assert snakegym("traces", "list", unnamed, "--format", traces[-1])[0] == 0


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("", "traces: found an empty path"),
        ("~nobody-of-this-name", "traces: ~nobody-of-this-name: found no such user"),
        ("nowhere", "traces: 'nowhere' is no folder"),
    ],
)
def test_traces_that_are_no_folder_are_named(snakegym, tiny, tmp_path, folder, reason):
    before = sorted(p.name for p in tmp_path.iterdir())
    for command in (
        ("evaluate", "--scheduler", "serpentine", "--scenario", tiny, "--out", "e"),
        ("train", "--scenario", tiny, "--out", "t"),
        ("scenarios", "check", tiny),
        ("compare", "--preset", "smoke", "--out", "c"),
    ):
        status, _, err = snakegym(*command, "--traces", folder)
        assert status == 2
        assert reason in err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_converted_folders_move_as_one(snakegym, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert snakegym("traces", "convert", folder / "link", "--out", "empty")[0] == 0
    assert sorted(p.name for p in (tmp_path / "empty").iterdir()) == ["command.txt", "config.yml", "link"]
    shutil.rmtree(tmp_path / "empty")


def test_commands_on_traces_give_back_what_they_were_about(tmp_path, capsys):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.csv").write_text("time_s,downlink_mbps\n0,1\n1,2\n2,3\n")
    (tmp_path / "t" / "b.csv").write_text("time_s,downlink_mbps\n0,x\n")
    folder, png, out = str(tmp_path / "t"), tmp_path / "a.png", tmp_path / "out"
    for command, written in [
        (ListTraces(folder), None),
        (InspectTraces(folder), None),
        (PlotTraces(folder, out=png), png),
        (ConvertTraces(folder, match="a*", out=out, skip_bad_traces=True), out),
    ]:
        found = run(command)
        assert [r.name for r in found.recordings] == ["a"]
        assert [r.path for r in found.refused] == ([] if written == out else ["b.csv"])
        assert found.written == written
        assert written is None or written.exists()
    made = run(GenerateTraces(tmp_path / "g", links=2, computes=3))
    assert [r.kind for r in made.recordings] == ["link"] * 2 + ["compute"] * 3
    assert made.written == tmp_path / "g"
