#!/usr/bin/python3
"""Unlock a gnome-keyring collection with no prompt.

    printf PASSWORD | secret_service_unlock.py [COLLECTION]

The password is read from standard input, whole; COLLECTION is the last part of the object path, "login" without it.
Runs on the session bus of the caller, with Debian's python3 and python3-dbus. Exit codes: 0 unlocked, 1 refused (wrong
password, no such collection, no Secret Service; the reason is on standard error), 2 wrong use.

The Secret Service protocol itself knows only unlocking by a prompt. gnome-keyring offers tests and the login greeter
an interface of its own for it, with a name that says what it thinks of other users.
"""

import sys

import dbus

BUS_NAME = "org.freedesktop.secrets"
SERVICE_PATH = "/org/freedesktop/secrets"
SERVICE = "org.freedesktop.Secret.Service"
MASTER_PASSWORD = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface"
COLLECTIONS = "/org/freedesktop/secrets/collection/"


def unlock(collection: str, password: bytes) -> None:
    """Unlock one collection; raises dbus.DBusException when the service refuses."""
    service = dbus.SessionBus().get_object(BUS_NAME, SERVICE_PATH)
    # "plain" means no encryption on the bus, which is the test's own.
    _, session = dbus.Interface(service, SERVICE).OpenSession("plain", dbus.String("", variant_level=1))
    secret = dbus.Struct(
        (session, dbus.ByteArray(b""), dbus.ByteArray(password), "text/plain"), signature="oayays"
    )
    path = dbus.ObjectPath(COLLECTIONS + collection)
    dbus.Interface(service, MASTER_PASSWORD).UnlockWithMasterPassword(path, secret)


def main() -> int:
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    collection = sys.argv[1] if len(sys.argv) == 2 else "login"
    try:
        unlock(collection, sys.stdin.buffer.read(4096))
    except dbus.DBusException as error:
        print(f"{error.get_dbus_name()}: {error.get_dbus_message()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
