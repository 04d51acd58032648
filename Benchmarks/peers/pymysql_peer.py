"""PyMySQL's side of Benchmarks/run; see Sources/driver/Main.swift for arguments and output."""
import resource
import ssl
import sys
import time

import pymysql
import pymysql.cursors

what, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = None
if what == "cold-tls":
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def connect(**more):
    return pymysql.connect(
        host="127.0.0.1", port=port, user="watchdog", password="watchdog-secret", connect_timeout=5, read_timeout=60,
        **({"ssl": context} if context else {"ssl_disabled": True}), **more)


def query(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()


def cold():
    connection = connect()
    query(connection)
    connection.close()


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e3


if what == "rows":
    kept = connect(cursorclass=pymysql.cursors.SSCursor)
    began, used, rows, total = time.monotonic(), cpu(), 0, 0
    with kept.cursor() as cursor:
        cursor.execute(f"SELECT * FROM bench.t LIMIT {count}")
        for row in cursor:
            rows += 1
            # It makes numbers and dates of the texts; their length is that of the text again.
            total += sum(len(str(value)) for value in row)
    print(cpu() - used, (time.monotonic() - began) * 1e3, rows, total)
else:
    if what == "warm":
        kept = connect()
        body = lambda: query(kept)
    else:
        body = cold
    for _ in range(count // 10 + 1):
        body()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        body()
        times.append(time.perf_counter() - began)
    print(sorted(times)[count // 2] * 1e6)
