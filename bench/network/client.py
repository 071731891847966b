"""What a client sees, in a sandbox or in a namespace: `python3 - MODE HOST ADDRESS PORT ARGUMENT...`, one JSON document on standard output.

latency OPEN COUNT      milliseconds from connect(2) until the first byte that the server sends over TLS, with OPEN other connections open
steady SECONDS          milliseconds of one small request after another over one kept-alive TLS connection
many COUNT AT_A_TIME SECONDS   connections that send a byte, get one and end; to HOST0.. in turn where HOST has a %
ADDRESS is dialled where it is not "-"; else HOST is looked up.
"""
import json
import resource
import select
import socket
import ssl
import sys
import time

mode, host, address, port = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
rest = [int(word) for word in sys.argv[5:]]
context = ssl.create_default_context()
# Who the server is has no part in the measurement; the sandbox's real clients check it in their own tests.
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def where(name):
    return socket.gethostbyname(name) if address == "-" else address


def tls(to):
    plain = socket.create_connection((to, port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=host)


def first_byte(to):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=host)
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    began = time.perf_counter()
    plain = socket.create_connection((to, port), timeout=30)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.sendall(hello)
    got = plain.recv(1)
    took = (time.perf_counter() - began) * 1000
    plain.close()
    # 22: a handshake record. 21 would be an alert.
    if got != b"\x16":
        raise SystemExit("no ServerHello came back: %r" % got)
    return took


def latency(open_count, count):
    to = where(host)
    held = [tls(to) for _ in range(open_count)]
    samples = [first_byte(to) for _ in range(count)]
    alive = 0
    for one in held:
        one.sendall(b"GET /small HTTP/1.1\r\nhost: %s\r\n\r\n" % host.encode())
        alive += one.recv(65536).startswith(b"HTTP/1.1 200")
    return {"ms": samples, "alive": alive}


def steady(seconds):
    session = tls(where(host))
    request = b"GET /small HTTP/1.1\r\nhost: %s\r\n\r\n" % host.encode()
    samples = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        session.sendall(request)
        answer = session.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit("answered %r" % answer[:80])
        samples.append((time.perf_counter() - began) * 1000)
        time.sleep(0.002)
    return {"ms": samples}


def many(count, at_a_time, seconds):
    targets = [(where(host.replace("%", str(n))), port) for n in range(16 if "%" in host else 1)]
    poll, sockets = select.epoll(), {}
    begun = done = failed = 0
    began = time.perf_counter()
    while done + failed < count:
        while begun < count and len(sockets) < at_a_time and time.perf_counter() - began < seconds:
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(targets[begun % len(targets)])
            sockets[one.fileno()] = one
            poll.register(one.fileno(), select.EPOLLOUT)
            begun += 1
        if not sockets:
            break
        for number, event in poll.poll(30):
            one = sockets[number]
            try:
                if event & select.EPOLLIN or not event & select.EPOLLOUT:
                    piece = one.recv(16)
                    done += piece == b"x"
                    failed += piece != b"x"
                else:
                    one.send(b"?")
                    poll.modify(number, select.EPOLLIN)
                    continue
            except OSError:
                failed += 1
            poll.unregister(number)
            del sockets[number]
            one.close()
    return {"done": done, "failed": failed, "seconds": time.perf_counter() - began}


print(json.dumps({"latency": latency, "steady": steady, "many": many}[mode](*rest)))
