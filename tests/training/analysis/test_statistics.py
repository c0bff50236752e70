from hypothesis import given
from hypothesis import strategies as st

from snakegym.training.analysis.statistics import front


class TestFront:
    def test_dominated_points_are_left_out_and_equals_kept(self) -> None:
        assert front([1, 2, 3, 2], [1, 2, 1, 2]).tolist() == [True, True, False, True]

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
    def test_there_is_always_one_and_the_rest_is_dominated_by_it(self, points: list[tuple[int, int]]) -> None:
        best = front(*zip(*points, strict=True))
        chosen = [p for p, on in zip(points, best, strict=True) if on]
        assert chosen
        for cost, value in points:
            assert any(c <= cost and v >= value for c, v in chosen)
