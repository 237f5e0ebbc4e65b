"""A small pipeline whose streams lie in a warehouse: payments, and which of them were disputed."""

from sluice import Category, Decimal, Flag, ForeignKey, Gates, Key, Label, Pipeline, Stream, Warehouse, Windows, count

payments = Stream(
    "payments",
    id="payment_id",
    time="paid_at",
    columns={
        "card": Key("text", nullable=False),
        "amount": Decimal(scale=2, min=0, max=1000),
        "memo": Category(nullable=True),
    },
    sources={"amount": "total"},
    warehouse=Warehouse(
        table="sales.payments",
        watermark="updated_at",
        overlap="15min",
        partition="payment_id",
        parts=3,
        revision="changes",
    ),
)
disputes = Stream(
    "disputes",
    id="dispute_id",
    time="told_at",
    columns={"payment_id": ForeignKey(payments), "disputed": Flag()},
    warehouse=Warehouse(
        query="SELECT dispute_id, told_at, payment_id, disputed, number FROM sales.disputes;",
        watermark="number",
        overlap=2,
    ),
)
disputed = Label("disputed", of=payments, told_by=disputes, absent=0, after="14d")
spend = Windows("spend", of="card", over=payments, features=[count("1d", "7d")])

pipeline = Pipeline(
    "ledger",
    views=[spend],
    label=disputed,
    gates=Gates(max_count_change=None, max_quarantined=0.7, max_orphans=0.5, fresh=False),
)
