// The backend of the benchmark: answers a GET with 128 bytes, and echoes the messages of a WebSocket.
//
//   peer        listens on a free port of 127.0.0.1, prints {"port":N} and runs until it is killed
//
// One thread, epoll, one read and one write for a message that arrives whole: cheap enough never to be what is measured.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HEAD_MOST = 16 * 1024, PAYLOAD_MOST = 1024 * 1024, READ_SIZE = 256 * 1024, EVENTS = 512, ACCEPTS_AT_ONCE = 64 };

enum speaks { HTTP, WEBSOCKET };

struct bytes {
  char *data;
  size_t used, size;
};

struct connection {
  int fd;
  enum speaks speaks;
  bool ending;          // close when `unsent` has gone
  struct bytes held;    // the beginning of a head or frame whose rest has not arrived
  struct bytes unsent;  // what the kernel did not take; nothing is read meanwhile
};

static int poll_fd;
static char scratch[READ_SIZE];

_Noreturn static void fail(const char *what) {
  fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void append(struct bytes *to, const void *data, size_t length) {
  if (to->used + length > to->size) {
    to->size = (to->used + length) * 2;
    to->data = realloc(to->data, to->size);
    if (to->data == NULL) fail("realloc");
  }
  memcpy(to->data + to->used, data, length);
  to->used += length;
}

static void release(struct bytes *bytes) {
  free(bytes->data);
  *bytes = (struct bytes){0};
}

// --- SHA-1 (FIPS 180-4) and base64 (RFC 4648), for Sec-WebSocket-Accept only -----------------------------------------

static uint32_t rotate(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1_block(uint32_t hash[5], const uint8_t *block) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++) {
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
  }
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

  uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f = i < 20   ? (b & c) | (~b & d)
                 : i < 40 ? b ^ c ^ d
                 : i < 60 ? (b & c) | (b & d) | (c & d)
                          : b ^ c ^ d;
    uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

static void sha1(const char *text, size_t length, uint8_t digest[20]) {
  uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t padded[192] = {0};
  size_t total = (length + 9 + 63) / 64 * 64;
  memcpy(padded, text, length);
  padded[length] = 0x80;
  for (int i = 0; i < 8; i++) padded[total - 1 - i] = (uint8_t)((uint64_t)length * 8 >> (8 * i));
  for (size_t at = 0; at < total; at += 64) sha1_block(hash, padded + at);
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64(const uint8_t digest[20], char text[29]) {
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0, at = 0; i < 20; i += 3) {
    uint32_t group = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | (i + 2 < 20 ? digest[i + 2] : 0);
    for (int shift = 18; shift >= 0; shift -= 6) text[at++] = alphabet[group >> shift & 63];
  }
  text[27] = '=', text[28] = 0;
}

// --- A connection ----------------------------------------------------------------------------------------------------

static void watch(struct connection *connection, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, connection->fd, &event) < 0) fail("epoll_ctl");
}

static void hang_up(struct connection *connection) {
  close(connection->fd);
  release(&connection->held);
  release(&connection->unsent);
  free(connection);
}

// What the kernel does not take now is kept, and reading stops until it has gone. A dead client shows at the next read.
static void answer(struct connection *connection, const void *data, size_t length) {
  ssize_t sent = 0;
  if (connection->unsent.used == 0) sent = send(connection->fd, data, length, MSG_NOSIGNAL);
  if (sent < 0) sent = 0;
  if ((size_t)sent == length) return;
  append(&connection->unsent, (const char *)data + sent, length - sent);
  watch(connection, EPOLLOUT);
}

// Whether the connection is still there.
static bool flush(struct connection *connection) {
  struct bytes *unsent = &connection->unsent;
  ssize_t sent = send(connection->fd, unsent->data, unsent->used, MSG_NOSIGNAL);
  if (sent < 0) {
    if (errno == EAGAIN) return true;
    hang_up(connection);
    return false;
  }
  memmove(unsent->data, unsent->data + sent, unsent->used - sent);
  unsent->used -= sent;
  if (unsent->used > 0) return true;
  release(unsent);
  watch(connection, EPOLLIN);
  return true;
}

// --- HTTP ------------------------------------------------------------------------------------------------------------

// The value of a header, by any case of its name; its length is 0 where there is none.
static size_t header(const char *head, const char *end, const char *name, const char **value) {
  size_t length = strlen(name);
  for (const char *line = head; line < end;) {
    const char *stop = memchr(line, '\n', end - line);
    if (stop == NULL) return 0;
    if ((size_t)(stop - line) > length && line[length] == ':' && strncasecmp(line, name, length) == 0) {
      const char *from = line + length + 1, *to = stop;
      while (from < to && *from == ' ') from++;
      while (to > from && (to[-1] == '\r' || to[-1] == ' ')) to--;
      *value = from;
      return to - from;
    }
    line = stop + 1;
  }
  return 0;
}

static void switch_protocols(struct connection *connection, const char *key, size_t length) {
  char text[128], accept[29], reply[256];
  uint8_t digest[21] = {0};
  int joined = snprintf(text, sizeof text, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)length, key);
  sha1(text, joined, digest);
  base64(digest, accept);
  int size = snprintf(reply, sizeof reply,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n",
                      accept);
  connection->speaks = WEBSOCKET;
  answer(connection, reply, size);
}

// How many bytes of `data` were a whole request; 0 when its head has not arrived yet, -1 when it is not one for us.
static ssize_t take_request(struct connection *connection, char *data, size_t length) {
  static const char page[] =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
  char *blank = memmem(data, length, "\r\n\r\n", 4);
  if (blank == NULL) return length > HEAD_MOST ? -1 : 0;
  if (length < 4 || memcmp(data, "GET ", 4) != 0) return -1;

  const char *value, *end = blank + 2;
  if (header(data, end, "Upgrade", &value) == 9 && strncasecmp(value, "websocket", 9) == 0) {
    size_t size = header(data, end, "Sec-WebSocket-Key", &value);
    if (size == 0 || size > 64) return -1;
    switch_protocols(connection, value, size);
  } else {
    answer(connection, page, sizeof page - 1);
  }
  return blank + 4 - data;
}

// --- WebSocket frames (RFC 6455, section 5.2) ------------------------------------------------------------------------

static void unmask(char *payload, size_t length, const char mask[4]) {
  uint64_t wide, word;
  memcpy(&wide, mask, 4);
  memcpy((char *)&wide + 4, mask, 4);
  size_t i = 0;
  for (; i + 8 <= length; i += 8) {
    memcpy(&word, payload + i, 8);
    word ^= wide;
    memcpy(payload + i, &word, 8);
  }
  for (; i < length; i++) payload[i] ^= mask[i % 4];
}

// The echo is made in place: its header is the client's without the four bytes of the mask.
// How many bytes of `data` were a whole frame; 0 when it has not arrived yet, -1 when it is not one for us.
static ssize_t take_frame(struct connection *connection, char *data, size_t length) {
  if (length < 2) return 0;
  if ((data[1] & 0x80) == 0) return -1;
  size_t shown = data[1] & 0x7f, extended = shown == 127 ? 8 : shown == 126 ? 2 : 0;
  if (length < 2 + extended) return 0;
  uint64_t payload = extended == 0 ? shown : 0;
  for (size_t i = 0; i < extended; i++) payload = payload << 8 | (uint8_t)data[2 + i];
  if (payload > PAYLOAD_MOST) return -1;
  size_t header_size = 2 + extended + 4;
  if (length < header_size + payload) return 0;

  char mask[4], *echo = data + 4;
  memcpy(mask, data + 2 + extended, 4);
  memmove(echo, data, 2 + extended);
  echo[1] &= 0x7f;
  unmask(data + header_size, payload, mask);
  int opcode = echo[0] & 0x0f;
  if (opcode == 9) echo[0] = (char)(0x80 | 10);
  if (opcode == 8) connection->ending = true;
  if (opcode != 10) answer(connection, echo, 2 + extended + payload);
  return (ssize_t)(header_size + payload);
}

// --- The loop --------------------------------------------------------------------------------------------------------

// Answers all that is whole; returns how many bytes that was, or -1 when the client must go.
static ssize_t take_all(struct connection *connection, char *data, size_t length) {
  size_t taken = 0;
  while (taken < length && !connection->ending) {
    ssize_t some = connection->speaks == HTTP ? take_request(connection, data + taken, length - taken)
                                              : take_frame(connection, data + taken, length - taken);
    if (some < 0) return -1;
    if (some == 0) break;
    taken += some;
  }
  return (ssize_t)taken;
}

static void on_bytes(struct connection *connection, size_t length) {
  struct bytes *held = &connection->held;
  ssize_t taken;
  if (held->used == 0) {
    taken = take_all(connection, scratch, length);
    if (taken >= 0 && (size_t)taken < length) append(held, scratch + taken, length - taken);
  } else {
    append(held, scratch, length);
    taken = take_all(connection, held->data, held->used);
    if (taken > 0) {
      memmove(held->data, held->data + taken, held->used - taken);
      held->used -= taken;
      if (held->used == 0) release(held);
    }
  }
  if (taken < 0 || (connection->ending && connection->unsent.used == 0)) hang_up(connection);
}

static void on_readable(struct connection *connection) {
  ssize_t length = recv(connection->fd, scratch, sizeof scratch, 0);
  if (length > 0) {
    on_bytes(connection, length);
  } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
    hang_up(connection);
  }
}

static void on_event(struct connection *connection, uint32_t events) {
  if (events & EPOLLOUT) {
    if (flush(connection) && connection->ending && connection->unsent.used == 0) hang_up(connection);
    return;
  }
  on_readable(connection);
}

static void accept_some(int listening) {
  for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
      fail("accept");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) fail("calloc");
    connection->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  }
}

static int listen_on_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) fail("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("getsockname");
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

static void raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  raise_open_files();
  poll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (poll_fd < 0) fail("epoll_create1");
  int listening = listen_on_loopback();
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
  if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, listening, &event) < 0) fail("epoll_ctl");
  for (;;) {
    int count = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == NULL) {
        accept_some(listening);
      } else {
        on_event(events[i].data.ptr, events[i].events);
      }
    }
  }
}
