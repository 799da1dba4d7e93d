"""The styles of a group side by side: parallel chains of steps become one chain over rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from export.paper_program import Op, Program, Shape, Step, shapes_of

_PER_ROW = frozenset({Op.LINEAR, Op.NORM, Op.RSTD, Op.ADD, Op.MULTIPLY, Op.SILU})
"""Steps that treat every row alike, so that one step can do it for all rows."""

Key = tuple[object, ...]


def with_batched_styles(program: Program) -> Program:
    """Do once, over (styles, width), what the styles of a group do one by one.

    Starts where a value is cut into rows (``with_stacked_linears``) and follows the rows as long
    as every row gets the same kind of step. Linear steps become one BLOCKS step, in which each row
    keeps its own weights; a stack of all rows is the value itself.

    Raises:
        ValueError: The rows of a value are not treated alike.
    """
    lanes = _Lanes(shapes_of(program))
    steps: list[Step] = []
    for step in program.steps:
        if step.op is Op.ROW:
            lanes.cut(step)
        elif step.op is Op.STACK:
            steps.append(replace(step, inputs=lanes.whole(step.inputs)))
        elif lanes.carries(step):
            steps += lanes.collected(step)
        else:
            steps.append(step)
    lanes.check_complete()
    return _without_trivial_stacks(replace(program, steps=tuple(steps)))


@dataclass(slots=True)
class _Lanes:
    """Which value and row stands for each one-row value, and the steps that wait for their peers."""

    shapes: Mapping[str, Shape]
    _where: dict[str, tuple[str, int]] = field(default_factory=dict)
    _rows: dict[str, int] = field(default_factory=dict)
    _waiting: dict[Key, list[Step]] = field(default_factory=dict)

    def cut(self, row: Step) -> None:
        self._where[row.output] = (row.inputs[0], row.index)
        self._rows[row.inputs[0]] = self.shapes[row.inputs[0]][0]

    def carries(self, step: Step) -> bool:
        """Whether the step reads one and the same row of values that were cut."""
        found = [self._where.get(name) for name in step.inputs]
        rows = {place[1] for place in found if place is not None}
        is_alike = step.op is Op.LINEAR or not step.weights
        return step.op in _PER_ROW and is_alike and None not in found and len(rows) == 1

    def collected(self, step: Step) -> list[Step]:
        """Register one row's step; the step for all rows, once the last row has come."""
        values = tuple(self._where[name][0] for name in step.inputs)
        row = self._where[step.inputs[0]][1]
        shapes = tuple(array.shape for array in (*step.weights, *step.biases))
        key: Key = (step.op, values, shapes)
        peers = self._waiting.setdefault(key, [])
        if len(peers) != row:
            message = f"{step!r} is row {row}, expected row {len(peers)} of {values}"
            raise ValueError(message)
        peers.append(step)
        name = f"{peers[0].output}.all"
        self._where[step.output] = (name, row)
        self._rows[name] = self._rows[values[0]]
        return [_batched(name, values, peers)] if len(peers) == self._rows[name] else []

    def whole(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The same rows, full runs of them replaced by the value that they are rows of."""
        found: list[str] = []
        left = list(names)
        while left:
            value, _ = self._where.get(left[0], (left[0], 0))
            count = self._rows[value] if left[0] in self._where else 1
            run, left = left[:count], left[count:]
            rows = [(value, row) for row in range(count)]
            if run[0] in self._where and [self._where.get(name) for name in run] != rows:
                message = f"{run} are stacked, expected all {count} rows of {value} in order"
                raise ValueError(message)
            found.append(value)
        return tuple(found)

    def check_complete(self) -> None:
        """Every step must have come for every row."""
        for (_, values, _), peers in self._waiting.items():
            if len(peers) != self._rows[f"{peers[0].output}.all"]:
                message = f"only {len(peers)} rows of {values} have {peers[0]!r}"
                raise ValueError(message)


def _batched(name: str, values: tuple[str, ...], peers: list[Step]) -> Step:
    if peers[0].op is not Op.LINEAR:
        return replace(peers[0], output=name, inputs=values)
    weights, biases = (
        tuple(array for own in each for array in own)
        for each in ([step.weights for step in peers], [step.biases for step in peers])
    )
    return Step(Op.BLOCKS, name, values, weights, biases)


def _without_trivial_stacks(program: Program) -> Program:
    """A stack of one value is that value."""
    same: dict[str, str] = {}
    steps = []
    for step in program.steps:
        renamed = replace(step, inputs=tuple(same.get(name, name) for name in step.inputs))
        if step.op is Op.STACK and len(step.inputs) == 1:
            same[step.output] = renamed.inputs[0]
        else:
            steps.append(renamed)
    return replace(program, steps=tuple(steps))
