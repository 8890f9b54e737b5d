"""Runs a program as a debugger does, from its first instruction on, until it ends."""

import ctypes
import os
import signal
import sys

libc = ctypes.CDLL(None, use_errno=True)
TRACEME, CONTINUE = 0, 7

child = os.fork()
if child == 0:
    libc.ptrace(TRACEME, 0, None, None)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(child, 0x40000000)
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        break
    sent = os.WSTOPSIG(status)
    libc.ptrace(CONTINUE, child, None, ctypes.c_long(0 if sent == signal.SIGTRAP else sent))
