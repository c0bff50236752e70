"""The parameters of a sweep file: what values they may have, by W&B's distributions.

Source: https://docs.wandb.ai/models/sweeps/sweep-config-keys. Bounds of `log_uniform` are exponents of e,
those of `log_uniform_values` are values; forms with `q_` are rounded to multiples of `q`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy import stats

from snakegym.errors import SnakegymError

MOST_POINTS = 100_000
"""Values of one parameter in a grid, and points of a grid."""

Kind = Literal["constant", "choice", "integer", "number", "logarithmic", "quantile"]
REQUIRED: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform": ("min", "max"),
    "q_log_uniform_values": ("min", "max"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "normal": (),
    "q_normal": (),
    "log_normal": (),
    "q_log_normal": (),
    "beta": (),
    "q_beta": (),
}
"""Distributions, and what each of them needs."""
OPTIONAL = {"normal": ("mu", "sigma"), "log_normal": ("mu", "sigma"), "beta": ("a", "b")}
USUAL = {"mu": 0.0, "sigma": 1.0, "a": 1.0, "b": 1.0, "q": 1.0}


@dataclass(frozen=True)
class Parameter:
    """A parameter, searched over a variable that is not always its value.

    Attributes:
        name: of an option, with dots between the names of nested ones.
        kind: how the variable is searched: `choice` is an index, `quantile` lies in [0, 1].
        low: of the variable.
        high: of the variable.
        choices: of a constant (one) or a choice.
        quantiles: from a quantile to the value; None where the variable is the value.
        q: the value is rounded to multiples of this; None: it is not.
    """

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    choices: tuple[Any, ...] = ()
    quantiles: Callable[[float], Any] | None = None
    q: float | None = None

    def value(self, variable: float) -> Any:
        """The value that a number of the search stands for."""
        if self.kind in ("constant", "choice"):
            return self.choices[int(variable)]
        found = self.quantiles(variable) if self.quantiles is not None else variable
        if isinstance(found, float) and self.q is not None:
            found = _tidy(round(found / self.q) * self.q)
        return int(found) if self.kind == "integer" else found

    def points(self) -> list[float]:
        """The variables of all values in a grid. Raises SnakegymError if there is no end of them."""
        if self.kind in ("constant", "choice"):
            return [float(i) for i in range(len(self.choices))]
        step = 1.0 if self.kind == "integer" else self.q if self.kind == "number" else None
        if step is None:
            raise SnakegymError(
                f"parameters.{self.name}: found a range without steps, expected values, whole numbers or "
                "q_uniform, as method grid tries all"
            )
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        if last - first >= MOST_POINTS:
            raise SnakegymError(
                f"parameters.{self.name}: found {last - first + 1} values, expected at most {MOST_POINTS}"
            )
        return [_tidy(i * step) for i in range(first, last + 1)]

    def examples(self) -> list[Any]:
        """Values to try whether they are possible: all choices, or the ends."""
        if self.kind in ("constant", "choice"):
            return list(self.choices)
        ends = (0.001, 0.999) if self.kind == "quantile" else (self.low, self.high)
        return [self.value(end) for end in ends]


def read_parameters(given: Any, where: str = "parameters") -> list[Parameter]:
    """The parameters in that part of a sweep file, nested ones with dots in their names.

    Raises:
        SnakegymError: unknown distribution or key, missing or impossible bounds.
    """
    if not isinstance(given, Mapping) or not given:
        raise SnakegymError(f"{where}: found {given!r:.60}, expected a mapping from names to values")
    found: list[Parameter] = []
    for name, fields in given.items():
        place = f"{where}.{name}"
        if not isinstance(fields, Mapping):
            raise SnakegymError(f"{place}: found {fields!r:.60}, expected value, values, or min and max")
        if "parameters" in fields:
            if len(fields) > 1:
                other = next(key for key in fields if key != "parameters")
                raise SnakegymError(f"{place}: found '{other}' beside 'parameters', expected that alone")
            found += [
                Parameter(**{**vars(p), "name": f"{name}.{p.name}"})
                for p in read_parameters(fields["parameters"], f"{place}.parameters")
            ]
        else:
            found.append(_read(name, fields, place))
    return found


def _read(name: str, fields: Mapping[str, Any], place: str) -> Parameter:
    distribution = _distribution(fields, place)
    plain = distribution.removeprefix("q_")
    required = REQUIRED[distribution]
    allowed = {"distribution", *required, *OPTIONAL.get(plain, ()), *({"q"} if plain != distribution else ())}
    for key in fields:
        if key not in allowed:
            raise SnakegymError(
                f"{place}: found '{key}', expected {', '.join(sorted(allowed))} of the distribution "
                f"{distribution}"
            )
    for key in required:
        if key not in fields:
            raise SnakegymError(f"{place}: found no '{key}', which the distribution {distribution} needs")
    if distribution == "constant":
        return Parameter(name, "constant", choices=(fields["value"],))
    if distribution.startswith("categorical"):
        return _choice(name, fields, place)
    numbers = {
        key: _number(fields.get(key, USUAL.get(key)), f"{place}.{key}") for key in allowed - {"distribution"}
    }
    q = numbers.pop("q", None)
    if q is not None and q <= 0:
        raise SnakegymError(f"{place}.q: found {q:g}, expected above 0")
    if "min" in numbers:
        return _range(name, plain, numbers["min"], numbers["max"], q, place)
    return Parameter(name, "quantile", quantiles=_quantiles(plain, numbers, place), q=q)


def _distribution(fields: Mapping[str, Any], place: str) -> str:
    """As given, else as W&B takes it: by what stands there."""
    if "distribution" in fields:
        found = fields["distribution"]
        if not isinstance(found, str) or found not in REQUIRED:
            raise SnakegymError(
                f"{place}: unknown distribution {found!r:.60}, expected one of {', '.join(REQUIRED)}"
            )
        return found
    if "value" in fields:
        return "constant"
    if "values" in fields:
        return "categorical_w_probabilities" if "probabilities" in fields else "categorical"
    if "min" in fields or "max" in fields:
        whole = all(type(fields.get(key)) is int for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    raise SnakegymError(f"{place}: found {dict(fields)!r:.60}, expected value, values, or min and max")


def _choice(name: str, fields: Mapping[str, Any], place: str) -> Parameter:
    values = fields["values"]
    if not isinstance(values, list) or not values:
        raise SnakegymError(f"{place}.values: found {values!r:.60}, expected a list of one or more")
    if "probabilities" not in fields:
        return Parameter(name, "choice", high=len(values) - 1, choices=tuple(values))
    shares = fields["probabilities"]
    if not isinstance(shares, list) or len(shares) != len(values):
        raise SnakegymError(f"{place}.probabilities: found {shares!r:.60}, expected one for each value")
    numbers = [_number(share, f"{place}.probabilities") for share in shares]
    if min(numbers) < 0 or abs(sum(numbers) - 1) > 1e-6:
        raise SnakegymError(f"{place}.probabilities: found {shares!r:.60}, expected shares that add up to 1")
    bounds = [sum(numbers[: i + 1]) for i in range(len(numbers))]
    return Parameter(name, "quantile", quantiles=_Pick(tuple(values), tuple(bounds)))


@dataclass(frozen=True)
class _Pick:
    """A value by its share."""

    values: tuple[Any, ...]
    bounds: tuple[float, ...]

    def __call__(self, quantile: float) -> Any:
        """The value whose share the quantile falls into."""
        return next(
            (v for v, b in zip(self.values, self.bounds, strict=True) if quantile < b), self.values[-1]
        )


def _range(name: str, plain: str, low: float, high: float, q: float | None, place: str) -> Parameter:
    if low > high:
        raise SnakegymError(f"{place}: found min {low:g} and max {high:g}, expected min not above max")
    if plain == "int_uniform":
        if low != int(low) or high != int(high):
            raise SnakegymError(f"{place}: found {low:g} to {high:g}, expected whole numbers of int_uniform")
        return Parameter(name, "integer", low, high)
    if plain == "uniform":
        return Parameter(name, "number", low, high, q=q)
    if plain in ("log_uniform", "inv_log_uniform"):
        ends = (low, high) if plain == "log_uniform" else (-high, -low)
        if max(map(abs, ends)) > 700:
            raise SnakegymError(f"{place}: found {low:g} to {high:g}, expected exponents of e, at most 700")
        low, high = math.exp(ends[0]), math.exp(ends[1])
    if low <= 0:
        raise SnakegymError(f"{place}.min: found {low:g}, expected above 0 of a logarithmic distribution")
    return Parameter(name, "logarithmic", low, high, q=q)


def _quantiles(plain: str, numbers: Mapping[str, float], place: str) -> Callable[[float], float]:
    if plain == "beta":
        first, second = numbers["a"], numbers["b"]
    else:
        first, second = numbers["mu"], numbers["sigma"]
    if second <= 0 or (plain == "beta" and first <= 0):
        raise SnakegymError(f"{place}: found {dict(numbers)!r:.60}, expected above 0")
    return _Quantile(plain, first, second)


@dataclass(frozen=True)
class _Quantile:
    """The inverse of a cumulative distribution, cut off where a number would be infinite."""

    kind: str
    first: float
    second: float

    def __call__(self, quantile: float) -> float:
        """The number below which that share lies."""
        inside = min(max(quantile, 1e-6), 1 - 1e-6)
        if self.kind == "beta":
            return float(stats.beta.ppf(inside, self.first, self.second))
        found = float(stats.norm.ppf(inside, self.first, self.second))
        return math.exp(min(found, 700)) if self.kind == "log_normal" else found


def _number(value: Any, place: str) -> float:
    """PyYAML reads `1e-4` as text, so texts that are numbers count as such."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except ValueError:
        raise SnakegymError(f"{place}: found {value!r:.60}, expected a number") from None
    return number


def _tidy(number: float) -> float:
    """Without what rounding left in the last digits: 0.1 * 3 is 0.3."""
    return float(f"{number:.12g}")


def names(parameters: Sequence[Parameter]) -> list[str]:
    """Of those that differ from trial to trial."""
    return [p.name for p in parameters if p.kind != "constant"]
