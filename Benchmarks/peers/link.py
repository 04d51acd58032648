"""A link with delay: python3 link.py MILLISECONDS NEAR FAR COMMAND [ARGUMENT...]

Run in a network namespace of its own. Makes a device there with the address NEAR, and in a second namespace one with the
address FAR, where COMMAND runs; every packet between the two is handed on after MILLISECONDS. Prints `ready`, ends
COMMAND and itself when its input ends. Needs root and /dev/net/tun.
"""
import ctypes, fcntl, heapq, os, select, signal, struct, subprocess, sys, time

delay, near, far, command = float(sys.argv[1]) / 1000, sys.argv[2], sys.argv[3], sys.argv[4:]


def tunnel(name, address, peer):
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))  # IFF_TUN | IFF_NO_PI
    for line in (f"link set lo up", f"address add {address} peer {peer} dev {name}", f"link set {name} up"):
        subprocess.run(["ip"] + line.split(), check=True)
    return descriptor


ends = [tunnel("near", near, far)]
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
    sys.exit("no second network namespace")
ends.append(tunnel("far", far, near))
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
print("ready", flush=True)

waiting = []  # (when due, number, where to, packet)
number = 0
# Whoever ends this program ends the server too.
signal.signal(signal.SIGTERM, lambda *_: child.terminate())
while child.poll() is None:
    limit = max(0, waiting[0][0] - time.monotonic()) if waiting else 1
    readable, _, _ = select.select(ends + [sys.stdin], [], [], limit)
    if sys.stdin in readable and not os.read(0, 1):
        break
    for end in readable:
        if end is sys.stdin:
            continue  # only its end means something
        while True:
            try:
                packet = os.read(end, 65536)
            except BlockingIOError:
                break
            number += 1
            heapq.heappush(waiting, (time.monotonic() + delay, number, ends[1 - ends.index(end)], packet))
    while waiting and waiting[0][0] <= time.monotonic():
        _, _, end, packet = heapq.heappop(waiting)
        os.write(end, packet)
child.send_signal(signal.SIGTERM)
child.wait()
