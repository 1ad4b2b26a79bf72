// The clients of the benchmark: many connections to a proxy from one thread, each with one thing outstanding.
//
//   load echo      --port P --connections N --size S   each tunnel sends a message of S bytes when the last came back
//   load get       --port P --connections N            each connection asks again when the last answer came
//   load handshake --port P --connections N            connect, upgrade, close; N at a time
//   load idle      --port P --size S                   opens tunnels, echoes one message through each, and holds them
//
// Options of all: --tls (with the machine's libssl), --path PATH.
//
// It prints {"ready":N} when its connections are open, and then obeys lines on its standard input:
//   run COUNT      do that many round trips, requests, handshakes, or open that many more tunnels;
//                  answers {"units":COUNT,"seconds":S}
//   pass COUNT     (idle) the same, but each tunnel is closed again when its message is back
// and ends where its input ends. Every byte that comes back is compared with what was sent. What is wrong is said on
// standard error, with exit code 1; so is 20 seconds of silence.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MOST = 2048, READ_SIZE = 128 * 1024, EVENTS = 512, OPENING_AT_ONCE = 64, SILENCE_MOST_MS = 20000 };

enum mode { ECHO, GET, HANDSHAKE, IDLE };
enum step { CONNECTING, SECURING, UPGRADING, RESTING, ECHOING, GETTING };

struct connection {
  int fd;
  enum step step;
  uint32_t watched;
  void *tls;
  const char *unsent;
  size_t unsent_size;
  size_t received;  // of the message or the head that is awaited
  char head[HEAD_MOST];
};

static enum mode mode;
static bool use_tls;
static int poll_fd, port, connections = 1;
static char request[1024];
static size_t request_size;
static char *message, *echo;  // one frame masked as a client must, and the same unmasked as it must come back
static size_t message_size, echo_size;
static char scratch[READ_SIZE];

static struct connection **resting;  // of echo and get: what a run starts
static size_t resting_count;
static size_t opening, started, finished, goal;
static bool passing;  // idle: tunnels are not held

_Noreturn static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  exit(1);
}

static void *allocate(size_t size) {
  void *memory = calloc(1, size);
  if (memory == NULL) fail("out of memory");
  return memory;
}

// --- TLS: the dozen functions of OpenSSL that are needed, found at run time so that no headers are --------------------

enum {
  SSL_WANTS_READ = 2,
  SSL_WANTS_WRITE = 3,
  SSL_SET_MODE = 33,
  SSL_PARTIAL_AND_MOVING_WRITES = 1 | 2,
  SSL_SET_READ_AHEAD = 41,
  SSL_SET_LEAST_VERSION = 123,
  TLS_1_3 = 0x0304,
};

static void *tls_context;
static const void *(*TLS_client_method)(void);
static void *(*SSL_CTX_new)(const void *);
static long (*SSL_CTX_ctrl)(void *, int, long, void *);
static int (*SSL_CTX_set_ciphersuites)(void *, const char *);
static void *(*SSL_new)(void *);
static void (*SSL_free)(void *);
static int (*SSL_set_fd)(void *, int);
static int (*SSL_connect)(void *);
static int (*SSL_read)(void *, void *, int);
static int (*SSL_write)(void *, const void *, int);
static int (*SSL_get_error)(const void *, int);

static void *tls_function(void *library, const char *name) {
  void *function = dlsym(library, name);
  if (function == NULL) fail("libssl has no %s", name);
  return function;
}

static void load_tls(void) {
  static const char *names[] = {"libssl.so.3", "libssl.so.1.1", "libssl.so"};
  void *library = NULL;
  for (int i = 0; i < 3 && library == NULL; i++) library = dlopen(names[i], RTLD_NOW | RTLD_GLOBAL);
  if (library == NULL) fail("no libssl on this machine");
  TLS_client_method = tls_function(library, "TLS_client_method");
  SSL_CTX_new = tls_function(library, "SSL_CTX_new");
  SSL_CTX_ctrl = tls_function(library, "SSL_CTX_ctrl");
  SSL_CTX_set_ciphersuites = tls_function(library, "SSL_CTX_set_ciphersuites");
  SSL_new = tls_function(library, "SSL_new");
  SSL_free = tls_function(library, "SSL_free");
  SSL_set_fd = tls_function(library, "SSL_set_fd");
  SSL_connect = tls_function(library, "SSL_connect");
  SSL_read = tls_function(library, "SSL_read");
  SSL_write = tls_function(library, "SSL_write");
  SSL_get_error = tls_function(library, "SSL_get_error");

  tls_context = SSL_CTX_new(TLS_client_method());
  if (tls_context == NULL) fail("SSL_CTX_new");
  SSL_CTX_ctrl(tls_context, SSL_SET_MODE, SSL_PARTIAL_AND_MOVING_WRITES, NULL);
  SSL_CTX_ctrl(tls_context, SSL_SET_READ_AHEAD, 1, NULL);
  // One version and one cipher for every proxy, or their defaults would be compared.
  SSL_CTX_ctrl(tls_context, SSL_SET_LEAST_VERSION, TLS_1_3, NULL);
  SSL_CTX_set_ciphersuites(tls_context, "TLS_AES_256_GCM_SHA384");
}

// --- Bytes out and in ------------------------------------------------------------------------------------------------

static void watch(struct connection *connection, uint32_t events) {
  if (connection->watched == events) return;
  struct epoll_event event = {.events = events, .data.ptr = connection};
  int operation = connection->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(poll_fd, operation, connection->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
  connection->watched = events;
}

// Both return how many bytes went, 0 for none at present.
static size_t put(struct connection *connection, const char *data, size_t size) {
  if (connection->tls == NULL) {
    ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) fail("send: %s", strerror(errno));
    return sent < 0 ? 0 : sent;
  }
  int sent = SSL_write(connection->tls, data, (int)size);
  if (sent > 0) return sent;
  if (SSL_get_error(connection->tls, sent) != SSL_WANTS_WRITE) fail("SSL_write failed");
  return 0;
}

static size_t take(struct connection *connection) {
  if (connection->tls == NULL) {
    ssize_t size = recv(connection->fd, scratch, sizeof scratch, 0);
    if (size == 0) fail("the proxy closed a connection (step %d)", connection->step);
    if (size < 0 && errno != EAGAIN) fail("recv: %s (step %d)", strerror(errno), connection->step);
    return size < 0 ? 0 : size;
  }
  int size = SSL_read(connection->tls, scratch, sizeof scratch);
  if (size > 0) return size;
  if (SSL_get_error(connection->tls, size) != SSL_WANTS_READ) fail("SSL_read failed (step %d)", connection->step);
  return 0;
}

static void flush(struct connection *connection) {
  while (connection->unsent_size > 0) {
    size_t sent = put(connection, connection->unsent, connection->unsent_size);
    if (sent == 0) break;
    connection->unsent += sent;
    connection->unsent_size -= sent;
  }
  watch(connection, connection->unsent_size > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void ask(struct connection *connection, enum step step, const char *data, size_t size) {
  connection->step = step;
  connection->received = 0;
  connection->unsent = data;
  connection->unsent_size = size;
  flush(connection);
}

// --- The steps of a connection ---------------------------------------------------------------------------------------

static void start(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct connection *connection = allocate(sizeof *connection);
  connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection->fd < 0) fail("socket: %s", strerror(errno));
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
    fail("connect: %s", strerror(errno));
  }
  opening++;
  watch(connection, EPOLLOUT);
}

static void finish(struct connection *connection) {
  close(connection->fd);
  if (connection->tls != NULL) SSL_free(connection->tls);
  free(connection);
}

static void rest(struct connection *connection) {
  connection->step = RESTING;
  if (mode == IDLE) {
    if (passing) finish(connection);
    return;
  }
  resting = realloc(resting, (resting_count + 1) * sizeof *resting);
  if (resting == NULL) fail("out of memory");
  resting[resting_count++] = connection;
}

// The transport is ready.
static void connected(struct connection *connection) {
  if (mode != GET) {
    ask(connection, UPGRADING, request, request_size);
    return;
  }
  opening--;
  finished++;
  watch(connection, EPOLLIN);
  rest(connection);
}

static void upgraded(struct connection *connection) {
  opening--;
  if (mode == IDLE) {
    ask(connection, ECHOING, message, message_size);
    return;
  }
  finished++;
  if (mode == HANDSHAKE) {
    finish(connection);
  } else {
    rest(connection);
  }
}

// One unit of work is done: the next one, while there are.
static void answered(struct connection *connection) {
  finished++;
  if (mode == IDLE || started == goal) {
    rest(connection);
    return;
  }
  started++;
  if (mode == ECHO) {
    ask(connection, ECHOING, message, message_size);
  } else {
    ask(connection, GETTING, request, request_size);
  }
}

static void secure(struct connection *connection) {
  if (connection->tls == NULL) {
    connection->tls = SSL_new(tls_context);
    if (connection->tls == NULL || SSL_set_fd(connection->tls, connection->fd) != 1) fail("SSL_new failed");
    connection->step = SECURING;
  }
  int result = SSL_connect(connection->tls);
  if (result == 1) {
    connected(connection);
    return;
  }
  int wants = SSL_get_error(connection->tls, result);
  if (wants != SSL_WANTS_READ && wants != SSL_WANTS_WRITE) fail("the TLS handshake failed");
  watch(connection, wants == SSL_WANTS_READ ? EPOLLIN : EPOLLOUT);
}

static void on_connect(struct connection *connection) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail("connect: %s", strerror(error));
  if (use_tls) {
    secure(connection);
  } else {
    connected(connection);
  }
}

// --- What comes back -------------------------------------------------------------------------------------------------

// Where the head ends, once it is there; the bytes are kept until then.
static const char *take_head(struct connection *connection, size_t size) {
  if (connection->received + size >= HEAD_MOST) fail("an answer of more than %d bytes", HEAD_MOST);
  memcpy(connection->head + connection->received, scratch, size);
  connection->received += size;
  connection->head[connection->received] = 0;
  const char *blank = strstr(connection->head, "\r\n\r\n");
  return blank == NULL ? NULL : blank + 4;
}

static void expect_status(struct connection *connection, const char *status) {
  if (strncmp(connection->head, "HTTP/1.1 ", 9) != 0 || strncmp(connection->head + 9, status, 3) != 0) {
    fail("expected %s, got: %.60s", status, connection->head);
  }
}

// The three that follow return whether the answer is whole; the connection may be another's, or gone, afterwards.
static bool take_upgrade(struct connection *connection, size_t size) {
  const char *end = take_head(connection, size);
  if (end == NULL) return false;
  expect_status(connection, "101");
  // The answer to the key of RFC 6455, section 1.3, which every request here carries.
  if (strstr(connection->head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == NULL) fail("a wrong Sec-WebSocket-Accept");
  if (end != connection->head + connection->received) fail("bytes after the 101 that nobody sent");
  upgraded(connection);
  return true;
}

static bool take_page(struct connection *connection, size_t size) {
  const char *end = take_head(connection, size);
  if (end == NULL) return false;
  expect_status(connection, "200");
  const char *length = strcasestr(connection->head, "\r\nContent-Length:");
  if (length == NULL || length > end) fail("an answer without Content-Length");
  size_t whole = (end - connection->head) + strtoul(length + 17, NULL, 10);
  if (connection->received > whole) fail("more body than Content-Length says");
  if (connection->received < whole) return false;
  answered(connection);
  return true;
}

static bool take_echo(struct connection *connection, size_t size) {
  if (connection->received + size > echo_size || memcmp(echo + connection->received, scratch, size) != 0) {
    fail("the echo differs from what was sent");
  }
  connection->received += size;
  if (connection->received < echo_size) return false;
  answered(connection);
  return true;
}

static bool take_answer(struct connection *connection, size_t size) {
  switch (connection->step) {
    case UPGRADING: return take_upgrade(connection, size);
    case GETTING: return take_page(connection, size);
    case ECHOING: return take_echo(connection, size);
    default: fail("bytes that nobody asked for (step %d)", connection->step);
  }
}

// OpenSSL may hold bytes that the kernel no longer shows, so a TLS connection is read until it has no more or is answered.
static void on_readable(struct connection *connection) {
  bool whole;
  do {
    size_t size = take(connection);
    if (size == 0) return;
    whole = take_answer(connection, size);
  } while (!whole && use_tls);
}

static void on_event(struct connection *connection, uint32_t events) {
  switch (connection->step) {
    case CONNECTING: on_connect(connection); return;
    case SECURING: secure(connection); return;
    default:
      if (events & EPOLLOUT) flush(connection);
      if (events & ~EPOLLOUT) on_readable(connection);
  }
}

// --- Runs ------------------------------------------------------------------------------------------------------------

static void open_more(size_t at_once) {
  while (started < goal && opening < at_once) {
    started++;
    start();
  }
}

static void wait_for_events(void) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(poll_fd, events, EVENTS, SILENCE_MOST_MS);
  if (count == 0) fail("nothing came for %d seconds, %zu of %zu done", SILENCE_MOST_MS / 1000, finished, goal);
  for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
}

static void aim(size_t count) {
  goal = count;
  started = finished = 0;
}

static void open_connections(size_t count, size_t at_once) {
  aim(count);
  while (finished < goal) {
    open_more(at_once);
    wait_for_events();
  }
}

static void exchange(size_t count) {
  aim(count);
  struct connection **all = resting;
  size_t all_count = resting_count;
  resting = NULL, resting_count = 0;
  for (size_t i = 0; i < all_count; i++) {
    finished--;  // `answered` counts a unit and begins the next; here there is none to count
    answered(all[i]);
  }
  free(all);
  while (finished < goal) wait_for_events();
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void run(size_t count) {
  double begin = now();
  switch (mode) {
    case HANDSHAKE: open_connections(count, connections); break;
    case IDLE: open_connections(count, OPENING_AT_ONCE); break;
    default: exchange(count);
  }
  printf("{\"units\":%zu,\"seconds\":%.6f}\n", count, now() - begin);
  fflush(stdout);
}

// --- Beginning -------------------------------------------------------------------------------------------------------

static void write_request(const char *path) {
  const char *upgrade =
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost\r\n";
  request_size = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: sockgate-bench\r\nAccept: */*\r\n%s\r\n", path,
                          mode == GET ? "" : upgrade);
  if (request_size >= sizeof request) fail("a path too long");
}

// RFC 6455, section 5.2: a header of 2, 4 or 10 bytes, then the mask where there is one.
static size_t write_frame_header(char *frame, size_t payload, bool masked) {
  size_t extended = payload < 126 ? 0 : payload < 65536 ? 2 : 8;
  frame[0] = (char)0x82;
  frame[1] = (char)((masked ? 0x80 : 0) | (extended == 0 ? payload : extended == 2 ? 126 : 127));
  for (size_t i = 0; i < extended; i++) frame[2 + i] = (char)(payload >> 8 * (extended - 1 - i));
  return 2 + extended;
}

static void write_message(size_t payload) {
  static const char mask[4] = {0x37, (char)0xfa, 0x21, 0x3d};
  message = allocate(payload + 14);
  echo = allocate(payload + 10);
  size_t at = write_frame_header(message, payload, true);
  memcpy(message + at, mask, 4);
  at += 4;
  echo_size = write_frame_header(echo, payload, false);
  for (size_t i = 0; i < payload; i++) {
    char byte = (char)(i * 7 + i / 251);
    message[at + i] = byte ^ mask[i % 4];
    echo[echo_size + i] = byte;
  }
  message_size = at + payload;
  echo_size += payload;
}

static void read_options(int count, char **words) {
  static const char *modes[] = {"echo", "get", "handshake", "idle"};
  static const struct option options[] = {
      {"port", required_argument, NULL, 'p'}, {"connections", required_argument, NULL, 'n'},
      {"size", required_argument, NULL, 's'}, {"path", required_argument, NULL, 'u'},
      {"tls", no_argument, NULL, 't'},        {0}};
  const char *path = "/";
  size_t size = 100;
  int option, chosen = 0;
  while ((option = getopt_long(count, words, "", options, NULL)) != -1) {
    switch (option) {
      case 'p': port = atoi(optarg); break;
      case 'n': connections = atoi(optarg); break;
      case 's': size = strtoul(optarg, NULL, 10); break;
      case 'u': path = optarg; break;
      case 't': use_tls = true; break;
      default: exit(1);
    }
  }
  while (chosen < 4 && (optind >= count || strcmp(words[optind], modes[chosen]) != 0)) chosen++;
  if (chosen == 4 || port < 1 || connections < 1 || size < 1) fail("usage: load echo|get|handshake|idle --port P …");
  mode = chosen;
  write_request(path);
  write_message(size);
}

static void raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **words) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  raise_open_files();
  read_options(count, words);
  if (use_tls) load_tls();
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poll_fd < 0) fail("epoll_create1: %s", strerror(errno));

  if (mode == ECHO || mode == GET) open_connections(connections, OPENING_AT_ONCE);
  printf("{\"ready\":%zu}\n", resting_count);
  fflush(stdout);

  char line[64];
  size_t units;
  while (fgets(line, sizeof line, stdin) != NULL) {
    passing = mode == IDLE && strncmp(line, "pass ", 5) == 0;
    if (sscanf(line, passing ? "pass %zu" : "run %zu", &units) != 1 || units == 0) fail("not a command: %s", line);
    run(units);
  }
  return 0;
}
