"""``python -m lab.embedded_broker PORT``: amqtt on loopback, MQTT 3.1.1 only."""

import asyncio
import signal
import sys

from amqtt.broker import Broker

from lab.broker import LOOPBACK


async def serve(port: int) -> None:
    """Serve until the process is terminated."""
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    broker = Broker(config)
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
