from pathlib import Path

import numpy as np
import pytest

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats import tidy
from snakegym.network.traces.mend import compute_trace, link_trace
from snakegym.scenario import TraceConfig


def read_link(path, **rules):
    return link_trace(tidy.read(path)[0], TraceConfig(**rules))


def read_compute(path):
    return compute_trace(tidy.read(path)[0])


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "some-trace.csv"
        path.write_text(text if text.endswith("\n") else text + "\n")
        return path

    return write


def test_both_directions_and_rtt(write):
    link = read_link(
        write(
            "time_s,downlink_mbps,uplink_mbps,rtt_ms,sinr_db\n"
            "5,10,1,80,x\n6.5,20,2,,x\n7.5,0,3,90,x\n8.5,5,0,100,\n"
        )
    )
    assert link.name == "some-trace"
    np.testing.assert_array_equal(link.downlink.times_s, [0, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(link.downlink.values, [10e6, 20e6, 0, 5e6])
    np.testing.assert_array_equal(link.uplink.values, [1e6, 2e6, 3e6, 0])
    assert link.rtt_s == 0.09
    assert link.uplink.period_s == 4.5


def test_a_missing_direction_follows_by_ratio(write):
    down = read_link(write("time_s,downlink_mbps\n0,8\n1,4\n"))
    np.testing.assert_array_equal(down.uplink.values, np.array([8e6, 4e6]) * 0.25)
    up = read_link(write("uplink_mbps,time_s\n8,0\n4,1\n"))
    np.testing.assert_array_equal(up.uplink.values, [8e6, 4e6])
    np.testing.assert_array_equal(up.downlink.values, np.array([8e6, 4e6]) / 0.25)
    assert up.rtt_s is None


def test_acknowledgements_are_no_measurement(write):
    link = read_link(write("time_s,downlink_mbps,uplink_mbps\n0,100,0.9\n1,100,0.8\n"))
    np.testing.assert_array_equal(link.uplink.values, [25e6, 25e6])


def test_a_long_gap_is_an_outage_and_a_short_one_is_not(write):
    link = read_link(write("time_s,downlink_mbps\n0,1\n1,2\n2,3\n13,4\n14,5\n25.5,6\n26.5,7\n"))
    np.testing.assert_array_equal(link.downlink.times_s, [0, 1, 2, 13, 14, 15, 25.5, 26.5])
    np.testing.assert_array_equal(link.downlink.values, np.array([1, 2, 3, 4, 5, 0, 6, 7]) * 1e6)
    assert link.downlink.period_s == 27.5


def test_compute_holds_over_gaps(write):
    trace = read_compute(write("time_s,cpu_available_fraction\n300,0.5\n600,1\n900,0\n9000,0.25\n"))
    np.testing.assert_array_equal(trace.times_s, [0, 300, 600, 8700])
    np.testing.assert_array_equal(trace.values, [0.5, 1, 0, 0.25])
    assert trace.period_s == 9000


def test_next_to_nothing_is_an_outage(write):
    link = read_link(write("time_s,downlink_mbps,uplink_mbps\n0,1,1\n1,9e-7,1\n2,1,1e-300\n"))
    np.testing.assert_array_equal(link.downlink.values, [1e6, 0, 1e6])
    np.testing.assert_array_equal(link.uplink.values, [1e6, 1e6, 0])
    np.testing.assert_array_equal(
        read_compute(write("time_s,cpu_available_fraction\n0,1e-9\n1,1\n")).values, [0, 1]
    )


def test_byte_order_mark_windows_line_ends_and_a_blank_last_line(write):
    link = read_link(write("\ufefftime_s,downlink_mbps\r\n0,1\r\n1,2\r\n\r\n"))
    np.testing.assert_array_equal(link.downlink.values, [1e6, 2e6])


LINK = "time_s,downlink_mbps"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("\n", None, "found 0 lines"),
        (f"{LINK}\n", None, "found 1 lines"),
        ("time_s,rate\n0,1\n", 1, "expected downlink_mbps, uplink_mbps or cpu_available_fraction"),
        ("time,downlink_mbps\n0,1\n", 1, "expected time_s among them"),
        (f"{LINK}\n0,1\n1,nan\n", 3, "downlink_mbps is 'nan', expected a finite number >= 0"),
        (f"{LINK}\n0,1\n1,\n", 3, "downlink_mbps is '', expected a number"),
        (f"{LINK}\n0,1\n1,fast\n", 3, "downlink_mbps is 'fast', expected a number"),
        (f"{LINK}\n0,1\n1,-3\n", 3, "downlink_mbps is '-3', expected a finite number >= 0"),
        (f"{LINK}\n0,1\n1,inf\n", 3, "downlink_mbps is 'inf'"),
        (f"{LINK}\n0,1\n5,1\n4,1\n", 4, "time_s is '4', expected more than on the line before"),
        (f"{LINK}\n0,1\n5,1\n5,1\n", 4, "time_s is '5', expected more than on the line before"),
        (f"{LINK}\nnan,1\n5,1\n", 2, "time_s is 'nan', expected a finite number"),
        (f"{LINK}\n0,1\n1\n", 3, "found 1 fields, expected 2"),
        (f"{LINK}\n0,1\n\n2,1\n", 3, "found 0 fields, expected 2"),
        (f"{LINK},rtt_ms\n0,1,5\n1,1,-5\n", 3, "rtt_ms is '-5', expected a finite number >= 0 or nothing"),
        (f"{LINK},rtt_ms\n0,1,5\n1,1,soon\n", 3, "rtt_ms is 'soon', expected a number"),
    ],
)
def test_bad_link_files_are_named_with_line_and_reason(write, text, line, reason):
    path = write(text)
    with pytest.raises(SnakegymError) as error:
        read_link(path)
    message = str(error.value)
    assert message.startswith(f"{path}: " if line is None else f"{path}, line {line}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("value", ["1.01", "-0.1", "nan"])
def test_bad_shares_are_named(write, value):
    with pytest.raises(
        SnakegymError, match=rf"line 3: cpu_available_fraction is '{value}', expected a number in"
    ):
        read_compute(write(f"time_s,cpu_available_fraction\n0,1\n1,{value}\n"))


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(SnakegymError, match=r"none\.csv: cannot read the trace"):
        read_link(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SnakegymError, match=r"binary\.csv: cannot read the trace"):
        read_compute(tmp_path / "binary.csv")
