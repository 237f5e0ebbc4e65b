"""The topics of a pipeline: one for each stream, one for what was answered."""

from __future__ import annotations

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

from sluice.declare.pipeline import Pipeline
from sluice.stream.outage import PATIENCE, answering

KEEP_ALL = {"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "CreateTime"}
"""Records stay for ever, and keep the event clock's timestamp that our producers give them."""


def stream_topic(pipeline: str, stream: str) -> str:
    """The topic of a stream."""
    return f"{pipeline}.{stream}"


def prediction_topic(pipeline: str) -> str:
    """The topic of a pipeline's answers."""
    return f"{pipeline}.predictions"


def source_of(topic: str) -> str:
    """The name of a topic as a source in bronze."""
    return f"kafka:{topic}"


def topics_of(pipeline: Pipeline) -> list[str]:
    """The names of a pipeline's topics, the answers' last."""
    return [*(stream_topic(pipeline.name, stream.name) for stream in pipeline.streams), prediction_topic(pipeline.name)]


def create_topics(bootstrap: str, pipeline: Pipeline) -> list[str]:
    """Create what is missing of a pipeline's topics, with one partition each; the names of all of them."""
    names = topics_of(pipeline)
    with answering(bootstrap):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, **PATIENCE)
        try:
            for name in sorted(set(names) - set(admin.list_topics())):
                _create(admin, name)
        finally:
            admin.close()
    return names


def _create(admin: KafkaAdminClient, name: str) -> None:
    try:
        admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1, topic_configs=KEEP_ALL)])
    except TopicAlreadyExistsError:
        return  # another process was faster
