"""A server that is not who it says: TLS with the certificate of the given file, at once or behind CONNECT, and plain
HTTP. It says its port, and then what came."""

import socket
import ssl
import sys
import threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def head(stream):
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            raise EOFError
        text += byte
    return text.split(b"\r\n")[0].decode()


def serve(stream):
    try:
        stream.settimeout(20)
        if stream.recv(1, socket.MSG_PEEK) == b"C":
            say(f"asked for {head(stream)}")
            stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        if stream.recv(1, socket.MSG_PEEK) == b"\x16":
            stream = context.wrap_socket(stream, server_side=True)
            say(f"read under TLS: {head(stream)}")
        else:
            say(f"read: {head(stream)}")
        stream.sendall(OK)
        stream.close()
    except (OSError, EOFError) as error:
        say(f"broken off: {error}")


listener = socket.create_server(("127.0.0.1", 0))
say(f"port {listener.getsockname()[1]}")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
