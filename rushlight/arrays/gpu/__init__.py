"""Numerical routines for CuPy arrays, where a GPU wants another way than `arrays/` has for NumPy's; `arrays/cupy.py`
finds them.
"""
