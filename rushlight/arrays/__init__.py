"""The kinds of array that every operation runs on, all speaking the waist (`protocol.py`)."""
