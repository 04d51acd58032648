"""A server that lets everybody in and answers every query with one row, and a port that accepts and says nothing.

Prints both ports, and runs until its input ends. For the case `swarm` of Benchmarks/run, where the time of a real
server's thousand threads would be what is measured.
"""
import asyncio
import os
import resource
import struct
import sys

limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


# PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH and a few that every server has.
CAPABILITIES = 0x1 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x80000
GREETING = packet(
    0,
    b"\x0a9.7.0-fake\0" + struct.pack("<I", 7) + b"abcdefgh\0" + struct.pack("<H", CAPABILITIES & 0xFFFF) + b"\xff"
    + struct.pack("<H", 2) + struct.pack("<H", CAPABILITIES >> 16) + bytes([21]) + bytes(10) + b"ijklmnopqrst\0"
    + b"caching_sha2_password\0")
OK = b"\0\0\0\x02\0\0\0"
LET_IN = packet(2, b"\x01\x03") + packet(3, OK)
EOF = b"\xfe\0\0\x02\0"
COLUMN = b"\x03def\0\0\0\x011\0\x0c\x3f\0\x01\0\0\0\x08\x81\0\0\0\0"
ROW = packet(1, b"\x01") + packet(2, COLUMN) + packet(3, EOF) + packet(4, b"\x011") + packet(5, EOF)


async def read(reader):
    head = await reader.readexactly(4)
    return await reader.readexactly(head[0] | head[1] << 8 | head[2] << 16)


async def serve(reader, writer):
    try:
        writer.write(GREETING)
        await read(reader)
        writer.write(LET_IN)
        while (await read(reader))[0] == 3:
            writer.write(ROW)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def say_nothing(reader, writer):
    try:
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    servers = [await asyncio.start_server(who, "127.0.0.1", 0, backlog=4096) for who in (serve, say_nothing)]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
