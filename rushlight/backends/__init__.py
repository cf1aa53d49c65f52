"""PyTorch's switches of the libraries below it. Programs set them; here there is nothing for them to switch."""

from rushlight.backends import cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum
