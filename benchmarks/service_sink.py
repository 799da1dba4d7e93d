"""The reader in ``benchmarks.service``: notes every record by its key, and asks for what is missing."""

import json
import queue
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from benchmarks.service_agents import DEVICE
from lab.broker import LOOPBACK
from lsi.command_documents import Command, ReplayArguments, Request, command_topic
from transport.broker import BrokerAddress, Message
from transport.link_events import LinkEvents
from transport.mqtt import MqttLink

SILENCE_S: Final = 20.0
"""After so long without a message nothing more is expected; a device's first pauses are shorter."""

Key = tuple[str, int]


class Sink:
    """What came, by key; ``contents`` without the mark ``hist`` that a late record carries."""

    def __init__(self, link: MqttLink, messages: "queue.Queue[Message]") -> None:
        self._link = link
        self._messages = messages
        self.contents: dict[Key, Counter[str]] = {}

    def first(self, timeout_s: float = 60.0) -> Message:
        """The next message, whatever it is."""
        return self._messages.get(timeout=timeout_s)

    def forget(self) -> None:
        """Drop what waits."""
        while not self._messages.empty():
            self._messages.get()

    def read(self, silence_s: float = SILENCE_S) -> None:
        """Note what comes until nothing came for ``silence_s``."""
        for message in self._until_silence(silence_s):
            document = json.loads(message.payload)
            document.pop("hist", None)
            key = (document["stream"], document["seq"])
            self.contents.setdefault(key, Counter())[json.dumps(document, sort_keys=True)] += 1

    def ask_again(self, keys: Collection[Key]) -> None:
        """Ask the device for ranges that cover ``keys``."""
        for stream in {stream for stream, _ in keys}:
            for first, last in ranges(sorted(seq for each, seq in keys if each == stream)):
                request = Request(Command.REPLAY, ReplayArguments(stream, first, last), f"{first}-{last}")
                self._link.send(
                    Message(command_topic(DEVICE, Command.REPLAY), request.encode(), qos=1), lambda _: None
                )

    @property
    def doubles(self) -> int:
        """Keys that carried two contents."""
        return sum(len(variants) > 1 for variants in self.contents.values())

    @property
    def redeliveries(self) -> int:
        """Messages beyond the first of each key."""
        return sum(sum(variants.values()) - 1 for variants in self.contents.values())

    def _until_silence(self, silence_s: float) -> Iterator[Message]:
        while True:
            try:
                yield self._messages.get(timeout=silence_s)
            except queue.Empty:
                return


@contextmanager
def sink(port: int, kind: str = "event") -> Iterator[Sink]:
    """A sink of one kind of topic of the device, on a broker that may come and go."""
    messages: queue.Queue[Message] = queue.Queue()
    link = MqttLink(
        BrokerAddress(LOOPBACK, port, None),
        "reader",
        subscriptions=[f"lsi/v1/{DEVICE}/{kind}"],
        events=LinkEvents(on_message=messages.put),
    )
    link.start()
    try:
        yield Sink(link, messages)
    finally:
        link.stop()


def ranges(seqs: list[int], most: int = 16) -> Iterator[tuple[int, int]]:
    """First and last of at most ``most`` ranges that hold all of the sorted ``seqs``."""
    step = -(-len(seqs) // most)
    for start in range(0, len(seqs), max(1, step)):
        part = seqs[start : start + step]
        yield part[0], part[-1]
