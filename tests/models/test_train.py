from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from models.registry import Registry
from models.request import LOGISTIC, NETWORK, TrainedModel, TrainingRequest, TrainingResult, Variant
from models.train import train
from sluice.errors import DataError
from sluice.scoring import Scorer
from tests.models.payments import INPUTS, SPLIT, payments

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SHORT = tuple(replace(algorithm, epochs=4, steps=16) for algorithm in (LOGISTIC, NETWORK))


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> TrainingRequest:
    home = tmp_path_factory.mktemp("training")
    lock = home / "uv.lock"
    lock.write_text("version = 1\n")
    return TrainingRequest(
        pipeline="fraud",
        table=payments(),
        inputs=INPUTS,
        split=SPLIT,
        card="customer_id",
        segments=("pos", "online", "*"),
        data_version="vectors_as_served@7",
        knowledge="as_served",
        definition_hash="d1",
        code_version="0.1.0",
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
        store=home / "store",
        yardstick="amount",
        variants=(Variant(), Variant("shuffled", shuffle_labels=True)),
        algorithms=SHORT,
        lock_file=lock,
    )


@pytest.fixture(scope="module")
def result(request_: TrainingRequest) -> Iterator[TrainingResult]:
    """Every model of the request, trained by two Ray workers."""
    import ray

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into the person's home
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="WARNING")
        yield train(replace(request_, ray_address="auto"))
        ray.shutdown()


@pytest.fixture
def registry(request_: TrainingRequest) -> Registry:
    return Registry(request_.tracking_uri, request_.pipeline, request_.store)


def model(result: TrainingResult, segment: str, variant: str = "candidate") -> TrainedModel:
    return next(each for each in result.models if (each.segment, each.variant) == (segment, variant))


def test_every_segment_with_data_enough_gets_a_version_of_each_variant(result: TrainingResult) -> None:
    made = [(each.name, each.variant, each.version) for each in result.models]
    assert made == [
        ("fraud-pos", "candidate", 1),
        ("fraud-pos", "shuffled", 2),
        ("fraud-all", "candidate", 1),
        ("fraud-all", "shuffled", 2),
    ]


def test_a_segment_with_too_few_frauds_is_left_out_with_the_reason(result: TrainingResult) -> None:
    assert [(each.segment, each.variant) for each in result.skipped] == [
        ("online", "candidate"),
        ("online", "shuffled"),
    ]
    assert "frauds in the train part, 20 are needed" in result.skipped[0].reason


def test_each_model_beats_the_ranking_by_amount(result: TrainingResult) -> None:
    for segment in ("pos", "*"):
        trained = model(result, segment)
        assert trained.test.average_precision > trained.metrics["yardstick"].average_precision + 0.1
        assert trained.test.auc > 0.75


def test_a_model_of_shuffled_labels_ranks_far_worse(result: TrainingResult) -> None:
    for segment in ("pos", "*"):
        good, bad = model(result, segment), model(result, segment, "shuffled")
        assert bad.test.average_precision < good.test.average_precision - 0.1


def test_the_winner_is_the_best_on_the_validation_part(result: TrainingResult, request_: TrainingRequest) -> None:
    mlflow.set_tracking_uri(request_.tracking_uri)
    for each in result.models:
        metrics = mlflow.get_run(each.run_id).data.metrics
        rivals = {name: metrics[f"{name}.validation_average_precision"] for name in ("logistic", "network")}
        assert each.spec.algorithm == max(rivals, key=lambda name: rivals[name])


def test_two_ray_workers_learn_the_same_bits_as_one_process(result: TrainingResult, request_: TrainingRequest) -> None:
    shuffled_rows = request_.table.take(np.random.default_rng(5).permutation(len(request_.table)))
    alone = train(replace(request_, table=shuffled_rows, segments=("*",), variants=(Variant(),), pipeline="alone"))
    (repeated,) = alone.models
    assert repeated.spec.weights_hash == model(result, "*").spec.weights_hash
    assert repeated.metrics == model(result, "*").metrics


def test_parity_with_keras_is_within_a_millionth(result: TrainingResult) -> None:
    assert all(each.parity <= 1e-6 for each in result.models)


def test_stock_mlflow_loads_a_model_by_its_alias_and_predicts_what_serving_scores(
    result: TrainingResult, request_: TrainingRequest, registry: Registry
) -> None:
    registry.set_alias("pos", "champion", 1)
    mlflow.set_tracking_uri(request_.tracking_uri)
    columns = request_.table.slice(0, 50).select([each.name for each in INPUTS])
    codes = {"channel": pd.Int64Dtype(), "country": pd.Int64Dtype()}
    frame = columns.to_pandas(integer_object_nulls=True).astype(codes)
    predicted = mlflow.pyfunc.load_model("models:/fraud-pos@champion").predict(frame)
    served = Scorer.load(model(result, "pos").folder)
    assert predicted.tolist() == served.score_vectors(columns).tolist()
    assert np.isnan(frame["ratio"].astype(float)).any()


def test_the_folder_that_serving_loads_says_its_version(result: TrainingResult) -> None:
    for each in result.models:
        spec = Scorer.load(each.folder).spec
        assert spec == each.spec
        assert spec.version == each.version
        assert spec.thresholds[0].label == "approve"


def test_thresholds_begin_where_the_declared_share_of_traffic_does(
    result: TrainingResult, request_: TrainingRequest
) -> None:
    scorer = Scorer.load(model(result, "*").folder)
    decisions = scorer.decide(scorer.score_vectors(request_.table))
    assert 0.003 < np.mean([each != "approve" for each in decisions]) < 0.03
    assert decisions.count("block") < decisions.count("review")


def test_an_alias_moves_and_goes_and_a_segment_without_one_resolves_to_nothing(
    result: TrainingResult, registry: Registry
) -> None:
    assert registry.resolve("pos", "challenger") is None
    assert registry.resolve("nowhere", "champion") is None
    for number in (1, 2):
        registry.set_alias("pos", "challenger", number)
        found = registry.resolve("pos", "challenger")
        assert found is not None
        assert (found.name, found.segment, found.version) == ("fraud-pos", "pos", number)
        assert Scorer.load(found.folder).spec.version == number
    registry.set_alias("pos", "challenger", None)
    assert registry.resolve("pos", "challenger") is None


def test_an_alias_of_a_version_that_is_not_there_is_refused(result: TrainingResult, registry: Registry) -> None:
    with pytest.raises(MlflowException):
        registry.set_alias("pos", "champion", 99)


def test_a_machine_without_the_files_fetches_them(
    result: TrainingResult, request_: TrainingRequest, tmp_path: Path
) -> None:
    elsewhere = Registry(request_.tracking_uri, request_.pipeline, tmp_path)
    found = elsewhere.fetch("*", 1)
    assert found.folder.is_relative_to(tmp_path)
    assert Scorer.load(found.folder).spec == model(result, "*").spec
    assert elsewhere.fetch("*", 1) == found


def test_a_run_keeps_what_is_needed_to_train_the_model_again(result: TrainingResult, request_: TrainingRequest) -> None:
    trained = model(result, "pos")
    mlflow.set_tracking_uri(request_.tracking_uri)
    run = mlflow.get_run(trained.run_id)
    tags, parameters = run.data.tags, run.data.params
    assert run.info.status == "FINISHED"
    assert (tags["data_version"], tags["definition_hash"], tags["code_version"]) == (
        "vectors_as_served@7",
        "d1",
        "0.1.0",
    )
    assert tags["knowledge"] == trained.spec.knowledge == "as_served"
    assert tags["weights_hash"] == trained.spec.weights_hash
    assert len(tags["environment_hash"]) == len(tags["lock_hash"]) == 64
    assert parameters["split.train"] == "1970-01-01T00:00:00Z/1970-02-04T00:00:00Z"
    assert (parameters["seed"], parameters["shards"], parameters["refit"]) == ("7", "4", "False")
    assert run.data.metrics["average_precision"] == trained.test.average_precision
    kept = Path(mlflow.artifacts.download_artifacts(run_id=trained.run_id, artifact_path="environment.txt"))
    assert "tensorflow==" in kept.read_text()
    inputs = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/inputs.json")
    assert [each["name"] for each in json.loads(inputs)] == [each.name for each in INPUTS]


def test_what_a_run_registered_before_it_died_says_what_it_is_of_and_is_not_made_again(
    request_: TrainingRequest,
) -> None:
    quick = replace(LOGISTIC, epochs=1, steps=4)
    mine = replace(request_, pipeline="mortal", segments=("*", "online"), algorithms=(quick,), variants=(Variant(),))
    mine = replace(mine, tags={"training_set": "{}"})
    registry = Registry(mine.tracking_uri, mine.pipeline, mine.store)

    def die(model: TrainedModel) -> None:
        raise KeyboardInterrupt(model.name)

    with pytest.raises(KeyboardInterrupt, match="mortal-all"):
        train(mine, registered=die)
    (left,) = registry.versions(request=mine.identity)
    assert (left.name, left.version, left.segment, left.variant) == ("mortal-all", 1, "*", "candidate")
    assert left.tags["training_set"] == "{}"
    assert registry.versions(request=replace(mine, data_version="vectors_as_served@8").identity) == []

    again = replace(mine, done=frozenset({("*", "candidate")}))
    assert again.identity == mine.identity
    result = train(again)
    assert (result.models, [each.segment for each in result.skipped]) == ((), ["online"])


def test_a_missing_column_stops_before_anything_is_trained(request_: TrainingRequest) -> None:
    with pytest.raises(DataError, match="risk"):
        train(replace(request_, table=request_.table.drop_columns(["risk"])))


def test_no_segment_with_data_enough_is_an_error_that_says_what_was_found(request_: TrainingRequest) -> None:
    with pytest.raises(DataError, match="no segment has data enough"):
        train(replace(request_, segments=("online",)))


@pytest.mark.skipif("SLUICE_HANDBOOK_DIR" not in os.environ, reason="SLUICE_HANDBOOK_DIR names no folder")
def test_the_handbooks_evaluated_rows_are_those_the_book_evaluates() -> None:
    import pyarrow.parquet as pq

    from models.split import DAY, Interval, Part, Split
    from sluice.clock import from_datetime

    columns = ["TX_DATETIME", "CUSTOMER_ID", "TX_FRAUD"]
    table = pq.read_table(Path(os.environ["SLUICE_HANDBOOK_DIR"]) / "transactions.parquet", columns=columns)
    start = from_datetime(pd.Timestamp("2018-07-25").to_pydatetime())
    split = Split(Interval(start, start + 7 * DAY), Interval(start + 14 * DAY, start + 21 * DAY), 7 * DAY)
    times = np.asarray(table["TX_DATETIME"].cast("timestamp[us]").cast("int64"))
    labels = np.asarray(table["TX_FRAUD"]).astype(np.int8)
    parts = split.parts(times, np.asarray(table["CUSTOMER_ID"]), labels)
    counts = {part: (int((parts == part).sum()), int(labels[parts == part].sum())) for part in (Part.TRAIN, Part.TEST)}
    assert counts == {Part.TRAIN: (67_240, 598), Part.TEST: (58_264, 385)}
