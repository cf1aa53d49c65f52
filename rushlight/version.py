"""`torch.version`: which libraries of GPU makers this was built with: none."""

cuda = hip = rocm = xpu = None
debug = False
git_version = "rushlight"
