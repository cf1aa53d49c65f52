"""`torch.version`: which libraries of GPU makers this was built with: none."""

cuda = None
hip = None
git_version = "rushlight"
