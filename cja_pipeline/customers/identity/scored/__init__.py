"""Probabilistic scoring of candidate pairs with Splink, and clustering of the scores under conflict.

Needs the optional package `splink`. Start at `cluster.cluster_scored`.
"""
