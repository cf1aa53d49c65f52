"""PyTorch's names and signatures: argument handling around the operations of `rushlight.ops`.

A function here is both `rushlight.name` and, where PyTorch has one, the method `Tensor.name` (methods.py).
"""
