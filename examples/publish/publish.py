"""A publisher of app events in Python, as an app server has it: message id, acknowledgement, retry, outbox.

    pip install nats-py
    NATS_URL=nats://localhost:4222 NATS_USER=app NATS_PASSWORD=… python publish.py outbox.ndjson

The file stands for the outbox: a table that the transaction of the play itself writes, in the order of commits. An event is
removed from it only after its acknowledgement; here it is printed.
"""

import asyncio
import json
import os
import sys

import nats
import nats.errors
import nats.js.errors

LONGEST_DELAY_S = 10


async def publish(stream, event):
    """Sends one event until the stream has it. Every attempt has the same message id, so it is stored once."""
    kind = "playlists" if event["type"].startswith("playlist_") else "plays"
    payload = json.dumps(event).encode()
    delay = 0.2
    while True:
        try:
            return await stream.publish(
                f"{kind}.{event['playlist_id']}", payload, timeout=5, headers={"Nats-Msg-Id": event["event_id"]}
            )
        except (nats.errors.Error, nats.js.errors.Error) as error:
            # No acknowledgement: NATS is away, the stream is full, or the response was lost. A repeat is safe for 10 minutes.
            print(f"{event['event_id']}: {error!r}; again in {delay} s", file=sys.stderr)
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)


async def main():
    connection = await nats.connect(
        os.environ["NATS_URL"],
        user=os.environ["NATS_USER"],
        password=os.environ["NATS_PASSWORD"],
        # The user `app` may subscribe to nothing else.
        inbox_prefix="_INBOX_app",
        max_reconnect_attempts=-1,
    )
    stream = connection.jetstream()
    with open(sys.argv[1], encoding="utf-8") as outbox:
        # One after the other, which keeps the order of each playlist. Events of different playlists may be in flight together.
        for line in filter(str.strip, outbox):
            event = json.loads(line)
            ack = await publish(stream, event)
            print(event["event_id"], ack.seq, "stored before" if ack.duplicate else "stored", flush=True)
    await connection.drain()


asyncio.run(main())
