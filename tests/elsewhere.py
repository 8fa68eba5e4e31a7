"""A GPU that is none: tensors that say they are on CUDA and hold their numbers on the CPU, and refuse to meet others.

:class:`torch._subclasses.FakeTensorMode` knows shapes alone, so code that looks at values stops under it. Here each
operation is carried out on the numbers, once it is clear that all of its tensors are on one device.
"""

import torch
from torch._subclasses import FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA = torch.device("cuda", 0)
# What may meet tensors of two devices: copies, and indices, which PyTorch takes from the CPU too.
ACROSS = {"aten::copy_", "aten::_to_copy", "aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_"}


class Elsewhere(torch.Tensor):
    """A tensor on CUDA, as far as anyone can tell; ``numbers`` are on the CPU."""

    @staticmethod
    def __new__(cls, numbers):
        return torch.Tensor._make_wrapper_subclass(
            cls, numbers.size(), strides=numbers.stride(), storage_offset=numbers.storage_offset(), dtype=numbers.dtype,
            device=CUDA, requires_grad=False,
        )  # fmt: skip

    def __init__(self, numbers):
        self.numbers = numbers

    def tolist(self):
        return self.numbers.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return carried_out(func, args, kwargs or {})


class PretendedGPU(FakeTensorMode):
    """While it lasts, ``device="cuda"`` makes such tensors, and PyTorch looks for no driver and for no cuDNN."""

    def __enter__(self):
        self.without_cudnn = torch.backends.cudnn.flags(enabled=False)
        self.without_cudnn.__enter__()
        return super().__enter__()

    def __exit__(self, *raised):
        super().__exit__(*raised)
        self.without_cudnn.__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return carried_out(func, args, kwargs or {})


def moved(network, place=lambda tensor: Elsewhere(tensor.detach())):
    """A network whose parameters and buffers are elsewhere: ``Module.to`` cannot put another kind of tensor there."""
    for module in network.modules():
        for name, tensor in module._parameters.items():
            if tensor is not None:
                module._parameters[name] = torch.nn.Parameter(place(tensor), requires_grad=False)
        for name, tensor in module._buffers.items():
            if tensor is not None:
                module._buffers[name] = place(tensor)
    return network


def carried_out(func, args, kwargs):
    """An operation on the numbers; its result is where PyTorch would put it."""
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    here = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.ndim]
    if there and here and func._schema.name not in ACROSS | {name.partition(".")[0] for name in ACROSS}:
        raise RuntimeError(f"{func}: tensors on cuda and on cpu, {[tuple(t.shape) for t in tensors]}")
    wanted = kwargs.get("device")
    on_cuda = torch.device(wanted).type == "cuda" if wanted is not None else bool(there)
    kwargs = {**kwargs, "device": torch.device("cpu")} if wanted is not None else kwargs
    kwargs = {**kwargs, "pin_memory": False} if kwargs.get("pin_memory") else kwargs
    plain, options = tree_map(lambda leaf: leaf.numbers if isinstance(leaf, Elsewhere) else leaf, (args, kwargs))
    result = func(*plain, **options)
    given = {id(tensor.numbers): tensor for tensor in there}

    def placed(leaf):
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if not on_cuda:
            return leaf
        return given[id(leaf)] if id(leaf) in given else Elsewhere(leaf)

    return tree_map(placed, result)
