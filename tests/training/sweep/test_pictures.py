"""The front of accuracy and costs: which trials are on it, and that none is drawn over another."""

from __future__ import annotations

from snakegym.training.sweep.pictures import front


def measures(time_s: float, accuracy: float) -> dict[str, float]:
    return {"time_s": time_s, "energy_j": 10 - time_s, "n_bytes": 1.0, "accuracy": accuracy}


def test_the_front_and_what_is_beaten() -> None:
    alike = {n: measures(1, 0.5) for n in (0, 1, 2, 4, 7)}
    figure = front({**alike, 5: measures(2, 0.8), 6: measures(3, 0.7)})
    by_time, by_energy, by_bytes = figure.axes
    line, *marks = by_time.lines
    assert line.get_xydata().tolist() == [[1, 0.5], [2, 0.8]]
    filled = {tuple(mark.get_xydata()[0]): mark.get_markerfacecolor() != "white" for mark in marks}
    assert filled == {(1, 0.5): True, (2, 0.8): True, (3, 0.7): False}
    assert [text.get_text() for text in by_time.texts] == ["0, 1, 2 and 2 more", "5", "6"]
    assert by_energy.lines[0].get_xydata().tolist() == [[7, 0.7], [8, 0.8]]
    assert by_bytes.lines[0].get_xydata().tolist() == [[1, 0.8]]
