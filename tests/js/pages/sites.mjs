// Other people's web sites, for attacks: on this machine, under names of their own.

import http from "node:http";

/**
 * Starts a site at `http://HOST:PORT` of any free port. `pages` is an object of paths and their HTML, or a function of a
 * request `{method, path, headers, body}` that answers HTML or `{status, headers, body}`.
 */
export async function startSite(pages, host = "evil.test") {
  const requests = [];
  const server = http.createServer((ask, answer) => {
    const chunks = [];
    ask.on("data", (chunk) => chunks.push(chunk));
    ask.on("end", async () => {
      const body = Buffer.concat(chunks).toString();
      const request = { method: ask.method, path: ask.url, headers: ask.headers, body };
      requests.push(request);
      const given = typeof pages === "function" ? await pages(request) : pages[ask.url.split("?")[0]];
      const told = typeof given === "string" ? { body: given } : (given ?? { status: 404, body: "" });
      answer.writeHead(told.status ?? 200, { "content-type": "text/html; charset=utf-8", ...told.headers });
      answer.end(told.body);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const close = () => new Promise((done) => {
    server.closeAllConnections();
    server.close(done);
  });
  return { origin: `http://${host}:${server.address().port}`, requests, close };
}
