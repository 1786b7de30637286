"""Builds the long table of the journey map from the customer view and the KPIs."""
