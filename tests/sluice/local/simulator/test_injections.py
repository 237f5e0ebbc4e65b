import pytest

from sluice.errors import UserError
from sluice.local.simulator import CovariateShift, Injections, NewPattern, SchemaBreak

pytestmark = pytest.mark.unit


def test_none_switches_everything_off():
    quiet = Injections.none()
    switches = [quiet.late, quiet.disorder, quiet.duplicates, quiet.conflicts, quiet.malformed]
    assert [*switches, quiet.covariate_shift, quiet.new_pattern, quiet.schema_break] == [None] * 8


def test_the_demo_meets_the_new_pattern_on_live_day_ten_and_the_shift_after_half():
    demo = Injections.demo(days=200, live_days=60)
    assert demo.new_pattern.from_day == 150
    assert demo.covariate_shift.from_day == 170
    assert demo.schema_break.day == 120


def test_chargebacks_are_never_late_contradictory_or_malformed():
    second = Injections.demo().on_chargebacks()
    assert (second.late, second.conflicts, second.malformed) == (None, None, None)
    assert (second.duplicates, second.disorder) == (0.01, 0.05)


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Injections(late=1.5), "Injections(late)"),
        (lambda: Injections(malformed=-0.1), "Injections(malformed)"),
        (lambda: Injections(late=0.6, disorder=0.6), "Injections(late + disorder)"),
        (lambda: Injections(duplicates=0.6, conflicts=0.6), "Injections(duplicates + conflicts)"),
        (lambda: Injections.demo(days=10, live_days=10), "Injections.demo"),
        (lambda: CovariateShift(from_day=1, channel="onlin"), "CovariateShift(channel)"),
        (lambda: CovariateShift(from_day=1, amount_factor=0), "CovariateShift(amount_factor)"),
        (lambda: NewPattern(from_day=1, share=2), "NewPattern(share)"),
        (lambda: SchemaBreak(day=1, stream="refunds"), "SchemaBreak(stream)"),
        (lambda: SchemaBreak(day=1, column="amout"), "SchemaBreak(column)"),
        (lambda: SchemaBreak(day=1, how="drop"), "SchemaBreak(how)"),
    ],
)
def test_an_impossible_injection_is_refused_by_its_field(make, where):
    with pytest.raises(UserError) as refused:
        make()
    assert str(refused.value).startswith(where)


def test_a_misspelt_column_gets_the_nearest_one_offered():
    with pytest.raises(UserError, match="did you mean 'amount'"):
        SchemaBreak(day=1, column="amout")
