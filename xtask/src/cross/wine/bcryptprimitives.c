/* A stand-in for a library of Windows that Wine has since version 8.12 only. Every Rust program asks it for random bytes; the older
   door to the same source serves as well. For tests under Wine: it never ships. */

#include <windows.h>

/* advapi32, as documented for RtlGenRandom */
BOOLEAN WINAPI SystemFunction036(PVOID bytes, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length)
{
    const ULONG at_once = 1u << 20;

    for (SIZE_T done = 0; done < length;) {
        SIZE_T left = length - done;
        ULONG part = left < at_once ? (ULONG)left : at_once;

        if (!SystemFunction036(bytes + done, part))
            return FALSE;
        done += part;
    }
    return TRUE;
}
