"""The topics of a pipeline: one for each stream, one for what was answered, and one that is keyed by entity.

How many partitions a pipeline has is what its topics say; with one nothing is re-keyed, and there is no such topic.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from sluice.declare.pipeline import Pipeline
from sluice.engine.shards import Spread
from sluice.errors import ServiceDown, UserError
from sluice.lake.contract import TOPIC
from sluice.stream.outage import PATIENCE, answering, connecting
from sluice.wording import command

KEEP_ALL = {"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "CreateTime"}
"""Records stay for ever, and keep the event clock's timestamp that our producers give them."""

_SHOWN_S, _LOOK_S = 30.0, 0.05
"""How long a new topic is waited for, and between two looks."""
LARGEST = 16 * 2**20
"""The bytes of a parcel, which is one record."""
PASS_ON = {
    # by when they were written: the event clock's times may be years ago
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": str(7 * 86_400_000),
    "retention.bytes": "-1",
    "max.message.bytes": str(LARGEST + 2**20),
}
"""What routers say is made again from the sources, so that it need not stay longer than a shard may be away."""


def stream_topic(pipeline: str, stream: str) -> str:
    """The topic of a stream."""
    return f"{pipeline}.{stream}"


def prediction_topic(pipeline: str) -> str:
    """The topic of a pipeline's answers."""
    return f"{pipeline}.predictions"


def entity_topic(pipeline: str) -> str:
    """The topic in which the routers tell each shard of what can touch its entities."""
    return f"{pipeline}.by_entity"


def source_of(topic: str) -> str:
    """The name of a topic as a source in bronze."""
    return f"{TOPIC}{topic}"


def create_topics(bootstrap: str, pipeline: Pipeline, partitions: int | None = None) -> list[str]:
    """Create what is missing of a pipeline's topics; the names of all of them.

    Those of the streams have the partitions asked for, else as many as they have, else one. UserError if they have
    others already: an event's place among them would change.
    """
    with _admin(bootstrap) as admin:
        held = _counts(admin, pipeline)
        count = partitions or max(held.values(), default=1)
        _check(pipeline, held, count)
        wanted = _wanted(pipeline, count)
        for name in sorted(set(wanted) - set(admin.list_topics())):
            _create(admin, wanted[name])
        _wait_for(admin, wanted, bootstrap)
    return [*wanted]


def spread_of_topics(bootstrap: str, pipeline: Pipeline) -> Spread:
    """How a pipeline's topics are divided; UserError when one is missing, or not divided as the others are."""
    with _admin(bootstrap) as admin:
        held = _counts(admin, pipeline)
    count = max(held.values(), default=1)
    _check(pipeline, held, count)
    missing = [name for name in _wanted(pipeline, count) if name not in {*held, prediction_topic(pipeline.name)}]
    if missing:
        raise UserError(
            f"there is no topic {missing[0]!r}",
            where=bootstrap,
            next_step=command("stream", "topics", pipeline.reference),
        )
    return Spread(count, count)


@contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    with answering(bootstrap):
        with connecting():
            admin = KafkaAdminClient(bootstrap_servers=bootstrap, **PATIENCE)
        try:
            yield admin
        finally:
            admin.close()


def _wanted(pipeline: Pipeline, partitions: int) -> dict[str, NewTopic]:
    """The topics of a pipeline by name, the answers' last."""
    counts = dict.fromkeys((stream_topic(pipeline.name, stream.name) for stream in pipeline.streams), partitions)
    topics = {name: NewTopic(name, count, 1, topic_configs=KEEP_ALL) for name, count in counts.items()}
    if partitions > 1:
        by_entity = entity_topic(pipeline.name)
        topics[by_entity] = NewTopic(by_entity, partitions, 1, topic_configs=PASS_ON)
    answers = prediction_topic(pipeline.name)
    return {**topics, answers: NewTopic(answers, 1, 1, topic_configs=KEEP_ALL)}


def _counts(admin: KafkaAdminClient, pipeline: Pipeline) -> dict[str, int]:
    """How many partitions each topic has that is divided, of those that are there."""
    divided = {entity_topic(pipeline.name), *(stream_topic(pipeline.name, stream.name) for stream in pipeline.streams)}
    present = sorted(divided & set(admin.list_topics()))
    return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(present)} if present else {}


def _check(pipeline: Pipeline, held: Mapping[str, int], count: int) -> None:
    other = next((name for name, partitions in held.items() if partitions != count), None)
    if other is not None:
        raise UserError(
            f"topic {other!r} has {held[other]} partitions, and not {count}",
            where=pipeline.name,
            next_step="a number of partitions is for ever: remove the pipeline's topics, or give it another name",
        )
    nameless = next((stream for stream in pipeline.streams if not stream.id_columns), None)
    if count > 1 and nameless is not None:
        raise UserError(
            f"events of {nameless} have no id, and cannot be divided among {count} partitions",
            where=pipeline.name,
            allowed="1 partition",
            next_step="declare an id",
        )


def _wait_for(admin: KafkaAdminClient, names: Collection[str], bootstrap: str) -> None:
    """Return when the broker shows what it has made, which is a moment after it has said so."""
    deadline = time.monotonic() + _SHOWN_S
    while missing := sorted(set(names) - set(admin.list_topics())):
        if time.monotonic() > deadline:
            raise ServiceDown(f"topic {missing[0]!r} was made, and does not show", where=bootstrap)
        time.sleep(_LOOK_S)


def _create(admin: KafkaAdminClient, topic: NewTopic) -> None:
    try:
        admin.create_topics([topic])
    except TopicAlreadyExistsError:
        return  # another process was faster
