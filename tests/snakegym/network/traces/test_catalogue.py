import csv
import hashlib
import os
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.network.traces import catalogue as catalogue_module
from snakegym.network.traces import reader
from snakegym.network.traces.cache import Store
from snakegym.network.traces.catalogue import scan
from snakegym.network.traces.library import load_library
from snakegym.network.traces.splits import content_key, split_of
from snakegym.network.traces.summary import summarise
from snakegym.scenario import TraceConfig

SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SNAKEGYM_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


def forget():
    """What another process would not know."""
    catalogue_module._recent.clear()


def make_folder(root: Path, n: int = 30, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for kind, column in (("link", "downlink_mbps"), ("compute", "cpu_available_fraction")):
        (root / kind).mkdir(parents=True)
        for i in range(n):
            rows = [f"{t},{v}" for t, v in enumerate(rng.random(6).round(4))]
            (root / kind / f"src_{'ab'[i % 2]}_{i:02d}.csv").write_text(
                f"time_s,{column}\n" + "\n".join(rows) + "\n"
            )
    return root


def by_path(library):
    return {t.origin.path: t for t in (*library.links, *library.computes)}


def test_no_file_is_in_two_splits(tmp_path):
    config = TraceConfig(source=str(make_folder(tmp_path / "t")))
    parts = [set(by_path(load_library(config, split=split))) for split in SPLITS]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 60
    whole = load_library(config)
    for split, part in zip(SPLITS, parts, strict=True):
        assert set(by_path(whole.split(split))) == part


def test_no_real_file_is_in_two_splits(shared_data):
    config = TraceConfig(source=str(shared_data))
    parts = [{e["sha256"] for e in load_library(config, split=s).manifest()} for s in SPLITS]
    assert not (parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2])


contents = st.lists(st.binary(max_size=40), min_size=1, max_size=30, unique=True)


@given(contents, contents)
def test_a_split_is_a_matter_of_content_alone(some, others):
    before = {c: split_of(content_key(c)) for c in some}
    after = {c: split_of(content_key(c)) for c in [*others, *some]}
    assert before == {c: after[c] for c in some}
    for content in some:
        assert split_of(content_key(content.replace(b"\n", b"\r\n"))) == before[content]


@settings(max_examples=8)
@given(st.data())
def test_adding_moving_and_renaming_files_moves_no_other(tmp_path_factory, data):
    root = make_folder(tmp_path_factory.mktemp("traces") / "before", n=20, seed=data.draw(st.integers(0, 99)))
    config = TraceConfig(source=str(root))
    before = {e["sha256"]: e["split"] for e in load_library(config).manifest()}
    make_folder(root / "link" / "added", n=data.draw(st.integers(1, 5)), seed=1000)
    shutil.rmtree(root / "link" / "added" / "compute")
    moved = data.draw(st.sampled_from(sorted((root / "link").glob("*.csv"))))
    (root / "link" / "deeper").mkdir()
    moved.rename(root / "link" / "deeper" / "another-name.csv")
    new_root = root.with_name("after")
    root.rename(new_root)
    after = {e["sha256"]: e["split"] for e in load_library(config, str(new_root)).manifest()}
    assert before.items() <= after.items()
    assert len(after) > len(before)


def test_rules_and_formats_do_not_move_a_trace(tmp_path):
    root = make_folder(tmp_path / "t")
    usual = load_library(TraceConfig(source=str(root))).manifest()
    other = load_library(TraceConfig(source=str(root), gap_s=1, missing_direction="same")).manifest()
    assert [(e["path"], e["split"]) for e in usual] == [(e["path"], e["split"]) for e in other]


def test_strata_are_met_in_expectation():
    splits = [split_of(content_key(f"{i}".encode())) for i in range(20_000)]
    for stratum in range(5):
        part = splits[stratum::5]
        for split, share in zip(SPLITS, (0.6, 0.2, 0.2), strict=True):
            deviation = np.sqrt(len(part) * share * (1 - share))
            assert abs(part.count(split) - len(part) * share) < 4 * deviation


@pytest.fixture(scope="session")
def opened():
    """Files that were opened, while it is switched on; an audit hook stays for good."""
    record, on = [], [False]

    def hook(event, args):
        if on[0] and event == "open" and isinstance(args[0], str | bytes):
            record.append(os.fsdecode(args[0]))

    sys.addaudithook(hook)

    @contextmanager
    def watch():
        record.clear()
        on[0] = True
        yield record
        on[0] = False

    return watch


@pytest.mark.parametrize("split", SPLITS)
def test_an_environment_opens_nothing_of_other_splits(tmp_path, opened, split):
    """Who meets a folder first reads all files to know their content; later only one split is read."""
    root = make_folder(tmp_path / "folder")
    expected = set(by_path(load_library(TraceConfig(source=str(root))).split(split)))
    packs = Store(str(root.resolve()), "").load()["packs"]
    forget()
    with opened() as files:
        service = load_service("default", split, str(root))
        service.start(np.random.default_rng(0))
    assert set(by_path(service.library)) == expected
    assert not [f for f in files if str(root) in f]
    assert {Path(f).name for f in files if f.endswith(".npy")} == {packs[split]["file"]}


def test_what_is_cached_is_what_is_read(tmp_path, monkeypatch):
    config = TraceConfig(source=str(make_folder(tmp_path / "t")))
    read = load_library(config)
    forget()
    monkeypatch.setattr(reader, "sniff", None)  # nothing may be parsed
    again = load_library(config)
    assert again.manifest() == read.manifest()
    for a, b in zip(read.links, again.links, strict=True):
        assert a.digest == b.digest


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    root = make_folder(tmp_path / "t")
    config = TraceConfig(source=str(root))
    load_library(config)
    seen, sniff = [], reader.sniff
    monkeypatch.setattr(reader, "sniff", lambda path, *stated: seen.append(path.name) or sniff(path, *stated))
    forget()
    (root / "link" / "src_a_00.csv").write_text("time_s,downlink_mbps\n0,1\n1,2\n2,3\n")
    (root / "link" / "src_b_01.csv").unlink()
    (root / "link" / "new_x_1.csv").write_text("time_s,downlink_mbps\n0,7\n")
    library = load_library(config)
    assert sorted(seen) == ["new_x_1.csv", "src_a_00.csv"]
    assert len(library.links) == 30
    assert by_path(library)["link/src_a_00.csv"].downlink.values.tolist() == [1e6, 2e6, 3e6]


HARMS = {
    "empty": lambda content: b"",
    "truncate": lambda content: content[:50],
    "garbage": lambda content: b"{}",
    "alter": lambda content: content[:-20] + bytes([content[-20] ^ 1]) + content[-19:],
    "garble": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("harm", ["delete", *HARMS])
def test_a_damaged_cache_is_made_again(tmp_path, harm, suffix):
    config = TraceConfig(source=str(make_folder(tmp_path / "t")))
    read = load_library(config)
    files = list((tmp_path / "cache" / "traces").glob(f"*{suffix}"))
    assert len(files) == (3 if suffix == ".npy" else 1)
    for _ in range(2):  # and once made again, it is as good as new
        for file in files:
            if harm == "delete":
                file.unlink()
            else:
                file.write_bytes(HARMS[harm](file.read_bytes()))
        forget()
        again = load_library(config)
        assert again.manifest() == read.manifest()
        for a, b in zip((*read.links, *read.computes), (*again.links, *again.computes), strict=True):
            assert a.digest == b.digest


def test_leftovers_of_killed_programs_go(tmp_path):
    root, folder = make_folder(tmp_path / "t"), tmp_path / "cache" / "traces"
    folder.mkdir(parents=True)
    (folder / ".snakegym-4711-old.npy").write_bytes(b"half")
    (folder / ".snakegym-4712-new.npy").write_bytes(b"half")
    os.utime(folder / ".snakegym-4711-old.npy", (0, 0))
    load_library(TraceConfig(source=str(root)))
    assert [f.name for f in folder.glob(".*")] == [".snakegym-4712-new.npy"]


def test_a_file_changed_under_its_old_time_is_read_again(tmp_path):
    root = make_folder(tmp_path / "t")
    config = TraceConfig(source=str(root), link="src_a_00")
    load_library(config)
    forget()
    file = root / "link" / "src_a_00.csv"
    before, text = file.stat(), file.read_text()
    file.write_text(text[:-2] + ("1\n" if text[-2] == "2" else "2\n"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_library(config).links[0].downlink.values[-1] == 1e6 * float(file.read_text().split(",")[-1])


def test_names_that_cannot_be_printed_are_refused(tmp_path):
    root = make_folder(tmp_path / "t")
    for name in (b"\xff.csv", b"two\nlines.csv"):
        (root / "link" / os.fsdecode(name)).write_text("time_s,downlink_mbps\n0,1\n")
    assert [r.reason for r in scan(root).refused] == [
        "'link/two\\nlines.csv': found a name that cannot be printed, expected another",
        "'link/\\udcff.csv': found a name that cannot be printed, expected another",
    ]


def test_no_pipe_or_device_is_waited_for(tmp_path):
    root = make_folder(tmp_path / "t")
    os.mkfifo(root / "link" / "pipe")
    (root / "link" / "zero").symlink_to("/dev/zero")
    (root / "compute" / "gone").symlink_to(tmp_path / "nowhere")
    for form in (None, "tidy"):
        reasons = {r.path: r.reason for r in scan(root, form).refused}
        assert reasons["link/pipe"] == "link/pipe: found a folder, device or pipe, expected a regular file"
        assert reasons["link/zero"] == "link/zero: found a folder, device or pipe, expected a regular file"
        assert reasons["compute/gone"] == "compute/gone: cannot read the trace: No such file or directory"


def test_without_a_cache_all_works(tmp_path, monkeypatch):
    config = TraceConfig(source=str(make_folder(tmp_path / "t")))
    expected = load_library(config).manifest()
    (tmp_path / "a-file").write_text("")
    for place in ("", "~nobody-of-this-name/x", str(tmp_path / "a-file" / "below")):
        monkeypatch.setenv("SNAKEGYM_CACHE", place)
        forget()
        assert load_library(config).manifest() == expected


def test_old_numbers_are_deleted(tmp_path):
    root = make_folder(tmp_path / "t")
    for i in range(3):
        (root / "link" / "x.csv").write_text(f"time_s,downlink_mbps\n0,{i}\n")
        load_library(TraceConfig(source=str(root)))
    assert len(list((tmp_path / "cache" / "traces").glob("*.npy"))) == 3
    assert len(list((tmp_path / "cache" / "traces").glob("*.json"))) == 1


def test_bad_files_are_all_named_and_skipped_only_on_demand(tmp_path):
    root = make_folder(tmp_path / "t")
    good = (root / "link" / "src_a_00.csv").read_text()
    (root / "link" / "cut.csv").write_text(good[: len(good) // 2])
    (root / "link" / "nan.csv").write_text(good.replace(good.split(",")[-1], "nan\n"))
    (root / "compute" / "empty.csv").write_text("")
    with pytest.raises(SnakegymError) as error:
        load_library(TraceConfig(source=str(root)), split="train")
    message = str(error.value)
    assert "3 of 63 files cannot be used" in message
    assert "compute/empty.csv: found an empty file" in message
    assert "link/cut.csv, line" in message
    assert "link/nan.csv, line 7: downlink_mbps is 'nan'" in message
    assert "\n" not in message
    with pytest.warns(UserWarning, match=r"link/nan\.csv, line 7"):
        library = load_library(TraceConfig(source=str(root), skip_bad=True))
    assert len(library.links) == len(library.computes) == 30
    # Files that no glob names do not matter.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load_library(TraceConfig(source=str(root), link="src_*", compute="src_*")).links) == 30


def test_missing_directions_by_rule(tmp_path):
    root = make_folder(tmp_path / "t")
    same = load_library(TraceConfig(source=str(root), missing_direction="same")).links[0]
    np.testing.assert_array_equal(same.uplink.values, same.downlink.values)
    half = load_library(TraceConfig(source=str(root), uplink_ratio=0.5)).links[0]
    np.testing.assert_allclose(half.uplink.values, half.downlink.values / 2, atol=1e-3)
    with pytest.raises(
        SnakegymError, match=r"30 of 60 .*link/src_a_00.csv: .*no measured uplink, expected both"
    ):
        load_library(TraceConfig(source=str(root), missing_direction="refuse"))


def test_a_gap_is_what_the_rules_say(tmp_path):
    root = make_folder(tmp_path / "t")
    (root / "link" / "gap.csv").write_text("time_s,downlink_mbps\n0,1\n1,2\n2,3\n13,4\n")
    for gap_s, expected in ((9.5, [1, 2, 3, 0, 4]), (10.0, [1, 2, 3, 4])):
        library = load_library(TraceConfig(source=str(root), gap_s=gap_s, link="gap"))
        assert (library.links[0].downlink.values / 1e6).tolist() == expected


def test_kinds_must_be_in_their_folders(tmp_path):
    root = make_folder(tmp_path / "t")
    shutil.copy(root / "compute" / "src_a_00.csv", root / "link" / "wrong.csv")
    (refused,) = scan(root).refused
    assert refused.reason == "link/wrong.csv: found a compute trace, expected link traces in link/"


def test_flat_folders_globs_and_companions(shared_data):
    config = TraceConfig(source=str(shared_data / "original"))
    library = load_library(config)
    assert (len(library.links), len(library.computes)) == (13, 6)
    by_glob = load_library(config.model_copy(update={"link": "norway-hsdpa/*|S20UPM*", "compute": "vm_*"}))
    assert (len(by_glob.links), len(by_glob.computes)) == (5, 3)
    pair = next(e for e in library.manifest() if e["name"] == "Verizon-LTE-short")
    assert pair["path"] == "mahimahi/Verizon-LTE-short.down"
    content = (shared_data / "original" / pair["path"]).read_bytes()
    assert pair["sha256"] == hashlib.sha256(content).hexdigest()
    assert pair["format"] == "mahimahi"


def test_an_uplink_that_comes_later_is_noticed(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.down").write_text("0\n400\n1000\n")
    (tmp_path / "t" / "planetlab").mkdir()
    (tmp_path / "t" / "planetlab" / "b").write_text("5\n3\n")
    config = TraceConfig(source=str(tmp_path / "t"))
    before = load_library(config)
    (tmp_path / "t" / "a.up").write_text("0\n400\n800\n1000\n")
    after = load_library(config)
    assert len(before.links) == len(after.links) == 1
    assert after.links[0].uplink.values == pytest.approx(36e3)
    assert after.manifest()[0]["split"] == before.manifest()[0]["split"]


def test_a_forced_format(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "ambiguous").write_text("3\n4\n")
    assert scan(tmp_path / "t").refused
    assert not scan(tmp_path / "t", "planetlab").refused
    (tmp_path / "t" / "rates").write_text("0 3\n1 4\n")
    (tmp_path / "t" / "load.csv").write_text("time_s,cpu_percent\n0,3\n300,4\n")
    found = scan(tmp_path / "t", "pensieve|planetlab | csv-units")
    assert not found.refused
    assert [e["format"] for e in found.entries] == ["planetlab", "csv-units", "pensieve"]
    (refused,) = scan(tmp_path / "t", "pensieve|lumos5g|planetlab|csv-units").refused
    assert "which looks like pensieve and lumos5g of the formats stated" in refused.reason
    assert len(scan(tmp_path / "t", "tidy|mahimahi").refused) == 2
    for unknown in ("", "tidy|xml"):
        with pytest.raises(SnakegymError, match="unknown trace format"):
            scan(tmp_path / "t", unknown)


def test_a_file_without_line_ends_is_refused(tmp_path):
    root = make_folder(tmp_path / "t")
    (root / "link" / "one-line.csv").write_text("7" * 100_000)
    (refused,) = scan(root).refused
    assert refused.reason == "link/one-line.csv: found 65536 bytes without a line end, expected lines"


@pytest.mark.parametrize("kind", ["link", "compute"])
def test_summaries_agree_with_the_manifests(shared_data, kind):
    with (shared_data / kind / "MANIFEST.csv").open() as file:
        rows = {row["file"].removesuffix(".csv"): row for row in csv.DictReader(file)}
    items = list(scan(shared_data / kind).recordings())
    assert len(items) == len(rows)
    mean = "mean_mbps" if kind == "link" else "mean_avail"
    for origin, recording in items:
        summary, row = summarise([(origin, recording)], 10), rows[recording.name]
        assert summary.samples == int(row["n_samples"])
        assert summary.mean == pytest.approx(float(row[mean]), abs=1e-4)
        assert summary.max_gap_s == pytest.approx(float(row["max_gap_s"]), abs=0.06)
        assert summary.duration_s == pytest.approx(float(row["duration_s"]), abs=0.06)
    total = summarise(items, 10)
    assert sum(total.splits.values()) == total.traces == len(rows)
    weighted = sum(float(r[mean]) * int(r["n_samples"]) for r in rows.values()) / total.samples
    assert total.mean == pytest.approx(weighted, abs=1e-4)


LOAD = """
import sys
from snakegym.network.traces.library import load_library
from snakegym.scenario import TraceConfig
library = load_library(TraceConfig(source=sys.argv[1]))
for split in ("train", "validation", "test"):
    library.split(split)
print(len(library.links), len(library.computes))
"""


@pytest.mark.slow
def test_everything_loads_the_same_cold_and_warm(shared_data):
    command = [sys.executable, "-c", LOAD, str(shared_data)]
    for _ in range(2):
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert run.stdout.split() == ["342", "546"]
