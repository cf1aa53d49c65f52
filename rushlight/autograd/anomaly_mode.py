"""PyTorch's place for anomaly mode; it is in `anomaly.py`."""

from rushlight.autograd.anomaly import detect_anomaly as detect_anomaly, set_detect_anomaly as set_detect_anomaly
