"""Tensors in the hands of other libraries: NumPy's protocols, DLPack, the array API standard, einops.

`protocols.py` is what `methods.py` binds to Tensor. The tables behind it are loaded when first needed.
"""
