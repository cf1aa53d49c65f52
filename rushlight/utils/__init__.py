"""Tools around training: data loading, exchange with other libraries."""

from rushlight.utils import data as data, dlpack as dlpack
