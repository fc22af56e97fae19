// A fast OpenAI-compatible chat server that misbehaves on demand, for the benchmarks.
//
// One thread, epoll, keep-alive, one request per connection at a time. What becomes of a request is
// drawn from the seed, the row that its prompt names ("row 123") and how often that row was asked,
// so that every client meets the same fate whatever order it asks in.
//
//   POST .../chat/completions   an answer, or what the options say
//   GET  .../models             the one model
//   GET  /stats                 counts, see write_stats
//   GET  /rows                  how often each row was asked, [n, n, ...]
//   GET  /requests              with --record 1: [[row, kind, delay in ms], ...] in order of arrival
//
// Prints its port as the first line; ends when its standard input is closed. Linux 5.11, glibc 2.35.
// The tokens of replies that never arrived (hung, dropped, abandoned by the client) are counted as
// lost, drawn like the others: a provider may well bill for them.

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 1 << 16, MAX_ROWS = 1 << 26, CHARS_PER_TOKEN = 4, EVENTS = 512 };

static struct {
    double port, latency_ms, tail_share, tail_multiplier, refuse_share, refuse_ms, retry_after;
    double drop_share, hang_share, reply_bytes, random_lengths, record, seed;
    const char *marker;
} options = {
    .tail_multiplier = 20, .refuse_ms = 2, .retry_after = 1, .reply_bytes = 1000, .marker = "row "};

static const struct { const char *name; double *value; const char *help; } NUMBERS[] = {
    {"port", &options.port, "0 takes a free one"},
    {"latency-ms", &options.latency_ms, "time that an answer takes"},
    {"tail-share", &options.tail_share, "share of answers that take longer"},
    {"tail-multiplier", &options.tail_multiplier, "how much longer"},
    {"refuse-share", &options.refuse_share, "share of 429"},
    {"refuse-ms", &options.refuse_ms, "time that a 429 takes"},
    {"retry-after", &options.retry_after, "seconds that a 429 asks to wait"},
    {"drop-share", &options.drop_share, "share closed without an answer"},
    {"hang-share", &options.hang_share, "share that is never answered"},
    {"reply-bytes", &options.reply_bytes, "size of an answer's body"},
    {"random-lengths", &options.random_lengths, "1: from one token up to the request's max_tokens"},
    {"record", &options.record, "1: keep every request for /requests"},
    {"seed", &options.seed, "of all that is drawn"},
};
enum { NUMBER_COUNT = sizeof NUMBERS / sizeof *NUMBERS };

typedef enum { ANSWER, SLOW, REFUSE, DROP, HANG } Kind;
static const char *const KIND_NAMES[] = {"answer", "slow", "refuse", "drop", "hang"};

typedef struct { char *data; size_t length, capacity; } Buffer;
typedef struct { long row; Kind kind; int64_t prompt_tokens, completion_tokens, max_tokens; } Job;
typedef struct { bool open, busy; uint32_t generation; Job job; Buffer in, out; size_t sent; } Conn;
typedef struct { int64_t due_ns; int fd; uint32_t generation; } Timer;
typedef struct { uint16_t asked, answered; } Row;
typedef struct { int row; float delay_ms; Kind kind; } Record;

static Conn conns[MAX_CONNECTIONS];
static Timer *timers;
static size_t timer_count, timer_capacity;
static Row *rows;
static long row_count, row_capacity;
static Record *records;
static size_t record_count, record_capacity;
static int poll_fd;
static Buffer reply;
static struct {
    long requests, answered, slow, refused, dropped, hung, abandoned, in_flight, most_in_flight;
    long connections, rows, rows_answered, unneeded, rowless;
    int64_t billed_prompt_tokens, billed_completion_tokens, lost_prompt_tokens;
    int64_t lost_completion_tokens;
} stats;

static void *grow(void *data, size_t *capacity, size_t needed, size_t size) {
    size_t wanted = *capacity ? *capacity : 1024;
    while (wanted < needed) wanted *= 2;
    if (wanted == *capacity) return data;
    data = realloc(data, wanted * size);
    if (!data) { perror("realloc"); exit(1); }
    *capacity = wanted;
    return data;
}

static void append(Buffer *buffer, const char *data, size_t length) {
    buffer->data = grow(buffer->data, &buffer->capacity, buffer->length + length, 1);
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

__attribute__((format(printf, 2, 3))) static void print_to(Buffer *buffer, const char *form, ...) {
    char text[2048];
    va_list values;
    va_start(values, form);
    int length = vsnprintf(text, sizeof text, form, values);
    va_end(values);
    append(buffer, text, (size_t)length);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// SplitMix64 (Steele, Lea, Flood 2014) over what names the draw; uniform in [0, 1).
static double draw(long row, long attempt, int purpose) {
    const uint64_t names[] = {
        (uint64_t)options.seed, (uint64_t)row, (uint64_t)attempt, (uint64_t)purpose};
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++) {
        bits = (bits ^ names[i]) + 0x9E3779B97F4A7C15ULL;
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9ULL;
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBULL;
        bits ^= bits >> 31;
    }
    return (double)(bits >> 11) * 0x1p-53;
}

static void push_timer(Timer timer) {
    timers = grow(timers, &timer_capacity, timer_count + 1, sizeof *timers);
    size_t at = timer_count++;
    for (; at && timers[(at - 1) / 2].due_ns > timer.due_ns; at = (at - 1) / 2)
        timers[at] = timers[(at - 1) / 2];
    timers[at] = timer;
}

static Timer pop_timer(void) {
    Timer first = timers[0], last = timers[--timer_count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < timer_count; at = child) {
        if (child + 1 < timer_count && timers[child + 1].due_ns < timers[child].due_ns) child++;
        if (timers[child].due_ns >= last.due_ns) break;
        timers[at] = timers[child];
    }
    if (timer_count) timers[at] = last;
    return first;
}

static void lose_tokens(const Job *job) {
    stats.lost_prompt_tokens += job->prompt_tokens;
    stats.lost_completion_tokens += job->completion_tokens;
}

static void close_conn(int fd) {
    Conn *conn = &conns[fd];
    if (!conn->open) return;
    if (conn->busy) {
        stats.in_flight--;
        stats.abandoned += conn->job.kind == ANSWER || conn->job.kind == SLOW;
        if (conn->job.kind != REFUSE) lose_tokens(&conn->job);
    }
    close(fd);
    conn->open = conn->busy = false;
    conn->generation++;
    conn->in.length = conn->out.length = conn->sent = 0;
}

static void watch(int fd, int change, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(poll_fd, change, fd, &event);
}

// Sends what is due; what the socket doesn't take now waits until it does.
static void flush(int fd) {
    Conn *conn = &conns[fd];
    while (conn->sent < conn->out.length) {
        size_t left = conn->out.length - conn->sent;
        ssize_t taken = send(fd, conn->out.data + conn->sent, left, MSG_NOSIGNAL);
        if (taken < 0 && errno == EAGAIN) { watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT); return; }
        if (taken < 0) { close_conn(fd); return; }
        conn->sent += (size_t)taken;
    }
    conn->out.length = conn->sent = 0;
}

static void respond(int fd, const char *status, const char *more_headers, const Buffer *body) {
    Conn *conn = &conns[fd];
    print_to(&conn->out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n"
             "\r\n", status, more_headers, body->length);
    append(&conn->out, body->data, body->length);
    flush(fd);
}

static void append_text(Buffer *body, size_t chars) {
    static const char words[] = "The ferry leaves the old pier at nine and calls at every island. ";
    for (size_t left = chars, part; left; left -= part) {
        part = left < sizeof words - 1 ? left : sizeof words - 1;
        append(body, words, part);
    }
}

static void write_answer(const Job *job) {
    const size_t envelope = 330;
    size_t chars = options.reply_bytes > envelope ? (size_t)options.reply_bytes - envelope : 1;
    if (options.random_lengths) chars = (size_t)job->completion_tokens * CHARS_PER_TOKEN;
    bool cut = options.random_lengths && job->completion_tokens == job->max_tokens;
    reply.length = 0;
    print_to(&reply, "{\"id\":\"chatcmpl-load\",\"object\":\"chat.completion\",\"created\":1760000000,"
             "\"model\":\"load\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
             "\"content\":\"");
    append_text(&reply, chars);
    print_to(&reply, "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":"
             "{\"prompt_tokens\":%ld,\"completion_tokens\":%ld,\"total_tokens\":%ld}}",
             cut ? "length" : "stop", job->prompt_tokens, job->completion_tokens,
             job->prompt_tokens + job->completion_tokens);
}

static void answer(int fd, const Job *job) {
    stats.answered++;
    stats.slow += job->kind == SLOW;
    stats.billed_prompt_tokens += job->prompt_tokens;
    stats.billed_completion_tokens += job->completion_tokens;
    if (job->row >= 0) stats.rows_answered += rows[job->row].answered++ == 0;
    write_answer(job);
    respond(fd, "200 OK", "", &reply);
}

static void refuse(int fd) {
    char header[64];
    stats.refused++;
    snprintf(header, sizeof header, "Retry-After: %g\r\n", options.retry_after);
    reply.length = 0;
    print_to(&reply, "{\"error\":{\"message\":\"Too many requests\",\"type\":\"rate_limit_error\","
             "\"code\":\"rate_limit_exceeded\"}}");
    respond(fd, "429 Too Many Requests", header, &reply);
}

static void finish(int fd) {
    Conn *conn = &conns[fd];
    conn->busy = false;
    stats.in_flight--;
    if (conn->job.kind == REFUSE) {
        refuse(fd);
    } else if (conn->job.kind == DROP) {
        lose_tokens(&conn->job);
        close_conn(fd);
    } else {
        answer(fd, &conn->job);
    }
}

// Finds `"name": 123` in a JSON text without quotes in the way; `fallback` where it isn't.
static int64_t find_number(const char *text, size_t length, const char *name, int64_t fallback) {
    const char *found = memmem(text, length, name, strlen(name));
    if (!found) return fallback;
    found += strlen(name);
    while (*found == '"' || *found == ':' || *found == ' ') found++;
    return *found >= '0' && *found <= '9' ? strtoll(found, NULL, 10) : fallback;
}

static int64_t count_prompt_chars(const char *body, size_t length) {
    static const char name[] = "\"content\":";
    const char *start = memmem(body, length, name, sizeof name - 1);
    if (!start) return 0;
    start += sizeof name - 1;
    while (*start == ' ') start++;
    const char *end = start + 1;
    while (end < body + length && *end != '"') end += *end == '\\' ? 2 : 1;
    return end - start - 1;
}

static long count_row(long row) {
    if (row < 0 || row >= MAX_ROWS) return stats.rowless++;
    size_t capacity = (size_t)row_capacity;
    rows = grow(rows, &capacity, (size_t)row + 1, sizeof *rows);
    memset(rows + row_capacity, 0, (capacity - (size_t)row_capacity) * sizeof *rows);
    row_capacity = (long)capacity;
    if (row >= row_count) row_count = row + 1;
    stats.rows += rows[row].asked == 0;
    stats.unneeded += rows[row].answered > 0;
    return rows[row].asked++;
}

static Kind choose_kind(double share) {
    if ((share -= options.drop_share) < 0) return DROP;
    if ((share -= options.refuse_share) < 0) return REFUSE;
    if ((share -= options.hang_share) < 0) return HANG;
    return share < options.tail_share ? SLOW : ANSWER;
}

static void start(int fd, const char *body, size_t length) {
    Conn *conn = &conns[fd];
    long row = find_number(body, length, options.marker, -1);
    long attempt = count_row(row);
    if (row >= MAX_ROWS) row = -1;
    Kind kind = choose_kind(draw(row, attempt, 0));
    int64_t max_tokens = find_number(body, length, "max_tokens\"", 256);
    max_tokens = find_number(body, length, "max_completion_tokens\"", max_tokens);
    int64_t tokens = (int64_t)options.reply_bytes / CHARS_PER_TOKEN;
    if (options.random_lengths) tokens = 1 + (int64_t)(draw(row, attempt, 1) * (double)max_tokens);
    int64_t prompt_tokens = 1 + count_prompt_chars(body, length) / CHARS_PER_TOKEN;
    conn->job = (Job){row, kind, prompt_tokens, tokens, max_tokens};
    conn->busy = true;
    stats.requests++;
    stats.dropped += kind == DROP;
    stats.hung += kind == HANG;
    if (++stats.in_flight > stats.most_in_flight) stats.most_in_flight = stats.in_flight;
    double delay_ms = kind == REFUSE ? options.refuse_ms : options.latency_ms;
    if (kind == SLOW) delay_ms *= options.tail_multiplier;
    if (options.record) {
        records = grow(records, &record_capacity, record_count + 1, sizeof *records);
        records[record_count++] = (Record){(int)row, (float)delay_ms, kind};
    }
    if (kind == HANG) return;
    if (delay_ms <= 0) finish(fd);
    else push_timer((Timer){now_ns() + (int64_t)(delay_ms * 1e6), fd, conn->generation});
}

static void write_stats(void) {
    print_to(&reply, "{\"requests\":%ld,\"answered\":%ld,\"slow\":%ld,\"refused\":%ld,"
             "\"dropped\":%ld,\"hung\":%ld,\"abandoned\":%ld,", stats.requests, stats.answered,
             stats.slow, stats.refused, stats.dropped, stats.hung, stats.abandoned);
    print_to(&reply, "\"in_flight\":%ld,\"most_in_flight\":%ld,\"connections\":%ld,\"rows\":%ld,"
             "\"rows_answered\":%ld,", stats.in_flight, stats.most_in_flight, stats.connections,
             stats.rows, stats.rows_answered);
    // Requests for a row that had its answer already could have been avoided; no others.
    print_to(&reply, "\"unneeded\":%ld,\"unavoidable\":%ld,\"billed_prompt_tokens\":%ld,"
             "\"billed_completion_tokens\":%ld,\"lost_prompt_tokens\":%ld,"
             "\"lost_completion_tokens\":%ld}", stats.unneeded, stats.requests - stats.unneeded,
             stats.billed_prompt_tokens, stats.billed_completion_tokens, stats.lost_prompt_tokens,
             stats.lost_completion_tokens);
}

static void tell(int fd, const char *head, size_t length) {
    reply.length = 0;
    if (memmem(head, length, "/models ", 8)) {
        print_to(&reply, "{\"object\":\"list\",\"data\":[{\"id\":\"load\",\"object\":\"model\","
                 "\"created\":1760000000,\"owned_by\":\"benchmarks\"}]}");
    } else if (memmem(head, length, "/stats ", 7)) {
        write_stats();
    } else if (memmem(head, length, "/rows ", 6)) {
        for (long row = 0; row < row_count; row++)
            print_to(&reply, "%s%d", row ? "," : "[", rows[row].asked);
        print_to(&reply, row_count ? "]" : "[]");
    } else if (memmem(head, length, "/requests ", 10)) {
        for (size_t i = 0; i < record_count; i++)
            print_to(&reply, "%s[%d,\"%s\",%g]", i ? "," : "[", records[i].row,
                     KIND_NAMES[records[i].kind], (double)records[i].delay_ms);
        print_to(&reply, record_count ? "]" : "[]");
    } else {
        print_to(&reply, "{\"error\":{\"message\":\"no such page\"}}");
        respond(fd, "404 Not Found", "", &reply);
        return;
    }
    respond(fd, "200 OK", "", &reply);
}

static size_t read_content_length(const char *head, const char *end) {
    static const char name[] = "\r\ncontent-length:";
    for (const char *line = head; (line = memmem(line, (size_t)(end - line), "\r\n", 2)); line += 2)
        if (end - line > (long)sizeof name && !strncasecmp(line, name, sizeof name - 1))
            return strtoul(line + sizeof name - 1, NULL, 10);
    return 0;
}

// Handles the requests that are whole; a client that sends the next one early waits its turn.
static void handle(int fd) {
    Conn *conn = &conns[fd];
    while (conn->open && !conn->busy && conn->in.length) {
        append(&conn->in, "", 1);  // so that a number at the very end has an end
        conn->in.length--;
        char *head = conn->in.data, *end = memmem(head, conn->in.length, "\r\n\r\n", 4);
        if (!end) return;
        end += 4;
        size_t length = read_content_length(head, end), whole = (size_t)(end - head) + length;
        if (conn->in.length < whole) return;
        if (memcmp(head, "POST", 4)) tell(fd, head, (size_t)(end - head));
        else start(fd, end, length);
        if (!conn->open) return;
        conn->in.length -= whole;
        memmove(head, head + whole, conn->in.length);
    }
}

static void receive(int fd) {
    Conn *conn = &conns[fd];
    Buffer *in = &conn->in;
    in->data = grow(in->data, &in->capacity, in->length + 4096, 1);
    ssize_t got = recv(fd, in->data + in->length, in->capacity - in->length, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) { close_conn(fd); return; }
    in->length += (size_t)got;
    handle(fd);
}

static void accept_all(int listener) {
    const int yes = 1;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MAX_CONNECTIONS) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        conns[fd].open = true;
        stats.connections++;
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_on(int port) {
    const int yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &size)) { perror("listen"); exit(1); }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void serve(int listener) {
    struct epoll_event events[EVENTS];
    for (;;) {
        struct timespec wait, *limit = NULL;
        if (timer_count) {
            int64_t left = timers[0].due_ns - now_ns();
            if (left < 0) left = 0;
            wait = (struct timespec){left / 1000000000LL, left % 1000000000LL};
            limit = &wait;
        }
        int ready = epoll_pwait2(poll_fd, events, EVENTS, limit, NULL);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO) {
                char ignored[64];
                if (read(fd, ignored, sizeof ignored) <= 0) return;
            } else if (fd == listener) {
                accept_all(listener);
            } else if (conns[fd].open) {
                if (events[i].events & EPOLLOUT) {
                    watch(fd, EPOLL_CTL_MOD, EPOLLIN);
                    flush(fd);
                }
                if (conns[fd].open && events[i].events & ~(uint32_t)EPOLLOUT) receive(fd);
            }
        }
        for (int64_t now = now_ns(); timer_count && timers[0].due_ns <= now;) {
            Timer timer = pop_timer();
            if (conns[timer.fd].generation != timer.generation) continue;
            finish(timer.fd);
            handle(timer.fd);
        }
    }
}

static void read_options(int count, char **words) {
    struct option known[NUMBER_COUNT + 2] = {0};
    for (int i = 0; i < NUMBER_COUNT; i++)
        known[i] = (struct option){NUMBERS[i].name, required_argument, NULL, i};
    known[NUMBER_COUNT] = (struct option){"marker", required_argument, NULL, NUMBER_COUNT};
    for (int found; (found = getopt_long(count, words, "", known, NULL)) != -1;) {
        if (found == NUMBER_COUNT) {
            options.marker = optarg;
        } else if (found == '?') {
            for (int i = 0; i < NUMBER_COUNT; i++)
                fprintf(stderr, "  --%-16s %s\n", NUMBERS[i].name, NUMBERS[i].help);
            fprintf(stderr, "  --%-16s what stands before a row's number\n", "marker");
            exit(2);
        } else {
            *NUMBERS[found].value = strtod(optarg, NULL);
        }
    }
}

int main(int count, char **words) {
    read_options(count, words);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poll_fd = epoll_create1(0);
    int listener = listen_on((int)options.port);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN);
    serve(listener);
    return 0;
}
