"""Trained models as files: exported with a proof, signed, checked before use."""
