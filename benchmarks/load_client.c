// The bare client of the benchmarks: a socket loop that keeps so many requests in flight.
//
//   load_client PORT COUNT CONCURRENCY
//
// Sends COUNT chat requests for the rows 0, 1, 2, ... over CONCURRENCY connections, looks at nothing
// but the status and the length of what comes back, and prints one JSON object. Its rate is the rate
// that the server sustains; no client can be much faster.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20, EVENTS = 512 };

typedef struct { int fd; size_t length; char *buffer; } Conn;

static long wanted, sent, received;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void ask_next(Conn *conn) {
    char body[512], request[1024];
    int length = snprintf(
        body, sizeof body,
        "{\"model\":\"load\",\"max_tokens\":300,\"temperature\":0.0,\"seed\":0,\"messages\":[{"
        "\"role\":\"user\",\"content\":\"Write one question about row %ld of the timetable.\"}]}",
        sent++);
    int whole = snprintf(
        request, sizeof request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s", length, body);
    if (send(conn->fd, request, (size_t)whole, MSG_NOSIGNAL) != whole) fail("send");
}

static Conn *connect_to(int port) {
    const int yes = 1;
    Conn *conn = calloc(1, sizeof *conn);
    conn->buffer = malloc(BUFFER_BYTES + 1);
    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return conn;
}

// Returns whether the reply is whole.
static int receive(Conn *conn) {
    ssize_t got = recv(conn->fd, conn->buffer + conn->length, BUFFER_BYTES - conn->length, 0);
    if (got <= 0) fail("recv");
    conn->length += (size_t)got;
    conn->buffer[conn->length] = 0;
    char *end = strstr(conn->buffer, "\r\n\r\n"), *size = strcasestr(conn->buffer, "content-length:");
    if (!end || !size) return 0;
    if (strncmp(conn->buffer, "HTTP/1.1 200", 12)) {
        fprintf(stderr, "the server answered %.20s\n", conn->buffer);
        exit(1);
    }
    size_t whole = (size_t)(end + 4 - conn->buffer) + strtoul(size + 15, NULL, 10);
    if (conn->length < whole) return 0;
    conn->length = 0;
    return 1;
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "load_client PORT COUNT CONCURRENCY\n");
        return 2;
    }
    wanted = atol(words[2]);
    int concurrency = atoi(words[3]), poll_fd = epoll_create1(0);
    struct epoll_event events[EVENTS];
    double started = now_seconds();
    for (int i = 0; i < concurrency && sent < wanted; i++) {
        Conn *conn = connect_to(atoi(words[1]));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, conn->fd, &event);
        ask_next(conn);
    }
    while (received < wanted) {
        int ready = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            Conn *conn = events[i].data.ptr;
            if (!receive(conn)) continue;
            received++;
            if (sent < wanted) ask_next(conn);
        }
    }
    double seconds = now_seconds() - started;
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"per_second\": %.3f}\n", received, seconds,
           (double)received / seconds);
    return 0;
}
