// Following a login that another device signs. Its poll token goes into a header, and nowhere else.

import { call } from "./api.js";

/** Milliseconds between two questions, where no stream tells by itself. */
const PAUSE = 2_000;
/** Milliseconds within which a stream says something: at once where it works, and now and then from then on. */
const FIRST = 5_000;
const SILENCE = 40_000;
/** Characters of one event. It has a few hundred. */
const LONGEST = 16_384;

/** One login, at the server. */
export class QrLogin {
  #path;
  #headers;
  #signal;
  #until;

  /** @param {object} asked the answer to `qr-challenge` @param {AbortSignal} signal ends all of it */
  constructor({ nonce, poll_token, timestamp, expires }, signal) {
    this.#path = `qr-status/${encodeURIComponent(nonce)}`;
    this.#headers = { authorization: `Bearer ${poll_token}` };
    this.#signal = signal;
    // By the server's clock alone: this one's may be wrong.
    this.lifetime = Math.max(0, Date.parse(expires) - Date.parse(timestamp)) || 0;
    this.#until = performance.now() + this.lifetime;
  }

  /** Milliseconds for which it can be answered. */
  get left() {
    return Math.max(0, this.#until - performance.now());
  }

  /**
   * Where it stands: at once and after each change, until it is decided. `{ status: "unreachable" }` when nobody says.
   * @returns {AsyncGenerator<object>}
   */
  async *statuses() {
    let streams = true;
    while (!this.#signal.aborted) {
      try {
        if (streams) {
          streams = false;
          for await (const status of this.#events()) {
            streams = true;
            yield status;
            if (isDecided(status)) return;
          }
        } else {
          const status = await this.#call("GET", "?peek=true");
          yield status;
          if (isDecided(status)) return;
        }
      } catch (error) {
        if (this.#signal.aborted) return;
        // The server knows nothing of it (any more), or nobody will say before it is over.
        if (error.code === "invalid_nonce" || this.left === 0) {
          yield { status: "expired", reason: "time" };
          return;
        }
        if (error.code === "unreachable") yield { status: "unreachable" };
      }
      await pause(PAUSE, this.#signal);
    }
  }

  /** What the person says to the key that waits for it. */
  decide(decision) {
    return this.#call("POST", "", decision);
  }

  /**
   * Fetches the session: `{ ok: true, redirect }`, or how it ended. It is given out once; a request that got no answer is made
   * again, and `lost` called each time. The reason is `lost` when the server gave it out, and it did not come here.
   */
  async fetch(redirect, lost) {
    for (let times = 0; ; times += 1) {
      try {
        const answer = await this.#call("GET", `?redirect=${encodeURIComponent(redirect)}`);
        return times && answer.reason === "fetched" ? { ...answer, reason: "lost" } : answer;
      } catch (error) {
        if (error.code !== "unreachable" || this.left === 0) throw error;
        lost();
      }
      await pause(PAUSE, this.#signal);
    }
  }

  #call(method, query, body) {
    return call(method, this.#path + query, body, { headers: this.#headers, signal: this.#signal });
  }

  /** What a stream says, as long as it says something. Nothing where streams do not work. */
  async *#events() {
    const own = new AbortController();
    const end = () => own.abort();
    this.#signal.addEventListener("abort", end);
    let silence = setTimeout(end, FIRST);
    try {
      const headers = { accept: "text/event-stream", ...this.#headers };
      const answer = await fetch(this.#path, { headers, signal: own.signal });
      const isStream = answer.headers.get("content-type")?.startsWith("text/event-stream");
      if (!answer.ok || !isStream || !answer.body) return;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; rest.length <= LONGEST;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const data of events.flatMap(dataOf)) yield JSON.parse(data);
      }
    } catch {
      // Whoever asks without a stream hears why.
    } finally {
      clearTimeout(silence);
      this.#signal.removeEventListener("abort", end);
      end();
    }
  }
}

const isDecided = ({ status }) => status === "authenticated" || status === "expired";

/** The data of an event: nothing for a comment. */
const dataOf = (event) => event.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5));

function pause(milliseconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
  });
}
