#!/usr/bin/env python3
"""Writes the first datagram of a QUIC client (RFC 9001, RFC 9369) as hexadecimal digits: v1.hex, v2.hex.

Needs the package cryptography, which shares no code with hopscope.
"""
import hashlib
import hmac
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALTS = {
    1: bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
    2: bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
}
NUMBERS = {1: 1, 2: 0x6B3343CF}
KINDS = {1: 0, 2: 1}
PREFIXES = {1: b"quic ", 2: b"quicv2 "}


def expand(secret, label, length):
    label = b"tls13 " + label
    info = struct.pack(">HB", length, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:length]


def vector(bytes_, width):
    return len(bytes_).to_bytes(width, "big") + bytes_


def client_hello(name):
    sni = vector(vector(b"\0" + vector(name, 2), 2), 2)
    alpn = vector(vector(vector(b"h3", 1), 2), 2)
    extensions = b"\0\0" + sni + b"\0\x10" + alpn + b"\0\x2b" + vector(b"\2\3\4", 2)
    body = b"\3\3" + bytes(range(32)) + b"\0" + vector(b"\x13\1\x13\2", 2) + b"\1\0" + vector(extensions, 2)
    return b"\1" + vector(body, 3)


def datagram(version, connection, name):
    hello = client_hello(name)
    middle = len(hello) // 2
    # Out of order and with PINGs between, as some clients send it.
    frames = b"\1\6" + struct.pack(">HH", 0x4000 | middle, 0x4000 | len(hello) - middle) + hello[middle:]
    frames += b"\1\1\6\0" + struct.pack(">H", 0x4000 | middle) + hello[:middle]
    plain = frames.ljust(1150, b"\0")
    header = bytes([0xC0 | KINDS[version] << 4 | 1]) + struct.pack(">I", NUMBERS[version])
    header += vector(connection, 1) + vector(b"client", 1) + b"\0"
    header += struct.pack(">H", 0x4000 | 2 + len(plain) + 16) + b"\0\7"
    initial = hmac.new(SALTS[version], connection, hashlib.sha256).digest()
    secret = expand(initial, b"client in", 32)
    prefix = PREFIXES[version]
    key, iv, hp = (expand(secret, prefix + part, n) for part, n in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    nonce = (int.from_bytes(iv, "big") ^ 7).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, plain, header)
    block = Cipher(algorithms.AES(hp), modes.ECB()).encryptor().update(sealed[2:18])
    number = bytes(a ^ b for a, b in zip(header[-2:], block[1:]))
    return bytes([header[0] ^ block[0] & 0x0F]) + header[1:-2] + number + sealed


folder = pathlib.Path(__file__).parent
for version in (1, 2):
    digits = datagram(version, b"\x83\x94\xc8\xf0>QW" + bytes([version]), b"chat.example").hex()
    lines = [digits[at : at + 100] for at in range(0, len(digits), 100)]
    (folder / f"v{version}.hex").write_text("\n".join(lines) + "\n")
