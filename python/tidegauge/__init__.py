"""Recordings of TideGauge as NumPy arrays and pandas tables, and attention of other programs for `tidegauge import`."""

from tidegauge.dump import AttentionDump
from tidegauge.recording import Layer, NotRecorded, Recording

__all__ = ["AttentionDump", "Layer", "NotRecorded", "Recording", "open"]


def open(path):  # noqa: A001 (tidegauge.open reads as h5py.File does)
    """The recording at `path`, open for reading. Raises OSError, ValueError."""
    return Recording(path)
