"""The commands around forgetting, as a person calls them: on a lake, with an online store beside it."""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.declare.durations import HOUR
from sluice.engine.encode import encode
from sluice.engine.fold import load_base
from sluice.engine.places import open_store
from sluice.errors import Outage, SluiceError
from sluice.lake.contract import PRESENT
from sluice.lake.files import remove
from sluice.lake.forgetting.erasures import ANNOUNCED, receipts
from sluice.lake.tiles import standing
from sluice.settings import settings
from tests.registry_server import registry_server
from tests.sluice.lake.forgetting.lakes import FILE, FIRST, PIPELINE, ZEBRA, Market, mentions, order, returned, zebra
from tests.sluice.lake.lineage.told import events, runs
from tests.sluice.lake.messages import avro
from tests.sluice.lake.test_publish import Killed, MortalLake
from tests.spark_jobs.deliveries import AT
from tests.spark_jobs.test_ingest_formats import sent, shop_of

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    """Three orders of the customer and four of others, computed, and an online store that was started from them."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    FileClock(tmp_path / "clock").move_to(AT + HOUR)
    settings.cache_clear()
    shop = Market(tmp_path)
    rows = [*(zebra(number) for number in range(3)), *(order(number) for number in range(1, 5))]
    assert shop.deliver("a", orders=rows, returns=[returned(FIRST, 501), returned(1, 502)]) is None
    shop.computed()
    store = open_store(settings().online_uri, "market")
    events = {one.name: encode(shop.lake.read(f"silver/{one.name}"), one) for one in PIPELINE.streams}
    tiles = {view.name: standing(shop.lake, view) for view in PIPELINE.windows}
    load_base(PIPELINE, store, shop.lake.version("batches"), tiles, events)
    store.close()
    return shop


def sluice(*arguments: str) -> Result:
    named = [*arguments[:2], str(FILE), *arguments[2:]]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)


def doctor() -> Result:
    named = ["doctor", str(FILE)]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)


def test_what_would_go_is_shown_and_goes_from_the_lake_and_the_store_with_a_receipt(shop: Market) -> None:
    said = sluice("forget", "show", f"customer={ZEBRA}").output
    line = next(line.split() for line in said.splitlines() if line.startswith("silver/orders"))
    assert line[1] == "3"
    assert not (shop.folder / "erasure.key").exists()
    assert mentions(shop.folder / "online")

    said = sluice("forget", "apply", f"customer={ZEBRA}", "--by", "Ada", "--because", "a letter").output
    name = re.match(r"receipt (\w+): \d+ rows of \d+ tables are gone\n", said)[1]  # type: ignore[index]
    assert said.endswith("the flow features of market computes them anew\n")
    assert mentions(shop.folder / "lake", [FIRST, FIRST + 1, FIRST + 2]) == []
    assert mentions(shop.folder / "online", [FIRST, FIRST + 1, FIRST + 2]) == []
    key = shop.folder / "erasure.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600

    found = doctor()
    assert (found.exit_code, found.output.count("ok")) == (0, 9), found.output

    listed = sluice("forget", "list").output
    assert name in listed
    assert "a letter" in listed
    told = sluice("forget", "receipt", name).output
    assert told.startswith(f"receipt {name}: a customer, done\nby Ada at 2026-01-01T11:40:00Z, because 'a letter'\n")
    assert ZEBRA not in listed + told
    assert key.read_text() not in listed + told


def test_archived_messages_are_read_by_the_schemas_of_the_registry(
    shop: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    avro_shop = shop_of("avro", tmp_path)
    avro_shop.archive("orders", [sent("avro", number) for number in (1, 2, 3, 4)])

    def forget(command: str, *more: str) -> Result:
        named = ["forget", command, str(avro_shop.declaration), "customer=c1", *more]
        return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)

    assert "no registry is named" in str(forget("show").exception)
    with registry_server() as registry:
        registry.put("/schemas/ids/7", {"schema": avro().text})
        monkeypatch.setenv("SLUICE_SCHEMA_REGISTRY_URL", registry.url)
        settings.cache_clear()
        assert "events/orders" in forget("show").output
        said = forget("apply", "--by", "Ada", "--because", "a letter").output
    assert re.match(r"receipt \w+: 2 rows of 1 tables are gone\n", said)
    assert avro_shop.lake.count("events/orders", where=~PRESENT) == 2


def test_an_erasure_is_told_as_a_run_that_names_tables_and_nobody(shop: Market) -> None:
    who = f"customer={ZEBRA}"
    sluice("hold", "add", who, "--by", "Eve", "--because", "a case")
    assert ZEBRA in str(sluice("forget", "apply", who, "--by", "Ada", "--because", "a letter").exception)
    sluice("hold", "remove", shop.lake.rows("legal_holds")[0]["hold"], "--by", "Eve", "--because", "closed")
    sluice("forget", "apply", who, "--by", "Ada", "--because", "a letter")
    sluice("forget", "finish")
    (refused, failed, begun, done, *again) = runs(shop.folder, "forget")
    assert (refused, failed, begun) == (("START", set(), set()), ("FAIL", set(), set()), ("START", set(), set()))
    assert done[:2] == ("COMPLETE", set())
    assert done[2] >= {"events/orders", "silver/orders", "vectors", "erasures", "erased"}
    assert again == [("START", set(), set()), ("COMPLETE", set(), set())]
    told = [one for one in events(shop.folder, "forget") if one["eventType"] == "FAIL"]
    assert [one["run"]["facets"]["errorMessage"]["message"] for one in told] == ["UserError"]
    assert ZEBRA not in (shop.folder / "openlineage.jsonl").read_text()


def test_one_that_died_is_named_by_the_doctor_and_finished(shop: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.lake.forgetting.forget import forget
    from sluice.lake.forgetting.plan import entity_of
    from sluice.lake.forgetting.pseudonyms import own_pseudonyms

    assert sluice("forget", "finish").output == "Nothing was left to do.\n"
    dying, names = MortalLake(shop.uri, "market", 9), own_pseudonyms(make=True)
    entity = entity_of(PIPELINE, f"customer={ZEBRA}", AT + HOUR)
    with pytest.raises(Killed):
        forget(dying, PIPELINE, entity, names, lambda _: None, by="Ada", because="a letter")
    found = doctor()
    assert isinstance(found.exception, SluiceError)
    assert "of a customer it was announced, and is not done" in found.output
    assert f"sluice forget finish {FILE}" in found.output
    assert sluice("forget", "finish").output.startswith("receipt ")
    assert mentions(shop.folder / "online", [FIRST]) == []
    assert doctor().exit_code == 0


def test_a_store_that_cannot_be_read_is_not_taken_for_one_that_nobody_has_started(shop: Market) -> None:
    """What it has would stay, and nobody would know."""
    with closing(sqlite3.connect(shop.folder / "online" / "market.db")) as other:
        other.execute("PRAGMA user_version = 99")
    asked = ("forget", "apply", f"customer={ZEBRA}", "--by", "Ada", "--because", "a letter")
    for found in (doctor(), sluice(*asked)):
        assert isinstance(found.exception, Outage)
        assert "the online store has format 99" in str(found.exception)
    (receipt,) = receipts(shop.lake)
    assert receipt.state == ANNOUNCED
    remove(f"{shop.folder}/online")
    assert sluice("forget", "finish").output.startswith("receipt ")
    assert doctor().exit_code == 0


def test_nobody_is_forgotten_until_somebody_is(shop: Market) -> None:
    assert sluice("forget", "list").output == "Nobody was forgotten.\n"
    for arguments, message in (
        (("show", "amount=1"), "unknown key 'amount'"),
        (("show", "customer"), "forget: 'customer' has no value\n  allowed: customer=VALUE, such as customer=17"),
        (
            ("receipt", "abc"),
            f"unknown receipt 'abc'\n  allowed: none yet\n  next: sluice forget list {FILE}",
        ),
        (("apply", f"customer={ZEBRA}", "--by", " ", "--because", "x"), "an erasure names a person and a reason"),
    ):
        found = sluice("forget", *arguments)
        assert isinstance(found.exception, SluiceError)
        assert message in str(found.exception)
    sluice("hold", "add", f"customer={ZEBRA}", "--by", "Eve", "--because", "a case")
    for arguments in (("show", f"customer={ZEBRA}"), ("apply", f"customer={ZEBRA}", "--by", "A", "--because", "x")):
        assert "is under a legal hold: Eve, because 'a case'" in str(sluice("forget", *arguments).exception)
    assert sluice("forget", "list").output == "Nobody was forgotten.\n"
