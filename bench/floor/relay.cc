// The relay of relay.ts in C++: one thread, epoll, no library. It shows what the sockets alone cost. Built by the bench
// where there is a compiler. `relay PROVIDER_PORT` prints where it listens.
//
// As small as it can be: it believes its peers (whole messages, no fragments, one message of audio looks like another),
// which no service may do.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

enum class Kind { kListener, kHttp, kCarrier, kProvider };

struct Peer {
  int fd = -1;
  Kind kind = Kind::kHttp;
  bool upgraded = false;
  bool ready = false;
  Peer* other = nullptr;
  std::string in;
  std::string out;
  std::string stream;
};

int epollFd;
int providerPort;
int ownPort;
Peer* dead[64];
int deadCount = 0;

// SHA-1 and base64 of 20 bytes, for Sec-WebSocket-Accept.
std::string accept(std::string key) {
  key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  const uint64_t bits = key.size() * 8;
  key += '\x80';
  while (key.size() % 64 != 56) key += '\0';
  for (int i = 7; i >= 0; i--) key += static_cast<char>(bits >> (8 * i));
  const auto roll = [](uint32_t v, int n) { return (v << n) | (v >> (32 - n)); };
  for (size_t at = 0; at < key.size(); at += 64) {
    uint32_t w[80];
    for (int i = 0; i < 16; i++) {
      const auto* p = reinterpret_cast<const unsigned char*>(key.data()) + at + 4 * i;
      w[i] = uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3];
    }
    for (int i = 16; i < 80; i++) w[i] = roll(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      const uint32_t f = i < 20 ? ((b & c) | (~b & d)) : i < 40 ? (b ^ c ^ d) : i < 60 ? ((b & c) | (b & d) | (c & d)) : (b ^ c ^ d);
      const uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
      const uint32_t t = roll(a, 5) + f + e + k + w[i];
      e = d, d = c, c = roll(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  unsigned char bytes[21] = {};
  for (int i = 0; i < 20; i++) bytes[i] = static_cast<unsigned char>(h[i / 4] >> (24 - 8 * (i % 4)));
  static const char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (int i = 0; i < 21; i += 3) {
    const uint32_t v = bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2];
    for (int s = 18; s >= 0; s -= 6) text += kLetters[v >> s & 63];
  }
  text.back() = '=';
  return text;
}

void watch(Peer* peer, uint32_t events, int how) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = peer;
  epoll_ctl(epollFd, how, peer->fd, &event);
}

void drop(Peer* peer) {
  if (peer == nullptr || peer->fd < 0) return;
  close(peer->fd);
  peer->fd = -1;
  if (peer->other != nullptr) {
    Peer* other = peer->other;
    peer->other = other->other = nullptr;
    drop(other);
  }
  // Not freed before this round of events is over.
  if (deadCount < 64) dead[deadCount++] = peer;
}

void put(Peer* peer, std::string_view bytes) {
  if (peer->fd < 0) return;
  ssize_t sent = 0;
  if (peer->out.empty()) sent = send(peer->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0) sent = 0;
  if (static_cast<size_t>(sent) == bytes.size()) return;
  peer->out.append(bytes.substr(sent));
  watch(peer, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

void say(Peer* peer, std::initializer_list<std::string_view> parts, int opcode = 1) {
  static char frame[65536];
  size_t length = 0;
  for (const auto part : parts) length += part.size();
  if (length > 60000) return;
  const bool masked = peer->kind == Kind::kProvider;
  size_t at = 0;
  frame[at++] = static_cast<char>(0x80 | opcode);
  const char bit = masked ? '\x80' : '\0';
  if (length < 126) {
    frame[at++] = static_cast<char>(bit | static_cast<char>(length));
  } else {
    frame[at++] = static_cast<char>(bit | 126);
    frame[at++] = static_cast<char>(length >> 8);
    frame[at++] = static_cast<char>(length);
  }
  char mask[4] = {};
  if (masked) {
    const int value = rand();
    memcpy(mask, &value, 4);
    memcpy(frame + at, mask, 4);
    at += 4;
  }
  const size_t from = at;
  for (const auto part : parts) {
    memcpy(frame + at, part.data(), part.size());
    at += part.size();
  }
  if (masked) {
    for (size_t i = from; i < at; i++) frame[i] ^= mask[(i - from) & 3];
  }
  put(peer, {frame, at});
}

// The text of a field that is no object and has no escapes.
std::string_view field(std::string_view text, std::string_view name) {
  const size_t at = text.find(name);
  if (at == text.npos) return {};
  const size_t from = at + name.size();
  return text.substr(from, text.find('"', from) - from);
}

Peer* dial(Peer* carrier) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(providerPort));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return nullptr;
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  auto* peer = new Peer;
  peer->fd = fd;
  peer->kind = Kind::kProvider;
  peer->other = carrier;
  carrier->other = peer;
  watch(peer, EPOLLIN, EPOLL_CTL_ADD);
  put(peer, "GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  return peer;
}

void onCarrierText(Peer* peer, std::string_view text) {
  const auto event = field(text, "\"event\":\"");
  if (event == "start") peer->stream = field(text, "\"streamSid\":\"");
  if (event != "media" || peer->other == nullptr || !peer->other->ready) return;
  say(peer->other, {"{\"type\":\"input_audio_buffer.append\",\"audio\":\"", field(text, "\"payload\":\""), "\"}"});
}

void onProviderText(Peer* peer, std::string_view text) {
  const auto type = field(text, "\"type\":\"");
  if (type == "response.output_audio.delta" && peer->other != nullptr && !peer->other->stream.empty()) {
    say(peer->other, {"{\"event\":\"media\",\"streamSid\":\"", peer->other->stream, "\",\"media\":{\"payload\":\"",
                      field(text, "\"delta\":\""), "\"}}"});
  } else if (type == "session.updated") {
    peer->ready = true;
    say(peer, {"{\"type\":\"response.create\"}"});
  }
}

// One frame from the beginning of `in`; how many bytes it was, 0: it is not whole.
size_t onFrame(Peer* peer, size_t from) {
  auto* data = reinterpret_cast<unsigned char*>(peer->in.data()) + from;
  const size_t left = peer->in.size() - from;
  if (left < 2) return 0;
  size_t length = data[1] & 127;
  size_t head = 2;
  if (length == 126) {
    if (left < 4) return 0;
    length = static_cast<size_t>(data[2]) << 8 | data[3];
    head = 4;
  } else if (length == 127) {
    drop(peer);
    return 0;
  }
  const bool masked = (data[1] & 128) != 0;
  if (masked) head += 4;
  if (left < head + length) return 0;
  auto* payload = data + head;
  if (masked) {
    for (size_t i = 0; i < length; i++) payload[i] ^= payload[static_cast<ssize_t>(i & 3) - 4];
  }
  const std::string_view text(reinterpret_cast<char*>(payload), length);
  const int opcode = data[0] & 15;
  if (opcode == 8) {
    drop(peer);
  } else if (opcode == 9) {
    say(peer, {text}, 10);
  } else if (opcode == 1) {
    if (peer->kind == Kind::kCarrier) onCarrierText(peer, text);
    else onProviderText(peer, text);
  }
  return head + length;
}

// The head of a request or of the answer to ours.
void onHead(Peer* peer, std::string_view head) {
  if (peer->kind == Kind::kProvider) {
    peer->upgraded = true;
    say(peer, {"{\"type\":\"session.update\",\"session\":{\"type\":\"realtime\",\"audio\":{\"input\":{\"format\":"
               "{\"type\":\"audio/pcmu\"}},\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}}"});
    return;
  }
  const size_t key = head.find("Sec-WebSocket-Key: ");
  if (key == head.npos) {
    const std::string url = "ws://127.0.0.1:" + std::to_string(ownPort) + "/media";
    const std::string body = "<Response><Connect><Stream url=\"" + url + "\"/></Connect></Response>";
    put(peer, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return;
  }
  peer->kind = Kind::kCarrier;
  peer->upgraded = true;
  const auto value = head.substr(key + 19, head.find('\r', key) - key - 19);
  put(peer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                accept(std::string(value)) + "\r\n\r\n");
  if (dial(peer) == nullptr) drop(peer);
}

void onBytes(Peer* peer) {
  size_t at = 0;
  while (peer->fd >= 0 && at < peer->in.size()) {
    if (!peer->upgraded) {
      const size_t end = peer->in.find("\r\n\r\n", at);
      if (end == std::string::npos) break;
      const std::string head = peer->in.substr(at, end + 2 - at);
      at = end + 4;
      // The form of a webhook says nothing that is needed here.
      if (peer->kind == Kind::kHttp && head.compare(0, 4, "POST") == 0) at = peer->in.size();
      onHead(peer, head);
      continue;
    }
    const size_t used = onFrame(peer, at);
    if (used == 0) break;
    at += used;
  }
  if (peer->fd >= 0) peer->in.erase(0, at);
}

void onReadable(Peer* peer) {
  static char buffer[65536];
  const ssize_t count = recv(peer->fd, buffer, sizeof buffer, 0);
  if (count <= 0) {
    drop(peer);
    return;
  }
  peer->in.append(buffer, static_cast<size_t>(count));
  onBytes(peer);
}

void onWritable(Peer* peer) {
  const ssize_t sent = send(peer->fd, peer->out.data(), peer->out.size(), MSG_NOSIGNAL);
  if (sent > 0) peer->out.erase(0, static_cast<size_t>(sent));
  if (peer->out.empty()) watch(peer, EPOLLIN, EPOLL_CTL_MOD);
}

void onCaller(Peer* listener) {
  const int fd = accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK);
  if (fd < 0) return;
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  auto* peer = new Peer;
  peer->fd = fd;
  watch(peer, EPOLLIN, EPOLL_CTL_ADD);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  providerPort = atoi(argv[1]);
  epollFd = epoll_create1(0);
  Peer listener;
  listener.kind = Kind::kListener;
  listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener.fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener.fd, 4096) != 0) return 1;
  getsockname(listener.fd, reinterpret_cast<sockaddr*>(&address), &size);
  ownPort = ntohs(address.sin_port);
  printf("listening on http://127.0.0.1:%d\n", ownPort);
  fflush(stdout);
  watch(&listener, EPOLLIN, EPOLL_CTL_ADD);
  for (epoll_event events[32];;) {
    const int count = epoll_wait(epollFd, events, 32, -1);
    for (int i = 0; i < count; i++) {
      auto* peer = static_cast<Peer*>(events[i].data.ptr);
      if (peer->fd < 0) continue;
      if (peer->kind == Kind::kListener) {
        onCaller(peer);
        continue;
      }
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) onReadable(peer);
      if (peer->fd >= 0 && (events[i].events & EPOLLOUT) != 0) onWritable(peer);
    }
    for (int i = 0; i < deadCount; i++) delete dead[i];
    deadCount = 0;
  }
}
