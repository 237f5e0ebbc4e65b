from __future__ import annotations

import pytest

from sluice.monitor.report import wording

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (wording.of_all(11, 12, "event"), "11 of 12 events"),
        (wording.milliseconds(0.7312), "0.731 ms"),
        (wording.milliseconds(4.629), "4.63 ms"),
        (wording.milliseconds(12.44), "12.4 ms"),
        (wording.milliseconds(1250.4), "1,250 ms"),
        (wording.elapsed(4.21), "4.2 s"),
        (wording.elapsed(58.4), "58 s"),
        (wording.elapsed(432.0), "7 min 12 s"),
        (wording.memory(640.2), "640 MB"),
        (wording.memory(6_890.0), "6.9 GB"),
        (wording.measure(0.61234), "0.612"),
        (wording.measure(None), "\u2013"),
        (wording.share(0.0), "0 %"),
        (wording.share(0.004), "0.4 %"),
        (wording.share(0.5), "50 %"),
        (wording.share(0.996), "99.6 %"),
        (wording.share(1.0), "100 %"),
        (wording.minute(1_532_507_400_000_000), "2018-07-25 08:30"),
        (wording.segment_name("*"), "all traffic (*)"),
        (wording.segment_name("pos"), "pos"),
        (wording.version_name("fraud-pos/3"), "v3"),
    ],
)
def test_numbers_read_as_people_write_them(shown: str, words: str) -> None:
    assert shown == words
