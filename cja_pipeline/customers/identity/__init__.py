"""Identity: which cookies, logins and addresses are one person. Start at `resolve`."""

from cja_pipeline.customers.identity.dataframe import resolve
from cja_pipeline.customers.identity.warehouse import resolve_warehouse

__all__ = ["resolve", "resolve_warehouse"]
