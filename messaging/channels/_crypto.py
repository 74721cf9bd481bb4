"""What push services want proven and hidden: JSON Web Tokens (RFC 7515), and message encryption for web push.

Encryption is RFC 8291 over RFC 8188 (aes128gcm): one record, keys agreed with the browser's public key. The package
cryptography comes with the extra `push`; nothing else imports it.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CURVE = ec.SECP256R1()
RECORD = 4096  # octets of the one record; a push service takes no more (RFC 8030 section 7.2)
OVERHEAD = 86 + 17  # header (salt, size, key), padding delimiter and tag


def b64(octets: bytes) -> str:
    """URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Either alphabet, padded or not. Raises ValueError."""
    text = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return ".".join(b64(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))


def rs256(key: rsa.RSAPrivateKey, claims: Mapping[str, Any], *, kid: str = "") -> str:
    """A token signed with RSA and SHA-256, as Google's service accounts sign."""
    said = _unsigned({"alg": "RS256", "typ": "JWT", **({"kid": kid} if kid else {})}, claims)
    return f"{said}.{b64(key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def es256(key: ec.EllipticCurvePrivateKey, claims: Mapping[str, Any]) -> str:
    """A token signed on P-256, as VAPID wants (RFC 8292); the signature is r and s side by side."""
    said = _unsigned({"typ": "JWT", "alg": "ES256"}, claims)
    r, s = decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{said}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def rsa_key(pem: str) -> rsa.RSAPrivateKey:
    """The private key of a service account. Raises ValueError."""
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


def vapid_key(text: str) -> ec.EllipticCurvePrivateKey:
    """The private key of an application server: the 32 octets of its number in base64url. Raises ValueError."""
    octets = unb64(text)
    if len(octets) != 32:
        raise ValueError("not 32 octets")
    return ec.derive_private_key(int.from_bytes(octets, "big"), CURVE)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key, uncompressed (65 octets): what a browser calls applicationServerKey."""
    form = serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(serialization.Encoding.X962, form)


def encrypted(
    plain: bytes,
    *,
    p256dh: str,
    auth: str,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """The body of a push message (RFC 8291 section 3.4). `key` and `salt` are fresh unless given. Raises ValueError for
    keys that are none."""
    theirs, secret = unb64(p256dh), unb64(auth)
    if len(secret) != 16:
        raise ValueError("not 16 octets")
    key, salt = key or ec.generate_private_key(CURVE), salt or os.urandom(16)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, theirs))
    ours = point_of(key)
    ikm = _hkdf(secret, shared, b"WebPush: info\0" + theirs + ours, 32)
    content_key, nonce = (_hkdf(salt, ikm, b"Content-Encoding: " + name + b"\0", size) for name, size in _PARTS)
    header = salt + struct.pack("!IB", RECORD, len(ours)) + ours
    return header + AESGCM(content_key).encrypt(nonce, plain + b"\x02", None)


_PARTS = ((b"aes128gcm", 16), (b"nonce", 12))


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
