// A proxy that the whole browser goes through: what leaves it is kept, byte for byte, whoever in it sent it.

import http from "node:http";
import net from "node:net";

/** Headers that are between two neighbours and go no further. */
const HOP = new Set(["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"]);

/** All that tests call is on this machine, whatever its name. */
const LOOPBACK = "127.0.0.1";

/** A raw list of headers without those of one hop. */
function end_to_end(raw, ...others) {
  const kept = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at].toLowerCase();
    if (!HOP.has(name) && !others.includes(name)) kept.push(raw[at], raw[at + 1]);
  }
  return kept;
}

export class Relay {
  /** Every request: `{method, url, headers, body, refused}`; the headers as one text. */
  requests = [];
  #sockets = new Set();
  #server;

  /** Opens a relay that hands on what goes to an allowed origin, and refuses the rest. */
  static async open(isAllowed) {
    const relay = new Relay();
    const forward = (ask, answer) => relay.#forward(ask, answer, isAllowed);
    relay.#server = http.createServer({ maxHeaderSize: 1 << 20 }, forward);
    relay.#server.on("connect", (ask, socket) => relay.#tunnel(ask, socket, isAllowed));
    relay.#server.on("connection", (socket) => {
      relay.#sockets.add(socket);
      socket.on("close", () => relay.#sockets.delete(socket));
    });
    await new Promise((ready) => relay.#server.listen(0, LOOPBACK, ready));
    return relay;
  }

  get address() {
    return `http://${LOOPBACK}:${this.#server.address().port}`;
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #note(ask) {
    const chunks = [];
    const pairs = ask.rawHeaders.map((text, at) => (at % 2 ? `${text}\n` : `${text}: `));
    const entry = {
      method: ask.method,
      url: ask.url,
      headers: pairs.join(""),
      get body() {
        return Buffer.concat(chunks);
      },
    };
    ask.on("data", (chunk) => chunks.push(chunk));
    this.requests.push(entry);
    return entry;
  }

  #forward(ask, answer, isAllowed) {
    const entry = this.#note(ask);
    const target = URL.canParse(ask.url) ? new URL(ask.url) : undefined;
    if (!target || !isAllowed(target.origin)) {
      entry.refused = true;
      answer.writeHead(502).end();
      return;
    }
    // As the browser wrote it: not a path that was read and written anew.
    const slash = ask.url.indexOf("/", ask.url.indexOf("//") + 2);
    const forwarded = http.request({
      host: LOOPBACK,
      port: target.port || 80,
      method: ask.method,
      path: slash < 0 ? "/" : ask.url.slice(slash),
      headers: [...end_to_end(ask.rawHeaders), "Connection", "close"],
      agent: false,
    });
    forwarded.on("response", (told) => {
      answer.writeHead(told.statusCode, told.statusMessage, end_to_end(told.rawHeaders, "transfer-encoding"));
      answer.flushHeaders();
      told.pipe(answer);
      entry.answered = 0;
      told.on("data", (chunk) => { entry.answered += chunk.length; });
      told.on("error", () => answer.destroy());
    });
    forwarded.on("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
    answer.on("close", () => forwarded.destroy());
    ask.pipe(forwarded);
  }

  /** TLS and WebSockets: their bytes cannot be read here, only where they go. */
  #tunnel(ask, socket, isAllowed) {
    const entry = this.#note(ask);
    const [, port] = ask.url.match(/:(\d+)$/) ?? [];
    socket.on("error", () => {});
    if (!["http", "https"].some((scheme) => isAllowed(new URL(`${scheme}://${ask.url}`).origin))) {
      entry.refused = true;
      socket.end("HTTP/1.1 502 Refused\r\n\r\n");
      return;
    }
    const onward = net.connect(Number(port), LOOPBACK, () => {
      socket.write("HTTP/1.1 200 Connected\r\n\r\n");
      socket.pipe(onward).pipe(socket);
    });
    onward.on("error", () => socket.destroy());
    socket.on("close", () => onward.destroy());
  }
}
