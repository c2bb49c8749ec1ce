#!/usr/bin/env python3
"""Makes the .talk files beside it: what openssl s_client and s_server say to each other with suites that rustls
does not have. Run once by hand; needs openssl 3 and nothing else. The traffic, its keys and its certificate are
made here and used nowhere else.

A .talk file is text: `key` and a line of the key log, `sent` with c or s and hexadecimal bytes of what that side
sent inside, then `wire` with c or s and hexadecimal bytes of what that side put on the wire, in order.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REQUEST = b"GET /chat HTTP/1.1\r\nHost: ends.example\r\nUpgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n" + bytes(range(32, 127)) * 6

# Name, arguments of both ends, of the server, of the client.
TALKS = [
    ("ccm", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM:@SECLEVEL=0"], [], []),
    ("ccm8", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-CCM8:@SECLEVEL=0"], [], []),
    ("ccm-1_3", ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], [], []),
    ("ccm8-1_3", ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], [], []),
    ("cbc-sha1-etm", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], [], []),
    ("cbc-sha256-etm", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], [], []),
    ("cbc-sha384-etm", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], [], []),
    ("cbc-sha1", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"], ["no-etm"], ["no-etm"]),
    ("cbc-sha384", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], ["no-etm"], ["no-etm"]),
    ("cbc-sha256", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], ["no-etm"], ["no-etm"]),
    # The client asks for new keys in the middle (R on a line of its own).
    ("renegotiation", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"], ["-client_renegotiation"], []),
    ("renegotiation-gcm", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], ["-client_renegotiation"], []),
    # The client's new keys (K on a line of its own asks the server for its own too).
    ("key-update", ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], [], []),
    ("padded-1_3", ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], ["-record_padding", "256"], ["-record_padding", "512"]),
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def relay(listener, port, wire):
    near, _ = listener.accept()
    far = socket.create_connection(("127.0.0.1", port))
    lock = threading.Lock()

    def carry(source, target, side):
        while data := source.recv(65536):
            with lock:
                wire.append((side, data))
            target.sendall(data)
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threads = [threading.Thread(target=carry, args=a) for a in ((near, far, "c"), (far, near, "s"))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def without_etm(args):
    """openssl's tools have no switch for it, its configuration has."""
    return [a for a in args if a != "no-etm"], "no-etm" in args


def talk(name, both, server_args, client_args, folder):
    port = free_port()
    log = os.path.join(folder, name + ".keys")
    server_args, no_etm = without_etm(server_args)
    client_args, _ = without_etm(client_args)
    env = dict(os.environ)
    if no_etm:
        conf = os.path.join(folder, "no-etm.cnf")
        with open(conf, "w") as f:
            f.write("openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n")
            f.write("Options = -EncryptThenMac\n")
        env["OPENSSL_CONF"] = conf
    server = subprocess.Popen(
        ["openssl", "s_server", "-quiet", "-accept", str(port), "-key", f"{folder}/key.pem", "-cert", f"{folder}/cert.pem"]
        + ["-naccept", "1"] + both + server_args,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
    )
    time.sleep(0.4)
    wire = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        carrier = threading.Thread(target=relay, args=(listener, port, wire))
        carrier.start()
        commands = name.startswith("renegotiation") or name == "key-update"
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % listener.getsockname()[1], "-keylogfile", log]
            + ["-servername", "ends.example"] + ([] if commands else ["-quiet"]) + both + client_args,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
        )
        sent = {"c": b"", "s": b""}

        def say(side, data, command=False):
            process = client if side == "c" else server
            process.stdin.write(data)
            process.stdin.flush()
            if not command:
                sent[side] += data
            time.sleep(0.4)

        time.sleep(0.4)
        say("c", REQUEST)
        say("s", ANSWER)
        if commands:
            say("c", b"R\n" if name.startswith("renegotiation") else b"K\n", command=True)
        say("c", b"more\n")
        say("s", b"end\n")
        client.stdin.close()
        server.stdin.close()
        time.sleep(0.4)
        client.terminate()
        server.terminate()
        carrier.join()
    with open(os.path.join(HERE, name + ".talk"), "w") as out:
        for line in open(log):
            if not line.startswith("#"):
                out.write("key " + line)
        for side, data in sent.items():
            out.write(f"sent {side} {data.hex()}\n")
        for side, data in wire:
            out.write(f"wire {side} {data.hex()}\n")
    print(name, len(wire), "pieces")


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
            + ["-subj", "/CN=ends.example", "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
            check=True, stderr=subprocess.DEVNULL,
        )
        for name, both, server, client in TALKS:
            if len(sys.argv) == 1 or name in sys.argv[1:]:
                talk(name, both, server, client, folder)


main()
