import csv
import re
import shutil

import numpy as np
import pytest
from pydantic import ValidationError

from snakegym.errors import SnakegymError
from snakegym.network.traces.generator import GeneratorConfig, generate
from snakegym.network.traces.library import load_library
from snakegym.scenario import TraceConfig, load_scenario

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def generated():
    return load_library(TraceConfig())


def digests(library):
    return [t.digest for t in (*library.links, *library.computes)]


def test_generated_library_is_the_same_every_time(generated):
    generate.cache_clear()
    assert digests(load_library(TraceConfig())) == digests(generated)
    other = load_library(TraceConfig(generator={"seed": 1}))
    assert not set(digests(other)) & set(digests(generated))


def test_more_traces_leave_the_others_as_they_are(generated):
    more = load_library(TraceConfig(generator={"links": 90, "computes": 85}))
    assert (len(more.links), len(more.computes)) == (90, 85)
    assert set(digests(generated)) < set(digests(more))


def test_the_default_fills_all_splits(generated):
    assert (len(generated.links), len(generated.computes)) == (80, 80)
    for split in SPLITS:
        part = generated.split(split)
        assert len(part.links) >= 9
        assert len(part.computes) >= 9


def test_generated_links_look_like_the_modem_described(generated):
    means = np.array([t.downlink.values.mean() for t in generated.links])
    assert means.min() < 0.3e6  # some mostly poor
    assert means.max() > 0.8e6  # some mostly good
    for link in generated.links:
        assert link.uplink.values.mean() < link.downlink.values.mean()
        np.testing.assert_array_equal(link.uplink.values == 0, link.downlink.values == 0)
        assert link.downlink.values.max() <= 1e6
    lengths = np.concatenate([_outages(t.downlink) for t in generated.links])
    assert (lengths <= 25).mean() > 0.98
    assert 0.05 < (lengths > 10).mean() < 0.6
    out = np.mean([(t.downlink.values == 0).mean() for t in generated.links])
    assert 0.01 < out < 0.1


def _outages(trace):
    """Lengths of the outages in steps of 1 s."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], trace.values == 0, [0]))))
    return np.diff(edges)[::2]


def test_generated_compute_changes_within_an_episode(generated):
    means = np.array([t.values.mean() for t in generated.computes])
    assert means.min() < 0.45
    assert means.max() > 0.8
    spread = [np.std(t.values[k : k + 40]) for t in generated.computes for k in range(0, 8600, 40)]
    assert np.median(spread) > 0.08
    for trace in generated.computes:
        assert trace.values.max() <= 1
        assert trace.period_s == 86400


def test_generator_settings_are_checked_by_name():
    with pytest.raises(SnakegymError, match=r"'network.traces.generator': linkz: Extra inputs .* 3.0"):
        load_library(TraceConfig(generator={"linkz": 3}))
    with pytest.raises(SnakegymError, match=r"'network.traces.generator': burst_share: .*found 2.0"):
        load_library(TraceConfig(generator={"burst_share": 2}))
    with pytest.raises(ValidationError):
        GeneratorConfig(links=0)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "traces: found an empty path"),
        ("~nobody-of-this-name", "traces: ~nobody-of-this-name: found no such user's home"),
        ("a\0b", "traces: found a path with a zero byte"),
        ("x" * 5000, "xxx is no folder: expected 'generated' or a folder"),
    ],
)
def test_what_names_no_folder_is_refused(source, reason):
    with pytest.raises(SnakegymError, match=reason):
        load_library(TraceConfig(), override=source)


def test_extreme_settings_still_give_traces():
    steady = load_library(
        TraceConfig(
            generator={
                "links": 2,
                "computes": 2,
                "outage_weight": 0,
                "tide": 0,
                "burst_share": 0,
                "blackout": 0,
            }
        )
    )
    assert all((t.downlink.values > 0).all() for t in steady.links)
    assert all((t.values > 0.9).all() for t in steady.computes)
    single = load_library(
        TraceConfig(generator={"links": 1, "computes": 1, "link_period_s": 0.1, "compute_period_s": 1})
    )
    assert len(single.links[0].uplink.values) == 1


def test_globs_and_override(generated, tmp_path):
    few = load_library(TraceConfig(link="*-00?", compute="*05?"))
    assert [t.name for t in few.links] == [f"generated-link-{i:03d}" for i in range(10)]
    assert len(few.computes) == 10
    missing = str(tmp_path / "missing")
    back = load_library(TraceConfig(source=missing), override="generated")
    assert digests(back) == digests(generated)
    with pytest.raises(SnakegymError, match=f"'{re.escape(missing)}' is no folder"):
        load_library(TraceConfig(), override=missing)
    with pytest.raises(SnakegymError, match=rf"found no link trace called '\*' in {tmp_path}"):
        load_library(TraceConfig(source=str(tmp_path)))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for kind, column in (("link", "downlink_mbps"), ("compute", "cpu_available_fraction")):
        (tmp_path / "a" / kind).mkdir(parents=True)
        for i in range(20):
            lines = [f"time_s,{column}", *(f"{t},{v}" for t, v in enumerate(rng.random(4)))]
            (tmp_path / "a" / kind / f"{kind}{i:02d}.csv").write_text("\n".join(lines) + "\n")
        (tmp_path / "a" / kind / "MANIFEST.csv").write_text("file,notes\n")
    return tmp_path / "a"


def test_folders_are_split_by_content(folder, tmp_path):
    config = TraceConfig(source=str(folder))
    before = {s: digests(load_library(config).split(s)) for s in SPLITS}
    assert sum(map(len, before.values())) == 40
    shutil.move(folder, tmp_path / "b")
    for path in (tmp_path / "b" / "link").glob("link*.csv"):
        path.rename(path.with_name("z" + path.name))
    (tmp_path / "b" / "link" / "new.csv").write_text("time_s,downlink_mbps\n0,1\n1,5\n")
    after = {s: digests(load_library(config, str(tmp_path / "b")).split(s)) for s in SPLITS}
    assert sum(map(len, after.values())) == 41
    for split in SPLITS:
        assert set(before[split]) <= set(after[split])


def test_files_that_change_are_read_again(folder):
    config = TraceConfig(source=str(folder), link="link00")
    (folder / "link" / "link00.csv").write_text("time_s,downlink_mbps\n0,123.5\n")
    assert load_library(config).links[0].downlink.values[0] == 123.5e6


def test_a_glob_without_files_is_named(folder):
    with pytest.raises(SnakegymError, match=r"found no link trace called 'x\*' in .*a, expected one or more"):
        load_library(TraceConfig(source=str(folder), link="x*"))


def test_real_traces_all_load(shared_data):
    library = load_library(TraceConfig(source=str(shared_data)))
    assert (len(library.links), len(library.computes)) == (342, 546)
    assert sum(len(library.split(s).links) for s in SPLITS) == 342
    for row in _manifest(shared_data / "link"):
        link = next(t for t in library.links if t.name == row["file"].removesuffix(".csv"))
        measured = getattr(link, row["measured_direction"])
        assert measured.values.max() / 1e6 == pytest.approx(float(row["max_mbps"]), rel=1e-3)
        other = link.uplink if measured is link.downlink else link.downlink
        assert other.values.mean() > 0.02 * measured.values.mean()
        assert (link.rtt_s is not None) == link.name.startswith("ucc5g")
    for row in _manifest(shared_data / "compute"):
        trace = next(t for t in library.computes if t.name == row["file"].removesuffix(".csv"))
        assert trace.values.mean() == pytest.approx(float(row["mean_avail"]), abs=1e-3)
        assert trace.times_s[-1] == pytest.approx(float(row["duration_s"]))


def _manifest(folder):
    with (folder / "MANIFEST.csv").open() as file:
        return list(csv.DictReader(file))


def test_real_gaps_are_outages(shared_data):
    library = load_library(TraceConfig(source=str(shared_data), compute="planetlab_20110303_00*"))
    longest = {t.name: _longest_outage(t.downlink) for t in library.links}
    for row in _manifest(shared_data / "link"):
        gap, step = float(row["max_gap_s"]), float(row["median_dt_s"])
        if gap > step + 10.5:
            assert longest[row["file"].removesuffix(".csv")] >= gap - step - 0.5


def _longest_outage(trace):
    steps = np.diff(trace.times_s, append=trace.period_s)
    return float(steps[trace.values == 0].max(initial=0.0))


def test_default_scenario_names_its_traces():
    assert load_library(load_scenario("default").network.traces).links
