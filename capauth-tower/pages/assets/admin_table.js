// Tables that fit on a phone.

import { el } from "./dom.js";

/** A table with its heads; on a narrow screen each row is a card, and `data-label` stands before each value. */
export function grid(caption, heads, rows) {
  const cells = (row) => row.map((cell, column) =>
    el("td", { role: "cell", "data-label": heads[column] }, el("div", {}, cell)));
  return el("table", { role: "table", class: "cards", "aria-label": caption },
    el("thead", { role: "rowgroup" },
      el("tr", { role: "row" }, heads.map((head) => el("th", { role: "columnheader", scope: "col" }, head)))),
    el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row" }, cells(row)))));
}
