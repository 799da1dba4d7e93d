"""``MqttLink``: one connection to a broker, kept up for as long as it is wanted.

One thread does everything: it connects, moves messages, and makes a new client after every
loss. What each ending means for state, protocol version, certificates and pause is decided here.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from paho.mqtt.enums import MQTTProtocolVersion

from lsi.errors import AppConfigError
from transport.backoff import Backoff, conflict_backoff
from transport.broker import ADVICE, BrokerAddress, LinkState, Message, Session, TlsSettings
from transport.connection import Connection, ConnectionEvents, End, Ending
from transport.intake import Intake
from transport.link_events import LinkEvents
from transport.outgoing import LIVE_ROOM, Delivery, OnSettled
from transport.paho_client import Plan
from transport.protocol import ProtocolChoice
from transport.renewal import Renewal, TlsChoice
from transport.timing import Timing
from transport.twin import TwinWatch
from transport.wakeup import Wakeup

logger = logging.getLogger(__name__)

TICK_BOUND_S: Final = 30.0
"""The thread passes its loop every second or so; a handler that blocks for this long has hung it."""

CONNECT_BOUND_S: Final = 90.0
"""Names are looked up without a bound of ours: three servers, several tries."""

SHORT_LIVES: Final = 3


class MqttLink:
    """Connects in the background and again after every loss, with jitter.

    Args:
        address: The broker.
        client_id: Unique at the broker; the device id on a device.
        will: What the broker says for us when we vanish.
        subscriptions: Topic filters, subscribed to on every connect with QoS 1.
        events: Callbacks.
        backoff: Delays between attempts.
        conflict: Delays after another client took our id.
        session: What an MQTT 5 broker keeps after a loss.
        timing: Bounds and clock.
        intake: Has messages acknowledged by who keeps them, instead of ``LinkEvents.on_message``.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each a different thing
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        will: Message | None = None,
        subscriptions: Sequence[str] = (),
        events: LinkEvents | None = None,
        backoff: Backoff | None = None,
        conflict: Backoff | None = None,
        session: Session | None = None,
        timing: Timing | None = None,
        intake: Intake | None = None,
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._will = will
        self._subscriptions = tuple(subscriptions)
        self._events = events or LinkEvents()
        self._backoff = backoff or Backoff()
        self._conflict = conflict or conflict_backoff()
        self._session = session or Session()
        self._timing = timing or Timing()
        self._intake = intake
        self._tls = TlsChoice(address.tls)
        self._protocol = ProtocolChoice()
        self._state = LinkState.CONNECTING
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt-link", daemon=True)
        self._connects = 0
        self._online_since_s: float | None = None
        self._short_lives = 0
        self._twin = TwinWatch(self._timing.conflict_over_s)
        self._conflicts = 0
        self._refused: set[str] = set()
        self._taken_over_s: float | None = None
        self._due_s = 0.0

    @property
    def state(self) -> LinkState:
        """What the link is doing now."""
        return self._state

    @property
    def protocol(self) -> MQTTProtocolVersion:
        """The MQTT version of the current or next attempt."""
        return self._protocol.current

    @property
    def reconnects(self) -> int:
        """Connections made after the first."""
        return max(0, self._connects - 1)

    @property
    def conflicts(self) -> int:
        """How often another client with our id took the connection."""
        return self._conflicts

    @property
    def is_in_conflict(self) -> bool:
        """Whether another client used our id lately (300 s), even if we are online now."""
        taken_s = self._taken_over_s
        return taken_s is not None and self._timing.now_s() - taken_s < self._timing.conflict_over_s

    @property
    def is_alive(self) -> bool:
        """Whether the thread does its rounds, broker or not. False when a handler has hung it."""
        return self._thread.is_alive() and self._timing.now_s() <= self._due_s

    def start(self) -> None:
        """Connect in the background. Returns at once, broker or not."""
        self._expect_within(CONNECT_BOUND_S)
        self._thread.start()

    def publish(self, message: Message, on_settled: OnSettled | None = None) -> bool:
        """Hand ``message`` to the broker; ``False`` when it is not there. Nothing is kept for later.

        ``on_settled`` is called as for :meth:`send`.
        """
        connection = self._connection
        return connection is not None and connection.offer(Delivery(message, on_settled), LIVE_ROOM)

    def send(self, message: Message, on_settled: OnSettled) -> bool:
        """Hand ``message`` to the broker and tell what became of it.

        Args:
            message: QoS 1, so that the broker answers; QoS 0 counts as accepted when written.
            on_settled: Called once, from the network thread, if and only if this returns ``True``.

        Returns:
            ``False`` when the broker is not there or ten messages are unsettled.
        """
        connection = self._connection
        if connection is None:
            return False
        return connection.offer(Delivery(message, on_settled), connection.outgoing.window)

    def replace_tls(self, settings: TlsSettings) -> None:
        """Use other TLS files from the next attempt on; keep the old ones until these have connected.

        The end is told by ``on_renewal``. With ``reconnect`` the next attempt is now.

        Raises:
            AppConfigError: The files cannot be used, or this link uses no TLS; nothing changes.
        """
        if self._address.tls is None:
            found = f"The link to {self._address} uses no TLS."
            raise AppConfigError(found, hint="TLS mode 'system' or 'file'.")
        self._tls.offer(settings)

    def reconnect(self, reason: str) -> None:
        """Leave the connection, if there is one, and make a new one at once.

        Session and will stay at the broker: within the will's delay nobody notices.
        """
        connection = self._connection
        if connection is not None:
            connection.drop(reason)

    def stop(self, farewell: Sequence[Message] = ()) -> None:
        """Say ``farewell`` where there is a connection, disconnect and end the thread.

        Returns within ``Timing.stop_s``. A thread that is looking up a name by then ends by itself.
        """
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.stop(farewell)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(self._timing.stop_s)
            if self._thread.is_alive():
                logger.warning("The link to %s is still busy; it ends by itself.", self._address)

    def _run(self) -> None:
        with contextlib.closing(Wakeup()) as wakeup:
            while not self._stopping.is_set():
                ending = self._connect_once(wakeup)
                if not self._stopping.is_set():
                    pause_s = self._after(ending)
                    self._expect_within(pause_s + CONNECT_BOUND_S)
                    self._stopping.wait(pause_s)

    def _connect_once(self, wakeup: Wakeup) -> Ending:
        self._online_since_s = None
        try:
            connection = Connection(self._plan(), self._connection_events(), wakeup)
            self._connection = connection
            if self._stopping.is_set():
                return Ending(End.WANTED, "stopped")
            return connection.run()
        except Exception:  # whatever a client does, the next one may do better
            logger.exception("The connection to %s failed in a way of its own.", self._address)
            return Ending(End.LOST, "the client failed")
        finally:
            self._connection = None

    def _plan(self) -> Plan:
        return Plan(
            address=self._address,
            client_id=self._client_id,
            protocol=self._protocol.current,
            context=self._tls.next_context(),
            will=self._will,
            session=self._session,
            subscriptions=self._subscriptions,
            timing=self._timing,
            intake=self._intake,
        )

    def _connection_events(self) -> ConnectionEvents:
        return ConnectionEvents(
            greeting=self._events.greeting,
            on_message=self._events.on_message,
            on_accepted=self._accepted,
            on_ready=lambda spoken: self._enter(LinkState.ONLINE, spoken),
            on_refused=self._tell_refused,
            on_tick=lambda: self._expect_within(TICK_BOUND_S),
        )

    def _tell_refused(self, topic_filter: str, reason: str) -> None:
        """Once: the rules of a broker are the same after a reconnect."""
        if topic_filter not in self._refused:
            self._refused.add(topic_filter)
            found, advice = "The broker refuses a subscription to", "its access rules for this client."
            logger.warning("%s %s (%s). Try: %s", found, topic_filter, reason, advice)

    def _expect_within(self, bound_s: float) -> None:
        self._due_s = self._timing.now_s() + bound_s

    def _accepted(self, session_present: bool) -> None:  # noqa: FBT001 - a callback
        self._connects += 1
        self._online_since_s = self._timing.now_s()
        self._protocol.connected()
        self._twin.connected(session_present=session_present)
        renewal = self._tls.connected()
        if renewal is not None:
            self._report(renewal)

    def _after(self, ending: Ending) -> float:
        """Draw the consequences of an ending; returns the pause before the next attempt."""
        is_twin = self._note_life(ending)
        match ending.end:
            case End.WANTED:
                self._enter(LinkState.CONNECTING, ending.reason)
                return 0.0
            case End.TAKEN_OVER:
                return self._give_way(ending.reason)
            case End.CLOSED if is_twin:
                return self._give_way(
                    f"{ending.reason} again and again: another client seems to use the id {self._client_id}"
                )
            case End.WRONG_PROTOCOL:
                self._protocol.refused()
            case End.UNANSWERED:
                self._tls.failed(ending.reason)
                if self._protocol.unanswered():
                    self._enter(LinkState.AWAY, ending.reason)
            case End.TLS | End.REFUSED:
                self._tls.failed(ending.reason)
                self._enter(LinkState.REFUSED, ending.reason, ending.advice)
            case _:
                self._enter(LinkState.AWAY, ending.reason + self._suspicion())
        return self._backoff.delay_s()

    def _give_way(self, reason: str) -> float:
        """Another client has our id: leave it the connection for a long while."""
        self._conflicts += 1
        self._taken_over_s = self._timing.now_s()
        self._enter(LinkState.CONFLICT, reason)
        return self._conflict.delay_s()

    def _note_life(self, ending: Ending) -> bool:
        """Learn from how long the connection lasted; returns whether a twin is suspected."""
        online_since_s = self._online_since_s
        if online_since_s is None:
            self._twin.ended()
            return False
        self._protocol.lost()
        lasted_s = self._timing.now_s() - online_since_s
        self._short_lives += 1
        if lasted_s >= self._timing.steady_s:
            self._backoff.reset()
            self._short_lives = 0
        if lasted_s >= self._timing.conflict_over_s:
            self._conflict.reset()
        if ending.end in {End.CLOSED, End.TAKEN_OVER}:
            return self._twin.closed(lasted_s)
        self._twin.ended()
        return False

    def _suspicion(self) -> str:
        # MQTT 3.1.1 has no word for it: the broker just closes.
        return (
            ", soon after every connect: is the id in use elsewhere?"
            if self._short_lives >= SHORT_LIVES
            else ""
        )

    def _enter(self, state: LinkState, reason: str, advice: str = "") -> None:
        if state is self._state:
            return
        self._state = state
        if state in ADVICE:
            again = "asked again with growing pauses"
            logger.warning(
                "Broker %s is %s (%s); %s. Try: %s",
                self._address, state, reason, again, advice or ADVICE[state],
            )  # fmt: skip
        else:
            logger.info("Broker %s is %s (%s).", self._address, state, reason)
        self._tell(lambda: self._events.on_state(state, reason))

    def _report(self, renewal: Renewal) -> None:
        if renewal.is_accepted:
            logger.info("Broker %s accepts the new TLS files.", self._address)
        else:
            found, advice = "refused the new TLS files", "lsi-edge doctor tls."
            logger.warning(
                "Broker %s %s (%s); the old ones stay in use. Try: %s",
                self._address, found, renewal.reason, advice,
            )  # fmt: skip
        self._tell(lambda: self._events.on_renewal(renewal))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # an escaping error would end the thread without a word
            logger.exception("A change of the link to %s could not be handled.", self._address)
