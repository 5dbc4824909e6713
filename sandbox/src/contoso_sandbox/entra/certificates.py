"""Self-signed certificates and their thumbprints, as app registrations know them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_VALID_FOR = timedelta(days=730)


def new_key() -> RSAPrivateKey:
    """Make an RSA key of the size that Entra ID asks for."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def self_signed(key: RSAPrivateKey, common_name: str) -> x509.Certificate:
    """Issue a certificate for ``key`` by itself, valid from yesterday."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID_FOR)
        .sign(key, hashes.SHA256())
    )


def pem_of(key: RSAPrivateKey, certificate: x509.Certificate) -> bytes:
    """Write key and certificate into one PEM, the form that client settings take."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def thumbprints(certificate: x509.Certificate) -> dict[str, str]:
    """Return the header values that name the certificate in a JWT: ``x5t`` and ``x5t#S256``."""
    return {
        # SHA-1 identifies, it does not protect: RFC 7515 section 4.1.7 fixes it.
        "x5t": _base64url(certificate.fingerprint(hashes.SHA1())),  # noqa: S303
        "x5t#S256": _base64url(certificate.fingerprint(hashes.SHA256())),
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
