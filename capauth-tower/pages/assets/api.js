// Talking to the server: JSON in, JSON out, and refusals in words.

import { sayError, say } from "./words.js";

/**
 * What the server refused. `message` is for the person, `code` one of the protocol's errors or `unreachable`, `described` the
 * server's own words.
 */
export class Refused extends Error {
  constructor(code, message, { status = 0, retryAfter = null, described = "" } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
    this.described = described;
  }
}

/**
 * Sends a request to a path (relative to the page) and answers what the server says. Throws `Refused`; or the reason of
 * `signal`, where that gives the request up.
 */
export async function call(method, path, body, { headers = {}, signal } = {}) {
  let answer, told;
  try {
    answer = await fetch(path, {
      method,
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    told = await answer.json();
  } catch {
    signal?.throwIfAborted();
    throw new Refused("unreachable", say("error.unreachable"));
  }
  if (answer.ok) return told;
  const retryAfter = Number(answer.headers.get("retry-after")) || null;
  const described = told.error_description ?? "";
  throw new Refused(told.error ?? "none", sayError(told), { status: answer.status, retryAfter, described });
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
