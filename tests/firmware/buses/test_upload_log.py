import logging

import pytest

from firmware.buses.upload_log import UploadLog
from firmware.drivers.dlpc900_upload import Progress


def test_an_upload_is_told_at_its_start_and_after_every_quarter(caplog: pytest.LogCaptureFixture) -> None:
    log = UploadLog()
    with caplog.at_level(logging.INFO):
        for done in range(0, 1001, 10):
            log(Progress(done, 1000, (1000 - done) / 100))
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == "Masks to the DMD: 0 %, about 10 s left."
    assert [line.split()[4] for line in told] == ["0", "25", "50", "75", "100"]


def test_the_next_upload_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    log = UploadLog()
    with caplog.at_level(logging.INFO):
        for done in (0, 100, 0, 100):
            log(Progress(done, 100, 0.0))
    assert len(caplog.records) == 4
