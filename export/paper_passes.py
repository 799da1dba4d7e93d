"""Exact simplifications of the paper's encoder, one function each.

Every pass takes a program and returns one that gives the same numbers in float64, with less to do.
What a pass folds, it folds in float64.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from export.paper_program import Array, Op, Program, Step, shapes_of

Pass = Callable[[Program], Program]


def without_dead_attention(program: Program) -> Program:
    """One token attends to itself with weight 1: attention is its value, query and key are dead."""
    writers, readers = program.writers(), program.readers()
    attends = {step.inputs[0]: step for step in program.steps if step.op is Op.ATTEND}
    for name in attends:
        if writers[name].op is not Op.LINEAR or len(readers[name]) != 1:
            message = f"{name} must be a linear step that only the attention reads"
            raise ValueError(message)
    steps = []
    for step in program.steps:
        if step.output in attends:
            width = len(step.weights[0]) // 3
            weights, biases = (
                tuple(each[2 * width :] for each in own) for own in (step.weights, step.biases)
            )
            values = attends[step.output].output
            steps.append(replace(step, output=values, weights=weights, biases=biases))
        elif step.op is not Op.ATTEND:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def with_folded_norms(program: Program) -> Program:
    """LayerNorm's ``gamma`` and ``beta`` go into the linear or mixing steps that read it.

    Linear: ``W' = W diag(gamma)``, ``b' = b + W beta``. Mixing over tokens ``M``:
    ``M (gamma * x + beta) = gamma * (M x) + rowsum(M) beta``; gamma stays one multiplication.
    """
    readers = program.readers()
    affines = {
        step.output: (step.weights[0], step.biases[0])
        for step in program.steps
        if step.op is Op.NORM
        and step.weights
        and all(reader.op in {Op.LINEAR, Op.MIX} for reader in readers[step.output])
    }
    steps: list[Step] = []
    for step in program.steps:
        affine = affines.get(step.inputs[0])
        if step.output in affines:
            steps.append(replace(step, weights=(), biases=()))
        elif affine is not None:
            steps.extend(
                _folded_linear(step, *affine) if step.op is Op.LINEAR else _folded_mix(step, *affine)
            )
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def with_merged_shifts(program: Program) -> Program:
    """A constant added to a sum with a constant is one constant."""
    merged: dict[str, Step] = {}
    readers = program.readers()
    steps = []
    for step in program.steps:
        earlier = merged.get(step.inputs[0])
        total = step
        if step.op is Op.SHIFT and earlier is not None:
            biases = (earlier.biases[0].astype(np.float64) + step.biases[0],)
            total = replace(step, inputs=earlier.inputs, biases=biases)
        if step.op is Op.SHIFT and _is_only_read_by(Op.SHIFT, step, readers, program):
            merged[step.output] = total
        else:
            steps.append(total)
    return replace(program, steps=tuple(steps))


def with_pushed_biases(program: Program) -> Program:
    """A bias between two linear steps moves through the second: ``b2' = b2 + W2 b1``."""
    readers = program.readers()
    pushed: dict[str, Array] = {}
    steps = []
    for step in program.steps:
        is_biased = step.op is Op.LINEAR and bool(step.biases)
        if is_biased and _is_only_read_by(Op.LINEAR, step, readers, program):
            pushed[step.output] = step.biases[0].astype(np.float64)
            steps.append(replace(step, biases=()))
        elif step.op is Op.LINEAR and step.inputs[0] in pushed:
            moved = step.weights[0].astype(np.float64) @ pushed[step.inputs[0]]
            steps.append(replace(step, biases=(_bias(step) + moved,)))
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def with_centred_norms(program: Program) -> Program:
    """The mean of an activation is taken out by the weights: ``W' = W (I - 11^T / n)``.

    What is left of the norm is one multiplication by ``1 / std``. Only norms that read a SiLU are
    centred so: its mean is at most of the order of its spread. A measurement's mean can exceed its
    spread many times, and would cost the int8 code of the activation its resolution.
    """
    writers, readers = program.writers(), program.readers()
    centred = {
        step.output
        for step in program.steps
        if step.op is Op.NORM
        and not step.weights
        and step.inputs[0] in writers
        and writers[step.inputs[0]].op is Op.SILU
        and all(reader.op is Op.LINEAR for reader in readers[step.output])
    }
    steps = []
    for step in program.steps:
        if step.output in centred:
            rstd = Step(Op.RSTD, f"{step.output}.rstd", step.inputs)
            steps += [rstd, Step(Op.MULTIPLY, step.output, (*step.inputs, rstd.output))]
        elif step.inputs[0] in centred:
            weights = step.weights[0].astype(np.float64)
            steps.append(replace(step, weights=(weights - weights.mean(axis=1, keepdims=True),)))
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def with_shared_steps(program: Program) -> Program:
    """The same computation without weights on the same values, a norm above all, is done once."""
    first: dict[tuple[object, ...], str] = {}
    same: dict[str, str] = {}
    steps = []
    for step in program.steps:
        renamed = replace(step, inputs=tuple(same.get(name, name) for name in step.inputs))
        key = (step.op, renamed.inputs, step.index, step.shape)
        is_pure = not step.weights and not step.biases
        if is_pure and key in first and not _is_output(step, program):
            same[step.output] = first[key]
            continue
        if is_pure:
            first[key] = step.output
        steps.append(renamed)
    return replace(program, steps=tuple(steps))


def with_stacked_linears(program: Program) -> Program:
    """Linear steps of one row with the same input and width become one, cut into rows afterwards."""
    shapes = shapes_of(program)
    groups: dict[tuple[object, ...], list[Step]] = {}
    for step in program.steps:
        if step.op is Op.LINEAR and shapes[step.output][0] == 1 and not _is_output(step, program):
            groups.setdefault((step.inputs, step.weights[0].shape, len(step.biases)), []).append(step)
    stacked = {group[0].output: group for group in groups.values() if len(group) > 1}
    members = {step.output for group in stacked.values() for step in group}
    steps: list[Step] = []
    for step in program.steps:
        if step.output in stacked:
            steps += _stacked(stacked[step.output])
        elif step.output not in members:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def with_attributes_only(rows: Sequence[int], logits: str, offset: str) -> Pass:
    """A pass that cuts the head to ``rows`` and leaves no latent output in the file.

    The offset is ``L + z P^T + p`` and the head reads all of it, so that
    ``logits = H vec(L) + (H P) vec(z) + c``: the last layer of the network becomes part of the head.

    Args:
        rows: Attributes to keep, in this order.
        logits: Name of the head's output.
        offset: Name of the output to leave out.
    """

    def cut(program: Program) -> Program:
        writers = program.writers()
        head = writers[logits]
        total = writers[writers[head.inputs[0]].inputs[0]]
        tokens, last = total.inputs[0], writers[total.inputs[1]]
        if total.op is not Op.ADD or last.op is not Op.LINEAR:
            message = f"{head.inputs[0]} is not the sum of tokens and a linear step"
            raise ValueError(message)
        fused = _fused_head(head, list(rows), tokens, last, shapes_of(program)[tokens])
        steps = [step for step in program.steps if step.output != logits]
        kept = tuple(name for name in program.outputs if name != offset)
        return without_dead_steps(replace(program, steps=(*steps, *fused), outputs=kept))

    return cut


def without_dead_steps(program: Program) -> Program:
    """Drop what no output depends on."""
    needed = set(program.outputs)
    steps = []
    for step in reversed(program.steps):
        if step.output in needed:
            needed.update(step.inputs)
            steps.append(step)
    return replace(program, steps=tuple(reversed(steps)))


def _fused_head(head: Step, rows: list[int], tokens: str, last: Step, shape: tuple[int, ...]) -> list[Step]:
    count, width = shape
    weights = head.weights[0][rows].astype(np.float64)
    blocks = weights.reshape(len(rows), count, width)
    folded = (blocks @ last.weights[0].astype(np.float64)).reshape(len(rows), -1)
    constant = _bias(head)[rows] + blocks.sum(axis=1) @ _bias(last)
    flat = (1, count * width)
    parts = (f"{head.output}.tokens", f"{head.output}.gated")
    return [
        Step(Op.RESHAPE, f"{parts[0]}.flat", (tokens,), shape=flat),
        Step(Op.LINEAR, parts[0], (f"{parts[0]}.flat",), (weights,), (constant,)),
        Step(Op.RESHAPE, f"{parts[1]}.flat", last.inputs, shape=(1, folded.shape[1])),
        Step(Op.LINEAR, parts[1], (f"{parts[1]}.flat",), (folded,)),
        Step(Op.ADD, head.output, parts),
    ]


def _folded_linear(step: Step, gamma: Array, beta: Array) -> list[Step]:
    weights = step.weights[0].astype(np.float64)
    return [replace(step, weights=(weights * gamma,), biases=(_bias(step) + weights @ beta,))]


def _folded_mix(step: Step, gamma: Array, beta: Array) -> list[Step]:
    moved = step.weights[0].astype(np.float64).sum(axis=1, keepdims=True) * beta
    mixed, scaled = f"{step.output}.mixed", f"{step.output}.scaled"
    return [
        replace(step, output=mixed),
        Step(Op.SCALE, scaled, (mixed,), (gamma[np.newaxis],)),
        Step(Op.SHIFT, step.output, (scaled,), biases=(moved,)),
    ]


def _stacked(group: list[Step]) -> list[Step]:
    first = group[0]
    weights, biases = (
        tuple(np.concatenate(parts) for parts in zip(*own, strict=True))
        for own in ([step.weights for step in group], [step.biases for step in group])
    )
    total, rows = f"{first.output}.stacked", f"{first.output}.rows"
    shape = (len(group), len(first.weights[0]))
    cuts = [Step(Op.ROW, step.output, (rows,), index=index) for index, step in enumerate(group)]
    return [
        replace(first, output=total, weights=weights, biases=biases),
        Step(Op.RESHAPE, rows, (total,), shape=shape),
        *cuts,
    ]


def _bias(step: Step) -> NDArray[np.float64]:
    return step.biases[0].astype(np.float64) if step.biases else np.zeros(len(step.weights[0]))


def _is_output(step: Step, program: Program) -> bool:
    return step.output in program.outputs


def _is_only_read_by(op: Op, step: Step, readers: Mapping[str, list[Step]], program: Program) -> bool:
    following = readers[step.output]
    return len(following) == 1 and following[0].op is op and not _is_output(step, program)
