"""Attacks on the network's boundary, one a call: net.py NAME ARGUMENTS...; what came of it as JSON on standard output.

Everything is bounded in time. `how` is "direct" (to an address, as a program that knows of no proxy) or "connect" (through the HTTP proxy).
"""
import json, os, socket, ssl, sys

TIMEOUT = 5
PROXY = ("127.0.0.1", 808)
SOCKS = ("127.0.0.1", 809)


def read_all(stream, limit=65536):
    stream.settimeout(1)
    data = b""
    try:
        while len(data) < limit:
            piece = stream.recv(65536)
            if not piece:
                return data, "closed"
            data += piece
    except socket.timeout:
        return data, "timeout"
    except OSError as error:
        return data, type(error).__name__
    return data, "more"


def told(data, end):
    return {"reply": data.decode("latin1"), "end": end}


def connect(address, port):
    stream = socket.create_connection((address, port), timeout=TIMEOUT)
    stream.settimeout(TIMEOUT)
    return stream


def tcp(address, port, payload=""):
    """Opens a connection and says something."""
    stream = connect(address, int(port))
    stream.sendall(payload.encode("latin1").decode("unicode_escape").encode("latin1"))
    return told(*read_all(stream))


def tcp6(address, port):
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as stream:
        stream.settimeout(TIMEOUT)
        stream.connect((address, int(port)))
        stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return told(*read_all(stream))


def udp(address, port, payload="x"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
        stream.settimeout(1)
        stream.connect((address, int(port)))
        stream.send(payload.encode())
        return told(stream.recv(4096), "answered")


def proxied(text):
    """Says the bytes to the HTTP proxy as they are."""
    stream = connect(*PROXY)
    stream.sendall(text.encode("latin1").decode("unicode_escape").encode("latin1"))
    return told(*read_all(stream))


def tunnel(target):
    stream = connect(*PROXY)
    stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("latin1"))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = stream.recv(4096)
        if not piece:
            break
        head += piece
    return stream, head


def over(how, target):
    if how == "connect":
        stream, head = tunnel(target)
        if b" 200" not in head.split(b"\r\n", 1)[0]:
            return None, head
        return stream, head
    host, port = target.rsplit(":", 1)
    return connect(host, int(port)), b""


def context(verify):
    ctx = ssl.create_default_context()
    if not verify:
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
    return ctx


def tls(how, target, sni, *requests):
    """TLS to the target under a server name ("-": none), then each request on the same connection, one answer read for each."""
    stream, head = over(how, target)
    if stream is None:
        return told(head, "refused")
    secure = context(False).wrap_socket(stream, server_hostname=None if sni == "-" else sni)
    answers = []
    for request in requests:
        secure.sendall(request.encode("latin1").decode("unicode_escape").encode("latin1"))
        answers.append(one_answer(secure))
    return {"answers": answers, "issuer": certificate_issuer(secure)}


def one_answer(stream):
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = stream.recv(65536)
            if not piece:
                return {"status": 0, "text": data.decode("latin1")}
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
        while length is not None and len(body) < length or length is None and b"chunked" in head.lower() and not body.endswith(b"0\r\n\r\n"):
            piece = stream.recv(65536)
            if not piece:
                break
            body += piece
    except OSError as error:
        return {"status": 0, "text": f"{type(error).__name__}: {data.decode('latin1')}"}
    return {"status": int(head.split(b" ")[1]), "text": (head + b"\r\n\r\n" + body).decode("latin1")}


def certificate_issuer(secure):
    return len(secure.getpeercert(True) or b"")


def hello(how, target, sni, piece, wait="0"):
    """A real ClientHello in pieces of so many bytes, then the whole handshake."""
    import time

    stream, head = over(how, target)
    if stream is None:
        return told(head, "refused")
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = context(False).wrap_bio(incoming, outgoing, server_hostname=None if sni == "-" else sni)
    first = True
    while True:
        try:
            secure.do_handshake()
            break
        except ssl.SSLWantReadError:
            data = outgoing.read()
            step = int(piece) if first else max(1, len(data))
            for at in range(0, len(data), step):
                stream.sendall(data[at : at + step])
                time.sleep(float(wait))
            first = False
            answer = stream.recv(65536)
            if not answer:
                return told(b"", "closed")
            incoming.write(answer)
    stream.sendall(outgoing.read())
    return {"handshake": "done"}


def socks(host, port, payload=""):
    stream = connect(*SOCKS)
    stream.sendall(b"\x05\x01\x00")
    stream.recv(2)
    name = host.encode("latin1").decode("unicode_escape").encode("latin1")
    stream.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + int(port).to_bytes(2, "big"))
    answer = stream.recv(10)
    if len(answer) < 2 or answer[1] != 0:
        return {"socks": answer[1] if len(answer) > 1 else -1}
    stream.sendall(payload.encode("latin1").decode("unicode_escape").encode("latin1"))
    return {"socks": 0, **told(*read_all(stream))}


def query(name, kind, transport="udp", server="127.0.0.1"):
    """One question by DNS."""
    types = {"A": 1, "AAAA": 28, "TXT": 16, "ANY": 255, "MX": 15, "CNAME": 5}
    labels = b"".join(bytes([len(part)]) + part.encode("latin1") for part in name.split(".") if part)
    message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00" + types[kind].to_bytes(2, "big") + b"\x00\x01"
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
            stream.settimeout(2)
            stream.connect((server, 53))
            stream.send(message)
            answer = stream.recv(4096)
    else:
        stream = connect(server, 53)
        stream.sendall(len(message).to_bytes(2, "big") + message)
        answer = stream.recv(4096)[2:]
    return {"rcode": answer[3] & 15, "answers": int.from_bytes(answer[6:8], "big"), "address": ".".join(str(byte) for byte in answer[-4:])}


if __name__ == "__main__":
    try:
        result = {"ok": True, **globals()[sys.argv[1]](*sys.argv[2:])}
    except Exception as error:
        result = {"ok": False, "error": type(error).__name__, "message": str(error)}
    print(json.dumps(result))
