"""Units and kinds: read where a header, a suffix, a name or a folder states them, else refused by name."""

import numpy as np
import pytest

from snakegym.errors import SnakegymError
from snakegym.network.traces.catalogue import scan
from snakegym.network.traces.formats import find_format, sniff

SECONDS = "0 65.0\n1 58.0\n2 58.5\n"
FRACTIONS = "0.52 1.9\n1.03 2.4\n1.49 0.7\n"
MILLISECONDS = "7.0 4600.5\n320.0 4600.5\n408.0 4700.2\n"
POSITIONS = "59.91 10.75\n59.92 10.76\n59.90 10.77\n"
PERCENT = "12\n50\n7\n"
RISING = "1\n50\n70\n"
UNIX = "1285675666\n1285675667\n1285675669\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SECONDS, "lumos5g, pensieve"),
        (FRACTIONS, "pensieve, utilisation"),
        (MILLISECONDS, "lumos5g, pensieve"),
        (POSITIONS, "utilisation"),
        (PERCENT, "planetlab"),
        (RISING, "mahimahi, planetlab"),
    ],
)
def test_numbers_alone_say_nothing(write, text, named):
    with pytest.raises(SnakegymError, match=rf"in which unit: state --format \(it looks like {named}\)"):
        sniff(write(text, "mine/a"))


def test_what_counts_something_else_is_no_trace(write):
    with pytest.raises(SnakegymError, match="line 1: found '1285675666', expected the start of one of"):
        sniff(write(UNIX, "a"))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (SECONDS, "link/a", "pensieve"),
        (FRACTIONS, "link/deep/a.txt", "pensieve"),
        (FRACTIONS, "cooked_traces/a", "pensieve"),
        (SECONDS, "4g_trace_driving_50015_dr", "lumos5g"),
        (SECONDS, "Lumous5G/a", "lumos5g"),
        (PERCENT, "compute/a", "planetlab"),
        (PERCENT, "planetlab/a", "planetlab"),
        ("12.5\n50\n7\n", "compute/a", "utilisation"),
        (POSITIONS, "vm_1218322450_1", "utilisation"),
        (RISING, "a.down", "mahimahi"),
        ("0\n40\n120\n", "a", "mahimahi"),
    ],
)
def test_names_and_folders_decide(write, text, name, expected):
    assert sniff(write(text, name)).name == expected


@pytest.mark.parametrize(("text", "name"), [(MILLISECONDS, "link/a"), ("0.5\n0.7\n0.25\n", "compute/a")])
def test_a_folder_decides_on_the_kind_and_not_on_a_unit_that_does_not_fit(write, text, name):
    with pytest.raises(SnakegymError, match="state --format"):
        sniff(write(text, name))


def test_whole_seconds_are_labelled_by_their_names(write):
    (mine,) = sniff(path := write(SECONDS, "link/lab_walk_1.txt")).read(path)
    assert (mine.source, mine.scenario) == ("lab", "walk")
    np.testing.assert_array_equal(mine.columns["downlink_mbps"], [65, 58, 58.5])


@pytest.mark.parametrize(
    ("text", "columns", "times"),
    [
        ("seq_num,radio_type,throughput_mbps\n0,5G,10\n1,5G,20\n", {"downlink_mbps": [10, 20]}, [0, 1]),
        ("elapsed_ms;DL [kbit/s];UL [kbit/s]\n0;500;50\n250;100;10\n",
         {"downlink_mbps": [0.5, 0.1], "uplink_mbps": [0.05, 0.01]}, [0, 0.25]),
        ("time_s,cpu_percent\n0,25\n300,100\n", {"cpu_available_fraction": [0.75, 0]}, [0, 300]),
        ("timestamp,CPU usage [%]\n2024-03-01 00:00:00,40\n2024-03-01 00:05:00,60\n",
         {"cpu_available_fraction": [0.6, 0.4]}, [0, 300]),
        ("timestamp,cpu_idle_fraction\n1709251200,0.25\n1709251260,1\n",
         {"cpu_available_fraction": [0.25, 1]}, [0, 60]),
        ("timestamp\trx_bps\n1709251200000,\n".replace(",", "\t5000000"), {"downlink_mbps": [5]}, [0]),
    ],
)  # fmt: skip
def test_headers_that_state_units(write, text, columns, times):
    (found,) = sniff(path := write(text, "a.csv")).read(path)
    assert sniff(path).name == "csv-units"
    np.testing.assert_allclose(found.times_s, times)
    assert found.columns.keys() == columns.keys()
    for name, values in columns.items():
        np.testing.assert_allclose(found.columns[name], values)


def test_a_radio_type_is_the_scenario_and_an_assumed_direction_is_said(write):
    path = write("seq_num,radio_type,throughput_mbps\n0,5G-NSA,10\n1,5G-NSA,20\n", "att_1.csv")
    (found,) = sniff(path).read(path)
    assert (found.source, found.scenario) == ("att", "5g-nsa")
    assert found.notes == ("throughput_mbps states no direction, taken as the downlink",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("timestamp,dl_mbps\n17,1\n", "line 2: timestamp is '17', which states no unit"),
        (
            "Timestamp [ms];CPU usage [%]\n1376314846;5\n1376315146;6\n",
            "a Unix time in seconds, expected milli",
        ),
        ("time_s,cpu_percent\n0,101\n", "line 2: cpu_percent is '101', expected a number from 0 to 100"),
        ("time_s,cpu_fraction\n0,25\n", "line 2: cpu_fraction is '25', expected a number from 0 to 1"),
        ("seq_num,dl_mbps\n7,1\n0,1\n", "line 3: seq_num is '0', expected no less .*: one run a file"),
        ("time_s,dl_mbps,cpu_percent\n0,1,5\n", "line 1: found rates and CPU, expected a link or a machine"),
    ],
)
def test_headers_that_do_not_fit(write, text, reason):
    path = write(text, "a.csv")
    with pytest.raises(SnakegymError, match=reason):
        sniff(path).read(path)


def test_what_header_and_file_lack_is_said(write):
    with pytest.raises(
        SnakegymError, match=r"found 'cpu_percent', expected .* write other layouts as tidy CSV"
    ):
        sniff(write("cpu_percent\n12\n40\n", "a.csv"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("time_s,downlink_mbps\n0,1\n0.00347,2\n0.00694,3\n", "median step of 0.00347 s, expected 0.01 to"),
        (
            "time_s,downlink_mbps\n0,1\n1e-320,1\n1,1\n2,1\n",
            "two samples within 9.99989e-321 s, expected 1e-06",
        ),
        ("time_s,downlink_mbps\n0,1\n1e12,2\n", "expected 0.01 to 1e\\+09 s: is it in another unit"),
        ("time_s,downlink_mbps\n0,1e300\n1,2\n", "found up to 1e\\+300 Mbit/s, expected 0 to 1e\\+06"),
        ("time_s,downlink_mbps,rtt_ms\n0,1,1e30\n1,2,\n", "a round-trip time of 1e\\+30 ms"),
    ],
)
def test_figures_beyond_all_units_are_refused(write, text, reason):
    write(text, "t/link/a.csv")
    (refused,) = scan(write("", "t/link/.hidden").parents[1]).refused
    assert refused.reason.startswith("link/a.csv: ")
    with pytest.raises(SnakegymError, match=reason):
        raise SnakegymError(refused.reason)


def test_a_stated_format_is_not_second_guessed(write):
    assert find_format("pensieve").read(write(MILLISECONDS, "a"))[0].step_s == 200.5
