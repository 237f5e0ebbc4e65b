"""On a real broker: whatever dies and whenever, each event has its effect once and each offset is archived once."""

from __future__ import annotations

import random
import signal

import pytest

from sluice.errors import Outage, UserError
from sluice.stream.archive import wait_until_archived
from sluice.stream.memory import MemoryTopics
from sluice.stream.producer import Producer
from sluice.stream.subscription import Subscription
from sluice.stream.topics import create_topics
from tests.sluice.engine.stores import contents
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.feeds import feed, send
from tests.sluice.stream.reference import answered, computed, history, questions
from tests.sluice.stream.runs import (
    PATIENCE_S,
    SIZE,
    archived,
    everything,
    expected,
    finish,
    folded,
    kill_at_random,
    produced,
    reached,
    undisturbed,
    wait_for,
    with_answers,
)
from tests.sluice.stream.workers import LOST, Kind, Place

pytestmark = pytest.mark.integration

KINDS: tuple[Kind, ...] = ("fold", "archive")


def test_a_killed_fold_consumer_leaves_the_store_of_an_undisturbed_run(place: Place, seed: int) -> None:
    messages = feed(seed, SIZE)
    topics = produced(place, messages)
    chance = random.Random(seed)
    total = sum(map(len, topics.records.values()))

    kill_at_random(place, "fold", total, chance)
    finish(place, "fold", lambda: folded(place) == total)

    store = place.store()
    asked = questions(messages, seed, 400)
    assert contents(store) == undisturbed(place, topics)
    assert answered(place.pipeline, store, asked) == computed(
        place.pipeline, history(place.pipeline, topics.records), asked
    )
    store.close()


def test_a_killed_archive_has_every_offset_once(place: Place, seed: int) -> None:
    topics = produced(place, feed(seed, SIZE))
    with_answers(place, 200)
    chance = random.Random(seed)
    total = sum(map(len, topics.records.values())) + 200

    kill_at_random(place, "archive", total, chance)
    finish(place, "archive", lambda: archived(place) == total)

    assert everything(place)[1] == expected(place, topics)[1]
    assert sorted(place.lake.read("predictions").column("position").to_pylist()) == list(range(200))


@pytest.mark.parametrize("kind", ["fold", "archive"])
def test_a_paused_worker_that_was_overtaken_loses_and_writes_nothing(place: Place, kind: Kind) -> None:
    topics = produced(place, feed(7, 300))
    with place.worker(kind) as first:
        wait_for(lambda: reached(place, kind) == 300)
        first.process.send_signal(signal.SIGSTOP)
        produced(place, feed(8, 200), topics)
        finish(place, kind, lambda: reached(place, kind) == 500)
        before = everything(place)

        first.process.send_signal(signal.SIGCONT)

        assert first.process.wait(timeout=PATIENCE_S) == LOST
    assert everything(place) == before
    assert "was expected" in place.log(kind) or "another process" in place.log(kind)


def test_workers_and_producers_outlive_a_restart_of_the_broker(place: Place, broker: Broker) -> None:
    topics, messages = MemoryTopics(), feed(21, 2_000)
    send(place.pipeline, topics, messages)
    with place.worker("fold") as fold, place.worker("archive") as archive, Producer(place.bootstrap) as producer:
        send(place.pipeline, producer, messages[:1_000])
        wait_for(lambda: reached(place, "fold") > 500)
        broker.down()
        broker.up()
        send(place.pipeline, producer, messages[1_000:])
        wait_for(lambda: reached(place, "fold") == 2_000 and reached(place, "archive") == 2_000)
        assert (fold.stop(), archive.stop()) == (0, 0)

    assert everything(place) == expected(place, topics)


def test_a_worker_that_starts_without_a_broker_says_so_and_succeeds_later(place: Place, broker: Broker) -> None:
    topics = produced(place, feed(22, 200))
    broker.down()
    try:
        with place.worker("fold") as fold, place.worker("archive") as archive:
            assert [worker.process.wait(timeout=PATIENCE_S) for worker in (fold, archive)] == [LOST, LOST]
        assert "Kafka does not answer" in place.log("fold")
        assert "Kafka does not answer" in place.log("archive")
    finally:
        broker.up()

    for kind in KINDS:
        finish(place, kind, lambda kind=kind: reached(place, kind) == 200)
    assert everything(place) == expected(place, topics)


def test_waiting_for_the_archive_ends_when_it_has_everything(place: Place) -> None:
    produced(place, feed(23, 300))
    with_answers(place, 10)
    with pytest.raises(Outage, match="has not come to the end"):
        wait_until_archived(place.pipeline, place.lake, place.bootstrap, patience_s=0.1)

    with place.worker("archive"):
        wait_until_archived(place.pipeline, place.lake, place.bootstrap, patience_s=PATIENCE_S)

    assert reached(place, "archive") == 310


def test_a_position_that_the_log_does_not_hold_is_an_outage(place: Place) -> None:
    topics = produced(place, feed(24, 50))
    name = f"{place.pipeline.name}.payments"
    beyond = len(topics.records[name]) + 5

    with (
        Subscription(place.bootstrap, [name], {(name, 0): beyond}.get) as subscription,
        pytest.raises(Outage, match="does not hold"),
    ):
        wait_for(lambda: subscription.poll(100) != [])


def test_a_missing_topic_is_named(place: Place) -> None:
    with pytest.raises(UserError, match=r"there is no topic 'nobody\.made\.this'"):
        Subscription(place.bootstrap, ["nobody.made.this"], lambda _: None)


def test_topics_are_made_once(place: Place) -> None:
    name = place.pipeline.name

    assert create_topics(place.bootstrap, place.pipeline) == [
        f"{name}.payments",
        f"{name}.disputes",
        f"{name}.predictions",
    ]
