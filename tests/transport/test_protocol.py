from paho.mqtt.enums import MQTTProtocolVersion

from transport.protocol import PATIENCE, V5, V311, ProtocolChoice


def spoken(choice: ProtocolChoice) -> MQTTProtocolVersion:
    return choice.current


def test_mqtt_5_comes_first() -> None:
    assert ProtocolChoice().current is V5


def test_a_broker_that_says_it_knows_no_5_is_spoken_to_in_3_1_1_for_good() -> None:
    choice = ProtocolChoice()
    choice.refused()
    assert spoken(choice) is V311
    choice.connected()
    choice.lost()
    assert spoken(choice) is V311


def test_a_broker_that_says_nothing_is_tried_in_3_1_1_at_once_and_in_both_before_it_counts_as_away() -> None:
    choice = ProtocolChoice()
    assert not choice.unanswered()
    assert spoken(choice) is V311
    assert choice.unanswered()
    assert spoken(choice) is V5


def test_a_version_guessed_from_silence_ends_with_its_connection() -> None:
    choice = ProtocolChoice()
    choice.unanswered()
    choice.connected()
    assert spoken(choice) is V311
    choice.lost()
    assert spoken(choice) is V5


def test_a_broker_that_hangs_does_not_lose_the_version_that_worked() -> None:
    choice = ProtocolChoice()
    choice.connected()
    choice.lost()
    for _ in range(PATIENCE - 1):
        choice.unanswered()
        assert spoken(choice) is V5
    choice.unanswered()
    assert spoken(choice) is V311
