"""PyTorch's switches of the libraries below it. Programs set them; here there is nothing for them to switch."""

from rushlight.backends import cuda as cuda, cudnn as cudnn, mkl as mkl, mkldnn as mkldnn, mps as mps, openmp as openmp
