"""A prepared read that the threads of a new process all use at once."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import valid_token
from musicrec.prepared import PreparedRow


@pytest.mark.usefixtures("committed")
def test_threads_that_use_a_row_first_at_once_all_read_it():
    """To compile a query changes it: no two of them may compile the same one."""
    rows = [PreparedRow(valid_token) for _ in range(40)]
    start = threading.Barrier(4)

    def read():
        try:
            for row in rows:
                start.wait(30)
                assert row.get(digest=b"none", at=timezone.now()) is None
        finally:
            connection.close()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(read) for _ in range(4)]:
                done.result(timeout=60)
    finally:
        sys.setswitchinterval(interval)
