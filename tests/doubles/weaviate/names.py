"""Which names the server takes, and how it writes them."""

import re

from tests.doubles.weaviate.errors import Refused

_CLASS = re.compile(r"[A-Z][_0-9A-Za-z]{0,254}")
_PROPERTY = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}")
_NESTED = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_VECTOR = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,229}")
_TENANT = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_RESERVED = {"_additional", "_id", "id"}
_RESERVED_ENDS = ("_searchable", "_rangeable", "_temp", "__meta_count", "_propertyLength", "_nullState")


def class_name(name: str) -> str:
    """With its first letter in upper case, as the server writes collections and aliases."""
    return name[:1].upper() + name[1:]


def property_name(name: str) -> str:
    """With its first letter in lower case, as the server writes properties, but not nested ones."""
    return name[:1].lower() + name[1:]


def check_class(name: str, what: str = "class") -> None:
    if not _CLASS.fullmatch(name):
        raise Refused(f"'{name}' is not a valid {what} name")
    if name.lower() == "raft":
        raise Refused("parse class name: class name `raft` is reserved")


def check_property(name: str) -> None:
    if not _PROPERTY.fullmatch(name):
        raise Refused(f"'{name}' is not a valid property name")
    if name in _RESERVED:
        raise Refused(f"'{name}' is a reserved property name")
    if name.endswith(_RESERVED_ENDS):
        raise Refused(f"'{name}' is not a valid property name: its end is reserved")


def check_nested(name: str) -> None:
    if not _NESTED.fullmatch(name):
        raise Refused(f"'{name}' is not a valid nested property name")


def check_vector(name: str) -> None:
    if not _VECTOR.fullmatch(name):
        raise Refused(f"'{name}' is not a valid target vector name")


def check_tenant(name: str) -> None:
    if not name:
        raise Refused("empty tenant name")
    if not _TENANT.fullmatch(name):
        raise Refused(f"'{name}' is not a valid tenant name")
