"""What people may ask of those who hold their data: access, erasure, limits, and an account of the
processing.

An erasure is a note of keyed hashes (``decisions/erased.jsonl``) that every later pull and load honours, so
that neither a repeated night nor a backfill brings the person back.
"""
