"""The users of the local Snowflake: their sign-in methods, and ALTER USER.

It does not check the signature of a token of Entra ID, nor which OAuth integration accepts it, since that
would need services outside this machine.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from fakesnow.rowtype import describe_as_rowtype

from localcloud.home import Home, write_atomically
from localcloud.snowflake_account import READ_ONLY_ROLES, ROLES, read_passwords
from localcloud.snowflake_refusal import RefusedError

_ALTER = re.compile(
    r"\s*ALTER\s+USER\s+(?:IF\s+EXISTS\s+)?(\"[^\"]+\"|\w+)\s+(SET|UNSET|ADD|REMOVE)\s+(.*?)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_PROPERTY = re.compile(r"(\w+)\s*=\s*(\([^)]*\)|'[^']*'|\w+)")
_TOKEN = re.compile(r"(?:PROGRAMMATIC\s+ACCESS\s+TOKEN|PAT)\s+(\"[^\"]+\"|\w+).*", re.IGNORECASE | re.DOTALL)

#: Both are valid at the same time, so that one can replace the other
#: (https://docs.snowflake.com/en/user-guide/key-pair-auth#configuring-key-pair-rotation).
_KEYS = ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2")
_KEPT = {*_KEYS, "LOGIN_NAME", "WORKLOAD_IDENTITY"}

#: Snowflake's application in Entra ID, in both spellings.
_AUDIENCES = [f"{prefix}fd3f753b-eed3-462c-b6a7-a4b5bb650aad" for prefix in ("api://", "")]
_TENANT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Users:
    """The users with their passwords and the properties that ALTER USER has set, which are stored on disk."""

    def __init__(self, home: Home) -> None:
        self._passwords = read_passwords(home)
        self._file = home.path / "snowflake" / "users.json"
        kept = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._properties: dict[str, dict[str, str]] = {user: kept.get(user, {}) for user in ROLES}
        self._ways: dict[str, Callable[[str, str], str | None]] = {
            "SNOWFLAKE_JWT": self._by_key_pair,
            "PROGRAMMATIC_ACCESS_TOKEN": self._by_programmatic_token,
            "OAUTH": self._by_oauth,
        }

    def authenticate(self, data: Mapping[str, Any]) -> str:
        """Return the user of a login request; a wrong name and a wrong secret give the same error."""
        login, token = str(data.get("LOGIN_NAME") or "").upper(), str(data.get("TOKEN") or "")
        authenticator = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        try:
            if authenticator == "SNOWFLAKE":
                user = self._by_password(login, str(data.get("PASSWORD") or ""))
            elif authenticator == "WORKLOAD_IDENTITY":
                user = self._by_workload_identity(str(data.get("PROVIDER")), token)
            else:
                user = self._ways[authenticator](login, token)
        except (KeyError, jwt.InvalidTokenError):
            user = None
        if user is None:
            raise _refusal(authenticator)
        return user

    def alter(self, sql: str, role: str) -> dict[str, Any]:
        """Run an ALTER USER, and return the answer in the format of Snowflake's drivers."""
        found = _ALTER.fullmatch(sql)
        user = _name(found[1]) if found else ""
        if found is None or user not in ROLES or role in READ_ONLY_ROLES:
            message = f"SQL compilation error:\nUser '{user}' does not exist or not authorized."
            raise RefusedError("002003", message, "02000")
        answer = {"status": "Statement executed successfully."}
        properties, rest = self._properties[user], found[3]
        match found[2].upper():
            case "SET":
                properties |= _read_properties(rest)
            case "UNSET":
                for name in rest.upper().split(","):
                    properties.pop(name.strip(), None)
            case "ADD":
                name, secret = _token_name(rest), secrets.token_urlsafe(32)
                properties[f"token {name}"] = _digest(secret)
                answer = {"token_name": name, "token_secret": secret}
            case _:
                properties.pop(f"token {_token_name(rest)}", None)
        write_atomically(self._file, json.dumps(self._properties, indent=2) + "\n", mode=0o600)
        return _answer(answer)

    def _by_password(self, login: str, password: str) -> str | None:
        expected = self._passwords.get(login, "")
        is_right = hmac.compare_digest(expected.encode(), password.encode()) and expected
        return login if is_right else None

    def _by_key_pair(self, login: str, token: str) -> str | None:
        for key in filter(None, map(self._properties[login].get, _KEYS)):
            der = base64.b64decode(key)
            fingerprint = base64.b64encode(hashlib.sha256(der).digest()).decode()
            try:
                claims = jwt.decode(
                    token,
                    load_der_public_key(der),  # type: ignore[arg-type] # it was checked when it was set
                    algorithms=["RS256", "ES256", "ES384", "ES512"],
                    issuer=f"LOCAL.{login}.SHA256:{fingerprint}",
                )
            except jwt.InvalidTokenError:
                continue
            if claims["sub"] == f"LOCAL.{login}":
                return login
        return None

    def _by_programmatic_token(self, login: str, token: str) -> str | None:
        digest = _digest(token)
        for user, properties in self._properties.items():
            tokens = [value for name, value in properties.items() if name.startswith("token ")]
            if digest in tokens and login in ("", user):
                return user
        return None

    def _by_oauth(self, login: str, token: str) -> str | None:
        subject = _claims(token)["sub"]
        for user, properties in self._properties.items():
            if properties.get("LOGIN_NAME") == subject and login in ("", user, subject.upper()):
                return user
        return None

    def _by_workload_identity(self, provider: str, token: str) -> str | None:
        claims = _claims(token, _AUDIENCES)
        for user, properties in self._properties.items():
            given = _inner(properties.get("WORKLOAD_IDENTITY", ""))
            # Entra ID has two issuers, and both contain the tenant
            known = [given.get("TYPE"), _TENANT.findall(given.get("ISSUER", "")), given.get("SUBJECT")]
            if known == [provider, _TENANT.findall(claims["iss"]), claims["sub"]]:
                return user
        return None


def is_alter_user(sql: str) -> bool:
    """Return whether a statement is an ALTER USER."""
    return re.match(r"\s*ALTER\s+USER\b", sql, re.IGNORECASE) is not None


def _claims(token: str, audiences: list[str] | None = None) -> dict[str, Any]:
    return jwt.decode(
        token,
        audience=audiences,
        options={
            "verify_signature": False,
            "verify_exp": True,
            "verify_aud": audiences is not None,
            "require": ["exp", "iss", "sub"],
        },
    )


def _read_properties(text: str) -> dict[str, str]:
    """Return the properties of SET that affect sign-in; a malformed key is refused."""
    found = {name.upper(): value.strip("'") for name, value in _PROPERTY.findall(text)}
    for name in _KEYS:
        try:
            load_der_public_key(base64.b64decode(found[name])) if name in found else None
        except (ValueError, UnsupportedAlgorithm, binascii.Error):
            message = f"SQL compilation error:\ninvalid value for property '{name}': not a public key."
            raise RefusedError("001008", message, "22023") from None
    return {name: value for name, value in found.items() if name in _KEPT}


def _inner(value: str) -> dict[str, str]:
    return {name.upper(): text.strip("'") for name, text in _PROPERTY.findall(value.strip("()"))}


def _token_name(text: str) -> str:
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise RefusedError("001003", "SQL compilation error:\nsyntax error in ALTER USER.", "42000")
    return _name(found[1])


def _name(identifier: str) -> str:
    return identifier[1:-1] if identifier.startswith('"') else identifier.upper()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _refusal(authenticator: str) -> RefusedError:
    code, message = {
        "SNOWFLAKE": ("390100", "Incorrect username or password was specified."),
        "SNOWFLAKE_JWT": ("390144", "JWT token is invalid."),
        "OAUTH": ("390303", "Invalid OAuth access token."),
        "PROGRAMMATIC_ACCESS_TOKEN": ("394400", "Programmatic access token is invalid."),
    }.get(authenticator, ("390422", "No user has this identity, or this way to sign in."))
    return RefusedError(code, message, "08001")


def _answer(row: Mapping[str, str]) -> dict[str, Any]:
    columns = [(name, "VARCHAR", None, None, None, None) for name in row]
    return {
        "success": True,
        "data": {
            "rowtype": describe_as_rowtype(columns),
            "rowset": [list(row.values())],
            "total": 1,
            "queryId": str(uuid.uuid4()),
            "queryResultFormat": "json",
        },
    }
