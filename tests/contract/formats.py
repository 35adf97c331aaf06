"""What schemathesis is to take for a time of this API: one from 2001 to 2199, in UTC."""

from __future__ import annotations

from datetime import datetime

import schemathesis
from hypothesis import strategies

_TIMES = strategies.datetimes(datetime(2001, 1, 1), datetime(2199, 1, 1))  # noqa: DTZ001 - written as UTC below

schemathesis.openapi.format("date-time", _TIMES.map(lambda time: f"{time.isoformat()}Z"))
