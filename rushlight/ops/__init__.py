"""The operations: each written once against the waist, with its derivative beside it."""
