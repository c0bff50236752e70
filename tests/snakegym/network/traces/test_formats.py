import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats import FORMATS, find_format, sniff, tidy

FORMAT_OF = {
    "irish-5g": "irish-5g",
    "lumos5g": "lumos5g",
    "mn-wild": "mn-wild",
    "norway-hsdpa": "norway-3g",
    "mahimahi": "mahimahi",
    "planetlab": "planetlab",
    "google-vms": "utilisation",
}


@pytest.fixture
def originals(shared_data):
    return shared_data / "original"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "trace") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, newline="")
        return path

    return write


def read(path):
    return sniff(path).read(path)


def test_published_files_are_recognised(originals):
    files = [f for folder in FORMAT_OF for f in sorted((originals / folder).iterdir())]
    assert len(files) == 21
    for file in files:
        assert sniff(file).name == FORMAT_OF[file.parent.name]


def test_published_files_agree_with_their_tidy_versions(originals, shared_data):
    with (originals / "MANIFEST.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 17
    for row in rows:
        (found,) = read(originals / row["file"])
        (expected,) = tidy.read(shared_data / found.kind / row["tidy_file"])
        np.testing.assert_allclose(found.times_s, expected.times_s - expected.times_s[0], atol=1e-9)
        assert found.columns.keys() == expected.columns.keys()
        for name, values in expected.columns.items():
            np.testing.assert_allclose(found.columns[name], values, atol=5.1e-5)
        assert (found.rtt_ms is None) == (expected.rtt_ms is None)
        if expected.rtt_ms is not None:
            assert found.rtt_ms == pytest.approx(expected.rtt_ms, abs=2)


def test_mahimahi_files_carry_their_packets(originals):
    (link,) = read(originals / "mahimahi" / "Verizon-LTE-short.down")
    assert link.name == "Verizon-LTE-short"
    for column, suffix in (("downlink_mbps", "down"), ("uplink_mbps", "up")):
        stamps = np.loadtxt(originals / "mahimahi" / f"Verizon-LTE-short.{suffix}")
        rate = link.columns[column]
        for second in (0, 17, 139):
            packets = ((stamps >= 1000 * second) & (stamps < 1000 * (second + 1))).sum()
            assert rate[second] == pytest.approx(packets * 0.012)
        assert rate.sum() == pytest.approx((stamps < 140_000).sum() * 0.012)
    assert link.period_s == 140


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.integers(1, 5))
def test_mahimahi_bits_are_conserved(tmp_path_factory, stamps, seconds):
    path = tmp_path_factory.mktemp("mahimahi") / "trace.down"
    end = 1000 * seconds
    inside = sorted(s for s in stamps if s < end)
    path.write_text("".join(f"{s}\n" for s in [*inside, end]))
    (link,) = find_format("mahimahi").read(path)
    assert link.columns["downlink_mbps"].sum() == pytest.approx(len(inside) * 0.012)
    assert link.period_s == seconds


def test_short_mahimahi_files_are_constant_rates(write):
    (link,) = find_format("mahimahi").read(write("1\n"))
    assert link.columns["downlink_mbps"] == pytest.approx([12.0])


def test_a_lone_uplink_is_one(write):
    (link,) = read(write("0\n500\n1000\n", "a.up"))
    assert list(link.columns) == ["uplink_mbps"]


LUMOS = "run_num,seq_num,abstractSignalStr,nrStatus,Throughput,mobility_mode,trajectory_direction,tower_id"


def test_the_lumos5g_dataset_holds_many_runs(write):
    rows = [
        "1,1,2,CONNECTED,100,walking,CW,1",
        "1,2,2,NONE,50.5,walking,CW,1",
        "1,2,2,NONE,49.5,walking,CW,1",
    ]
    rows += ["1,1,2,NONE,7,driving,CW,1", "2,1,2,NONE,8,walking,ACW,1", "2,4,2,NONE,9,walking,ACW,1"]
    runs = read(write("\n".join([LUMOS, *rows]) + "\n", "Lumos5G-v1.0.csv"))
    assert [r.name for r in runs] == [
        "Lumos5G-v1.0-walking-cw-1",
        "Lumos5G-v1.0-driving-cw-1",
        "Lumos5G-v1.0-walking-acw-2",
    ]
    np.testing.assert_array_equal(runs[0].columns["downlink_mbps"], [100, 50])
    np.testing.assert_array_equal(runs[2].times_s, [0, 3])
    assert {(r.source, r.scenario) for r in runs} == {("lumos5g", "5g-walking"), ("lumos5g", "5g-driving")}


def test_strata_follow_from_names_folders_and_content(originals, tmp_path):
    assert tidy.stratum("norway3g_bus-ljansbakken-oslo_2010-09-28") == ("norway3g", "bus")
    assert tidy.stratum("ucc5g_download_driving_20191214-101630") == ("ucc5g", "download-driving")
    assert tidy.stratum("link07") == ("link", "")
    assert tidy.stratum("7") == ("7", "")

    def stratum(file, folder):
        (tmp_path / folder).mkdir(parents=True)
        copy = shutil.copy(originals / file, tmp_path / folder)
        (recording,) = read(Path(copy))
        return recording.source, recording.scenario

    bus = stratum("norway-hsdpa/report.2010-09-28_1407CEST.log", "bus.ljansbakken-oslo")
    assert bus == ("norway3g", "bus")
    driving = stratum("irish-5g/B_2019.12.14_10.16.30.csv", "5G-production-dataset/Download/Driving")
    assert driving == ("irish5g", "download-driving")
    assert stratum("planetlab/host4-plb_loria_fr_root", "20110303") == ("planetlab", "20110303")
    assert stratum("lumos5g/4g_trace_driving_50015_dr", "x") == ("lumos5g", "4g-driving")
    assert stratum("mn-wild/S20UPM-run20066.csv", "y") == ("mnwild", "tmobile-nsa-lte-downlink")


def test_rows_in_reverse_are_sorted(originals, tmp_path):
    original = originals / "norway-hsdpa" / "report.2010-09-28_1407CEST.log"
    reverse = tmp_path / "reverse.log"
    reverse.write_text("".join(reversed(original.read_text().splitlines(keepends=True))))
    (found,), (expected,) = read(reverse), read(original)
    np.testing.assert_array_equal(found.columns["downlink_mbps"], expected.columns["downlink_mbps"])
    assert "out of order" in found.notes[0]


IRISH = "Timestamp,NetworkMode,DL_bitrate,UL_bitrate,State,PINGAVG"
WILD = "timestamp,Throughput,provider,radio_type_used,direction"


@pytest.mark.parametrize(
    ("text", "name", "line", "reason"),
    [
        (f"{IRISH}\n2019.12.14_10.16.30,5G,7,1,D,-\n10:16,5G,7,1,D,-\n", "a.csv", 3, "Timestamp is '10:16'"),
        (f"{IRISH}\n2019.12.14_10.16.30,5G,-7,1,D,-\n", "a.csv", 2, "DL_bitrate is '-7', expected a finite"),
        (f"{IRISH}\n2019.12.14_10.16.30,5G,nan,1,D,-\n", "a.csv", 2, "DL_bitrate is 'nan'"),
        (f"{IRISH}\n2019.12.14_10.16.30,5G\n", "a.csv", 2, "found 2 fields, expected 6"),
        (f"{WILD}\n2021-01-23 12:40:19,5,V,SA,sideways\n", "a.csv", 2, "direction is 'sideways'"),
        (f"{WILD}\nnever,5,V,SA,uplink\n", "a.csv", 2, "timestamp is 'never'"),
        (f"{LUMOS}\n1,x,2,NONE,100,walking,CW,1\n", "a.csv", 2, "seq_num is 'x', expected a number"),
        ("0 5\n1 6\n2 -1\n", "4g_trace_walking_1", 3, "mbps is '-1'"),
        ("0 5\n1 nan\n", "5g_trace_driving_2", 2, "mbps is 'nan'"),
        ("1285675666 1 59.8 10.7 288 1008\n1285675667 2 59.8 10.7 288 0\n", "a.log", 2, "elapsed_ms is '0'"),
        ("5\n105\n104\n", "a.down", 3, "stamp is '104', expected no less than on the line before"),
        ("0\n0\n", "a.down", 2, "the last stamp is 0 ms"),
        ("10\n20\n15\n101\n", "a", None, "state --format (it looks like planetlab)"),
        ("hello\n", "a", 1, "found 'hello', expected the start of one of tidy, mahimahi"),
        ("3\n4\n", "a", None, "state --format (it looks like mahimahi, planetlab)"),
        ("", "a", None, "found an empty file"),
        ("0 5\n1 6", "4g_trace_walking_1", 2, "the last line has no line end"),
        # One bad value among many does not hide what the others are.
        ("0\n7\nx\n400\n900\n1200\n", "a", 3, "stamp is 'x', expected a number"),
        ("0\n7\n-9\n400\n900\n1200\n", "a.up", 3, "stamp is '-9', expected a whole number"),
        ("0 5\n1 6\n2 6,5\n3 7\n4 7\n5 8\n", "5g_trace_driving_2", 3, "mbps is '6,5', expected a number"),
        (
            "1285675666 1 59.8 10.7 288 1008\n" * 5 + "1285675667 2 59.8 10.7 288\n",
            "a.log",
            6,
            "found 5 fields",
        ),
        # Numbers that Python alone would read.
        ("time_s,downlink_mbps\n0,1\n1,1_000\n", "a.csv", 3, "downlink_mbps is '1_000', expected a number"),
        (
            "time_s,downlink_mbps\n0,\uff11\uff12\n1,2\n",
            "a.csv",
            2,
            "downlink_mbps is '\uff11\uff12', expected a number",
        ),
        ("time_s,downlink_mbps\n0,0x1\n1,2\n", "a.csv", 2, "downlink_mbps is '0x1', expected a number"),
        ("time_s,downlink_mbps\n0,infinity\n", "a.csv", 2, "downlink_mbps is 'infinity', expected a finite"),
        (
            "time_s,dl_mbps,rtt_ms\n0,1,5\n".replace("dl", "downlink") + "1,2,1_0\n",
            "a.csv",
            3,
            "rtt_ms is '1_0'",
        ),
        ("0 5\n1 6\n2 1_0\n3 7\n4 7\n5 8\n", "5g_trace_driving_2", 3, "mbps is '1_0', expected a number"),
        ("0\n7\n\u0663\u0660\n400\n900\n1200\n", "a", 3, "stamp is '\u0663\u0660', expected a number"),
        # Rows longer than the header, as with a decimal comma.
        ("time_s,downlink_mbps\n0,0,52\n", "a.csv", 2, "found 3 fields, expected 2"),
        (f"{IRISH}\n2019.12.14_10.16.30,5G,7,1,D,-,8\n", "a.csv", 2, "found 7 fields, expected 6"),
        (f"{LUMOS}\n1,1,2,NONE,100,walking,CW,1,7\n", "a.csv", 2, "found 9 fields, expected 8"),
        # Names given twice.
        ("time_s,downlink_mbps,downlink_mbps\n0,1,2\n", "a.csv", 1, "found column 'downlink_mbps' twice"),
        (f"{IRISH}, DL_bitrate\n", "a.csv", None, "found 1 lines"),
        (f"{WILD},provider\n", "a.csv", None, "found 1 lines"),
        (f"{WILD},provider\nnever,5,V,SA,uplink,V\n", "a.csv", 1, "found column 'provider' twice"),
        ("seq_num,dl_mbps,rx_kbps\n0,1,2\n", "a.csv", 1, "found two columns of downlink_mbps"),
        ("time_s,t_ms,dl_mbps\n0,1,2\n", "a.csv", 1, "found 2 columns of times ('time_s', 't_ms')"),
        ("elapsed_s,t_ms,dl_mbps\n0,1,2\n", "a.csv", 1, "found 2 columns of times ('elapsed_s', 't_ms')"),
        # Quotes over several lines do not shift what is said of a line.
        ('time_s,downlink_mbps,note\n0,1,"two\nlines"\n1,x,\n', "a.csv", 4, "downlink_mbps is 'x'"),
        ('time_s,downlink_mbps\n0,"1\n1,2\n', "a.csv", 3, "cannot read the trace"),
        ("5\n1000000000000000\n", "a.down", 2, "expected at most 2678400000 ms, a month"),
        ("time_s,downlink_mbps\n0,\x1b[31m\x85\n", "a.csv", 2, "downlink_mbps is '\\x1b[31m\\x85'"),
    ],
)
def test_bad_files_are_named_with_line_and_reason(write, text, name, line, reason):
    path = write(text, name)
    with pytest.raises(SnakegymError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(str(path) if line is None else f"{path}, line {line}: ")
    assert reason in message
    assert "\n" not in message


def test_percentages_are_told_from_packets(write):
    assert sniff(write("3\n4\n2\n", "compute/a")).name == "planetlab"
    assert sniff(write("7\n" * 288, "20110303/a")).name == "planetlab"
    assert sniff(write("3\n4\n", "x.up")).name == "mahimahi"
    assert sniff(write("3\n400\n")).name == "mahimahi"
    assert sniff(write("3.5 1\n2 1\n", "compute/b")).name == "utilisation"
    (series,) = read(write("25\n0\n100\n", "compute/c"))
    np.testing.assert_allclose(series.columns["cpu_available_fraction"], [0.75, 1, 0])
    np.testing.assert_array_equal(series.times_s, [0, 300, 600])
    assert series.period_s == 900


def test_percentages_beyond_100_are_refused(write):
    with pytest.raises(SnakegymError, match=r"line 2: cpu_percent is '101', expected a percentage"):
        find_format("planetlab").read(write("1\n101\n"))


def test_every_format_says_what_it_is():
    for name, form in FORMATS.items():
        assert form.name == name
        assert form.summary
        assert form.citation or name in ("tidy", "csv-units")
    with pytest.raises(SnakegymError, match="unknown trace format 'csv': expected one of tidy, mahimahi"):
        find_format("csv")
