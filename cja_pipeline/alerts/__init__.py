"""Alerts: what somebody should know before they look, once per incident, by webhook and e-mail.

Kinds of incident: a failed night (`failure`), a page that is older than it should be (`late`), a source that
is behind (`stale`), a failed blocking check (`check`) and a KPI outside its usual range (`anomaly`). An
incident is told when it begins and when it is over, with a link and never with a row of data. Anomalies are
told only while the data are complete: a missing source moves every figure.
"""

from __future__ import annotations

from cja_pipeline.alerts.service import BusyError, after_run, check_data, check_publication

__all__ = ["BusyError", "after_run", "check_data", "check_publication"]
