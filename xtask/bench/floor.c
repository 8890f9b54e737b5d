/*
 * The floor of a warm `keyfob get`: connect, write one request, read one answer, print it, end.
 *
 * usage: floor SOCKET URI
 *
 * It does what no useful client may: it checks neither who listens nor what comes back, and parses nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PREFIX 4
#define LIMIT (64 * 1024)

static char buffer[PREFIX + LIMIT + 1];

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path)
        return 2;
    strcpy(address.sun_path, argv[1]);
    int agent = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent < 0 || connect(agent, (struct sockaddr *)&address, sizeof address) != 0)
        return 3;

    int length = snprintf(buffer + PREFIX, LIMIT, "{\"v\":1,\"ask\":{\"get\":{\"uri\":\"%s\"}}}", argv[2]);
    for (int i = 0; i < PREFIX; i++)
        buffer[i] = (char)(length >> (8 * i));
    if (write(agent, buffer, PREFIX + (size_t)length) != PREFIX + length)
        return 4;

    size_t have = 0, want = PREFIX;
    while (have < want) {
        ssize_t got = read(agent, buffer + have, sizeof buffer - 1 - have);
        if (got <= 0)
            return 5;
        have += (size_t)got;
        if (want == PREFIX && have >= PREFIX) {
            const unsigned char *prefix = (const unsigned char *)buffer;
            uint32_t announced = prefix[0] | prefix[1] << 8 | prefix[2] << 16 | (uint32_t)prefix[3] << 24;
            if (announced > LIMIT)
                return 6;
            want += announced;
        }
    }
    buffer[want] = '\0';

    /* {"v":1,"reply":{"headers":ANSWER}} */
    static const char before[] = "{\"headers\":";
    char *answer = strstr(buffer + PREFIX, before);
    if (answer == NULL)
        return 7;
    answer += sizeof before - 1;
    char *end = buffer + want - 2;
    *end++ = '\n';
    return write(STDOUT_FILENO, answer, (size_t)(end - answer)) == end - answer ? 0 : 8;
}
