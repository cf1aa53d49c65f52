"""What `ops.py` checks of the transforms, per sample: forward mode, vmap, batched gradients.

- forward-mode: the tangents of `autograd.forward_ad`, for random tangents of everything that requires a gradient. No tangent is
  a tangent of zeros.
- vmap: every tensor argument batched, one at a time at the front, and all together at the back. A batch is the argument and
  different values of the same kind. What PyTorch's vmap refuses (data-dependent shapes) is left out.
- vmap grad: gradients for each example of a batch of all arguments, `vmap` of `vjp`.
- batched grad: `autograd.grad(..., is_grads_batched=True)`, against PyTorch's gradients taken one after another.
"""

import re

import torch
from _common import Missing, Outcome, assert_match, leaves, rehost, require, to_library, to_torch, weights_like

ORDERED = (
    "searchsorted",
    "bucketize",
    "embedding_bag",
    "segment_reduce",
)  # integers that cannot stand in another order
BATCH = 3


def check_forward_mode(check):
    expected = Outcome(tangents_of, check, check.theirs, check.args, check.kwargs)
    if expected.value:
        with check.record.check("forward-mode", check):
            args, kwargs = to_library((check.args, check.kwargs), check.lib)
            got = tangents_of(check, check.lib, args, kwargs)
            assert_match(expected.value, got, check.lib, tolerances=check.tolerances(), where="tangent")


def tangents_of(check, lib, args, kwargs):
    """The tangents of the differentiable outputs; None where there are none."""
    sampled = zip(leaves((check.args, check.kwargs)), leaves((args, kwargs)))
    inputs = [mine for theirs, mine in sampled if isinstance(theirs, torch.Tensor) and theirs.requires_grad]
    forward_ad = lib.get("autograd.forward_ad")
    with forward_ad.dual_level():
        duals = {
            id(x): forward_ad.make_dual(x.detach(), tangent) for x, tangent in zip(inputs, weights_like(inputs, lib))
        }
        args, kwargs = replaced((args, kwargs), duals, lib)
        result = check.call(lib, within_its_domain(check, lib), args, kwargs)
        result = rehost(check.sample.output_process_fn_grad, lib)(result)
        outputs = [leaf for leaf in leaves(result) if isinstance(leaf, lib.Tensor)]
        pairs = [forward_ad.unpack_dual(output) for output in outputs if is_inexact(output)]
        return [lib.module.zeros_like(p.primal) if is_zero(p.tangent) else p.tangent.detach() for p in pairs]


def within_its_domain(check, lib):
    """The operator, behind what the database has for operators of special matrices: it makes of any input and tangent
    symmetric, or triangular, ones. For others forward mode and backward mode of PyTorch are not each other's transpose."""
    function, wrapper = check.function(lib), check.op.gradcheck_wrapper
    names = " ".join([wrapper.__name__, *wrapper.__code__.co_names])  # of the lambdas, what they call
    if function is None or not re.search("hermitian|triangular", names):
        return function
    return lambda *args, **kwargs: rehost(wrapper, lib)(function, *args, **kwargs)


def is_inexact(tensor):
    return tensor.dtype.is_floating_point or tensor.dtype.is_complex


def is_zero(tangent):
    """None, or what PyTorch has for zeros without memory."""
    return tangent is None or getattr(tangent, "_is_zerotensor", bool)()


def replaced(value, known, lib):
    """A structure with other tensors in the place of those known by their id."""
    if isinstance(value, lib.Tensor):
        return known.get(id(value), value)
    if type(value) in (list, tuple):
        return type(value)(replaced(item, known, lib) for item in value)
    if type(value) is dict:
        return {key: replaced(item, known, lib) for key, item in value.items()}
    return value


# ------------------------------------------------------------------ vmap


def check_vmap(check, by_a_loop):
    """With `by_a_loop`, for results that are not unique, what counts is the library's own function on each slice."""
    args, kwargs = check.args, check.kwargs
    tensors = list({id(t): t for t in leaves((args, kwargs)) if isinstance(t, torch.Tensor)}.values())
    plain = [tensor.detach() for tensor in tensors]
    choices = [[i] for i in range(len(tensors))] if len(tensors) > 1 else []
    for chosen in [*choices, list(range(len(tensors)))] if tensors else []:
        place = 0 if len(chosen) == 1 else -1
        batches = [batch_of(t, check.op.name, place) if i in chosen else t for i, t in enumerate(plain)]
        in_dims = tuple(place if i in chosen else None for i in range(len(tensors)))
        expected = Outcome(mapped, check, check.theirs, args, kwargs, tensors, batches, in_dims)
        if not expected.value:
            continue
        with check.record.check("vmap", f"{check} in_dims={in_dims}"):
            known = {}
            mine = to_library((args, kwargs), check.lib, grad=False, known=known)
            given = [known[id(tensor)] for tensor in tensors], to_library(batches, check.lib), in_dims
            if by_a_loop:
                expected.value = [to_torch(part, check.lib) for part in looped(check, check.lib, *mine, *given)]
            assert_match(
                expected.value, mapped(check, check.lib, *mine, *given), check.lib, tolerances=check.tolerances()
            )


def batch_of(tensor, name, place):
    """The tensor with two more of its kind beside it."""
    if is_inexact(tensor):
        more = [tensor * 0.75, tensor * 0.5]
    elif tensor.dtype == torch.bool:
        more = [~tensor, tensor]
    elif tensor.dim() and not name.endswith(ORDERED):
        more = [tensor.flip(-1), tensor]
    else:
        more = [tensor, tensor]
    return torch.stack([tensor, *more], dim=place)


def mapped(check, lib, args, kwargs, tensors, batches, in_dims):
    function = function_of_tensors(check, lib, args, kwargs, tensors)
    return list(lib.get("func.vmap")(function, in_dims=in_dims)(*batches))


def looped(check, lib, args, kwargs, tensors, batches, in_dims):
    function = function_of_tensors(check, lib, args, kwargs, tensors)
    slices = [[b if d is None else b.select(d, i) for b, d in zip(batches, in_dims)] for i in range(BATCH)]
    return [lib.module.stack(parts) for parts in zip(*[function(*tensors) for tensors in slices])]


def function_of_tensors(check, lib, args, kwargs, tensors):
    """The operator on the sample, as a function from its tensors to those among the results."""
    function = check.function(lib)
    if function is None:
        raise Missing(f"missing: {check.op.name}")

    def called(*given):
        mine, others = replaced((args, kwargs), {id(t): g for t, g in zip(tensors, given)}, lib)
        return tuple(leaf for leaf in leaves(function(*mine, **others)) if isinstance(leaf, lib.Tensor))

    return called


# ------------------------------------------------------------------ batched gradients


def check_batched_gradient(check):
    expected = Outcome(batched_gradients, check, check.theirs, check.args, check.kwargs, one_call=False)
    if expected.value:
        with check.record.check("batched grad", check):
            args, kwargs = to_library((check.args, check.kwargs), check.lib)
            got = batched_gradients(check, check.lib, args, kwargs, one_call=True)
            require(got, "nothing requires a gradient")
            assert_match(expected.value, got, check.lib, tolerances=check.tolerances(), where="gradient")


def batched_gradients(check, lib, args, kwargs, one_call):
    """The gradients of the outputs for several weights at once, or for one after another. None where there are none."""
    sampled = zip(leaves((check.args, check.kwargs)), leaves((args, kwargs)))
    inputs = [mine for theirs, mine in sampled if isinstance(theirs, torch.Tensor) and theirs.requires_grad]
    result = rehost(check.sample.output_process_fn_grad, lib)(check.call(lib, check.function(lib), args, kwargs))
    outputs = [leaf for leaf in leaves(result) if isinstance(leaf, lib.Tensor) and leaf.requires_grad]
    if not outputs:
        return None
    weights = [torch.stack([w * (1 + i) for i in range(BATCH)]) for w in weights_like(outputs, check.theirs)]
    mine, grad = to_library(weights, lib), lib.module.autograd.grad
    if one_call:
        return list(grad(outputs, inputs, mine, allow_unused=True, is_grads_batched=True))
    single = [grad(outputs, inputs, [w[i] for w in mine], allow_unused=True, retain_graph=True) for i in range(BATCH)]
    return [None if parts[0] is None else lib.module.stack(parts) for parts in zip(*single)]


# ------------------------------------------------------------------ gradients of each example


def check_per_sample_gradient(check):
    args, kwargs = check.args, check.kwargs
    tensors = list({id(t): t for t in leaves((args, kwargs)) if isinstance(t, torch.Tensor)}.values())
    batches = [batch_of(t.detach(), check.op.name, 0) for t in tensors]
    expected = Outcome(per_sample_gradients, check, check.theirs, args, kwargs, tensors, batches)
    if expected.value:
        with check.record.check("vmap grad", check):
            known = {}
            mine = to_library((args, kwargs), check.lib, grad=False, known=known)
            given = [known[id(tensor)] for tensor in tensors], to_library(batches, check.lib)
            got = per_sample_gradients(check, check.lib, *mine, *given)
            assert_match(expected.value, got, check.lib, tolerances=check.tolerances(), where="gradient")


def per_sample_gradients(check, lib, args, kwargs, tensors, batches):
    sampled = {id(t): t for t in leaves((check.args, check.kwargs)) if isinstance(t, torch.Tensor)}.values()
    wanted = [i for i, tensor in enumerate(sampled) if tensor.requires_grad]
    func, process = lib.get("func"), rehost(check.sample.output_process_fn_grad, lib)

    def outputs_of(*given):
        mine, others = replaced((args, kwargs), {id(t): x for t, x in zip(tensors, given)}, lib)
        result = process(check.call(lib, check.function(lib), mine, others))
        return tuple(leaf for leaf in leaves(result) if isinstance(leaf, lib.Tensor) and is_inexact(leaf))

    def of_one(*example):
        def of_variables(*variables):
            given = list(example)
            for i, x in zip(wanted, variables):
                given[i] = x
            return outputs_of(*given)

        return func.vjp(of_variables, *[example[i] for i in wanted])[1](weights)

    weights = tuple(weights_like(outputs_of(*[tensor.detach() for tensor in tensors]), lib))
    return list(func.vmap(of_one)(*batches))
