"""What runs read and write is called as OpenLineage calls it, and no password is told."""

from __future__ import annotations

import pytest

from sluice.lake.lineage.datasets import Dataset, file_of, store_of, topic_of, warehouse_of

pytestmark = pytest.mark.unit


def test_a_file_is_named_by_its_path_and_one_in_a_bucket_by_its_key() -> None:
    assert file_of("/in/a.csv") == Dataset("file", "/in/a.csv")
    assert file_of("s3://bucket/in/a.csv") == Dataset("s3://bucket", "in/a.csv")


def test_a_topic_is_named_by_its_broker() -> None:
    assert topic_of("broker:9092", "shop.orders") == Dataset("kafka://broker:9092", "shop.orders")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////var/online", Dataset("file", "/var/online/shop.db")),
        ("sqlite:///var/online", Dataset("file", "/var/online/shop.db")),
        ("redis://host:6379/0", Dataset("redis://host:6379", "0/shop")),
        ("rediss://:secret@host:6379/2", Dataset("rediss://host:6379", "2/shop")),
    ],
)
def test_an_online_store_is_named_without_its_password(uri: str, expected: Dataset) -> None:
    assert store_of(uri, "shop") == expected


@pytest.mark.parametrize(
    ("url", "table", "expected"),
    [
        ("jdbc:postgresql://host:5432/db", "sales.payments", Dataset("postgres://host:5432", "db.sales.payments")),
        ("jdbc:postgresql://host/db?user=me&password=s", "payments", Dataset("postgres://host", "db.public.payments")),
        ("jdbc:redshift://me:s@host:5439/dev", "a.b", Dataset("redshift://host:5439", "dev.a.b")),
    ],
)
def test_a_table_of_a_warehouse_is_named_without_who_enters(url: str, table: str, expected: Dataset) -> None:
    assert warehouse_of(url, table) == expected
