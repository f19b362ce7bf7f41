"""Queues runs: for schedules that are due and for requests by hand; finds the runs that wait for a worker."""

from pdpp_worker.dispatch.run_requests import full_scope, request_run
from pdpp_worker.dispatch.tick import dispatch, take_over

__all__ = ["dispatch", "full_scope", "request_run", "take_over"]
